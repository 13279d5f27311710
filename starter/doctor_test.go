package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

// doctored is a bundle whose looks are recorded and answered with d.
type doctored struct {
	*bundle
	settings resolver.Config
	question cert.Question
}

func setupDoctor(t *testing.T, d cert.Diagnosis, err error) *doctored {
	t.Helper()
	b := &doctored{bundle: setup(t)}
	b.app.environ["DNS_RESOLVERS"] = "127.0.0.1:53" // whoever is given servers to ask looks for no development stack
	b.app.diagnose = func(_ context.Context, settings resolver.Config, q cert.Question) (cert.Diagnosis, error) {
		b.settings, b.question = settings, q
		return d, err
	}
	return b
}

// broken is a diagnosis with something in every part.
func broken() cert.Diagnosis {
	delegation := cert.Record{
		Name:    "_acme-challenge.shop.example.com",
		Type:    "CNAME",
		Value:   "abc.dcv.example.net",
		Purpose: cert.ForDelegation,
	}
	address := cert.Record{Name: "shop.example.com", Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress}
	return cert.Diagnosis{
		CheckedAt: noon, Verdict: cert.Wrong, Ownership: cert.OK, Pointed: cert.OK,
		Names: []cert.NameResult{{Name: "shop.example.com", Reason: "waits for the record _acme-challenge.shop.example.com"}},
		Problems: []cert.Problem{
			{
				Code:        cert.IPv6Unreachable,
				Severity:    cert.Warns,
				WhoActs:     cert.TenantActs,
				Message:     "IPv6 does not answer.",
				Remediation: "At your DNS provider, delete the AAAA record",
				Found:       "AAAA 2001:db8::1",
			},
			{
				Code:        cert.DelegationMissing,
				WhoActs:     cert.TenantActs,
				Message:     "We don't see the record.",
				Remediation: "At your DNS provider, add it.",
				Record:      &delegation,
			},
			{
				Code:        cert.DNSLookupFailed,
				Severity:    cert.Blocks,
				WhoActs:     cert.PlatformActs,
				Message:     "No answer \x1b[31mcame.",
				Remediation: "There is nothing to do.",
				Found:       "time-out\nof ns2",
			},
		},
		Records: []cert.RecordState{
			{Record: delegation, State: cert.RecordNotYetPropagated, Verdict: cert.Wrong, Seen: []cert.Sighting{
				{Server: "ns1.example.com (192.0.2.53)", Role: cert.Authoritative, Verdict: cert.OK, Found: []string{"CNAME abc.dcv.example.net"}},
				{Server: "ns2.example.com (192.0.2.54)", Role: cert.Authoritative, Verdict: cert.Wrong},
				{Server: "1.1.1.1:53", Role: cert.Recursive, Verdict: cert.Unknown, Error: "time-out"},
			}},
			{Record: address, State: cert.RecordFound, Verdict: cert.OK, Found: []string{"CNAME edge.example.net"}},
		},
		CAA: []cert.CAAState{
			{CA: "letsencrypt.org", Verdict: cert.Wrong, Record: &cert.Record{Name: "example.com", Type: "CAA", Value: `0 issue "letsencrypt.org"`}},
			{CA: "pki.goog", Verdict: cert.OK},
		},
		Servers: []cert.Nameserver{
			{Zone: "example.com", Name: "ns1.example.com", Address: "192.0.2.53", State: "answers"},
			{Zone: "example.com", Name: "ns3.example.com", State: "has no address", Detail: "NXDOMAIN"},
		},
	}
}

func TestDoctorTellsTheVerdictThenWhatToDoThenWhatWasSeen(t *testing.T) {
	t.Parallel()
	b := setupDoctor(t, broken(), nil)
	out, errOut := b.run(exitWrong, "doctor", "shop.example.com", "--target", "edge.example.net", "--delegation-target", "abc.dcv.example.net")
	equal(t, out, `shop.example.com: not ready. No certificate can be ordered because of 2 problems.

NAME              VALIDATED BY  WHY
shop.example.com  wait          waits for the record _acme-challenge.shop.example.com

Blocks: We don't see the record. (delegation_missing)
  Needed: _acme-challenge.shop.example.com CNAME abc.dcv.example.net
  Found:  nothing
  To do:  At your DNS provider, add it.
  Who:    the tenant, whose domain it is

Blocks: No answer �[31mcame. (dns_lookup_failed)
  Found:  time-out�of ns2
  To do:  There is nothing to do.
  Who:    the platform

Warns: IPv6 does not answer. (ipv6_unreachable)
  Found:  AAAA 2001:db8::1
  To do:  At your DNS provider, delete the AAAA record.
  Who:    the tenant, whose domain it is

NAME                              TYPE   VALUE                STATE
_acme-challenge.shop.example.com  CNAME  abc.dcv.example.net  not yet propagated
shop.example.com                  CNAME  edge.example.net     found

RECORD                            TYPE   SERVER                        STATE    SHOWS
_acme-challenge.shop.example.com  CNAME  ns1.example.com (192.0.2.53)  found    CNAME abc.dcv.example.net
_acme-challenge.shop.example.com  CNAME  ns2.example.com (192.0.2.54)  missing  nothing
_acme-challenge.shop.example.com  CNAME  resolver 1.1.1.1:53           unknown  time-out

ZONE         NAME SERVER      ADDRESS     STATE           DETAIL
example.com  ns1.example.com  192.0.2.53  answers
example.com  ns3.example.com              has no address  NXDOMAIN

CA               MAY ISSUE  CAA RECORD THAT LETS IT
letsencrypt.org  no         example.com CAA 0 issue "letsencrypt.org"
pki.goog         yes
`)
	equal(t, errOut, "")
}

