package ca_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/acme"

	"github.com/evercert/evercert/ca/catest"
	"github.com/evercert/evercert/cert"
)

// TestF21_AnOrderThatExpiredWhileTheCAWasProcessingItIsGivenUp (RFC 8555 §7.1.3). A valid order is not given up: it has a certificate.
func TestF21_AnOrderThatExpiredWhileTheCAWasProcessingItIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, status := range []string{acme.StatusPending, acme.StatusReady, acme.StatusProcessing} {
		s := newSetup(t)
		i := newIssuance(t, s.Authority, name)
		if _, err := i.place(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.server.Change(func(o *acme.Order) {
			o.Status, o.Expires = status, time.Now().Add(-time.Minute).Format(time.RFC3339)
		})
		_, err := i.attempt(t.Context())
		want(t, err, cert.OrderGone, cert.CAUnavailable)
	}
	s := newSetup(t)
	i := newIssuance(t, s.Authority, name)
	if _, err := i.run(t); err != nil {
		t.Fatal(err)
	}
	s.server.Change(func(o *acme.Order) { o.Expires = time.Now().Add(-time.Minute).Format(time.RFC3339) })
	if _, err := i.attempt(t.Context()); err != nil {
		t.Errorf("the certificate of an order that has expired since: %v", err)
	}
}

// TestA7_RelativeAddressesAreResolved (RFC 9110 §10.2.2): a Location is stored, so it must be absolute.
func TestA7_RelativeAddressesAreResolved(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	origin := strings.TrimSuffix(s.config.Directory, "/directory")
	for location, want := range map[string]string{
		"/order/1":                    origin + "/order/1",
		"order/2":                     origin + "/order/2",
		"https://ca.test/order/%2F":   "https://ca.test/order/%2F",
		"HTTPS://CA.test/order/../3":  "HTTPS://CA.test/order/../3", // as the CA wrote it: it compares addresses byte by byte
		"//ca.test/order/4":           "https://ca.test/order/4",
		"http://ca.test/order/5":      "",
		"ftp://ca.test/order/6":       "",
		"https:///order/7":            "",
		"https://ca.test/order/\x7f8": "",
		"":                            "",
	} {
		s.server.Answer("/new-order", 1, http.StatusCreated, http.Header{"Location": {location}}, "{}")
		got, err := s.NewOrder(t.Context(), []string{name}, "")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Location %q: got %q, %v; want %q", location, got, err, want)
		}
	}
}

// TestF21_ARefusalWithoutAReasonSaysWhatCame: lego dereferences the nil of "null", in a goroutine of ours.
func TestF21_ARefusalWithoutAReasonSaysWhatCame(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		"":                         "500 Internal Server Error, and no problem document but an empty body",
		"null":                     "no problem document but the body null",
		" null\n":                  "no problem document but the body null",
		"[]":                       "the body []",
		"{}":                       "the body {}",
		`{"type":"about:blank"}`:   "the body {",
		`{"type":5,"detail":null}`: "the body {",
		"<html>\x1b[31m\n<h1>":     "a web page: <html>[31m <h1>",
		strings.Repeat("x", 1<<21): "a long body",
		`{"detail":["x"],"title":"Too many ponies"}`:                               "500 Internal Server Error: Too many ponies",
		`{"type":"urn:acme:error:serverInternal","detail":"no disk","status":"x"}`: "500 Internal Server Error: no disk",
	} {
		s := newSetup(t)
		if _, err := s.Account(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.server.Answer("/new-order", 1, http.StatusInternalServerError, nil, body)
		_, err := s.NewOrder(t.Context(), []string{name}, "")
		wantPlain(t, err)
		fault := (*cert.Fault)(nil)
		if !errors.As(err, &fault) || !strings.Contains(fault.Problem.Message, says) || fault.Problem != fault.Problem.Clean() {
			t.Errorf("%.50q: got %.500v; want a fault that says %q", body, err, says)
		}
	}
}

