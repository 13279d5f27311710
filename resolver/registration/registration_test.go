package registration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

var today = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// registry is an RDAP service on loopback.
func registry(t testing.TB, handler http.HandlerFunc) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// says answers every question with a recorded answer.
func says(t testing.TB, file string) http.HandlerFunc {
	body, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/rdap+json")
		_, _ = w.Write(body)
	}
}

func newClient(t testing.TB, servers ...string) *Client {
	c, err := New(Config{Servers: servers, Timeout: 10 * time.Second})
	require.NoError(t, err)
	c.now = func() time.Time { return today }
	return c
}

func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	for file, c := range map[string]struct {
		domain string
		want   Registration
		code   cert.Code
		acts   cert.Actor
		says   string
	}{
		"registered.json": {
			domain: "example.com",
			want: Registration{
				State: Registered, Status: []string{"client delete prohibited", "client transfer prohibited"}, Registrar: "Example Registrar, Inc.",
				Expires: time.Date(2027, 8, 13, 4, 0, 0, 0, time.UTC),
			},
		},
		"expired.json": {
			domain: "example.pl", code: cert.DomainExpired, acts: cert.TenantActs, says: "ended on 2026-11-01",
			want: Registration{
				State: Expired, Status: []string{"active"}, Registrar: "Rejestrator Sp. z o.o.", Expires: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
			},
		},
		"hold.json": {
			domain: "example.org", code: cert.DomainExpired, acts: cert.RegistrarActs, says: "is on hold",
			want: Registration{
				State: Hold, Status: []string{"client hold", "auto renew period"}, Expires: time.Date(2027, 11, 20, 12, 30, 0, 0, time.UTC),
			},
		},
		"redemption.json": {
			domain: "example.net", code: cert.DomainExpired, acts: cert.TenantActs, says: "can still have it back",
			want: Registration{
				State: Redemption, Status: []string{"pending delete", "redemption period", "client hold"}, Registrar: "Example Registrar, Inc.",
				Expires: time.Date(2026, 9, 30, 10, 0, 0, 0, time.UTC),
			},
		},
		"pending_delete.json": {
			domain: "example.co.uk", code: cert.DomainExpired, acts: cert.TenantActs, says: "deleted for good",
			want: Registration{State: PendingDelete, Status: []string{"pending delete"}},
		},
		"sparse.json": {domain: "xn--mnchen-3ya.example", want: Registration{State: Registered}},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			r, err := newClient(t, "*="+registry(t, says(t, file))).Lookup(t.Context(), c.domain)
			require.NoError(t, err)
			require.Equal(t, c.want.Expires.UTC(), r.Expires.UTC())
			r.Expires = c.want.Expires
			require.Equal(t, c.want, r)
			p := r.Problem(c.domain)
			if c.code == "" {
				require.Nil(t, p)
				return
			}
			require.Equal(t, c.code, p.Code)
			require.Equal(t, c.acts, p.WhoActs)
			require.Contains(t, p.Message, c.says)
			requireFitForPeople(t, *p)
		})
	}
}

func TestNotFoundIsNotRegistered(t *testing.T) {
	t.Parallel()
	for _, notFound := range []http.HandlerFunc{
		http.NotFound,
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/rdap+json")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"errorCode":404,"title":"Object not found"}`)
		},
	} {
		r, err := newClient(t, "com="+registry(t, notFound)).Lookup(t.Context(), "Free.com.")
		require.NoError(t, err)
		require.Equal(t, Registration{State: NotRegistered}, r)
		p := r.Problem("xn--mnchen-3ya.com")
		require.Equal(t, cert.DomainNotRegistered, p.Code)
		require.Contains(t, p.Message, "münchen.com")
		requireFitForPeople(t, *p)
	}
}

func requireFitForPeople(t testing.TB, p cert.Problem) {
	t.Helper()
	for _, text := range []string{p.Message, p.Remediation} {
		require.True(t, strings.HasSuffix(text, "."), text)
		require.NotContains(t, text, "%!")
	}
	require.NotEmpty(t, p.Found)
	require.NotEmpty(t, p.Severity)
	require.True(t, strings.HasPrefix(p.Remediation, "At "), p.Remediation)
}

func TestWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	var asked atomic.Pointer[http.Request]
	base := registry(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		says(t, "registered.json")(w, r)
	})
	_, err := newClient(t, "com="+base+"/com/v1").Lookup(t.Context(), "EXAMPLE.com.")
	require.NoError(t, err)
	require.Equal(t, "/com/v1/domain/example.com", asked.Load().URL.Path)
	require.Equal(t, "application/rdap+json, application/json;q=0.9", asked.Load().Header.Get("Accept"))
	require.Empty(t, asked.Load().Header.Get("Accept-Encoding"))
}

