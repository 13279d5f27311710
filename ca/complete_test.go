package ca_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/evercert/evercert/ca/catest"
	"github.com/evercert/evercert/cert"
)

func TestOrderBecomesTheCertificateForItsCSR(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	names := []string{"example.com", "*.example.com", "www.example.com"}
	c, err := newIssuance(t, s.Authority, names...).run(t)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(c.Names)
	if !slices.Equal(c.Names, []string{"*.example.com", "example.com", "www.example.com"}) || c.Issuer != "catest issuer" || c.Serial != "02" {
		t.Errorf("certificate %s of %q for %v", c.Serial, c.Issuer, c.Names)
	}
	if !c.NotBefore.Before(c.NotAfter) || strings.Count(string(c.ChainPEM), "BEGIN CERTIFICATE") != 2 {
		t.Errorf("from %s to %s, chain\n%s", c.NotBefore, c.NotAfter, c.ChainPEM)
	}
	if len(s.solver.ever) != 3 {
		t.Errorf("%d challenges were presented for 3 names", len(s.solver.ever))
	}
	for _, challenge := range s.solver.ever {
		if strings.HasPrefix(challenge.Name, "*.") || challenge.Method != cert.DNS01 ||
			!strings.HasPrefix(challenge.KeyAuthorization, challenge.Token+".") {
			t.Errorf("challenge %+v", challenge)
		}
	}
	if left := s.solver.now(); len(left) != 0 {
		t.Errorf("challenges left behind: %+v", left)
	}
}

func TestStepsAreToldInOrder(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	url, err := s.NewOrder(t.Context(), []string{name}, "")
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	progress := func(step string) { steps = append(steps, step) }
	if _, err := s.Complete(t.Context(), url, newCSR(t, name), map[string]cert.Method{name: cert.DNS01}, progress); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"order is pending", "challenge dns-01 of shop.example.com is ready", "shop.example.com is validated",
		"order is ready", "order is valid", "certificate is downloaded",
	}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %q\nwant  %q", steps, want)
	}
}

func TestCompletedOrderGivesTheSameCertificateAgain(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	i := newIssuance(t, s.Authority, name)
	first, err := i.run(t)
	if err != nil {
		t.Fatal(err)
	}
	s.restart(t)
	i.authority = s.Authority
	second, err := i.run(t)
	if err != nil || first.Serial != second.Serial || string(first.ChainPEM) != string(second.ChainPEM) {
		t.Errorf("serials %s and %s, %v", first.Serial, second.Serial, err)
	}
}

func TestFailedValidationTellsTheCAsReason(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind, detail string
		outcome      cert.Outcome
		code         cert.Code
		acts         cert.Actor
	}{
		{"caa", "CAA record for shop.example.com prevents issuance", cert.Refused, cert.CAAForbids, cert.TenantActs},
		{"dns", "SERVFAIL looking up TXT", cert.Refused, cert.DNSLookupFailed, cert.TenantActs},
		{"connection", "Connection refused", cert.Refused, cert.HTTPUnreachable, cert.TenantActs},
		{"tls", "handshake failure", cert.Refused, cert.HTTPSUnreachable, cert.TenantActs},
		{"unauthorized", "Incorrect TXT record found", cert.Refused, cert.CARejected, cert.TenantActs},
		{"unauthorized", "During secondary validation: Incorrect TXT record", cert.Refused, cert.MultiPerspectiveFailed, cert.TenantActs},
		{"rejectedIdentifier", "blocked", cert.Refused, cert.DomainNotAllowed, cert.TenantActs},
		{"somethingNew", "never heard of", cert.Refused, cert.CARejected, cert.PlatformActs},
		{"serverInternal", "our database is down", cert.OrderGone, cert.CAUnavailable, cert.CAActs},
	} {
		t.Run(test.kind+" "+test.detail, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			s.server.Reject(name, test.kind, test.detail)
			i := newIssuance(t, s.Authority, "www.example.com", name)
			_, err := i.run(t)
			f := want(t, err, test.outcome, test.code)
			if f.Problem.WhoActs != test.acts || !strings.Contains(f.Problem.Message, test.detail) || !strings.Contains(f.Problem.Message, name) {
				t.Errorf("problem %+v", f.Problem)
			}
			if left := s.solver.now(); len(left) != 0 {
				t.Errorf("challenges left behind: %+v", left)
			}
			_, err = i.run(t) // a later run, after this error was lost, places another order and knows the reason
			if f := want(t, err, cert.OrderGone, cert.CAUnavailable); !strings.Contains(f.Problem.Message, test.detail) {
				t.Errorf("problem %+v", f.Problem)
			}
		})
	}
}

