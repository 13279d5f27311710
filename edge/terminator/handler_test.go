package terminator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/evercert/evercert/edge/terminator"
)

func TestA3_HTTPRedirectsOnlyWhereItIsSwitchedOn(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *terminator.Options) { o.Upstream = upstream(t, sayWhoWasAsked) })
	b.source.Install(b.ca.Issue(t, "served.test"))
	b.source.InstallRedirecting(b.ca.Issue(t, "redirected.test"))
	for request, location := range map[string]string{
		"http://redirected.test/cart?item=1&n=%20": "https://redirected.test/cart?item=1&n=%20",
		"http://redirected.test:8080":              "https://redirected.test/",
		"http://REDIRECTED.test./":                 "https://redirected.test/",
		"http://redirected.test//other.test/%2F":   "https://redirected.test//other.test/%2F",
		"http://served.test/cart":                  "",
	} {
		response, body := get(t, b.client(t), request)
		if got := response.Header.Get("Location"); got != location || (response.StatusCode == http.StatusPermanentRedirect) != (location != "") {
			t.Errorf("%s: %s, Location %q; want %q", request, response.Status, got, location)
		}
		if location == "" && !strings.HasPrefix(body, "GET http ") {
			t.Errorf("%s did not reach the upstream: %q", request, body)
		}
	}
	if response, body := get(
		t,
		b.client(t),
		"https://redirected.test/",
	); response.StatusCode != http.StatusOK ||
		!strings.HasPrefix(body, "GET https redirected.test") {
		t.Errorf("over HTTPS: %s %q", response.Status, body)
	}
	if line := b.raw(t, "OPTIONS * HTTP/1.1\r\nHost: redirected.test\r\n\r\n"); strings.Contains(line, "308") {
		t.Errorf("OPTIONS * was redirected: %s", line)
	}
}

func TestRedirectsLeadToThePublicPort(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *terminator.Options) { o.PublicHTTPSPort = 8443 })
	b.source.InstallRedirecting(b.ca.Issue(t, "shop.test"))
	response, _ := get(t, b.client(t), "http://shop.test/a")
	if got := response.Header.Get("Location"); got != "https://shop.test:8443/a" {
		t.Errorf("Location %q", got)
	}
}

// TestF19_UnknownNamesNeverReachTheUpstream: a request for a name that is not served, or not any more, is answered by the edge.
func TestF19_UnknownNamesNeverReachTheUpstream(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *terminator.Options) {
		o.Upstream = upstream(t, func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("the upstream was asked for %s %s", r.Host, r.URL)
		})
	})
	c := b.ca.Issue(t, "removed.test")
	b.source.Install(c)
	b.serves(t, "removed.test", c.Serial)
	b.source.Retire("removed.test")
	eventually(t, "removed.test is retired", func() bool {
		_, err := b.handshake("removed.test")
		return err != nil
	})
	for _, host := range []string{"removed.test", "REMOVED.test.", "unknown.test", "removed.test:8080", "127.0.0.1", "localhost", ""} {
		answer := b.raw(t, "GET /cart HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 421 ") || !strings.Contains(answer, "Cache-Control: no-store\r\n") {
			t.Errorf("Host %q: %s", host, answer)
		}
	}
	if answer := b.raw(t, "GET http://unknown.test/ HTTP/1.1\r\nHost: shop.test\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 421 ") {
		t.Errorf("absolute form: %s", answer)
	}
	b.source.Break(errDown)
	answer := b.raw(t, "GET / HTTP/1.1\r\nHost: perhaps.test\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "Retry-After: 5\r\n") {
		t.Errorf("with the database down: %s", answer)
	}
}

// TestRefusalsDontWaitForABody: a client that announces a body and does not send it is answered at once, and its connection is closed.
func TestRefusalsDontWaitForABody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.Install(b.ca.Issue(t, "shop.test"))
	for request, status := range map[string]string{
		"POST / HTTP/1.1\r\nHost: unknown.test": "421",
		"TRACE / HTTP/1.1\r\nHost: shop.test":   "405",
	} {
		answer := b.raw(t, request+"\r\nContent-Length: 1000\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 "+status+" ") || !strings.Contains(answer, "Connection: close\r\n") {
			t.Errorf("%s: %s", request, answer)
		}
	}
}

// TestAnEarlyRefusalReachesAClientThatWaitsForContinue: the platform refuses an upload after reading its header, and the client never sends
// the body.
func TestAnEarlyRefusalReachesAClientThatWaitsForContinue(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *terminator.Options) {
		o.Upstream = upstream(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	})
	b.source.Install(b.ca.Issue(t, "shop.test"))
	answer := b.raw(t, "POST / HTTP/1.1\r\nHost: shop.test\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 413 ") || !strings.Contains(answer, "Connection: close\r\n") {
		t.Error(answer)
	}
}

func TestHTTP01AnswersComeBeforeAnyRedirect(t *testing.T) {
	t.Parallel()
	challenges := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "key authorization of %s for %s", strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/"), r.Host)
	})
	b := setup(t, func(o *terminator.Options) { o.Challenges = challenges })
	b.source.InstallRedirecting(b.ca.Issue(t, "shop.test"))
	for _, host := range []string{"shop.test", "new.test"} {
		if _, body := get(t, b.client(t), "http://"+host+"/.well-known/acme-challenge/token"); body != "key authorization of token for "+host {
			t.Errorf("%s: %q", host, body)
		}
	}
}

func TestHealthIsAnsweredOnHTTPOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *terminator.Options) { o.Upstream = upstream(t, sayWhoWasAsked) })
	b.source.InstallRedirecting(b.ca.Issue(t, "shop.test"))
	const path = "/.well-known/evercert/health"
	if response, body := get(t, b.client(t), "http://shop.test"+path); response.StatusCode != http.StatusOK || body != "ok\n" {
		t.Errorf("over HTTP: %s %q", response.Status, body)
	}
	if _, body := get(t, b.client(t), "https://shop.test"+path); body == "ok\n" {
		t.Error("a tenant's own path is answered by the edge over HTTPS")
	}
}

func TestARequestForAnotherNameIsMisdirected(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *terminator.Options) { o.Upstream = upstream(t, sayWhoWasAsked) })
	b.source.Install(b.ca.Issue(t, "shop.test", "www.shop.test"))
	b.source.Install(b.ca.Issue(t, "other.test"))
	client := b.client(t, func(tr *http.Transport) { tr.TLSClientConfig.ServerName = "shop.test" })
	for host, want := range map[string]int{
		"shop.test": http.StatusOK, "SHOP.test.": http.StatusOK, "shop.test:443": http.StatusOK,
		"www.shop.test": http.StatusOK, // the same certificate: browsers may share the connection (RFC 9113 §9.1.1)
		"other.test":    http.StatusMisdirectedRequest,
		"unknown.test":  http.StatusMisdirectedRequest,
		"127.0.0.1":     http.StatusMisdirectedRequest,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if read(t, response); response.StatusCode != want {
			t.Errorf("Host %s on a connection for shop.test: %s, want %d", host, response.Status, want)
		}
	}
}
