package ca

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/evercert/evercert/cert"
)

func TestRetryAfterIsReadInEveryForm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
		type asked struct {
			wait time.Duration
			said bool
		}
		for value, want := range map[string]asked{
			"":                     {},
			"soon":                 {},
			"-5":                   {},
			"0":                    {0, true},
			"120":                  {2 * time.Minute, true},
			"99999999999999":       {longestWait, true},
			"99999999999999999999": {longestWait, true},
			date(time.Hour):        {time.Hour, true},
			date(-time.Hour):       {0, true},
			date(9000 * time.Hour): {longestWait, true},
		} {
			if wait, said := retryAfter(http.Header{"Retry-After": {value}}); wait != want.wait || said != want.said {
				t.Errorf("Retry-After %q: got %s, %t; want %+v", value, wait, said, want)
			}
		}
	})
}

func TestWaitsGrowAndObeyTheCAWithinReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pace pacer
		waited := func(asked time.Duration) time.Duration {
			start := time.Now()
			if err := pace.wait(t.Context(), asked); err != nil {
				t.Error(err)
			}
			return time.Since(start)
		}
		if first, second := waited(0), waited(0); first != 20*time.Millisecond || second != 30*time.Millisecond {
			t.Errorf("first waits %s and %s", first, second)
		}
		if got := waited(3 * time.Second); got != 3*time.Second {
			t.Errorf("waited %s for 3s", got)
		}
		if got := waited(24 * time.Hour); got != 10*time.Second {
			t.Errorf("waited %s for a day", got)
		}
		for range 20 {
			waited(0)
		}
		if got := waited(0); got != 2*time.Second {
			t.Errorf("longest wait %s", got)
		}
	})
}

func TestOldNoncesAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s session
		s.keepNonce("")
		if _, ok := s.takeNonce(); ok {
			t.Error("an answer without a nonce gave one")
		}
		s.keepNonce("old")
		time.Sleep(nonceLifetime / 2) // the bubble's clock
		s.keepNonce("new")
		if value, ok := s.takeNonce(); !ok || value != "new" {
			t.Errorf("took %q first", value)
		}
		time.Sleep(nonceLifetime) // the bubble's clock
		if value, ok := s.takeNonce(); ok {
			t.Errorf("took %q after its time", value)
		}
	})
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCallEndsWithItsContextAndWithItsTimeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		neverAnswers := transportFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		s := &session{directoryURL: "https://ca.test/directory", key: newKey(t), timeout: time.Minute, transport: neverAnswers}
		nothing := func(*api.Core) error { return nil }

		start := time.Now()
		_, err := s.call(t.Context(), anyAnswer, nothing)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("ended after %s with %v; want the time limit", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		_, err = s.call(ctx, anyAnswer, nothing)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("ended after %s with %v; want the context's end", time.Since(start), err)
		}
	})
}

func TestNextPageIsReadFromLinks(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		`<https://ca.test/orders/2>;rel="next"`:                                           "https://ca.test/orders/2",
		`<https://ca.test/directory>;rel="index"`:                                         "",
		`<https://ca.test/directory>;rel="index", <https://ca.test/orders?p=2>; rel=next`: "https://ca.test/orders?p=2",
		`<https://ca.test/orders?p=2>; title="a"; rel="next"`:                             "https://ca.test/orders?p=2",
		`<https://ca.test/a>;rel="alternate",<https://ca.test/b>;rel="next"`:              "https://ca.test/b",
		`<https://ca.test/orders/2>;rel="nextbest"`:                                       "",
		`</orders/2>;rel="next"`:                                                          "https://ca.test/orders/2",
		`<?page=2>;rel="next"`:                                                            "https://ca.test/orders/1?page=2",
		`<http://ca.test/orders/2>;rel="next"`:                                            "",
	} {
		if got := nextPage("https://ca.test/orders/1", http.Header{"Link": {`<https://ca.test/x>;rel="up"`, link}}); got != want {
			t.Errorf("%s: got %q, want %q", link, got, want)
		}
	}
}

// TestF21_AFaultOfTheLibraryEndsOneCallOnly: lego panics on some answers; one that passes the checks must not end the process.
func TestF21_AFaultOfTheLibraryEndsOneCallOnly(t *testing.T) {
	t.Parallel()
	s := &session{directoryURL: "https://ca.test/directory", key: newKey(t), timeout: time.Minute, transport: transportFunc(neverDone)}
	_, err := s.call(t.Context(), anyAnswer, func(*api.Core) error {
		var problem *acme.ProblemDetails
		problem.Type = "as lego does for the problem document null"
		return nil
	})
	if err == nil || errors.As(err, new(*cert.Failure)) {
		t.Errorf("got %v; want a fault", err)
	}
}
