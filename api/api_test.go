package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

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
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
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
	if p.Type != "https://evercert.dev/problems/"+string(code) || p.Title == "" || p.Detail == "" || p.WhoActs == "" ||
		p.RequestID != w.Header().Get("X-Request-Id") {
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
	if got.Hostname != "www.example.com" || !got.Created || got.Headline != cert.Pending || len(got.Records) != 6 ||
		!strings.Contains(got.Hint, "example.com is not included") {
		t.Errorf("got %+v", got)
	}
	if location := w.Header().Get("Location"); location != "/v1/domains/www.example.com" {
		t.Errorf("location %s", location)
	}
	again := read[control.Result](
		t,
		b.do("POST", "/v1/domains", `{"hostname":"www.example.com","also":["shop.example.com"],"tenant":"acme"}`),
		http.StatusOK,
	)
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
	if _, err := b.store.Connect(t.Context(), cert.Domain{
		ID: "1", Hostname: "taken.example.com", Names: []string{"taken.example.com"},
		Tenant: "other",
	}); err != nil {
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
		{"POST", "/v1/domains", `{"hostname":"x.onion","tenant":"acme"}`, 422, cert.NameSpecialUse},
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
		if p := b.problem(w, c.status, c.code); p.Remediation == "" {
			t.Errorf("%s %s: no step that fixes it: %s", c.method, c.path, w.Body)
		}
	}
}

func TestBodiesAreReadStrictly(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		`{"hostnam":"shop.example.com","tenant":"acme"}`:                               `unknown field "hostnam"`,
		`{"hostname":["shop.example.com"],"tenant":"acme"}`:                            `the field "hostname" is a JSON array`,
		`["shop.example.com"]`:                                                         "the body is a JSON array",
		`{"hostname":"shop.example.com","tenant":"acme"}{"a":1}`:                       "more than one JSON value",
		`{"hostname":"shop.example.com",`:                                              "ends too early",
		`{"Hostname":"shop.example.com","tenant":"acme"}`:                              `unknown field "Hostname"`,
		`{"hostname":"shop.example.com","TENANT":"acme"}`:                              `unknown field "TENANT"`,
		`{"hostname":"a.example.com","tenant":"acme","hostname":"b.example.com"}`:      `the field "hostname" is there more than once`,
		`{"hostname":"a.example.com","tenant":"acme","host\u006eame":"b.example.com"}`: `the field "hostname" is there more than once`,
		`{"hostname":"shop.example.com","tenant":null}`:                                "the tenant is missing",
		`null`:                      "the body is a JSON null",
		`"x"`:                       "the body is a JSON string",
		`7`:                         "the body is a JSON number",
		`hostname=shop.example.com`: "not JSON",
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
	if w := b.do("POST", "/v1/domains", `{"hostname":"shop.example.com","tenant":"acme","also":null}`); w.Code != http.StatusCreated {
		t.Errorf("null, as Go's clients send an empty list: %d %s", w.Code, w.Body)
	}
	long := `{"hostname":"` + strings.Repeat("a", maxBody) + `","tenant":"acme"}`
	b.problem(b.do("POST", "/v1/domains", long), http.StatusRequestEntityTooLarge, cert.RequestMalformed)
}

func TestAWrongMethodNamesTheRightOnes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.do("PATCH", "/v1/domains/shop.example.com", "")
	b.problem(w, http.StatusMethodNotAllowed, cert.RequestMalformed)
	if allow := w.Header().Get("Allow"); allow != "GET, HEAD, DELETE" {
		t.Errorf("allow %q", allow)
	}
	for _, method := range []string{"OPTIONS", "TRACE", "get", "POST"} {
		w := b.do(method, "/v1/cases", "")
		b.problem(w, http.StatusMethodNotAllowed, cert.RequestMalformed)
		if allow := w.Header().Get("Allow"); allow != "GET, HEAD" {
			t.Errorf("%s: allow %q", method, allow)
		}
	}
}

