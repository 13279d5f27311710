package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// contract is the API's document, by which requests are made and answers are judged.
type contract struct {
	document   *openapi3.T
	operations []*routers.Route
	fitting    map[*openapi3.Schema][]any // the values that a schema lets through
	right      map[string]bool            // answers that were judged before: compiling the schemas takes a millisecond each time
}

func readContract(t testing.TB) *contract {
	t.Helper()
	raw, err := openAPIDocument()
	if err != nil {
		t.Fatal(err)
	}
	raw = regexp.MustCompile(`\\\\u([0-9a-f]{4})`).ReplaceAll(raw, []byte(`\\x{$1}`)) // patterns are ECMA's in JSON Schema, and Go's here
	loader := openapi3.NewLoader()
	document, err := loader.LoadFromData(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(loader.Context); err != nil {
		t.Fatal(err)
	}
	for _, schema := range document.Components.Schemas {
		if s := schema.Value; len(s.Properties) > 0 { // callers let new fields pass; here, whoever adds one describes it
			s.AdditionalProperties = openapi3.BoolSchema{Has: new(bool)}
		}
	}
	c := &contract{document: document, fitting: map[*openapi3.Schema][]any{}, right: map[string]bool{}}
	for _, path := range slices.Sorted(maps.Keys(document.Paths.Map())) {
		item := document.Paths.Value(path)
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			c.operations = append(c.operations, &routers.Route{
				Spec: document, Server: document.Servers[0], Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method),
			})
		}
	}
	return c
}

// judge returns what is wrong with an answer of an operation by the document.
func (c *contract) judge(r *http.Request, op *routers.Route, w *httptest.ResponseRecorder) error {
	if op.Operation.Responses.Status(w.Code) == nil { // that there is a default does not describe this one
		return fmt.Errorf("%s does not say that it may answer %d", op.Operation.OperationID, w.Code)
	}
	id := w.Header().Get("X-Request-Id")
	if id == "" {
		return fmt.Errorf("no X-Request-Id")
	}
	header := w.Header().Clone()
	header.Del("X-Request-Id")
	answer := fmt.Sprint(op.Operation.OperationID, w.Code, header, strings.ReplaceAll(w.Body.String(), id, ""))
	if c.right[answer] {
		return nil
	}
	judged := r.Clone(r.Context())
	judged.Method = op.Method // HEAD is answered as GET is
	err := openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: judged, Route: op},
		Status:                 w.Code, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if len(c.right) > 50_000 {
		clear(c.right)
	}
	c.right[answer] = err == nil
	return err
}

// fits reports whether a request is as the document has it, as far as schemas can say.
func (c *contract) fits(r *http.Request, body string, op *routers.Route, parameters map[string]string) error {
	judged := r.Clone(r.Context())
	judged.Body = io.NopCloser(strings.NewReader(body))
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: judged, Route: op, PathParams: parameters, QueryParams: r.URL.Query(),
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	})
}

func pem(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
	text, err := io.ReadAll(body)
	return string(text), err
}

// connected are the domains of documentedWorld.
var connected = []string{"shop.example.com", "live.example.com", "held.example.com", "gone.example.com", "quiet.example.com"}

