package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/control/controltest"
)

const testToken = "sixteen-characters-and-more"

// bundle is an API over stand-ins for the store and the workflows.
type bundle struct {
	t         *testing.T
	handler   http.Handler
	store     *controltest.Store
	workflows *controltest.Workflows
	log       *bytes.Buffer
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, store: controltest.NewStore(), workflows: &controltest.Workflows{}, log: &bytes.Buffer{}}
	log := config.Logging{Format: "json"}.Logger(b.log)
	rules := cert.NameRules{PlatformNames: []string{"edge.example.net"}}
	c := control.New(b.store, b.workflows, rules, cert.Platform{ValidationZone: "dcv.example.net", Target: "edge.example.net"}, log)
	handler, err := newHandler(c, testToken, log)
	if err != nil {
		t.Fatal(err)
	}
	b.handler = handler
	return b
}

// do sends a request with the token and returns the answer.
func (b *bundle) do(method, path, body string) *httptest.ResponseRecorder {
	return b.send(method, path, body, "Bearer "+testToken)
}

func (b *bundle) send(method, path, body, authorization string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func (b *bundle) connected(hostname string) {
	b.t.Helper()
	if w := b.do("POST", "/v1/domains", `{"hostname":"`+hostname+`","tenant":"acme"}`); w.Code != http.StatusCreated {
		b.t.Fatalf("connect: %d %s", w.Code, w.Body)
	}
	if err := b.workflows.Start(b.t.Context(), cert.Domain{Hostname: hostname}); err != nil {
		b.t.Fatal(err)
	}
	b.store.Record(hostname, func(*cert.Snapshot) {})
}

// problem reads a problem document and checks that it is whole.
func (b *bundle) problem(w *httptest.ResponseRecorder, status int, code cert.Code) problemDocument {
	b.t.Helper()
	var p problemDocument
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		b.t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Code != status || p.Status != status || p.Code != code || w.Header().Get("Content-Type") != "application/problem+json" {
		b.t.Errorf("got %d %s, want %d %s", w.Code, w.Body, status, code)
	}
	if p.Type != "https://evercert.dev/problems/"+string(code) || p.Title == "" || p.Detail == "" || p.WhoActs == "" || p.RequestID != w.Header().Get("X-Request-Id") {
		b.t.Errorf("an incomplete document: %s", w.Body)
	}
	return p
}

func read[T any](t *testing.T, w *httptest.ResponseRecorder, status int) T {
	t.Helper()
	var v T
	if w.Code != status {
		t.Fatalf("got %d %s, want %d", w.Code, w.Body, status)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return v
}

func TestA1_ConnectingOverTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.do("POST", "/v1/domains", `{"hostname":"www.Example.com","also":["shop.example.com"],"tenant":"acme"}`)
	got := read[control.Result](t, w, http.StatusCreated)
	if got.Hostname != "www.example.com" || !got.Created || got.Headline != cert.Pending || len(got.Records) != 6 || !strings.Contains(got.Hint, "example.com is not included") {
		t.Errorf("got %+v", got)
	}
	if location := w.Header().Get("Location"); location != "/v1/domains/www.example.com" {
		t.Errorf("location %s", location)
	}
	again := read[control.Result](t, b.do("POST", "/v1/domains", `{"hostname":"www.example.com","also":["shop.example.com"],"tenant":"acme"}`), http.StatusOK)
	if again.Created || again.Hostname != got.Hostname {
		t.Errorf("the second time: %+v", again)
	}
}

func TestEveryRouteButTheOpenOnesNeedsTheToken(t *testing.T) {
	t.Parallel()
	for _, r := range routes {
		path := strings.NewReplacer("{name}", "shop.example.com", "{$}", "").Replace(r.path)
		for _, authorization := range []string{"", "Bearer wrong", "Bearer " + testToken + "x", "Basic " + testToken, "Bearer", testToken} {
			b := setup(t)
			w := b.send(r.method, path, "", authorization)
			if r.open != (w.Code == http.StatusOK) {
				t.Errorf("%s %s with %q: %d", r.method, path, authorization, w.Code)
			}
			if !r.open {
				b.problem(w, http.StatusUnauthorized, cert.Unauthorized)
				if w.Header().Get("WWW-Authenticate") != "Bearer" {
					t.Error("no WWW-Authenticate")
				}
			}
		}
	}
	b := setup(t)
	b.connected("shop.example.com")
	if w := b.send("GET", "/v1/domains/shop.example.com", "", "bearer  "+testToken); w.Code != http.StatusOK {
		t.Errorf("the scheme is the same in lower case (RFC 9110 §11.1): %d", w.Code)
	}
}

func TestProblemsHaveTheirStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.store.Connect(t.Context(), cert.Domain{ID: "1", Hostname: "taken.example.com", Names: []string{"taken.example.com"}, Tenant: "other"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		code               cert.Code
	}{
		{"POST", "/v1/domains", `{"hostname":"10.0.0.1","tenant":"acme"}`, 422, cert.NameInvalid},
		{"POST", "/v1/domains", `{"hostname":"edge.example.net","tenant":"acme"}`, 422, cert.NameReserved},
		{"POST", "/v1/domains", `{"hostname":"co.uk","tenant":"acme"}`, 422, cert.DomainNotAllowed},
		{"POST", "/v1/domains", `{"hostname":"taken.example.com","tenant":"acme"}`, 409, cert.NameTaken},
		{"POST", "/v1/domains", `{"hostname":"shop.example.com"}`, 400, cert.RequestMalformed},
		{"GET", "/v1/domains/nobody.example.com", "", 404, cert.DomainUnknown},
		{"GET", "/v1/domains/taken.example.com/certificate", "", 409, cert.RequestRefused},
		{"GET", "/v1/domains?limit=all", "", 400, cert.RequestMalformed},
		{"GET", "/v1/domains?limit=0", "", 400, cert.RequestMalformed},
		{"GET", "/v1/domains?limit=501", "", 400, cert.RequestMalformed},
		{"GET", "/v1/domains?headline=Done", "", 400, cert.RequestMalformed},
		{"GET", "/v1/domains?tenants=acme", "", 400, cert.RequestMalformed},
		{"GET", "/v1/domains?tenant=a&tenant=b", "", 400, cert.RequestMalformed},
		{"GET", "/v1/domains?tenant=%zz", "", 400, cert.RequestMalformed},
		{"GET", "/v1/cases?all=perhaps", "", 400, cert.RequestMalformed},
		{"GET", "/v2/domains", "", 404, cert.RequestMalformed},
	} {
		w := b.do(c.method, c.path, c.body)
		if p := b.problem(w, c.status, c.code); p.Remediation == "" && c.code != cert.NameTaken {
			t.Errorf("%s %s: no step that mends it: %s", c.method, c.path, w.Body)
		}
	}
}

func TestBodiesAreReadStrictly(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		`{"hostnam":"shop.example.com","tenant":"acme"}`:               `unknown field "hostnam"`,
		`{"hostname":["shop.example.com"],"tenant":"acme"}`:            `the field "hostname" is a JSON array`,
		`["shop.example.com"]`:                                         "the body is a JSON array",
		`{"hostname":"shop.example.com","tenant":"acme"}{"a":1}`:       "more than one JSON value",
		`{"hostname":"shop.example.com",`:                              "ends too early",
		`hostname=shop.example.com`:                                    "not JSON",
		`{"hostname":"shop.example.com","tenant":"acme","also":"www"}`: `the field "also" is a JSON string`,
		``: "tenant is missing",
	} {
		b := setup(t)
		p := b.problem(b.do("POST", "/v1/domains", body), http.StatusBadRequest, cert.RequestMalformed)
		if !strings.Contains(p.Detail, says) || b.store.Len() != 0 {
			t.Errorf("%s: %q does not say %q; %d domains", body, p.Detail, says, b.store.Len())
		}
	}
	b := setup(t)
	long := `{"hostname":"` + strings.Repeat("a", maxBody) + `","tenant":"acme"}`
	b.problem(b.do("POST", "/v1/domains", long), http.StatusRequestEntityTooLarge, cert.RequestMalformed)
}

