package e2e

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

// TestA1_ConnectingIsAllThatATenantDoes goes from the CLI to a visitor's browser, and shows D1's records on the way.
func TestA1_ConnectingIsAllThatATenantDoes(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, stack.Options{})
	out, stderr, code := p.cli("connect", "Shop.Ready.test.", "--tenant", "acme", "--also", "www.shop.ready.test")
	require.Zero(t, code, "%s%s", out, stderr)
	require.Contains(t, out, "_acme-challenge.shop.ready.test", "the records to add are shown (D1)")
	out, stderr, code = p.cli("watch", "shop.ready.test", "--timeout", patience.String())
	require.Zero(t, code, "%s%s", out, stderr)
	require.Contains(t, out, string(cert.InstallationComplete))

	leaf, resp, err := p.browse("shop.ready.test")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.ElementsMatch(t, []string{"shop.ready.test", "www.shop.ready.test"}, leaf.DNSNames)
	_, _, err = p.browse("www.shop.ready.test")
	require.NoError(t, err, "a further name is served with the same certificate")
	_, _, err = p.browse("unknown.ready.test")
	require.ErrorContains(t, err, "unrecognized name", "an unknown name gets the alert of RFC 6066, not a wrong certificate")

	t.Run("A3_redirect", func(t *testing.T) { redirects(t, p) })
	t.Run("figure6_actions", func(t *testing.T) { costsFewActions(t, p) })
	t.Run("B1_csr", func(t *testing.T) {
		out, _, code := p.cli("csr", "shop.ready.test")
		require.Zero(t, code)
		require.Contains(t, out, "BEGIN CERTIFICATE REQUEST")
	})
	t.Run("remove", func(t *testing.T) { removes(t, p) })
}

func redirects(t *testing.T, p *platform) {
	plain := func() int {
		r, err := http.NewRequest("GET", "http://"+p.info.EdgeHTTP+"/path?q=1", http.NoBody)
		require.NoError(t, err)
		r.Host = "shop.ready.test"
		resp, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, http.StatusOK, plain(), "no redirect before it is switched on")
	_, stderr, code := p.cli("redirect", "shop.ready.test", "on")
	require.Zero(t, code, stderr)
	p.eventually("plain HTTP is redirected", func() bool { return plain() == http.StatusPermanentRedirect }, func() any { return plain() })

	p.connect("waiting.empty.test")
	var problem problemDocument
	require.Equal(
		t, http.StatusConflict, p.call("PUT", "/v1/domains/waiting.empty.test/https-redirect", map[string]bool{"on": true}, &problem),
	)
	require.Equal(t, cert.RequestRefused, problem.Code)
}

func costsFewActions(t *testing.T, p *platform) {
	c := p.temporal()
	p.connect("cost.ready.test")
	p.awaitHeadline("cost.ready.test", cert.InstallationComplete)
	var runs [][]*history.HistoryEvent
	p.eventually("the domain rests on the timer of its renewal", func() bool {
		runs = p.histories(c, workflows.DomainID("cost.ready.test"))
		last := runs[0][len(runs[0])-1]
		return last.GetEventType() == enums.EVENT_TYPE_TIMER_STARTED &&
			last.GetTimerStartedEventAttributes().GetStartToFireTimeout().AsDuration() > 24*time.Hour
	}, func() any { return len(runs[0]) })
	require.Len(t, runs, 1, "the run goes on until the renewal begins")
	n, what := actions(runs[0])
	t.Logf("connect to complete, with the timer of the renewal: %d actions, %d events: %s", n, len(runs[0]), strings.Join(what, " "))
	require.LessOrEqual(t, n, 9)

	_, stderr, code := p.cli("request", "cost.ready.test")
	require.Zero(t, code, stderr)
	p.eventually("the renewed domain rests", func() bool {
		runs = p.histories(c, workflows.DomainID("cost.ready.test"))
		newest := runs[len(runs)-1]
		return len(runs) == 2 && newest[len(newest)-1].GetEventType() == enums.EVENT_TYPE_TIMER_STARTED
	}, func() any { return len(runs) })
	n, what = actions(runs[1])
	t.Logf(
		"a renewal, with the timer of the next: %d actions and its continue-as-new, %d events: %s", n, len(runs[1]), strings.Join(what, " "),
	)
	require.LessOrEqual(t, n+1, 7)
}