// TestF21_ARedirectedOrderIsNoOrder: lego would follow the redirect, and parse the directory that it gets as an order.
func TestF21_ARedirectedOrderIsNoOrder(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	if _, err := s.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{
		http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusFound, http.StatusNotModified, http.StatusTemporaryRedirect,
	} {
		before := s.server.Requests("/directory")
		s.server.Answer(
			"/new-order", 1, status, http.Header{"Location": {"/directory"}},
			`{"status":"pending","identifiers":[{"type":"dns","value":"`+name+`"}],"authorizations":["/1"],"finalize":"/1"}`,
		)
		got, err := s.NewOrder(t.Context(), []string{name}, "")
		if n := s.server.Requests("/directory") - before; got != "" || n != 0 {
			t.Errorf("%d: the order %q, and %d requests to where it was redirected", status, got, n)
		}
		wantPlain(t, err)
	}
}

// TestF19_AnAuthorizationThatHadFailedBeforeIsNobodysFailure: some CAs give a failed authorization to each new order, which would count
// three failures of the tenant.
func TestF19_AnAuthorizationThatHadFailedBeforeIsNobodysFailure(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Cling()
	s.server.Reject(name, "unauthorized", "Incorrect TXT record found")
	_, err := newIssuance(t, s.Authority, name, "www.example.com").run(t)
	want(t, err, cert.Refused, cert.CARejected)

	s.server.Accept(name) // the tenant has corrected it
	again := newIssuance(t, s.Authority, name, "www.example.com")
	if _, err := again.place(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.server.Answer("/order/", 1, http.StatusInternalServerError, nil, "") // a fault does not lose the placed order, nor does another process
	_, err = again.attempt(t.Context())
	wantPlain(t, err)
	s.restart(t)
	again.authority = s.Authority
	_, err = again.run(t)
	f := want(t, err, cert.OrderGone, cert.CAUnavailable)
	if !strings.Contains(f.Problem.Message, "had failed before: Incorrect TXT record found") {
		t.Errorf("message %q", f.Problem.Message)
	}
	if _, err := newIssuance(t, s.Authority, name, "www.example.com").run(t); err != nil {
		t.Errorf("after the authorization was deactivated: %v", err)
	}
}

// TestF19_AFailureThatAnotherRunWasTooLateToTellIsStillOne: the run that answered the challenge died before the CA validated.
func TestF19_AFailureThatAnotherRunWasTooLateToTellIsStillOne(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Reject(name, "unauthorized", "Incorrect TXT record found")
	i := newIssuance(t, s.Authority, name)
	s.server.Lose("/challenge/")
	_, err := i.attempt(t.Context())
	if err == nil {
		t.Fatal("the answer was lost")
	}
	s.restart(t)
	i.authority = s.Authority
	_, err = i.run(t)
	want(t, err, cert.Refused, cert.CARejected)
	if left := s.solver.now(); len(left) != 0 {
		t.Errorf("challenges left behind: %+v", left)
	}
}

// TestF19_PendingAuthorizationsOfAnAbandonedOrderAreGivenBack (RFC 8555 §7.5.2): they are deactivated.
func TestF19_PendingAuthorizationsOfAnAbandonedOrderAreGivenBack(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	i := newIssuance(t, s.Authority, name, "www.example.com", "*.example.com")
	if _, err := i.place(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.server.Change(func(o *acme.Order) { o.Expires = time.Now().Add(-time.Minute).Format(time.RFC3339) })
	_, err := i.attempt(t.Context())
	want(t, err, cert.OrderGone, cert.CAUnavailable)
	if pending, given := s.server.Authorizations(
		acme.StatusPending,
	), s.server.Authorizations(
		acme.StatusDeactivated,
	); pending != 0 ||
		given != 3 {
		t.Errorf("%d authorizations are pending, %d given back", pending, given)
	}

	s = newSetup(t) // a wait does not abandon an order
	i = newIssuance(t, s.Authority, name)
	s.server.Answer("/challenge/", 1, http.StatusTooManyRequests, nil, "")
	_, err = i.attempt(t.Context())
	want(t, err, cert.Wait, cert.RateLimited)
	if given := s.server.Authorizations(acme.StatusDeactivated); given != 0 {
		t.Errorf("%d authorizations of an order that goes on were given back", given)
	}
}

// TestF19_ValidAuthorizationsAreKept: the next order needs no validation for them when the CA reuses them.
func TestF19_ValidAuthorizationsAreKept(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/finalize/", 1, http.StatusBadRequest, nil, catest.Problem("badCSR", "weak key"))
	_, err := newIssuance(t, s.Authority, name, "www.example.com").run(t)
	want(t, err, cert.Refused, cert.CSRRejected)
	if valid := s.server.Authorizations(acme.StatusValid); valid != 2 {
		t.Errorf("%d authorizations are valid", valid)
	}
}

// TestF21_WhatIsNoCertificateIsAskedForAgain: the same order is asked again. Only a certificate for another key or name is a refusal.
func TestF21_WhatIsNoCertificateIsAskedForAgain(t *testing.T) {
	t.Parallel()
	other := newSetup(t)
	foreign, err := newIssuance(t, other.Authority, name).run(t) // another key
	if err != nil {
		t.Fatal(err)
	}
	for body, refused := range map[string]bool{
		"":                                  false,
		"null":                              false,
		"<html><h1>Welcome</h1></html>":     false,
		"-----BEGIN CERTIFICATE-----\nMIIB": false,
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": false,
		string(foreign.ChainPEM[:len(foreign.ChainPEM)/2]):               false,
		string(foreign.ChainPEM):                                         true,
	} {
		s := newSetup(t)
		i := newIssuance(t, s.Authority, name)
		s.server.Answer("/certificate/", 3, http.StatusOK, nil, body)
		_, err := i.attempt(t.Context())
		if refused {
			if f := want(t, err, cert.Refused, cert.CARejected); !strings.Contains(f.Problem.Message, "public key") {
				t.Errorf("message %q", f.Problem.Message)
			}
			continue
		}
		wantPlain(t, err)
		fault := (*cert.Fault)(nil)
		if !errors.As(err, &fault) || fault.Problem.Code != cert.CAUnavailable || fault.Problem.WhoActs != cert.CAActs {
			t.Errorf("%q: got %v; want a fault of the CA's", body, err)
		}
		if c, err := i.run(t); err != nil || s.server.Orders() != 1 || c.Serial != "02" {
			t.Errorf("%q: %v, %d orders, serial %s; want the first certificate of the first order", body, err, s.server.Orders(), c.Serial)
		}
	}
}

// TestF21_AnOrderThatFailedTellsItsReason: when the order's own error is null, the reason is that of the authorization or the challenge.
func TestF21_AnOrderThatFailedTellsItsReason(t *testing.T) {
	t.Parallel()
	for _, errorMember := range []string{`null`, `{}`, `7`} {
		s := newSetup(t)
		s.server.Reject(name, "caa", "CAA record for shop.example.com prevents issuance")
		body := `{"status":"invalid","error":` + errorMember + `,"identifiers":[{"type":"dns","value":"` + name + `"}]}`
		i := newIssuance(t, s.Authority, name)
		if _, err := i.place(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.server.Change(func(o *acme.Order) { o.Status = acme.StatusReady })
		s.server.Before(
			"/finalize/", func() { s.server.Change(func(o *acme.Order) { o.Status = acme.StatusPending }) },
		) // its validation fails at this moment
		s.server.Answer("/finalize/", 1, http.StatusOK, nil, body)
		_, err := i.attempt(t.Context())
		if f := want(
			t, err, cert.Refused, cert.CAAForbids,
		); strings.Contains(err.Error(), "%!") ||
			!strings.Contains(f.Problem.Message, "prevents issuance") {
			t.Errorf("%s: %v", errorMember, err)
		}
	}
	s := newSetup(t)
	i := newIssuance(t, s.Authority, name)
	if _, err := i.place(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.server.Change(func(o *acme.Order) { o.Status, o.Authorizations = acme.StatusInvalid, nil })
	_, err := i.attempt(t.Context())
	if f := want(t, err, cert.OrderGone, cert.CAUnavailable); !strings.Contains(f.Problem.Message, "gives no reason") {
		t.Errorf("message %q", f.Problem.Message)
	}
}

// TestF19_AFailureAtAPublicSuffixIsNotTheTenants: a tenant can't repair the name servers of com.
func TestF19_AFailureAtAPublicSuffixIsNotTheTenants(t *testing.T) {
	t.Parallel()
	const boulder = "DNS problem: SERVFAIL looking up CAA for "
	for _, test := range []struct {
		kind, detail string
		outcome      cert.Outcome
		code         cert.Code
	}{
		{"dns", boulder + "com - the domain's nameservers may be malfunctioning", cert.OrderGone, cert.CAALookupFailed},
		{"caa", boulder + "com.", cert.OrderGone, cert.CAALookupFailed},
		{"dns", "DNS problem: query timed out looking up DS for co.uk", cert.OrderGone, cert.DNSLookupFailed},
		{"dns", "During secondary validation: " + boulder + "com", cert.OrderGone, cert.CAALookupFailed},
		{"caa", `CAA lookup for "com" failed`, cert.OrderGone, cert.CAALookupFailed},
		{"dns", boulder + "example.com", cert.Refused, cert.DNSLookupFailed},
		{"dns", boulder + "com; " + boulder + "example.com", cert.Refused, cert.DNSLookupFailed},
		{"dns", "DNS problem: NXDOMAIN looking up TXT for _acme-challenge.shop.example.com", cert.Refused, cert.DNSLookupFailed},
		// a CAA record of the tenant would override it (RFC 8659 §3)
		{"caa", "CAA record for com prevents issuance", cert.Refused, cert.CAAForbids},
	} {
		s := newSetup(t)
		s.server.Reject(name, test.kind, test.detail)
		_, err := newIssuance(t, s.Authority, name).run(t)
		f := want(t, err, test.outcome, test.code)
		if test.outcome == cert.OrderGone && (f.Problem.WhoActs != cert.CAActs || f.RetryAfter != 10*time.Minute) {
			t.Errorf("%s: %+v", test.detail, f)
		}
	}
	s := newSetup(t)
	s.server.Answer("/new-order", 1, http.StatusBadRequest, nil, catest.Problem("dns", boulder+"com"))
	_, err := s.NewOrder(t.Context(), []string{name}, "")
	want(t, err, cert.Wait, cert.CAALookupFailed)
	s.server.Reject("github.io", "dns", boulder+"github.io") // its own zone is the tenant's
	_, err = newIssuance(t, s.Authority, "github.io").run(t)
	want(t, err, cert.Refused, cert.DNSLookupFailed)
}

// TestF21_AChallengeThatIsPostedTwiceIsReadAgain: CAs refuse the second post in different ways.
func TestF21_AChallengeThatIsPostedTwiceIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html>", catest.Problem("conflict", "it is being validated")} {
		s := newSetup(t)
		first := newIssuance(t, s.Authority, name)
		url, err := first.place(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second := &issuance{authority: s.Authority, names: first.names, csr: first.csr, orderURL: url}
		s.server.Before("/challenge/", func() { // while the first run's post is on its way
			if _, err := second.attempt(t.Context()); err != nil {
				t.Errorf("second run: %v", err)
			}
			s.server.Answer("/challenge/", 1, http.StatusConflict, nil, body)
		})
		if _, err := first.attempt(t.Context()); err != nil {
			t.Errorf("first run: %v", err)
		}
	}
	s := newSetup(t) // it is refused, and no run has posted it
	s.server.Answer("/challenge/", 1, http.StatusConflict, nil, "")
	i := newIssuance(t, s.Authority, name)
	_, err := i.attempt(t.Context())
	wantPlain(t, err)
	if _, err := i.attempt(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestF21_AFinalizeThatIsRefusedForAConflictIsReadAgain: and when the order stays ready, finalize is not repeated without end.
func TestF21_AFinalizeThatIsRefusedForAConflictIsReadAgain(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Answer("/finalize/", 2, http.StatusConflict, nil, "")
	if _, err := newIssuance(t, s.Authority, name).attempt(t.Context()); err != nil {
		t.Error(err)
	}
	s = newSetup(t)
	s.server.Answer("/finalize/", 100, http.StatusForbidden, nil, catest.Problem("orderNotReady", "it is not"))
	_, err := newIssuance(t, s.Authority, name).attempt(t.Context())
	wantPlain(t, err)
	if n := s.server.Requests("/finalize/"); n != 4 {
		t.Errorf("%d requests to finalize", n)
	}
}

// TestF21_AChallengeThatFailedEndsTheOrder: also when the CA leaves its authorization pending (RFC 8555 §7.1.6).
func TestF21_AChallengeThatFailedEndsTheOrder(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	i := newIssuance(t, s.Authority, name)
	s.server.Before("/challenge/", func() {
		body := `{"status":"pending","identifier":{"type":"dns","value":"SHOP.example.com"},"challenges":[
			{"type":"dns-01","status":"invalid","url":"/challenge/1","token":"` + s.solver.ever[0].Token + `","error":"no such record"}, {}, null]}`
		s.server.Answer("/authorization/", 2, http.StatusOK, nil, body)
	})
	_, err := i.attempt(t.Context())
	if f := want(t, err, cert.Refused, cert.CARejected); !strings.Contains(f.Problem.Message, "no such record") {
		t.Errorf("message %q", f.Problem.Message)
	}
}

// TestF21_ADirectoryThatIsNoneIsNotKept: and a directory whose addresses stopped answering is read again.
func TestF21_ADirectoryThatIsNoneIsNotKept(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	for _, body := range []string{
		"null", "<html>", "{}", "[]", `{"newNonce":7}`, `{"newNonce":"/n","newAccount":"/a"}`,
		`{"newNonce":"/n","newAccount":"/a","newOrder":"http://ca.test/o"}`,
	} {
		s.server.Answer("/directory", 1, http.StatusOK, nil, body)
		_, err := s.NewOrder(t.Context(), []string{name}, "")
		wantPlain(t, err)
	}
	s.server.Answer("/directory", 2, http.StatusOK, nil, `{"newNonce":"/new-nonce","newAccount":"/new-account","newOrder":"/gone/new-order"}`)
	_, err := s.NewOrder(t.Context(), []string{name}, "")
	if err == nil {
		t.Fatal("an order at an address that is none")
	}
	if _, err := s.NewOrder(t.Context(), []string{name}, ""); err != nil {
		t.Errorf("the directory that has moved is not read anew: %v", err)
	}
}

// TestA5_ARemedyNamesAStepThatWorks: a request for a certificate also waits for the account, and is refused after the last failure.
func TestA5_ARemedyNamesAStepThatWorks(t *testing.T) {
	t.Parallel()
	terms := func(instance string) string {
		return `{"type":"urn:ietf:params:acme:error:userActionRequired","detail":"terms have changed","instance":"` + instance + `"}`
	}
	long := "https://portal.test/unpause?jwt=" + strings.Repeat("x", 600)
	for _, test := range []struct {
		what   string
		status int
		header http.Header
		body   string
		says   []string // %s is the CA's own address
	}{
		{"new terms", 403, nil, terms("https://ca.test/terms"), []string{"accept the CA's new terms", ": https://ca.test/terms"}},
		{"new terms at a relative address", 403, nil, terms("/terms/v2"), []string{": %s/terms/v2"}},
		{
			"new terms in a header", 403,
			http.Header{"Link": {`<https://ca.test/tos>;rel="terms-of-service"`}},
			terms(""),
			[]string{": https://ca.test/tos"},
		},
		{"new terms at no web address", 403, nil, terms("data:text/plain,terms"), []string{"accept the CA's new terms"}},
		{
			"a wrong profile", 400, nil, catest.Problem("invalidProfile", "see https://ca.test/profiles."),
			[]string{"ACME_PROFILE", ": https://ca.test/profiles"},
		},
		{
			"a pause", 429, nil, catest.Problem("rateLimited", "paused, visit "+long+"."),
			[]string{"(evercert hand-back)", "daily attempt", ": " + long},
		},
		{
			"a pause whose address is too long to be shown", 429, nil, catest.Problem("rateLimited", "paused, visit "+long+strings.Repeat("y", 300)),
			[]string{"end the pause with the CA"},
		},
		{"a bad CSR", 400, nil, catest.Problem("badCSR", "weak"), []string{"the next attempt makes a new key and CSR", "contact support"}},
	} {
		s := newSetup(t)
		s.server.Answer("/new-order", 1, test.status, test.header, test.body)
		_, err := s.NewOrder(t.Context(), []string{name}, "")
		f := (*cert.Failure)(nil)
		if !errors.As(err, &f) {
			t.Fatalf("%s: %v", test.what, err)
		}
		remedy := f.Problem.Clean().Remediation
		for _, says := range test.says {
			if says = strings.ReplaceAll(says, "%s", strings.TrimSuffix(s.config.Directory, "/directory")); !strings.Contains(remedy, says) {
				t.Errorf("%s: %q does not say %q", test.what, remedy, says)
			}
		}
		if strings.Contains(remedy, "request") || strings.Contains(remedy, "…") {
			t.Errorf("%s: %q", test.what, remedy)
		}
	}
}