func TestAWrongMethodNamesTheRightOnes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.do("PATCH", "/v1/domains/shop.example.com", "")
	b.problem(w, http.StatusMethodNotAllowed, cert.RequestMalformed)
	if allow := w.Header().Get("Allow"); allow != "GET, DELETE" {
		t.Errorf("allow %q", allow)
	}
}

func TestFaultsAreLoggedWithTheirCauseAndToldWithoutIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.Fail(errors.New("dial tcp 10.1.2.3:5432: connection refused"))
	w := b.do("GET", "/v1/domains/shop.example.com", "")
	p := b.problem(w, http.StatusInternalServerError, cert.InternalError)
	if strings.Contains(w.Body.String(), "10.1.2.3") {
		t.Errorf("the caller is told %s", w.Body)
	}
	if line := b.log.String(); !strings.Contains(line, "10.1.2.3:5432") || !strings.Contains(line, p.RequestID) || !strings.Contains(line, `"level":"ERROR"`) {
		t.Errorf("logged %s", line)
	}
}

func TestReadinessTellsWhichPartDoesNotAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if w := b.send("GET", "/readyz", "", ""); w.Code != http.StatusOK {
		t.Errorf("ready: %d", w.Code)
	}
	b.workflows.SetDown(true)
	if p := b.problem(b.send("GET", "/readyz", "", ""), http.StatusServiceUnavailable, control.Unavailable); !strings.Contains(p.Detail, "Temporal") {
		t.Errorf("got %+v", p)
	}
	if w := b.send("GET", "/healthz", "", ""); w.Code != http.StatusOK {
		t.Errorf("the process lives: %d", w.Code)
	}
}

func TestRequestsHaveIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for given, kept := range map[string]bool{"abc-123": true, "": false, "a b": false, strings.Repeat("x", 65): false} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/healthz", http.NoBody)
		r.Header.Set("X-Request-Id", given)
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		if got := w.Header().Get("X-Request-Id"); got == "" || (got == given) != kept {
			t.Errorf("given %q, got %q", given, got)
		}
	}
}

func TestAPanicIsAProblemAndNotTheEndOfTheProcess(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &server{log: slog.New(slog.NewTextHandler(&log, nil))}
	h := s.logged(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("out of cheese") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", http.NoBody))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusInternalServerError || strings.Contains(string(body), "cheese") || !strings.Contains(log.String(), "out of cheese") {
		t.Errorf("%d %s, %v; logged %s", w.Code, body, err, log.String())
	}
}
