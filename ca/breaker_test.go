package ca_test

import (
	"encoding/base64"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercert/evercert/ca/catest"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
)

const newTerms = `{"type":"urn:ietf:params:acme:error:userActionRequired","detail":"terms have changed","instance":"https://ca.test/terms"}`

// waits checks that a domain waits for the account, and that the CA got no request.
func (s *setup) waits(t *testing.T, do func() error) {
	t.Helper()
	before := s.server.Requests("/")
	f := want(t, do(), cert.Wait, cert.AccountProblem)
	if f.RetryAfter < 5*time.Minute || f.RetryAfter > 7*time.Minute {
		t.Errorf("retry after %s; want the time of the next probe and a spread", f.RetryAfter)
	}
	if n := s.server.Requests("/") - before; n != 0 {
		t.Errorf("the CA got %d requests", n)
	}
}

func (s *setup) order(t *testing.T, name string) func() error {
	return func() error {
		_, err := s.NewOrder(t.Context(), []string{name}, "")
		return err
	}
}

// TestF3_OneFaultOfTheAccountIsOneBlock: faults that show at an order.
func TestF3_OneFaultOfTheAccountIsOneBlock(t *testing.T) {
	t.Parallel()
	for kind, body := range map[string]string{
		"userActionRequired": newTerms, "invalidProfile": catest.Problem("invalidProfile", "no such profile"),
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			placed := newIssuance(t, s.Authority, "placed.example.com")
			if _, err := placed.place(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.server.Answer("/new-order", 1, http.StatusForbidden, nil, body)
			want(t, s.order(t, name)(), cert.Wait, cert.AccountProblem)

			s.waits(t, s.order(t, "other.example.com"))
			s.waits(t, func() error { _, err := placed.attempt(t.Context()); return err })
			s.waits(t, func() error { return s.Admit(t.Context()) })
			s.restart(t) // as in other processes
			if _, err := s.Account(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.waits(t, s.order(t, "third.example.com"))
			if s.accounts.cases != 1 {
				t.Errorf("%d cases", s.accounts.cases)
			}
			if err := s.Probe(t.Context()); err != nil { // it shows only at an order
				t.Error(err)
			}
			s.waits(t, s.order(t, name))

			s.restartForProbe(t)
			if err := s.Admit(t.Context()); err != nil {
				t.Errorf("the domain that may probe is held back: %v", err)
			}
			if err := s.order(t, name)(); err != nil {
				t.Fatal(err)
			}
			if _, blocked, _ := s.accounts.AccountBlock(t.Context(), s.config.Directory); blocked {
				t.Error("the probe succeeded, and the account is blocked still")
			}
			if err := s.order(t, "other.example.com")(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestF3_OneDomainProbesAndTheOthersWait(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/new-order", 2, http.StatusForbidden, nil, newTerms)
	want(t, s.order(t, name)(), cert.Wait, cert.AccountProblem)
	s.restartForProbe(t)
	if _, err := s.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var waiting atomic.Int32
	for range 20 {
		group.Go(func() {
			if want(t, s.order(t, name)(), cert.Wait, cert.AccountProblem).RetryAfter > 0 {
				waiting.Add(1)
			}
		})
	}
	group.Wait()
	if n := s.server.Requests("/new-order"); n != 2 || waiting.Load() != 20 {
		t.Errorf("%d orders were asked for, %d domains wait; want the first and one probe, and all 20", n, waiting.Load())
	}
}

func TestF3_AProcessThatIsTooLateForTheProbeWaits(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/new-order", 1, http.StatusForbidden, nil, newTerms)
	want(t, s.order(t, name)(), cert.Wait, cert.AccountProblem)
	s.accounts.due, s.accounts.leased = true, true
	s.restart(t)
	want(t, s.order(t, name)(), cert.Wait, cert.AccountProblem)
	if n := s.server.Requests("/new-order"); n != 1 {
		t.Errorf("%d orders were asked for", n)
	}
}

func TestF3_ARefusedNameShowsThatTheAccountWorks(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/new-order", 1, http.StatusForbidden, nil, newTerms)
	want(t, s.order(t, name)(), cert.Wait, cert.AccountProblem)
	s.restartForProbe(t)
	s.server.Answer("/new-order", 1, http.StatusBadRequest, nil, catest.Problem("rejectedIdentifier", "never"))
	want(t, s.order(t, name)(), cert.Refused, cert.DomainNotAllowed)
	if err := s.order(t, "other.example.com")(); err != nil {
		t.Error(err)
	}
}

func TestF3_AnOutageSaysNothingOfTheAccount(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/new-order", 1, http.StatusForbidden, nil, newTerms)
	want(t, s.order(t, name)(), cert.Wait, cert.AccountProblem)
	s.restartForProbe(t)
	s.server.Answer("/new-order", 1, http.StatusInternalServerError, nil, "")
	wantPlain(t, s.order(t, name)())
	s.waits(t, s.order(t, "other.example.com"))
}

// TestF3_ADeactivatedAccountIsProbedWithoutAnOrder: the CA refuses every request, also one for the account itself (RFC 8555 §7.3.6).
func TestF3_ADeactivatedAccountIsProbedWithoutAnOrder(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	if _, err := s.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	deactivated := catest.Problem("unauthorized", "account is deactivated")
	s.server.Answer("/new-order", 1, http.StatusForbidden, nil, deactivated)
	s.server.Answer("/account/", 2, http.StatusForbidden, nil, deactivated)
	want(t, s.order(t, name)(), cert.Wait, cert.AccountProblem)
	s.waits(t, func() error { return s.Admit(t.Context()) })

	for _, works := range []bool{false, true} {
		s.restartForProbe(t)
		if err := s.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, blocked, _ := s.accounts.AccountBlock(t.Context(), s.config.Directory); blocked == works {
			t.Errorf("blocked %t after a probe that succeeded: %t", blocked, works)
		}
	}
	if n := s.server.Requests("/new-order"); n != 1 {
		t.Errorf("%d orders were asked for", n)
	}
	if err := s.order(t, name)(); err != nil {
		t.Error(err)
	}
}

// TestF3_ARefusedRegistrationIsTriedAgainWithOtherSettings: every check of DNS needs the account, and must not register each time.
func TestF3_ARefusedRegistrationIsTriedAgainWithOtherSettings(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	key := []byte("0123456789abcdef0123456789abcdef")
	s.server.DemandBinding("customer-1", key)
	s.config.EABKeyID, s.config.EABKey = "customer-1", config.Secret(
		base64.RawURLEncoding.EncodeToString([]byte("fedcba9876543210fedcba9876543210")),
	)
	s.restart(t)
	identity := func() error { _, err := s.Identity(t.Context()); return err }
	want(t, identity(), cert.Wait, cert.AccountProblem)
	s.waits(t, identity)
	if err := s.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if n := s.server.Requests("/new-account"); n != 1 {
		t.Errorf("%d registrations were asked for", n)
	}

	s.config.EABKey = config.Secret(base64.RawURLEncoding.EncodeToString(key))
	s.restart(t)
	if err := s.Probe(t.Context()); err != nil { // as at the start of a worker
		t.Fatal(err)
	}
	if _, blocked, _ := s.accounts.AccountBlock(t.Context(), s.config.Directory); blocked {
		t.Error("the account is registered, and blocked still")
	}
	if err := s.order(t, name)(); err != nil {
		t.Error(err)
	}
}

func TestF3_AnUnsupportedContactBlocksTheRegistration(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/new-account", 1, http.StatusBadRequest, nil, catest.Problem("unsupportedContact", "no mail there"))
	want(t, s.order(t, name)(), cert.Wait, cert.AccountProblem)
	s.waits(t, s.order(t, name))
	s.restartForProbe(t)
	if err := s.order(t, name)(); err != nil {
		t.Error(err)
	}
}
