package ca_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercert/evercert/ca"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
)

// pebble is Pebble, a real ACME CA, which validates with a real DNS server, behind a proxy that injects faults.
type pebble struct {
	t        *testing.T
	stack    *stack.Stack
	config   ca.Config
	accounts *memoryAccounts
	sealer   sealer
}

// newPebble starts a CA. options are OPTION=VALUE for it.
func newPebble(t *testing.T, options ...string) *pebble {
	t.Helper()
	s := stack.New(t, stack.Options{Parts: []string{"dns", "ca"}, CA: options})
	info := s.Info()
	return &pebble{
		t:        t,
		stack:    s,
		accounts: newAccounts(),
		sealer:   newSealer(t),
		config: ca.Config{
			Directory: info.ACMEDirectory,
			RootPEM:   info.ACMERootPEM,
			Contact:   "ops@example.com",
			Profile:   "default",
			Timeout:   10 * time.Second,
		},
	}
}

// process returns an authority as a new process would have it: it shares only the database with the others.
func (p *pebble) process() *ca.Authority {
	p.t.Helper()
	return newAuthority(p.t, p.config, p.accounts, p.sealer, txtRecords{p.stack})
}

func (p *pebble) devstack(args ...string) string {
	p.t.Helper()
	out, err := p.stack.Devstack(args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// caStats counts what has arrived at the CA.
type caStats struct {
	Orders       int `json:"orders"`
	Finalizes    int `json:"finalizes"`
	Certificates int `json:"certificates"`
	Rejected     int `json:"rejected"`
}

func (p *pebble) stats() (s caStats) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.devstack("ca", "stats")), &s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// txtRecords is a Solver for dns-01 that adds records to the test DNS.
type txtRecords struct{ stack *stack.Stack }

func (d txtRecords) Present(ctx context.Context, c cert.Challenge) error {
	return d.call(ctx, http.MethodPost, record(c), nil)
}

func (d txtRecords) CleanUp(ctx context.Context, c cert.Challenge) error {
	return d.call(ctx, http.MethodDelete, record(c), nil)
}

func (d txtRecords) Shown(ctx context.Context, c cert.Challenge) (bool, error) {
	var all json.RawMessage
	err := d.call(ctx, http.MethodGet, nil, &all)
	return strings.Contains(string(all), record(c)["value"]), err
}

func (d txtRecords) call(ctx context.Context, method string, body, answer any) error {
	return control(ctx, method, d.stack.Info().DNSControl+"/records", body, answer)
}

func record(c cert.Challenge) map[string]string {
	digest := sha256.Sum256([]byte(c.KeyAuthorization))
	return map[string]string{"name": cert.DelegationName(c.Name), "type": "TXT", "value": base64.RawURLEncoding.EncodeToString(digest[:])}
}

// control calls a part's control endpoint, as devstack's commands do.
func control(ctx context.Context, method, url string, body, answer any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %s: %s", method, url, response.Status, said)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(said, answer)
	}
	return err
}

func TestLostAnswersLeadToOneOrderAndOneCertificate(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	if _, err := p.process().Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"newNonce", "newOrder", "order", "authz", "challenge", "finalize", "certificate"} {
		for _, fault := range []string{"drop-request", "drop-response", "truncate"} {
			t.Run(step+" "+fault, func(t *testing.T) {
				p := &pebble{t, p.stack, p.config, p.accounts, p.sealer}
				p.devstack("ca", "reset")
				p.devstack("ca", "fault", step, fault)
				name := strings.ToLower(step) + "-" + fault + ".empty.test"
				if _, err := newIssuance(t, p.process(), name).run(t); err != nil {
					t.Fatal(err)
				}
				if got, want := p.stats(), (caStats{Orders: 1, Finalizes: 1, Certificates: 1}); got != want {
					t.Errorf("the CA counted %+v; want %+v", got, want)
				}
			})
		}
	}
}

