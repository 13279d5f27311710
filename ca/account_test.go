package ca_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
)

func TestConcurrentCallersShareOneRegistration(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	urls := make([]string, 16)
	var group sync.WaitGroup
	for i := range urls {
		group.Go(func() {
			var err error
			if urls[i], err = s.Account(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, url := range urls {
		if url == "" || url != urls[0] {
			t.Errorf("accounts %q and %q", url, urls[0])
		}
	}
	if n := s.server.Requests("/new-account"); n != 1 {
		t.Errorf("%d registrations", n)
	}
}

func TestAccountOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	first, err := s.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.restart(t)
	second, err := s.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first != second || s.server.Accounts() != 1 {
		t.Errorf("accounts %s and %s; the CA has %d", first, second, s.server.Accounts())
	}
}

func TestAccountKeyIsKeptSealedOnly(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	if _, err := s.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, found, err := s.accounts.Account(t.Context(), s.config.Directory)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	key, err := s.sealer.Unseal(kept.SealedKey, "account:"+s.config.Directory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParsePKCS8PrivateKey(key); err != nil {
		t.Errorf("what is sealed is no key: %v", err)
	}
	if bytes.Contains(kept.SealedKey, key) {
		t.Error("the key can be read without the sealer")
	}
}

// TestF24_AnotherKeyringIsNoticedAtTheStart: a worker with another keyring would seal keys that no edge can unseal.
func TestF24_AnotherKeyringIsNoticedAtTheStart(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	foreign := newAuthority(t, s.config, s.accounts, newSealer(t), s.solver)
	if err := foreign.CheckKey(t.Context()); err != nil {
		t.Errorf("without an account any keyring will do: %v", err)
	}
	if _, err := s.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := foreign.CheckKey(t.Context()); err == nil || !strings.Contains(err.Error(), "KEYRING_FILE") {
		t.Errorf("with another keyring: %v", err)
	}
	if err := newAuthority(t, s.config, s.accounts, s.sealer, s.solver).CheckKey(t.Context()); err != nil {
		t.Errorf("with the same keyring: %v", err)
	}
}

func TestLostRegistrationAnswerMakesNoSecondAccount(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Lose("/new-account")
	_, err := s.Account(t.Context())
	wantPlain(t, err)
	if _, err := s.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.server.Accounts(); n != 1 {
		t.Errorf("the CA has %d accounts", n)
	}
}

func TestProcessesThatRegisterAtOnceEndWithOneAccount(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	other := newAuthority(t, s.config, s.accounts, s.sealer, s.solver)
	var theirs string
	s.server.Before("/new-account", func() { // while our request is on its way
		var err error
		if theirs, err = other.Account(t.Context()); err != nil {
			t.Error(err)
		}
	})
	ours, err := s.Account(t.Context())
	if err != nil || ours != theirs {
		t.Errorf("accounts %q and %q, %v", ours, theirs, err)
	}
	if _, err := newIssuance(t, s.Authority, name).run(t); err != nil {
		t.Errorf("order with the account of the other: %v", err)
	}
}

func TestAccountIsBoundWhenTheCADemandsIt(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	key := []byte("0123456789abcdef0123456789abcdef")
	s.server.DemandBinding("customer-1", key)

	_, err := s.Account(t.Context())
	want(t, err, cert.Wait, cert.AccountProblem)

	s.config.EABKeyID, s.config.EABKey = "customer-1", config.Secret(
		base64.RawURLEncoding.EncodeToString([]byte("fedcba9876543210fedcba9876543210")),
	)
	s.restart(t)
	_, err = s.Account(t.Context())
	want(t, err, cert.Wait, cert.AccountProblem)

	s.config.EABKey = config.Secret(base64.RawURLEncoding.EncodeToString(key))
	s.restart(t)
	if _, err := s.Account(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNewTermsOfServiceAreLeftToPeople(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/new-order", 1, http.StatusForbidden, nil,
		`{"type":"urn:ietf:params:acme:error:userActionRequired","detail":"terms have changed","instance":"https://ca.test/terms"}`)
	_, err := s.NewOrder(t.Context(), []string{"shop.example.com"}, "")
	f := want(t, err, cert.Wait, cert.AccountProblem)
	if want := "https://ca.test/terms"; !bytes.Contains([]byte(f.Problem.Remediation), []byte(want)) {
		t.Errorf("remedy %q does not name %s", f.Problem.Remediation, want)
	}
}

func TestOutageAtStartIsNoFailure(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/directory", 1, http.StatusInternalServerError, nil, "")
	_, err := s.Account(t.Context())
	wantPlain(t, err)
	s.server.Answer("/new-nonce", 1, http.StatusServiceUnavailable, http.Header{"Retry-After": {"30"}}, "<html>busy</html>")
	_, err = s.Account(t.Context())
	want(t, err, cert.Wait, cert.CAUnavailable)
	if _, err := s.Account(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestIdentityIsTheDirectorysUnlessConfigured(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	identity, err := s.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	account, err := s.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if identity.Name != "Test CA" || len(identity.Domains) != 1 || identity.Domains[0] != "ca.test" || identity.AccountURI != account {
		t.Errorf("identity %+v of account %s", identity, account)
	}
	s.config.CAAIdentities = []string{"other.test"}
	s.restart(t)
	if identity, err = s.Identity(t.Context()); err != nil || len(identity.Domains) != 1 || identity.Domains[0] != "other.test" {
		t.Errorf("identity %+v, %v", identity, err)
	}
}

func TestForgottenAccountIsReplacedBeforeAnOrder(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	old, err := s.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.server.Forget()
	_, err = s.NewOrder(t.Context(), []string{"shop.example.com"}, "")
	wantPlain(t, err) // so that the next run stores the order under the new account
	if _, err := s.NewOrder(t.Context(), []string{"shop.example.com"}, ""); err != nil {
		t.Fatal(err)
	}
	kept, _, err := s.accounts.Account(t.Context(), s.config.Directory)
	if err != nil || kept.URL == old || s.server.Accounts() != 1 {
		t.Errorf("account %s kept after %s was forgotten (%v); the CA has %d", kept.URL, old, err, s.server.Accounts())
	}
	if !slices.Equal(s.accounts.retired, []string{old}) {
		t.Errorf("retired %q; want %s, kept for ever", s.accounts.retired, old)
	}
}

func TestForgottenOrderIsGone(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	i := newIssuance(t, s.Authority, "shop.example.com")
	if _, err := i.place(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.server.Forget()
	_, err := i.attempt(t.Context())
	want(t, err, cert.OrderGone, cert.CAUnavailable)
	if _, found, err := s.accounts.Account(t.Context(), s.config.Directory); err != nil || found {
		t.Errorf("the forgotten account is still kept (%v)", err)
	}
	if _, err := newIssuance(t, s.Authority, "shop.example.com").run(t); err != nil {
		t.Errorf("the next issuance: %v", err)
	}
}