func removes(t *testing.T, p *platform) {
	_, stderr, code := p.cli("remove", "shop.ready.test", "--yes")
	require.Zero(t, code, stderr)
	p.await("shop.ready.test", "is removed", func(d control.Domain) bool { return d.Headline == cert.Removed })
	p.eventually("the edge no longer serves it", func() bool {
		_, _, err := p.browse("shop.ready.test")
		return err != nil && strings.Contains(err.Error(), "unrecognized name")
	}, func() any { return nil })
	var problem problemDocument
	require.Equal(
		t, http.StatusConflict, p.call("POST", "/v1/domains", map[string]any{"hostname": "shop.ready.test", "tenant": "other"}, &problem),
	)
	require.Equal(t, cert.NameTaken, problem.Code, "quarantine: another tenant can't take the name at once")
}

// TestD2_RecordsAddedLaterAreSeenAndServedFromThen uses names where nothing exists, then a delegation, then a pointed name.
func TestD2_RecordsAddedLaterAreSeenAndServedFromThen(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, stack.Options{Env: map[string]string{"DNS_FIRST_CHECKS": "1s,1s,1s,1s", "DNS_CHECK_INTERVAL": "1s"}})
	for name, purposes := range map[string][]cert.Purpose{
		"delegated.empty.test": {cert.ForOwnership, cert.ForDelegation},
		"pointed.empty.test":   {cert.ForOwnership, cert.ForAddress},
	} {
		p.connect(name)
		d := p.await(name, "shows what is missing", func(d control.Domain) bool { return len(d.Problems) > 0 })
		require.Equal(t, cert.Pending, d.Headline)
		require.NotZero(t, d.NextActionAt)
		require.NotZero(t, d.Deadline)
		var records struct{ Records []cert.RecordState }
		require.Equal(t, http.StatusOK, p.call("GET", "/v1/domains/"+name+"/records", nil, &records))
		for _, r := range records.Records {
			if slices.Contains(purposes, r.Purpose) {
				p.devstack("dns", "set", r.Name, r.Type, r.Value)
			}
		}
		p.awaitHeadline(name, cert.InstallationComplete)
		_, resp, err := p.browse(name)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	require.Equal(t, 2, p.caStats().Orders, "no order before the records were there")
}

// TestA5_ThreeRefusalsEscalateAndHandBackResumes: the CA refuses by CAA three times, which pre-flight did not see coming.
func TestA5_ThreeRefusalsEscalateAndHandBackResumes(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, stack.Options{Env: map[string]string{"RETRY_AFTER_FAILURES": "1h"}})
	p.devstack("ca", "fault", "finalize", "problem:caa", "3")
	const name = "caa.ready.test"
	p.connect(name)
	for failures := 1; failures <= 2; failures++ { // by hand: A4; through the Temporal Web UI's signal and by the CLI: E3
		d := p.await(name, "failed once more", func(d control.Domain) bool { return d.Failures == failures })
		require.Equal(t, cert.RequestCertificate, d.Headline)
		require.Equal(t, cert.CAAForbids, d.Problems[0].Code)
		if failures == 1 {
			p.signal(p.temporal(), name, workflows.RequestCertificate, workflows.Request{})
			continue
		}
		_, stderr, code := p.cli("request", name)
		require.Zero(t, code, stderr)
	}
	p.awaitHeadline(name, cert.ContactSupport)
	orders := p.caStats().Orders
	require.Equal(t, 3, orders)
	out, stderr, code := p.cli("request", name)
	require.Equal(t, 2, code, out)
	require.Contains(t, stderr, "contact support")

	var cases struct{ Cases []cert.Case }
	require.Equal(t, http.StatusOK, p.call("GET", "/v1/cases", nil, &cases))
	require.Len(t, cases.Cases, 1)
	require.Equal(t, cert.CAAForbids, cases.Cases[0].Problems[0].Code, "the case holds its evidence")
	require.Equal(t, 3, cases.Cases[0].Failures)

	_, stderr, code = p.cli("hand-back", name, "--note", "CAA record removed")
	require.Zero(t, code, stderr)
	p.awaitHeadline(name, cert.InstallationComplete)
	require.Equal(t, orders+1, p.caStats().Orders)
	p.eventually("the case is closed", func() bool {
		cases.Cases = nil
		p.call("GET", "/v1/cases", nil, &cases)
		return len(cases.Cases) == 0
	}, func() any { return cases })
}