// A process that dies at any step leaves nothing in memory. The next one continues from what is in the database.
func TestAnotherProcessGoesOnWithTheOrder(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	for _, step := range []string{"newOrder", "order", "authz", "challenge", "finalize", "certificate"} {
		t.Run(step, func(t *testing.T) {
			p := &pebble{t, p.stack, p.config, p.accounts, p.sealer}
			i := newIssuance(t, p.process(), strings.ToLower(step)+".empty.test")
			if _, err := i.authority.Account(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.devstack("ca", "reset")
			p.devstack("ca", "fault", step, "drop-response")
			_, err := i.attempt(t.Context())
			wantPlain(t, err)
			i.authority = p.process()
			if _, err := i.attempt(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := p.stats(), (caStats{Orders: 1, Finalizes: 1, Certificates: 1}); got != want {
				t.Errorf("the CA counted %+v; want %+v", got, want)
			}
		})
	}
}

func TestConcurrentRunsOfOneOrderGiveOneCertificate(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	first := newIssuance(t, p.process(), "example.empty.test", "*.example.empty.test", "www.example.empty.test")
	if _, err := first.place(t.Context()); err != nil {
		t.Fatal(err)
	}
	serials := make([]string, 4)
	var group sync.WaitGroup
	for n := range serials {
		run := &issuance{authority: p.process(), names: first.names, csr: first.csr, orderURL: first.orderURL}
		group.Go(func() {
			c, err := run.run(t)
			if err != nil {
				t.Error(err)
			}
			serials[n] = c.Serial
		})
	}
	group.Wait()
	if unique := slices.Compact(slices.Sorted(slices.Values(serials))); len(unique) != 1 || unique[0] == "" {
		t.Errorf("serials %q", serials)
	}
	if got := p.stats(); got.Orders != 1 || got.Finalizes != 1 || got.Certificates != 1 {
		t.Errorf("the CA counted %+v", got)
	}
}

func TestLostOrderIsFoundInTheListAmongOthers(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	a := p.process()
	var others []string
	for n := range 7 { // a page has three
		url, err := a.NewOrder(t.Context(), []string{fmt.Sprintf("other%d.empty.test", n)}, "")
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, url)
	}
	lost := []string{"lost.empty.test", "www.lost.empty.test"}
	p.devstack("ca", "fault", "newOrder", "drop-response")
	_, err := a.NewOrder(t.Context(), lost, "")
	wantPlain(t, err)

	var asked []string
	known := func(_ context.Context, urls []string) ([]string, error) {
		asked = append(asked, urls...)
		return others, nil
	}
	find := func(names ...string) string {
		t.Helper()
		url, err := p.process().FindOrder(t.Context(), names, known)
		if err != nil {
			t.Fatal(err)
		}
		return url
	}
	found := find("www.lost.empty.test", "lost.empty.test")
	if found == "" || slices.Contains(others, found) || !slices.Contains(asked, found) {
		t.Errorf("found %q among %q", found, asked)
	}
	if len(asked) != 8 {
		t.Errorf("%d orders were listed; want 8", len(asked))
	}
	if url := find("lost.empty.test"); url != "" {
		t.Errorf("found %s for one of its names", url)
	}
	if url := find("other1.empty.test"); url != "" {
		t.Errorf("found %s, which belongs to another issuance", url)
	}
}

func TestFinishedOrderIsNotTakenForALostOne(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	i := newIssuance(t, p.process(), "done.empty.test")
	if _, err := i.run(t); err != nil {
		t.Fatal(err)
	}
	nothingKnown := func(context.Context, []string) ([]string, error) { return nil, nil }
	if url, err := i.authority.FindOrder(t.Context(), i.names, nothingKnown); err != nil || url != "" {
		t.Errorf("found %q, %v", url, err)
	}
}

func TestRestartedCAThatForgetsAllIsNoFailure(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	i := newIssuance(t, p.process(), "restart.empty.test")
	if _, err := i.place(t.Context()); err != nil {
		t.Fatal(err)
	}
	account, err := i.authority.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.devstack("kill", "ca")
	want(t, p.untilFailure(i), cert.OrderGone, cert.CAUnavailable)
	again := newIssuance(t, i.authority, "restart.empty.test")
	if _, err := again.run(t); err != nil {
		t.Fatal(err)
	}
	if now, err := i.authority.Account(t.Context()); err != nil || now == account {
		t.Errorf("account %s after %s was forgotten, %v", now, account, err)
	}
}

// untilFailure repeats an attempt while the CA does not answer, and returns its verdict.
func (p *pebble) untilFailure(i *issuance) error {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := i.attempt(ctx)
		if err == nil || errors.As(err, new(*cert.Failure)) {
			return err
		}
		if ctx.Err() != nil {
			p.t.Fatalf("the CA did not come back: %v", err)
		}
	}
}