func TestDoctorAnswersInJSON(t *testing.T) {
	t.Parallel()
	b := setupDoctor(t, broken(), nil)
	out, errOut := b.run(exitWrong, "doctor", "shop.example.com", "--json")
	var got cert.Diagnosis
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, broken(), got)
	require.Empty(t, errOut)
}

func TestDoctorsExitCodeIsTheVerdict(t *testing.T) {
	t.Parallel()
	warning := []cert.Problem{{Severity: cert.Warns, Message: "m", WhoActs: cert.TenantActs}}
	for _, c := range []struct {
		diagnosis cert.Diagnosis
		code      int
		line      string
	}{
		{cert.Diagnosis{Verdict: cert.OK}, exitOK, "a.example.com and b.example.com: ready. A certificate"},
		{cert.Diagnosis{Verdict: cert.OK, Problems: warning}, exitOK, "ready, with 1 warning."},
		{
			cert.Diagnosis{Verdict: cert.Wrong, Problems: append(warning, cert.Problem{Message: "n"})},
			exitWrong,
			"not ready. No certificate can be ordered because of 1 problem",
		},
		{cert.Diagnosis{Verdict: cert.Wrong, Problems: warning}, exitWrong, "not ready. A certificate can't be ordered by any"},
		{cert.Diagnosis{Verdict: cert.Unknown}, exitUnknown, "not known."},
	} {
		b := setupDoctor(t, c.diagnosis, nil)
		out, errOut := b.run(c.code, "doctor", "a.example.com", "b.example.com")
		require.Contains(t, out, c.line)
		require.Contains(
			t,
			out,
			"Not compared with anything, because it was not said what is right: where visitors are led (--target, --address); the delegation",
		)
		require.Empty(t, errOut)
	}
	b := setupDoctor(t, cert.Diagnosis{}, errors.New("no sockets left"))
	_, errOut := b.run(exitFault, "doctor", "a.example.com")
	require.Contains(t, errOut, "no sockets left")
}

func TestDoctorAsksWhatItWasTold(t *testing.T) {
	t.Parallel()
	b := setupDoctor(t, cert.Diagnosis{Verdict: cert.OK}, nil)
	b.run(exitOK, "doctor", "Bücher.de", "www.bücher.de.", "*.bücher.de", "bücher.de",
		"--target", "Edge.example.net.", "--address", "192.0.2.1,2001:db8::1", "--delegation-target", "d.dcv.example.net",
		"--method", "http-01", "--method", "dns-01", "--ca", "pki.goog", "--account-uri", "https://ca.example/acct/1",
		"--resolver", "192.0.2.53", "--resolver", "[2001:db8::53]:5353", "--root-hint", "2001:db8::1", "--registration", "--timeout", "1500ms")
	const apex = "xn--bcher-kva.de"
	require.Equal(t, cert.Question{
		Names: []string{apex, "www." + apex, "*." + apex},
		Expected: []cert.Record{
			{
				Name:     "_acme-challenge." + apex,
				Type:     "CNAME",
				Value:    "d.dcv.example.net",
				Purpose:  cert.ForDelegation,
				Hostname: apex,
			}, // and of the wildcard
			{Name: "_acme-challenge.www." + apex, Type: "CNAME", Value: "d.dcv.example.net", Purpose: cert.ForDelegation, Hostname: "www." + apex},
			{Name: apex, Type: "A", Value: "192.0.2.1", Purpose: cert.ForAddress, Hostname: apex},
			{Name: apex, Type: "AAAA", Value: "2001:db8::1", Purpose: cert.ForAddress, Hostname: apex},
			{Name: "www." + apex, Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress, Hostname: "www." + apex},
		},
		CAs:     []cert.CAIdentity{{Name: "pki.goog", Domains: []string{"pki.goog"}, AccountURI: "https://ca.example/acct/1"}},
		Methods: []cert.Method{cert.HTTP01, cert.DNS01},
		Once:    true, Registration: true,
	}, b.question)
	require.Equal(t, []string{"192.0.2.53:53", "[2001:db8::53]:5353"}, b.settings.Resolvers)
	require.Equal(t, []string{"[2001:db8::1]:53"}, b.settings.RootHints)
	require.Equal(t, 1500*time.Millisecond, b.settings.CheckTimeout)
	require.LessOrEqual(t, b.settings.QueryTimeout, b.settings.CheckTimeout)
	require.False(t, b.settings.RequireOwnership)
}