func TestFaultsAreLoggedWithTheirCauseAndToldWithoutIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.Fail(errors.New("dial tcp 10.1.2.3:5432: connection refused"))
	w := b.do("GET", "/v1/domains/shop.example.com", "")
	p := b.problem(w, http.StatusInternalServerError, cert.InternalError)
	if strings.Contains(w.Body.String(), "10.1.2.3") {
		t.Errorf("the caller reads %s", w.Body)
	}
	if line := b.log.String(); !strings.Contains(line, "10.1.2.3:5432") || !strings.Contains(line, p.RequestID) ||
		!strings.Contains(line, `"level":"ERROR"`) {
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
	if p := b.problem(b.send("GET", "/readyz", "", ""), http.StatusServiceUnavailable, cert.Unavailable); !strings.Contains(
		p.Detail,
		"Temporal",
	) {
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
	if err != nil || w.Code != http.StatusInternalServerError || strings.Contains(string(body), "cheese") ||
		!strings.Contains(log.String(), "out of cheese") {
		t.Errorf("%d %s, %v; logged %s", w.Code, body, err, log.String())
	}
}

func TestD1_ABodyIsJSONAndSaysSo(t *testing.T) {
	t.Parallel()
	const body = `{"hostname":"shop.example.com","tenant":"acme"}`
	for given, status := range map[string]int{
		"application/json": 201, "Application/JSON; charset=UTF-8": 201, "": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415,
		"application/json; charset=latin1": 415, "a/b/c": 415,
	} {
		b := setup(t)
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/domains", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+testToken)
		if given != "" {
			r.Header.Set("Content-Type", given)
		}
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		if w.Code != status || b.store.Len() != map[bool]int{true: 1}[status == 201] {
			t.Errorf("%q: %d %s; %d domains", given, w.Code, w.Body, b.store.Len())
		}
		if status == http.StatusUnsupportedMediaType {
			if p := b.problem(w, status, cert.RequestMalformed); !strings.Contains(p.Remediation, "Content-Type: application/json") {
				t.Errorf("%q: %+v", given, p)
			}
		}
	}
	b := setup(t)
	b.connected("shop.example.com")
	if w := b.do("POST", "/v1/domains/shop.example.com/pause", ""); w.Code != http.StatusOK {
		t.Errorf("a verb needs no body: %d %s", w.Code, w.Body)
	}
}

// TestD1_APathIsTakenAsItIs: net/http's mux would answer the paths of the first line with a redirect in HTML.
func TestD1_APathIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com")
	for path, status := range map[string]int{
		"//": 404, "//v1/domains": 404, "/v1//domains": 404, "/v1/domains//": 404, "/v1/./domains": 404, "/v1/../v1/domains": 404, "/..": 404,
		"/.":           404,
		"/v1/domains/": 404, "/v1/domains/shop.example.com/": 404, "/v1/domains/shop.example.com/x": 404, "/v1": 404, "/x": 404,
		"/v1/%2e%2e/v1/domains": 404, "/v1/domains/%2e%2e": 422, "/v1/domains/a%2fb": 422, "/v1/domains/%2f%2f": 422,
		"/v1/domains/shop.example.com": 200,
	} {
		w := b.do("GET", path, "")
		if w.Code != status || w.Header().Get("Location") != "" || strings.Contains(w.Body.String(), "<") {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
		if status != http.StatusOK && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
}

func TestD1_WhatAQueryDoesNotHaveIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com")
	for path, says := range map[string]string{
		"/v1/domains/shop.example.com?verbose=1":      `there is no parameter "verbose"`,
		"/v1/domains?Tenant=acme":                     `there is no parameter "Tenant"`,
		"/v1/domains?tenant=":                         `the parameter "tenant" is empty`,
		"/v1/domains?tenant":                          `the parameter "tenant" is empty`,
		"/v1/domains?tenant=a;limit=1":                "the query can't be read",
		"/v1/cases?all=1":                             `the parameter all is "1"`,
		"/v1/cases?limit=%2B1":                        `the limit is "+1"`,
		"/v1/cases?after=1":                           `after is "1"`,
		"/v1/domains?limit=99999999999999999999":      `the limit is "99999999999999999999"`,
		"/v1/domains?%e2%80%ae=1":                     "there is no parameter",
		"/v1/cases?domain=" + "%41%0a":                "domain has a line break or a control character",
		"/v1/domains/shop.example.com/timeline?all=1": `there is no parameter "all"`,
	} {
		if p := b.problem(b.do("GET", path, ""), http.StatusBadRequest, cert.RequestMalformed); !strings.HasPrefix(p.Detail, says) ||
			p.Remediation == "" {
			t.Errorf("%s: %q does not say %q", path, p.Detail, says)
		}
	}
	if w := b.send("GET", "/healthz?from=balancer", "", ""); w.Code != http.StatusOK {
		t.Errorf("a balancer's own parameter: %d", w.Code)
	}
}

func TestA5_CasesArePagedOverTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 250 {
		b.store.OpenCases = append(b.store.OpenCases, cert.Case{ID: fmt.Sprintf("x/%d", i), OpenedAt: time.Unix(int64(999-i), 0)})
	}
	for limit, lengths := range map[string][]int{"": {100, 100, 50}, "&limit=125": {125, 125}, "&limit=500": {250}} {
		var got []int
		seen := map[string]bool{}
		next := ""
		for {
			path := "/v1/cases?all=true" + limit
			if next != "" {
				path += "&after=" + next
			}
			page := read[control.CasePage](t, b.do("GET", path, ""), http.StatusOK)
			for _, c := range page.Cases {
				seen[c.ID] = true
			}
			got = append(got, len(page.Cases))
			if next = page.Next; next == "" {
				break
			}
		}
		if !slices.Equal(got, lengths) || len(seen) != 250 {
			t.Errorf("%q: pages of %d, %d cases", limit, got, len(seen))
		}
	}
}