// values go into every place of a request; its schema says where they belong.
var values = []any{
	"shop.example.com", "live.example.com", "held.example.com", "gone.example.com", "quiet.example.com", "SHOP.example.com.",
	"bücher.example.com", "new.example.com", "*.example.com",
	"nobody.example.com", "example.com", "10.0.0.1", "co.uk", "edge.example.net", "a..b", "-", ".", "..", " ", "", "%", "%2e%2e", "a/b",
	"a//b", `\`, "a b", "?", "#", ";", "&a=b",
	"acme", "other", "Acme", "ann", "in a hurry", "Pending", "Contact support", "Done", "MSB4", "x=", "1", "500", "501", "-1", "0", "1e3",
	"9223372036854775808", "true", "false", "TRUE",
	"\x00", "a\x00b.example.com", "\x1b[31m", "a\nb", "\t", "\u009b", "\u2028", "\u202e", "\u2066", "\ufeff", "é", "日本語.example.com", "\xff",
	"\xed\xa0\x80",
	strings.Repeat(
		"x",
		63,
	), strings.Repeat("x", 64), strings.Repeat("é", 100), strings.Repeat("é", 101), strings.Repeat("x", 254), strings.Repeat("é", 500),
	strings.Repeat("x", 501), strings.Repeat("a.", 2000),
	nil, true, false, 0.0, 1.0, -1.0, 1e300,
	[]any{},
	[]any{"www.example.com"},
	[]any{"shop.example.com", "\x00"},
	[]any{nil},
	[]any{1.0},
	slices.Repeat([]any{"a.example.com"}, 100),
	map[string]any{},
	map[string]any{"by": "ann"},
}

// fittingValues returns the values that a schema lets through, and those of its enumeration.
func (c *contract) fittingValues(s *openapi3.Schema) []any {
	if known, is := c.fitting[s]; is {
		return known
	}
	var fit []any
	for _, v := range slices.Concat(values, s.Enum) {
		if text, is := v.(string); is && !cert.IsLine(text) && !s.Type.Is("string") {
			continue
		}
		if s.VisitJSON(v, openapi3.EnableJSONSchema2020()) == nil {
			fit = append(fit, v)
		}
	}
	c.fitting[s] = fit
	return fit
}

// generator makes requests of parts that fit the document, most of the time.
type generator struct {
	*contract
	*rand.Rand
}

// one in n times it is true.
func (g generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

// value returns one that the schema lets through, or, now and then, any.
func (g generator) value(s *openapi3.Schema) any {
	if fit := g.fittingValues(s); len(fit) > 0 && !g.oneIn(20) {
		return pick(g, fit...)
	}
	return pick(g, values...)
}

// sample is a request and what was done to it that no schema shows.
type sample struct {
	method, target, body string
	header               http.Header
	op                   *routers.Route
	parameters           map[string]string // of the path

	// no good token, a path or method that the document does not have, and what it says in words is not taken
	unauthorized, elsewhere, refused bool
}

func (g generator) sample() sample {
	op := pick(g, g.operations...)
	s := sample{method: op.Method, op: op, header: http.Header{"Authorization": {"Bearer " + testToken}}, parameters: map[string]string{}}
	query := g.query(&s)
	path := op.Path
	for _, p := range op.PathItem.Parameters {
		text := fmt.Sprint(g.value(p.Value.Schema.Value))
		if g.oneIn(2) {
			text = pick(g, connected...)
		}
		s.parameters[p.Value.Name] = text
		path = strings.ReplaceAll(path, "{"+p.Value.Name+"}", url.PathEscape(text))
		s.elsewhere = s.elsewhere || text == "" || text == "." || text == ".." // segments that no URL holds
	}
	if g.oneIn(30) {
		s.elsewhere = true
		path = pick(
			g,
			"/"+path,
			path+"/",
			path+"//",
			path+"/..",
			"/."+path,
			"/x/.."+path,
			path+"/x",
			path+"%00",
			path+"/%ff",
			"/%2e"+path,
			"/v2"+path,
			strings.ToUpper(path)+"X",
		)
	}
	s.target = path + query
	if op.Operation.RequestBody != nil {
		s.body = g.body(&s, op.Operation.RequestBody.Value.Content.Get("application/json").Schema.Value)
		if s.body != "" {
			s.header.Set("Content-Type", "application/json")
		}
	}
	g.spoil(&s)
	return s
}

// query returns the query, with its question mark.
func (g generator) query(s *sample) string {
	query := url.Values{}
	for _, p := range s.op.Operation.Parameters {
		if p.Value.In == "query" && !g.oneIn(3) {
			text := fmt.Sprint(g.value(p.Value.Schema.Value))
			query.Set(p.Value.Name, text)
			s.refused = s.refused || text == "" || !utf8.ValidString(text) ||
				p.Value.Schema.Value.Type.Is("boolean") && text != "true" && text != "false"
			s.refused = s.refused ||
				s.op.Path == "/v1/cases" && p.Value.Name == "after" && text != "MSB4" // the only one that a page could have given
			if g.oneIn(40) {
				query.Add(p.Value.Name, text)
				s.refused = true
			}
		}
	}
	open := s.op.Operation.Security != nil
	if g.oneIn(40) {
		query.Set(pick(g, "x", "Tenant", "\x00", "\xff", ""), "1")
		s.refused = s.refused || !open
	}
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

// body returns an object of the schema's fields, written as people might write it.
func (g generator) body(s *sample, schema *openapi3.Schema) string {
	var fields []string
	add := func(name string, value any) {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		if raw, is := value.(string); is && !strings.ContainsAny(raw, "\"\\\n\t\x00\x1b") && g.oneIn(2) {
			text = []byte(`"` + raw + `"`) // its bytes as they are
			s.refused = s.refused || !utf8.ValidString(raw)
		}
		fields = append(fields, strconv.Quote(name)+": "+string(text))
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if !slices.Contains(schema.Required, name) && g.oneIn(2) || g.oneIn(40) {
			continue
		}
		value := g.value(schema.Properties[name].Value)
		written := name
		if g.oneIn(40) {
			written = pick(g, strings.ToUpper(name), name+"x", "__proto__")
		}
		add(written, value)
		if g.oneIn(40) {
			add(name, value)
			s.refused = s.refused || written == name
		}
	}
	if len(fields) == 0 && g.oneIn(2) {
		return ""
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// spoil makes one request in a few wrong in a way that no schema describes.
func (g generator) spoil(s *sample) {
	hasBody := s.op.Operation.RequestBody != nil
	switch g.IntN(60) {
	case 0:
		s.unauthorized = true
		s.header.Set("Authorization", pick(g, "", "Bearer", "Bearer x", "Basic "+testToken, "Bearer "+testToken+"x", "bearer\x00"))
	case 1:
		s.method = pick(g, "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "X")
	case 2:
		if hasBody {
			s.header["Content-Type"] = pick(
				g,
				nil,
				[]string{"text/plain"},
				[]string{"application/x-www-form-urlencoded"},
				[]string{"application/json; charset=latin1"},
				[]string{"a/b/c"},
				[]string{"application/json", "text/plain"},
				[]string{"application/problem+json"},
			)
			s.refused = s.refused || s.body != ""
		}
	case 3:
		if hasBody {
			s.body = pick(
				g,
				"null",
				"[]",
				"{",
				`"x"`,
				"\xff",
				"1",
				"{}{}",
				"\x00",
				"\ufeff{}",
				strings.Repeat("[", 20000),
				`{"by": "\u0000"}`,
				`{"by": "`+strings.Repeat("x", 1<<19)+`"}`,
			)
			s.header.Set("Content-Type", "application/json")
			s.refused = true
		}
	case 4:
		if hasBody && g.oneIn(3) {
			s.body = `{"by": "` + strings.Repeat("x", maxBody) + `"}`
			s.refused = true
		}
	case 5:
		s.header.Set("X-Request-Id", pick(g, "abc", "\x00", strings.Repeat("x", 100), "é"))
	}
}

// documentedWorld is an API over domains in every state that changes answers.
func documentedWorld(t *testing.T, g generator) *bundle {
	t.Helper()
	b := setup(t)
	b.log = &bytes.Buffer{}
	handler, err := newHandler(control.New(
		b.store,
		b.workflows,
		cert.NameRules{PlatformNames: []string{"edge.example.net"}},
		cert.Platform{
			ValidationZone: "dcv.example.net",
			Target:         "edge.example.net",
		},
		slog.New(slog.DiscardHandler),
	), testToken, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.handler = handler
	for _, name := range connected {
		b.connected(name)
	}
	noon := b.store.Now()
	seen := checkedWith(nasty, noon)
	for _, name := range []string{"shop.example.com", "live.example.com"} {
		b.store.Checked(name, seen)
	}
	b.store.Record("live.example.com", func(s *cert.Snapshot) {
		s.Status.Certificate, s.Status.HasLive, s.Status.Domain, s.Status.Renewal = cert.CertificateActive, true, cert.DomainActive,
			cert.RenewalScheduled
		s.Serial, s.Issuer, s.NotAfter, s.NextAction, s.NextActionAt, s.NextActor = "0a", "Test CA", noon, nasty, noon, cert.TenantActs
	})
	b.store.Certificates = map[string]cert.Certificate{
		"0a": {Serial: "0a", IssuanceID: "1/1", ChainPEM: []byte("-----BEGIN CERTIFICATE-----\n")},
	}
	b.store.Issuances = map[string]cert.Issuance{"1/1": {CSR: []byte("csr")}}
	b.store.Record("held.example.com", func(s *cert.Snapshot) { s.Status.Escalated = true })
	b.store.Record("gone.example.com", func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	b.workflows.Stop("quiet.example.com")
	b.store.Events = []store.TimelineEntry{{At: noon, Event: cert.Event{Type: cert.DomainConnected, Detail: nasty}}}
	b.store.RecordChanges = []cert.RecordChange{{
		At: noon, Record: seen.Records[0].Record, Server: nasty, Role: cert.Recursive, From: cert.OK, To: cert.Wrong, Found: []string{nasty},
	}}
	for i := range 7 {
		b.store.OpenCases = append(b.store.OpenCases, cert.Case{
			ID: fmt.Sprint(
				"x",
				i,
			), Hostname: "held.example.com", Tenant: "acme", Kind: cert.TooManyFailures, Reason: nasty, Problems: seen.Problems,
			Records:  seen.Records,
			OpenedAt: time.Unix(int64(9-i), 0), Assignee: nasty, Notes: []cert.Note{{Author: nasty, Text: nasty, At: noon}},
		})
	}
	b.workflows.Reply = func(hostname, verb string, _ any) (cert.Answer, error) {
		if verb == workflows.Contest { // answered as if it had looked before: a look would be waited for
			return cert.Answer{MovesAt: noon}, nil
		}
		switch g.IntN(20) {
		case 0:
			return cert.Answer{}, cert.Problem{Code: cert.NoAnswer, Message: nasty, WhoActs: cert.PlatformActs}
		case 1:
			return cert.Answer{}, cert.Problem{Code: cert.Unavailable, Message: nasty, WhoActs: cert.PlatformActs}
		case 2:
			return cert.Answer{}, cert.Problem{
				Code:    cert.RequestRefused,
				Message: nasty,
				WhoActs: cert.TenantActs,
				Record:  &seen.Records[0].Record,
				Found:   nasty,
			}
		case 3, 4, 5:
			b.store.Checked(hostname, seen)
			return cert.Answer{Headline: cert.Pending, Message: nasty, Checking: true, LastCheck: noon.Add(-time.Second)}, nil
		}
		return cert.Answer{Headline: cert.Pending, Message: nasty, NextAction: nasty, NextActionAt: noon}, nil
	}
	return b
}

// checkedWith is a diagnosis with everything in it that one can have, and a text of others in every place for one.
func checkedWith(text string, at time.Time) cert.Diagnosis {
	record := cert.Record{
		Name:     "_acme-challenge.shop.example.com",
		Type:     "CNAME",
		Value:    "x.dcv.example.net",
		Purpose:  cert.ForDelegation,
		Hostname: "shop.example.com",
	}
	return cert.Diagnosis{
		CheckedAt: at, Directory: "https://ca.example/directory", Verdict: cert.Wrong, Ownership: cert.OK, Pointed: cert.Unknown,
		Names: []cert.NameResult{{Name: "shop.example.com", Method: cert.DNS01, Reason: text}},
		Problems: []cert.Problem{
			{Code: cert.CAAForbids, Message: text, Remediation: text, WhoActs: cert.TenantActs, Severity: cert.Warns, Record: &record, Found: text},
		},
		Records: []cert.RecordState{{Record: record, Verdict: cert.Wrong, Found: []string{text}, Seen: []cert.Sighting{
			{Server: text, Role: cert.Authoritative, Verdict: cert.Unknown, Error: text, FirstSeen: at, LastSeen: at, ChangedAt: at},
		}}},
		CAA: []cert.CAAState{
			{CA: "letsencrypt.org", Verdict: cert.Wrong, Record: &cert.Record{Name: "example.com", Type: "CAA", Value: `0 issue "letsencrypt.org"`}},
		},
		Servers: []cert.Nameserver{{Zone: text, Name: text, Address: text, State: "lame", Detail: text}},
	}
}

// TestF24_RandomRequestsAreAnsweredAsTheDocumentSays sends requests that are made from the OpenAPI document, good ones and spoilt ones:
// none is answered with 500, each answer is one that the document describes, nothing is taken that the document does not allow, and
// nothing is refused as malformed that it does.
func TestF24_RandomRequestsAreAnsweredAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"application/pem-certificate-chain", "application/x-pem-file"} {
		openapi3filter.RegisterBodyDecoder(kind, pem)
	}
	requests, seed := requestsByDefault, uint64(1)
	if os.Getenv("EVERCERT_SOAK") != "" { // other requests each time
		requests, seed = 1_000_000, rand.Uint64()
	}
	g := generator{readContract(t), rand.New(rand.NewPCG(seed, 2))} //nolint:gosec // the same requests each time
	b := documentedWorld(t, g)
	answered := map[string]map[int]int{}
	for i := range requests {
		s := g.sample()
		status, err := g.send(t, b, s)
		if err != nil {
			t.Fatalf("request %d of seed %d: %s %.300q %.300q %q\n%d: %v", i, seed, s.method, s.target, s.body, s.header, status, err)
		}
		id := s.op.Operation.OperationID
		if answered[id] == nil {
			answered[id] = map[int]int{}
		}
		if !s.elsewhere {
			answered[id][status]++
		}
	}
	if requests >= 20_000 {
		g.allMet(t, answered)
	}
	t.Logf("%d requests, 0 answers of 500, 0 off the document: %v", requests, answered)
}

// allMet requires that each operation gave each answer that the document has for it.
func (g generator) allMet(t *testing.T, answered map[string]map[int]int) {
	t.Helper()
	for _, op := range g.operations {
		id := op.Operation.OperationID
		for text := range op.Operation.Responses.Map() {
			status, err := strconv.Atoi(text)
			if err == nil && answered[id][status] == 0 && !slices.Contains(notMet, status) && op.Path != "/readyz" {
				t.Errorf("%s never answered %d, which the document has; it answered %v", id, status, answered[id])
			}
		}
	}
}

// notMet are the answers that need a slow line or a fault; other tests have them.
var notMet = []int{http.StatusRequestTimeout, http.StatusInternalServerError}

// send sends a sample, and returns what is wrong with the answer.
func (g generator) send(t *testing.T, b *bundle, s sample) (int, error) {
	t.Helper()
	target, err := url.ParseRequestURI(s.target)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{
		Method: s.method, URL: target, RequestURI: s.target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "api.test", Header: s.header,
		Body: io.NopCloser(strings.NewReader(s.body)), ContentLength: int64(len(s.body)),
	}
	r = r.WithContext(t.Context())
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	safeAnswer(t, w)
	op, known := g.operation(s)
	switch {
	case s.elsewhere:
		return w.Code, g.isProblem(w, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed,
			http.StatusUnauthorized, http.StatusUnprocessableEntity) // /v1/domains and /x are the path of a domain
	case !known && !cert.IsLine(target.Path):
		return w.Code, g.isProblem(w, http.StatusBadRequest)
	case !known:
		if allow, want := strings.Split(w.Header().Get("Allow"), ", "), g.methods(s.op.PathItem); !slices.Equal(allow, want) {
			return w.Code, fmt.Errorf("Allow has %q, the path knows %q", allow, want)
		}
		return w.Code, g.isProblem(w, http.StatusMethodNotAllowed)
	}
	if err := g.judge(r, op, w); err != nil {
		return w.Code, err
	}
	return w.Code, g.verdict(r, s, op, w.Code)
}

// verdict requires that a request was taken, or refused, as the document has it.
func (g generator) verdict(r *http.Request, s sample, op *routers.Route, status int) error {
	open := op.Operation.Security != nil
	fits := g.fits(r, s.body, op, s.parameters)
	switch {
	case status == http.StatusInternalServerError:
		return fmt.Errorf("a fault")
	case open:
		return nil
	case !cert.IsLine(r.URL.Path):
		return wants(status, http.StatusBadRequest)
	case s.unauthorized:
		return wants(status, http.StatusUnauthorized)
	case s.refused || fits != nil:
		if op != s.op { // another method of the path, which takes other things
			return nil
		}
		return wants(
			status,
			http.StatusBadRequest,
			http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType,
			http.StatusUnprocessableEntity,
		)
	case status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusUnsupportedMediaType ||
		status == http.StatusRequestEntityTooLarge:
		if op != s.op {
			return nil
		}
		return fmt.Errorf("the document allows it")
	}
	return nil
}

func wants(status int, of ...int) error {
	if !slices.Contains(of, status) {
		return fmt.Errorf("the document does not allow it; wants one of %v", of)
	}
	return nil
}

// operation returns the operation that a sample's method leads to.
func (g generator) operation(s sample) (*routers.Route, bool) {
	method := s.method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	at := slices.IndexFunc(g.operations, func(op *routers.Route) bool { return op.Path == s.op.Path && op.Method == method })
	if at < 0 {
		return nil, false
	}
	return g.operations[at], true
}

// methods are those that a path knows, as the header Allow has them.
func (g generator) methods(item *openapi3.PathItem) (methods []string) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
		if item.GetOperation(method) != nil || method == "HEAD" && item.Get != nil {
			methods = append(methods, method)
		}
	}
	return methods
}

// isProblem requires a problem document with one of the statuses.
func (g generator) isProblem(w *httptest.ResponseRecorder, statuses ...int) error {
	if kind := w.Header().Get("Content-Type"); kind != "application/problem+json" || w.Code >= 500 {
		return fmt.Errorf("%s %s", kind, w.Body)
	}
	var document any
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		return err
	}
	if err := wants(w.Code, statuses...); err != nil {
		return err
	}
	return g.document.Components.Schemas["ProblemDocument"].Value.VisitJSON(document, openapi3.EnableJSONSchema2020())
}