// TestB2_RenewalDropsNoConnection renews certificates that live for less than a minute while a visitor connects all the time (figure 8).
func TestB2_RenewalDropsNoConnection(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, stack.Options{CA: []string{"minutes=40s"}, Env: map[string]string{"ACME_PROFILE": "minutes"}})
	const name = "renew.ready.test"
	p.connect(name)
	first := p.awaitHeadline(name, cert.InstallationComplete)
	requests, serials := 0, map[string]bool{}
	p.eventually("two renewals were served", func() bool {
		leaf, _, err := p.browse(name)
		require.NoError(t, err, "after %d requests", requests)
		requests++
		serials[leaf.SerialNumber.String()] = true
		return len(serials) == 3
	}, func() any { return serials })
	t.Logf("%d requests, 0 failures, 3 serials", requests)
	d := p.status(name)
	require.NotEqual(t, first.Certificate.Serial, d.Certificate.Serial)
	require.Equal(t, cert.InstallationComplete, d.Headline)

	runs := p.histories(p.temporal(), workflows.DomainID(name))
	require.GreaterOrEqual(t, len(runs), 3)
	n, what := actions(runs[1]) // the whole run between two installations: timer, check, CSR, order, installation, end
	t.Logf("one renewal: %d actions: %s", n, strings.Join(what, " "))
	require.LessOrEqual(t, n, 10)
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, stack.Options{})
	p.connect("taken.empty.test")
	for input, want := range map[string]cert.Code{
		"192.0.2.1": cert.NameInvalid, "[2001:db8::1]": cert.NameInvalid, "co.uk": cert.DomainNotAllowed, "*.empty.test": cert.NameInvalid,
		strings.Repeat("a", 64) + ".empty.test": cert.NameInvalid, "https://empty.test/x": cert.NameInvalid,
		"shop.shops.platform.test":   cert.NameReserved,
		"m.shop.shops.platform.test": cert.NameReserved, "a.b.shops.platform.test": cert.NameTooDeep, "edge.platform.test": cert.NameReserved,
		"a..test": cert.NameInvalid, "": cert.NameInvalid,
	} {
		var problem problemDocument
		code := p.call("POST", "/v1/domains", map[string]any{"hostname": input, "tenant": "acme"}, &problem)
		require.Equal(t, http.StatusUnprocessableEntity, code, "%q: %v", input, problem)
		require.Equal(t, want, problem.Code, "%q", input)
		require.NotEmpty(t, problem.Detail)
	}
	var problem problemDocument
	require.Equal(
		t, http.StatusConflict, p.call("POST", "/v1/domains", map[string]any{"hostname": "taken.empty.test", "tenant": "other"}, &problem),
	)
	require.Equal(t, cert.NameTaken, problem.Code)
	require.NotContains(t, problem.Detail, "acme", "who has it is confidential")
	var list struct{ Domains []control.Domain }
	require.Equal(t, http.StatusOK, p.call("GET", "/v1/domains", nil, &list))
	require.Len(t, list.Domains, 1, "nothing half-created")

	p.connect("BÜCHER.empty.test.")
	d := p.status("xn--bcher-kva.empty.test")
	require.Equal(t, "bücher.empty.test", d.UnicodeName)

	file := filepath.Join(t.TempDir(), "domains.csv")
	require.NoError(
		t, os.WriteFile(file, []byte("hostname,tenant\r\none.empty.test,acme\r\nnot a name,acme\r\ntwo.empty.test,acme\r\n,acme\r\n"), 0o600),
	)
	out, stderr, code := p.cli("connect", "--file", file)
	require.Equal(t, 2, code, "%s%s", out, stderr)
	require.Contains(t, stderr, "line 3")
	require.Contains(t, stderr, "line 5")
	p.status("one.empty.test")
	p.status("two.empty.test")
}

// TestWrongConfigurationDoesNotStart: each process names the variable and what it expects.
func TestWrongConfigurationDoesNotStart(t *testing.T) {
	t.Parallel()
	for _, process := range []string{"worker", "api", "edge"} {
		out, code := runBinary(t, process, []string{"DATABASE_URL=mysql://x", "DNS_CHECK_INTERVAL=soon", "API_TOKEN=short"})
		require.Equal(t, 2, code, "%s", out)
		require.Contains(t, out, "DATABASE_URL", process)
		require.NotContains(t, out, "mysql://x", "the value may hold a password")
		require.False(t, bytes.Contains([]byte(out), []byte("goroutine ")), "%s", out)
	}
	out, _ := runBinary(t, "worker", []string{"DNS_CHECK_INTERVAL=soon"})
	require.Contains(t, out, `DNS_CHECK_INTERVAL is "soon"; it expects a duration`)
}
