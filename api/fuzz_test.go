package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

const nasty = "x\x00\x1b[31m\u009b\x7f\u202e\u2066\u2028\xff\xed\xa0\x80\n[a](http://b)<img src=x>"

// hostileBodies are bodies that no route should choke on.
var hostileBodies = []string{
	"", "{}", "null", "[]", "{", `"x"`, "\xff", `{"by":"\ud800"}`, `{"by":"\u0000"}`, `{"by":"a","reason":"\u001b[31m"}`, `{"note":"\u202e"}`,
	`{"on":true,"by":"\u009b"}`,
	`{"hostname":"a.example.com","tenant":"\u0000"}`, `{"hostname":"\u0000.example.com","tenant":"acme"}`,
	`{"hostname":"a.example.com","also":["\u0000"],"tenant":"acme"}`,
	`{"` + "\u202e" + `":1}`, `{"by":` + strings.Repeat("[", 10000), `{"by":"` + strings.Repeat("x", 1<<20) + `"}`,
	`{"by":"` + strings.Repeat("x", 1<<19) + `"}`, "\x00", `{}{}`,
}

// FuzzHandler sends any text through any route: no answer is a fault, and no text in one has a control character.
func FuzzHandler(f *testing.F) {
	for i := range routes {
		for _, text := range []string{"shop.example.com", nasty, "a b", "%", "..", "/", strings.Repeat("x", 2000)} {
			f.Add(byte(i), text, text, text, `{"by":"ann"}`)
		}
		for _, body := range hostileBodies {
			f.Add(byte(i), "shop.example.com", "by", "ann", body)
		}
		for _, key := range []string{"tenant", "headline", "contains", "after", "limit", "all", "domain", "by", "reason"} {
			f.Add(byte(i), "shop.example.com", key, nasty, "{}")
		}
	}
	f.Fuzz(func(t *testing.T, number byte, name, key, value, body string) {
		b := hostileWorld(t)
		r := routes[int(number)%len(routes)]
		path := strings.NewReplacer("{name}", url.PathEscape(name), "{$}", "").Replace(r.path)
		for _, query := range []string{"?" + url.QueryEscape(key) + "=" + url.QueryEscape(value), ""} {
			request, err := http.NewRequestWithContext(t.Context(), r.method, path+query, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+testToken)
			request.Header.Set("X-Request-Id", value)
			request.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			b.handler.ServeHTTP(w, request)
			if w.Code >= http.StatusInternalServerError {
				t.Fatalf("%s %s: %d %s", r.method, path+query, w.Code, w.Body)
			}
			safeAnswer(t, w)
		}
		if !cert.IsLine(strings.ReplaceAll(b.log.String(), "\n", "")) {
			t.Errorf("the log has a control character: %q", b.log)
		}
	})
}

// hostileWorld is an API over a store that holds hostile texts, which only a store of an older release can.
func hostileWorld(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	b.connected("shop.example.com")
	b.store.Checked("shop.example.com", cert.Diagnosis{
		Problems: []cert.Problem{
			{Message: nasty, Remediation: nasty, Found: nasty},
		}, Names: []cert.NameResult{{Name: "shop.example.com", Reason: nasty}},
		Records: []cert.RecordState{
			{Found: []string{nasty}, Seen: []cert.Sighting{{Server: nasty, Error: nasty}}},
		}, Servers: []cert.Nameserver{{Detail: nasty}},
	})
	b.store.Events = []store.TimelineEntry{{Event: cert.Event{Detail: nasty}}}
	b.store.RecordChanges = []cert.RecordChange{{Server: nasty, Found: []string{nasty}}}
	b.store.OpenCases = []cert.Case{
		{Hostname: "shop.example.com", Reason: nasty, Assignee: nasty, Notes: []cert.Note{{Author: nasty, Text: nasty}}},
	}
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Status.Escalated = true })
	return b
}