func TestRefusalsOfTheCAAreSorted(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	a := p.process()
	if _, err := a.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		fault      string
		outcome    cert.Outcome
		code       cert.Code
		retryAfter time.Duration
	}{
		{"rate-limit:90", cert.Wait, cert.RateLimited, 90 * time.Second},
		{"html-503:90", cert.Wait, cert.CAUnavailable, 90 * time.Second},
		{"paused", cert.Parked, cert.IdentifierPaused, 0},
		{"problem:caa", cert.Refused, cert.CAAForbids, 0},
		{"problem:rejectedIdentifier", cert.Refused, cert.DomainNotAllowed, 0},
	} {
		p.devstack("ca", "fault", "newOrder", test.fault)
		_, err := a.NewOrder(t.Context(), []string{"refused.empty.test"}, "")
		if f := want(t, err, test.outcome, test.code); f.RetryAfter != test.retryAfter {
			t.Errorf("%s: retry after %s, want %s", test.fault, f.RetryAfter, test.retryAfter)
		}
	}
	p.devstack("ca", "fault", "newOrder", "problem:userActionRequired")
	for range 2 { // only the first run asks the CA
		_, err := a.NewOrder(t.Context(), []string{"refused.empty.test"}, "")
		want(t, err, cert.Wait, cert.AccountProblem)
	}
	if got := p.stats(); got.Orders != 0 {
		t.Errorf("the CA counted %+v", got)
	}
}

func TestMissingRecordIsTheTenantsToMend(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	shown := &notes{} // to nobody
	a := newAuthority(t, p.config, p.accounts, p.sealer, shown)
	_, err := newIssuance(t, a, "nothing.empty.test").run(t)
	f := want(t, err, cert.Refused, cert.CARejected)
	if f.Problem.WhoActs != cert.TenantActs || !strings.Contains(f.Problem.Message, "nothing.empty.test") {
		t.Errorf("problem %+v", f.Problem)
	}
	if left := shown.now(); len(left) != 0 {
		t.Errorf("challenges left behind: %+v", left)
	}
}

func TestRenewalReplacesTheCertificate(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	a := p.process()
	const name = "renewed.empty.test"
	first, err := newIssuance(t, a, name).run(t)
	if err != nil {
		t.Fatal(err)
	}
	id, err := ca.CertificateID(first.ChainPEM)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is replaced already, and the order is placed without replaces
		renewal := newIssuance(t, a, name)
		if renewal.orderURL, err = a.NewOrder(t.Context(), renewal.names, id); err != nil {
			t.Fatal(err)
		}
		second, err := renewal.run(t)
		if err != nil || second.Serial == first.Serial {
			t.Errorf("renewed %s by %s, %v", first.Serial, second.Serial, err)
		}
	}
}

// TestF12_AProfileThatTheCADoesNotOfferIsReportedAtTheStart, with those that it offers; a CA that does not answer is no error.
func TestF12_AProfileThatTheCADoesNotOfferIsReportedAtTheStart(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	if err := p.process().CheckProfile(t.Context()); err != nil {
		t.Errorf("a profile that is offered: %v", err)
	}
	p.config.Profile = "classical"
	err := p.process().CheckProfile(t.Context())
	if err == nil || !strings.Contains(err.Error(), `is "classical"; it expects one of`) || !strings.Contains(err.Error(), "default") {
		t.Errorf("got %v", err)
	}
	p.config.Directory = "https://127.0.0.1:1/dir"
	if err := p.process().CheckProfile(t.Context()); err != nil {
		t.Errorf("a CA that does not answer: %v", err)
	}
}