// What a registry doesn't answer is unknown, and says so in words that may be shown.
func TestNoAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	hang, release := context.WithCancel(t.Context())
	t.Cleanup(release)
	text := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	const rdap = "application/rdap+json"
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		says    string
	}{
		"busy":         {text(429, rdap, "{}"), "wants to be asked less often (status 429)"},
		"broken":       {text(500, rdap, "{}"), "answers with status 500"},
		"maintenance":  {text(503, rdap, "{}"), "answers with status 503"},
		"refusing":     {text(403, rdap, "{}"), "answers with status 403"},
		"bad question": {text(400, rdap, "{}"), "answers with status 400"},
		"web page":     {text(404, "text/html; charset=utf-8", "<h1>404"), `a web page that says "not found"`},
		"no JSON":      {text(200, "text/html", "<h1>welcome"), "no RDAP that can be read"},
		"half JSON":    {text(200, rdap, `{"objectClassName":"domain","ldhName":`), "no RDAP that can be read"},
		"null":         {text(200, rdap, `null`), "not about a domain"},
		"entity":       {text(200, rdap, `{"objectClassName":"entity"}`), "not about a domain"},
		"other domain": {text(200, rdap, `{"objectClassName":"domain","ldhName":"other.com"}`), `about another domain, "other.com"`},
		"wrong type":   {text(200, rdap, `{"objectClassName":"domain","status":"active"}`), "no RDAP that can be read"},
		"endless":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, forever{}) }, "sends more than 524288 bytes"},
		"header bomb": {
			func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Bomb", strings.Repeat("b", 1<<17)) },
			"no connection to it came about, or it broke",
		},
		"silent": {func(_ http.ResponseWriter, r *http.Request) { wait(hang, r.Context()) }, "no answer came in time"},
		"circle": {
			func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "it redirects too often",
		},
		"into a cloud": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		}, "link-local addresses, RFC 3927"},
		"other machine": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.77/", http.StatusFound)
		}, "the machine itself (loopback)"},
		"slow body": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"objectClassName":`)
			_ = http.NewResponseController(w).Flush()
			wait(hang, r.Context())
		}, "no answer came in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c2 := newClient(t, "com="+registry(t, c.handler))
			if c.says == "no answer came in time" {
				c2.timeout = 200 * time.Millisecond
			}
			r, err := c2.Lookup(t.Context(), "example.com")
			require.Error(t, err)
			require.Contains(t, err.Error(), c.says)
			require.True(t, strings.HasPrefix(err.Error(), "the RDAP service at 127.0.0.1: "), err.Error())
			require.Zero(t, r)
		})
	}
}

func wait(a, b context.Context) {
	select {
	case <-a.Done():
	case <-b.Done():
	}
}

type forever struct{}

func (forever) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.URL
	server.Close()
	_, err := newClient(t, "*="+address).Lookup(t.Context(), "example.com")
	require.ErrorContains(t, err, "no connection to it came about")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = newClient(t, "*="+address).Lookup(ctx, "example.com")
	require.ErrorContains(t, err, "we stopped waiting")
}

func TestRedirectsBetweenConfiguredServersAreFollowed(t *testing.T) {
	t.Parallel()
	authoritative := registry(t, says(t, "registered.json"))
	redirecting := registry(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, authoritative+r.URL.Path, http.StatusMovedPermanently)
	})
	r, err := newClient(t, "*="+redirecting, "org="+authoritative).Lookup(t.Context(), "example.com")
	require.NoError(t, err)
	require.Equal(t, Registered, r.State)
}

// An answer over https can be trusted; what it redirects to over http can't.
func TestHTTPSIsNotLeft(t *testing.T) {
	t.Parallel()
	plain := registry(t, says(t, "registered.json"))
	secured := httptest.NewTLSServer(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain+r.URL.Path, http.StatusFound) }),
	)
	t.Cleanup(secured.Close)
	c := newClient(t, "com="+secured.URL, "org="+plain)
	_, err := c.Lookup(t.Context(), "example.com")
	require.ErrorContains(t, err, "no connection to it came about", "its certificate is nobody's")
	c.http.Transport.(*http.Transport).TLSClientConfig = secured.Client().Transport.(*http.Transport).TLSClientConfig
	_, err = c.Lookup(t.Context(), "example.com")
	require.ErrorContains(t, err, "it redirects from https to something less")
}

func TestWrongConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"", "com", "com=", "com=rdap.example", "ftp://rdap.example/", "com=ftp://rdap.example/", "com=https://", "com=https://rdap.example/?q=",
		"*=%zz",
	} {
		_, err := New(Config{Servers: []string{"org=https://rdap.example/", entry}})
		require.ErrorContains(t, err, fmt.Sprintf("RDAP server %q: it expects", entry))
	}
}

func TestOnlyDomainsAreAskedAbout(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	c := newClient(t, "*="+registry(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); http.NotFound(w, r) }))
	for _, domain := range []string{
		"", ".", "com", "a b.com", "../../etc.com", "example.com/../x", "example.com?x", "exa\x00mple.com", "münchen.com", "-a.com",
		strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 130) + "com",
	} {
		_, err := c.Lookup(t.Context(), domain)
		require.ErrorContains(t, err, "registries can't be asked about", domain)
	}
	require.Zero(t, asked.Load())
}

func TestStates(t *testing.T) {
	t.Parallel()
	past, future := today.Add(-time.Second), today.Add(time.Second)
	for _, c := range []struct {
		status  []string
		expires time.Time
		want    State
	}{
		{nil, time.Time{}, Registered},
		{[]string{"active", "inactive"}, future, Registered},
		{[]string{"active"}, past, Expired},
		{[]string{"server hold"}, future, Hold},
		{[]string{"client hold"}, past, Expired},
		{[]string{"pending delete", "server hold"}, past, PendingDelete},
		{[]string{"pending delete", "redemption period"}, past, Redemption},
		{[]string{"pending restore"}, past, Redemption},
	} {
		require.Equal(t, c.want, stateOf(c.status, c.expires, today), c)
	}
	for sent, spelt := range map[string]string{
		"clientHold": "client hold", " Client Hold ": "client hold", "redemptionPeriod": "redemption period", "ok": "ok", "OK": "ok",
	} {
		require.Equal(t, spelt, words(sent))
	}
}