func TestChallengesStayWhileAnotherRunMayNeedThem(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	i := newIssuance(t, s.Authority, name)
	s.server.Answer("/challenge/", 1, http.StatusServiceUnavailable, http.Header{"Retry-After": {"1"}}, "<html>")
	_, err := i.attempt(t.Context())
	want(t, err, cert.Wait, cert.CAUnavailable)
	if left := s.solver.now(); len(left) != 1 {
		t.Fatalf("%d challenges are presented while the CA may validate", len(left))
	}
	if _, err := i.attempt(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := s.solver.now(); len(left) != 0 {
		t.Errorf("challenges left behind: %+v", left)
	}
}

func TestBreakingOffEndsAtOnceAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	i := newIssuance(t, s.Authority, name)
	ctx, cancel := context.WithCancel(t.Context())
	s.server.Before("/challenge/", cancel)
	if _, err := i.attempt(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want that the context was cancelled", err)
	}
	if _, err := i.attempt(t.Context()); err != nil {
		t.Error(err)
	}
	if s.server.Orders() != 1 {
		t.Errorf("the CA has %d orders", s.server.Orders())
	}
}

func TestOrderForOtherNamesIsRefusedBeforeItCosts(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	url, err := s.NewOrder(t.Context(), []string{name}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Complete(t.Context(), url, newCSR(t, "other.example.com"), nil, nil)
	want(t, err, cert.Refused, cert.CARejected)
	if s.server.Requests("/finalize/") != 0 {
		t.Error("the order was finalized")
	}
}

func TestRefusedCSRSaysSo(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	_, err := s.Complete(t.Context(), "https://ca.test/order/1", []byte("no CSR"), nil, nil)
	want(t, err, cert.Refused, cert.CSRRejected)
	for _, kind := range []string{"badCSR", "badPublicKey"} {
		s.server.Answer("/finalize/", 1, http.StatusBadRequest, nil, catest.Problem(kind, "weak key"))
		_, err := newIssuance(t, s.Authority, name).run(t)
		if f := want(t, err, cert.Refused, cert.CSRRejected); !strings.Contains(f.Problem.Message, "weak key") {
			t.Errorf("message %q", f.Problem.Message)
		}
	}
}

func TestMethodThatTheCADoesNotOfferIsRefused(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	url, err := s.NewOrder(t.Context(), []string{name}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Complete(t.Context(), url, newCSR(t, name), map[string]cert.Method{name: cert.HTTP01}, nil)
	if f := want(t, err, cert.Refused, cert.CARejected); !strings.Contains(f.Problem.Message, "only dns-01") {
		t.Errorf("message %q", f.Problem.Message)
	}
	if url, err = s.NewOrder(t.Context(), []string{name}, ""); err != nil { // the first one was given up
		t.Fatal(err)
	}
	_, err = s.Complete(t.Context(), url, newCSR(t, name), nil, nil)
	wantPlain(t, err) // no method was given: our own fault
}

func TestOrderThatAnotherRunFinalizedIsReadAgain(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/finalize/", 1, http.StatusForbidden, nil, catest.Problem("orderNotReady", "order is processing"))
	if _, err := newIssuance(t, s.Authority, name).attempt(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestChallengeThatAnotherRunPostedIsNoFailure(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	first := newIssuance(t, s.Authority, name)
	url, err := first.place(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := &issuance{authority: s.Authority, names: first.names, csr: first.csr, orderURL: url}
	s.server.Before("/challenge/", func() { // while the first run's post is on its way, the second run does everything
		if _, err := second.attempt(t.Context()); err != nil {
			t.Errorf("second run: %v", err)
		}
	})
	if _, err := first.attempt(t.Context()); err != nil {
		t.Errorf("first run: %v", err)
	}
}

func TestARefusedChallengeOfUnknownCauseIsAWait(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/challenge/", 1, http.StatusBadRequest, nil, catest.Problem("malformed", "this challenge is not for you"))
	_, err := newIssuance(t, s.Authority, name).attempt(t.Context())
	if f := want(t, err, cert.Wait, cert.CARejected); !strings.Contains(f.Problem.Message, "not for you") {
		t.Errorf("message %q", f.Problem.Message)
	}
}
