package ca_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/ca/catest"
	"github.com/evercert/evercert/cert"
)

const name = "shop.example.com"

func TestLostOrderIsFoundByRepeatingItWhereTheCAKeepsNoList(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.server.Lose("/new-order")
	if _, err := newIssuance(t, s.Authority, name).run(t); err != nil {
		t.Fatal(err)
	}
	if n := s.server.Orders(); n != 1 {
		t.Errorf("the CA has %d orders", n)
	}
}

func TestOrderWhoseAnswerIsCutOffAfterItsAddressIsUsed(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	address := "https://ca.test/order/1"
	s.server.Answer("/new-order", 1, http.StatusCreated, http.Header{"Location": {address}}, `{"status":"pen`)
	got, err := s.NewOrder(t.Context(), []string{name}, "")
	if err != nil || got != address {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRefusedOrders(t *testing.T) {
	t.Parallel()
	inAnHour := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	after := func(value string) http.Header { return http.Header{"Retry-After": {value}} }
	const paused = "Your account is temporarily prevented from requesting certificates for shop.example.com and possibly others. " +
		"Please visit: https://portal.test/unpause?jwt=abc"
	for _, test := range []struct {
		name    string
		status  int
		header  http.Header
		body    string
		outcome cert.Outcome // "" is a plain error
		code    cert.Code
		atLeast time.Duration // of RetryAfter
		atMost  time.Duration
		says    string // in the message or the remedy
	}{
		{
			"rate limit in seconds", 429, after("120"), catest.Problem("rateLimited", "too many new orders"), cert.Wait, cert.RateLimited,
			2 * time.Minute, 2 * time.Minute, "too many new orders",
		},
		{
			"rate limit until a date", 429, after(inAnHour), catest.Problem("rateLimited", "too many"), cert.Wait, cert.RateLimited,
			50 * time.Minute, time.Hour, "",
		},
		{
			"rate limit until a date that has passed", 429, after("Mon, 02 Jan 2006 15:04:05 GMT"), catest.Problem("rateLimited", "x"), cert.Wait,
			cert.RateLimited, time.Minute, time.Minute, "",
		},
		{"rate limit until now", 429, after("0"), catest.Problem("rateLimited", "x"), cert.Wait, cert.RateLimited, time.Minute, time.Minute, ""},
		{
			"rate limit with another status", 403, after("0"), catest.Problem("rateLimited", "x"), cert.Wait, cert.RateLimited, time.Minute,
			time.Minute, "",
		},
		{
			"rate limit for a year", 429, after("31536000"), catest.Problem("rateLimited", "x"), cert.Wait, cert.RateLimited, 7 * 24 * time.Hour,
			7 * 24 * time.Hour, "",
		},
		{"rate limit without a time", 429, nil, catest.Problem("rateLimited", "slow down"), cert.Wait, cert.RateLimited, 0, 0, "slow down"},
		{"rate limit of a load balancer", 429, after("5"), "<html>", cert.Wait, cert.RateLimited, time.Minute, time.Minute, ""},
		{"paused name", 429, nil, catest.Problem("rateLimited", paused), cert.Parked, cert.IdentifierPaused, 0, 0, "evercert hand-back"},
		{
			"paused name, and an address", 429, nil, catest.Problem("rateLimited", paused), cert.Parked, cert.IdentifierPaused, 0, 0,
			"https://portal.test/unpause?jwt=abc",
		},
		{
			"paused name, retry at once", 429, after("0"), catest.Problem("rateLimited", paused), cert.Parked, cert.IdentifierPaused, 0, 0,
			"daily attempt",
		},
		{"load balancer busy", 503, after("30"), "<html>busy</html>", cert.Wait, cert.CAUnavailable, time.Minute, time.Minute, "503"},
		{"maintenance", 503, after("3600"), catest.Problem("serverInternal", "down"), cert.Wait, cert.CAUnavailable, time.Hour, time.Hour, ""},
		{"a firewall that says when", 403, after("600"), "<html>", cert.Wait, cert.CAUnavailable, 10 * time.Minute, 10 * time.Minute, "403"},
		{"maintenance without a time", 503, nil, catest.Problem("serverInternal", "down"), "", "", 0, 0, ""},
		{"fault without a body", 500, nil, "", "", "", 0, 0, ""},
		{"fault", 500, nil, catest.Problem("serverInternal", "oops"), "", "", 0, 0, ""},
		{"forbidden by something in between", 403, nil, "<html>", "", "", 0, 0, ""},
		{
			"name refused", 400, nil, catest.Problem("rejectedIdentifier", "forbidden by policy"), cert.Refused, cert.DomainNotAllowed, 0, 0,
			"forbidden by policy",
		},
		{"CAA", 403, nil, catest.Problem("caa", "CAA record for example.com prevents issuance"), cert.Refused, cert.CAAForbids, 0, 0, "ca.test"},
		{
			"malformed", 400, nil, catest.Problem("malformed", "redundant with a wildcard"), cert.Wait, cert.CARejected, time.Hour, time.Hour,
			"redundant with a wildcard",
		},
		{"unknown type", 403, nil, catest.Problem("tooFullMoon", "not tonight"), cert.Wait, cert.CARejected, time.Hour, time.Hour, "not tonight"},
		{
			"unknown type of one name", 400, nil,
			`{"type":"urn:ietf:params:acme:error:compound","subproblems":[` +
				`{"type":"urn:ietf:params:acme:error:tooFullMoon","detail":"not tonight"}]}`,
			cert.Wait, cert.CARejected, time.Hour, time.Hour, "not tonight",
		},
		{
			"one name refused", 400, nil,
			`{"type":"urn:ietf:params:acme:error:malformed","subproblems":[{"type":"urn:ietf:params:acme:error:rejectedIdentifier",` +
				`"detail":"never"}]}`, cert.Refused, cert.DomainNotAllowed, 0, 0, "never",
		},
		{"CSR refused", 400, nil, catest.Problem("badCSR", "weak key"), cert.Refused, cert.CSRRejected, 0, 0, "weak key"},
		// the account itself answers
		{
			"unauthorized for this name", 403, nil, catest.Problem("unauthorized", "not your domain"), cert.Wait, cert.CARejected, time.Hour,
			time.Hour, "not your domain",
		},
		{
			"unknown profile", 400, nil, catest.Problem("invalidProfile", "no such profile"), cert.Wait, cert.AccountProblem, 5 * time.Minute,
			7 * time.Minute, "ACME_PROFILE",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			s.server.Answer("/new-order", 1, test.status, test.header, test.body)
			_, err := s.NewOrder(t.Context(), []string{name}, "")
			if test.outcome == "" {
				wantPlain(t, err)
				return
			}
			f := want(t, err, test.outcome, test.code)
			if f.RetryAfter < test.atLeast || f.RetryAfter > test.atMost {
				t.Errorf("retry after %s; want %s to %s", f.RetryAfter, test.atLeast, test.atMost)
			}
			if shown := f.Problem.Message + f.Problem.Remediation; !strings.Contains(shown, test.says) {
				t.Errorf("%q does not say %q", shown, test.says)
			}
		})
	}
}

func TestOrderIsPlacedWithoutReplacesThatTheCAWontHave(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, replaces string
		status         int
		body           string
		posts          int
	}{
		{"unknown certificate", "AAAA.BBBB", 500, catest.Problem("serverInternal", "could not find an order for the given certificate"), 2},
		{
			"certificate of another account", "AAAA.BBBB", 403, catest.Problem("unauthorized", "requester account did not request the certificate"),
			2,
		},
		{"replaced already", "AAAA.BBBB", 409, catest.Problem("alreadyReplaced", "replaced"), 2},
		{"no identifier of a certificate", "0a1b2c", 0, "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			if test.status != 0 {
				s.server.Answer("/new-order", 1, test.status, nil, test.body)
			}
			if _, err := s.NewOrder(t.Context(), []string{name}, test.replaces); err != nil {
				t.Error(err)
			}
			if n := s.server.Requests("/new-order"); n != test.posts {
				t.Errorf("%d newOrder requests; want %d", n, test.posts)
			}
		})
	}
}

func TestOrderIsSentToItsEndThoughTheCallerIsGone(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.server.Before("/new-order", cancel)
	if url, err := s.NewOrder(ctx, []string{name}, ""); err != nil || url == "" {
		t.Errorf("the order %q is lost: %v", url, err)
	}
	if _, err := s.NewOrder(ctx, []string{"other.example.com"}, ""); err == nil || s.server.Orders() != 1 {
		t.Errorf("an order was placed for a caller that had gone before: %v", err)
	}
}