// safeAnswer requires that an answer is JSON or text without a control character, as it is sent and as it is read.
func safeAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	text := w.Body.String()
	if !cert.IsLine(strings.ReplaceAll(text, "\n", "")) {
		t.Fatalf("a control character in %q", text)
	}
	for name, values := range w.Header() {
		if !cert.IsLine(strings.Join(values, "")) {
			t.Fatalf("the header %s: %q", name, values)
		}
	}
	var answer any
	if kind := w.Header().Get("Content-Type"); strings.Contains(kind, "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	if document, is := answer.(map[string]any); is && document["openapi"] != nil {
		return // it is ours, and has paragraphs
	}
	safeValue(t, answer)
}

func safeValue(t *testing.T, value any) {
	t.Helper()
	switch v := value.(type) {
	case string:
		if !cert.IsLine(v) {
			t.Fatalf("a control character in %q", v)
		}
	case []any:
		for _, each := range v {
			safeValue(t, each)
		}
	case map[string]any:
		for key, each := range v {
			safeValue(t, key)
			safeValue(t, each)
		}
	}
}

func TestF24_AHostileRequestIsRefusedByTheFieldsName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, path, body, field string }{
		{"POST", "/v1/domains/shop.example.com/pause", `{"by":"a\u0000"}`, "by"},
		{"POST", "/v1/domains/shop.example.com/resume", `{"by":"a","reason":"\u001b[31m"}`, "reason"},
		{"POST", "/v1/domains/shop.example.com/check", `{"reason":"` + strings.Repeat("x", 600) + `"}`, "reason has 600 characters"},
		{"POST", "/v1/domains/shop.example.com/hand-back", `{"note":"a\nb"}`, "note"},
		{"POST", "/v1/domains/shop.example.com/pause", "{\"by\":\"\xff\"}", "the body is not UTF-8"},
		{"PUT", "/v1/domains/shop.example.com/https-redirect", `{"on":true,"by":"\u202e"}`, "by"},
		{"DELETE", "/v1/domains/shop.example.com?by=%00", "", "by"},
		{"DELETE", "/v1/domains/shop.example.com?reason=%ff", "", "reason is not UTF-8"},
		{"GET", "/v1/domains?contains=%00", "", "contains"},
		{"GET", "/v1/domains?tenant=%1b", "", "tenant"},
		{"GET", "/v1/domains?after=%c2%9b", "", "after"},
	} {
		b := setup(t)
		b.connected("shop.example.com")
		b.store.Fail(errors.New("the database was asked"))
		p := b.problem(b.do(c.method, c.path, c.body), http.StatusBadRequest, cert.RequestMalformed)
		if !strings.HasPrefix(p.Detail, c.field) || p.Remediation == "" {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
		if asked := b.workflows.Asked(); len(asked) > 0 {
			t.Errorf("asked %q", asked)
		}
	}
	b := setup(t)
	for _, path := range []string{
		"/v1/domains/%00.example.com", "/v1/domains/%ff%fe.example.com", "/v1/domains/%1b", "/v1/domains/a%0ab/records", "/%00", "/v1/%ff",
		"/v1/cases?domain=%00.a.example.com", "/v1/cases?domain=%ff", "/v1/cases?after=%00", "/v1/domains?headline=%00",
		"/v1/domains/a.example.com?%00=1", "/v1/cases?%ff",
	} {
		b.store.Fail(errors.New("the database was asked"))
		b.problem(b.do("GET", path, ""), http.StatusBadRequest, cert.RequestMalformed)
	}
	if w := b.do("POST", "/v1/domains", `{"hostname":"`+strings.Repeat("x", 1<<20)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a megabyte: %d", w.Code)
	}
}

func TestF24_JSONIsSafeToLookAt(t *testing.T) {
	t.Parallel()
	encoded, err := encode(map[string]string{"a": "\u009b\x7f\u202e"})
	if want := `{"a":"\u009b\u007f\u202e"}` + "\n"; err != nil || string(encoded) != want {
		t.Errorf("got %q, %v", encoded, err)
	}
}