func TestDoctorTakesTheRestFromTheEnvironment(t *testing.T) {
	t.Parallel()
	b := setupDoctor(t, cert.Diagnosis{Verdict: cert.OK}, nil)
	b.app.environ["PLATFORM_TARGET"], b.app.environ["PLATFORM_ADDRESSES"] = "edge.example.net", "192.0.2.1"
	b.app.environ["TEST_SUFFIXES"] = "shops.test"
	b.run(exitOK, "doctor", "a.shops.test", "shops.test", "--root-hint", "none")
	require.Equal(t, []cert.Record{
		{Name: "a.shops.test", Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress, Hostname: "a.shops.test"},
		{Name: "shops.test", Type: "A", Value: "192.0.2.1", Purpose: cert.ForAddress, Hostname: "shops.test"},
	}, b.question.Expected)
	require.Equal(t, []cert.Method{cert.DNS01, cert.HTTP01, cert.TLSALPN01}, b.question.Methods)
	require.Equal(t, []cert.CAIdentity{{Name: "letsencrypt.org", Domains: []string{"letsencrypt.org"}}}, b.question.CAs)
	require.Equal(t, []string{"127.0.0.1:53"}, b.settings.Resolvers)
	require.Empty(t, b.settings.RootHints)
}

func TestDoctorTakesADevelopmentStackUnlessItWasToldWhomToAsk(t *testing.T) {
	inProject(t)
	b := setupDoctor(t, cert.Diagnosis{Verdict: cert.OK}, nil)
	delete(b.app.environ, "DNS_RESOLVERS")
	b.run(exitOK, "doctor", "shop.empty.test")
	require.Equal(t, "edge.test", b.question.Expected[0].Value)
	_, errOut := b.run(exitRefused, "doctor", "shop.empty.test", "--resolver", "192.0.2.53")
	require.Contains(t, errOut, "a name for tests") // the stack's TEST_SUFFIXES don't count
}

func TestDoctorRefusesWhatItCannotAsk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, says string }{
		{"doctor", "requires at least 1 arg"},
		{"doctor 10.0.0.1", "it is an IP address"},
		{"doctor *.co.uk", "is a public suffix"},
		{"doctor a.example.com --timeout -1s", "--timeout is -1s; it expects a time such as 10s"},
		{"doctor a.example.com --method tls-sni-01", `--method is "tls-sni-01"; it expects dns-01, http-01 or tls-alpn-01`},
		{"doctor a.example.com --ca a.example --ca b.example --account-uri https://a.example/1", "--account-uri is of one CA"},
		{
			"doctor a.example.com b.example.com c.example.com --delegation-target a.example --delegation-target b.example",
			"--delegation-target is given 2 times for 3 names",
		},
		{"doctor example.com --address 300.0.0.1", `"300.0.0.1"; it expects IP addresses`},
		{"doctor a.example.com --resolver nonsense", `DNS_RESOLVERS has "nonsense"; it expects host:port`},
	} {
		b := setupDoctor(t, cert.Diagnosis{Verdict: cert.OK}, nil)
		_, errOut := b.run(exitRefused, strings.Fields(c.line)...)
		require.Contains(t, errOut, c.says)
		require.Empty(t, b.question.Names, c.line)
	}
}

func TestALongLookSaysOnATerminalWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupDoctor(t, cert.Diagnosis{}, nil)
		b.app.terminal = true
		lasts := waitPatience / 2
		b.app.diagnose = func(ctx context.Context, _ resolver.Config, _ cert.Question) (cert.Diagnosis, error) {
			select {
			case <-time.After(lasts): // of the bubble's own time
			case <-ctx.Done():
			}
			return cert.Diagnosis{Verdict: cert.OK}, nil
		}
		_, errOut := b.run(exitOK, "doctor", "a.example.com")
		require.Empty(t, errOut)
		lasts = 2 * waitPatience
		_, errOut = b.run(exitOK, "doctor", "a.example.com")
		require.Contains(t, errOut, "asking the name servers of a.example.com, 1 resolvers")
		b.app.terminal = false
		_, errOut = b.run(exitOK, "doctor", "a.example.com")
		require.Empty(t, errOut)
	})
}

// serveDNS is a recursive resolver on loopback that knows the records given, in zone-file form, and nothing else.
func serveDNS(t *testing.T, lines ...string) string {
	t.Helper()
	records := map[string][]dns.RR{}
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		require.NoError(t, err)
		records[rr.Header().Name] = append(records[rr.Header().Name], rr)
	}
	answer := func(w dns.ResponseWriter, question *dns.Msg) {
		m := new(dns.Msg).SetReply(question)
		m.RecursionAvailable = true
		q := question.Question[0]
		for name := dns.CanonicalName(q.Name); ; {
			if len(records[name]) == 0 {
				m.Rcode = dns.RcodeNameError
			}
			next := ""
			for _, rr := range records[name] {
				alias, isAlias := rr.(*dns.CNAME)
				if isAlias && q.Qtype != dns.TypeCNAME {
					next = alias.Target
				}
				if isAlias || rr.Header().Rrtype == q.Qtype {
					m.Answer = append(m.Answer, rr)
				}
			}
			if next == "" {
				break
			}
			name = next
		}
		w.WriteMsg(m) //nolint:errcheck // a client that left shows in the test
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	started, ended := make(chan struct{}), make(chan error, 1)
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(answer), NotifyStartedFunc: func() { close(started) }}
	go func() { ended <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		require.NoError(t, server.Shutdown())
		require.NoError(t, <-ended)
	})
	return packets.LocalAddr().String()
}

// The look itself, by the package that the worker looks by, with nothing else running.
func TestDoctorNeedsNothingButDNS(t *testing.T) {
	t.Parallel()
	address := serveDNS(
		t, "_acme-challenge.shop.example.com. 60 CNAME abc.dcv.example.net.", `abc.dcv.example.net. 60 HINFO "this name" "exists"`,
		`example.com. 60 CAA 0 issue "letsencrypt.org"`, `example.org. 60 CAA 0 issue "other.example"`,
		"_acme-challenge.example.org. 60 CNAME abc.dcv.example.net.",
	)
	run := func(code int, line ...string) string {
		b := setup(t)
		b.app.diagnose = diagnose
		b.app.open = nil // neither database nor Temporal
		out, _ := b.run(code, append([]string{
			"doctor", "--resolver", address, "--root-hint", "none", "--method", "dns-01", "--delegation-target", "abc.dcv.example.net",
		}, line...)...)
		return out
	}
	out := run(exitOK, "shop.example.com")
	require.Regexp(t, `(?m)^shop\.example\.com: ready`, out)
	require.Regexp(t, `(?m)^shop\.example\.com +dns-01`, out)
	require.Regexp(t, `(?m)^_acme-challenge\.shop\.example\.com +CNAME +abc\.dcv\.example\.net +found$`, out)
	require.Contains(t, run(exitWrong, "mall.example.com"), "(delegation_missing)")
	require.Contains(t, run(exitWrong, "example.org"), "(caa_forbids)")

	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, silent.Close()) }()
	address = silent.LocalAddr().String()
	require.Contains(t, run(exitUnknown, "shop.example.com", "--timeout", "300ms"), "not known")
}

func TestD5_AnUnknownVerdictExcusesNobodyWhoHasToAct(t *testing.T) {
	t.Parallel()
	tenants := cert.Problem{Code: cert.OwnershipMissing, WhoActs: cert.TenantActs, Message: "We don't see the record.", Remediation: "Add it."}
	silent := cert.Problem{Code: cert.DNSLookupFailed, WhoActs: cert.PlatformActs, Message: "No answer came.", Remediation: "Ask again."}
	warning := tenants
	warning.Severity = cert.Warns
	for _, c := range []struct {
		problems []cert.Problem
		excused  bool
	}{{[]cert.Problem{silent}, true}, {[]cert.Problem{silent, warning}, true}, {[]cert.Problem{silent, tenants}, false}, {nil, true}} {
		b := setupDoctor(t, cert.Diagnosis{Verdict: cert.Unknown, Problems: c.problems}, nil)
		out, _ := b.run(exitUnknown, "doctor", "shop.example.com")
		line, _, _ := strings.Cut(out, "\n")
		require.Equal(t, c.excused, strings.Contains(line, "not the domain's fault"), line)
		require.Equal(t, !c.excused, strings.Contains(line, "What is surely wrong is listed below"), line)
	}
}

func TestD4_NoAnswerIsNotCalledNothing(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]cert.Sighting{
		"no answer":            {Verdict: cert.Unknown},
		"nothing":              {Verdict: cert.Wrong},
		"ns1: SERVFAIL":        {Verdict: cert.Unknown, Error: "ns1: SERVFAIL"},
		"CNAME x, TXT \"a b\"": {Verdict: cert.Wrong, Found: []string{"CNAME x", `TXT "a b"`}},
	} {
		require.Equal(t, want, s.Shows())
	}
}
