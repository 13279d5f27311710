package main

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/drawn"
)

type document struct {
	OpenAPI    string
	Paths      map[string]map[string]json.RawMessage
	Components map[string]map[string]json.RawMessage
}

func readDocument(t *testing.T) (document, []byte) {
	t.Helper()
	raw, err := openAPIDocument()
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d, raw
}

func TestOpenAPIDescribesEveryRouteAndNoOther(t *testing.T) {
	t.Parallel()
	d, _ := readDocument(t)
	var described, served, open []string
	for path, methods := range d.Paths {
		for method, operation := range methods {
			if method == "parameters" {
				continue
			}
			line := strings.ToUpper(method) + " " + path
			described = append(described, line)
			if strings.Contains(string(operation), `"security":[]`) {
				open = append(open, line)
			}
		}
	}
	var servedOpen []string
	for _, r := range routes {
		line := r.method + " " + strings.ReplaceAll(r.path, "{$}", "")
		served = append(served, line)
		if r.open {
			servedOpen = append(servedOpen, line)
		}
	}
	for _, list := range [][]string{described, served, open, servedOpen} {
		slices.Sort(list)
	}
	if !slices.Equal(described, served) {
		t.Errorf("described %q\nserved    %q", described, served)
	}
	if !slices.Equal(open, servedOpen) {
		t.Errorf("described as open %q\nserved without a token %q", open, servedOpen)
	}
	if d.OpenAPI != "3.1.0" {
		t.Errorf("version %q", d.OpenAPI)
	}
}

func TestOpenAPIReferencesLeadSomewhere(t *testing.T) {
	t.Parallel()
	d, raw := readDocument(t)
	used := map[string]bool{}
	for _, part := range strings.Split(string(raw), `"$ref":`)[1:] {
		reference := strings.Split(part, `"`)[1]
		used[reference] = true
		path := strings.Split(strings.TrimPrefix(reference, "#/components/"), "/")
		if len(path) != 2 || d.Components[path[0]][path[1]] == nil {
			t.Errorf("%s leads nowhere", reference)
		}
	}
	for kind, components := range d.Components {
		for name := range components {
			if reference := "#/components/" + kind + "/" + name; !used[reference] && kind != "securitySchemes" {
				t.Errorf("nothing refers to %s", reference)
			}
		}
	}
}

func TestOpenAPISchemasHaveTheFieldsThatAreSent(t *testing.T) {
	t.Parallel()
	d, _ := readDocument(t)
	for name, sent := range map[string]reflect.Type{
		"Domain": reflect.TypeFor[control.Domain](), "Certificate": reflect.TypeFor[control.Certificate](),
		"Status":    reflect.TypeFor[cert.Status](),
		"DNSRecord": reflect.TypeFor[cert.Record](), "Problem": reflect.TypeFor[cert.Problem](),
		"ProblemDocument": reflect.TypeFor[problemDocument](), "Answer": reflect.TypeFor[cert.Answer](),
		"Event": reflect.TypeFor[control.Event](),
		"Case":  reflect.TypeFor[cert.Case](), "Diagnosis": reflect.TypeFor[cert.Diagnosis](),
		"RecordState": reflect.TypeFor[cert.RecordState](), "Sighting": reflect.TypeFor[cert.Sighting](),
		"Change": reflect.TypeFor[cert.RecordChange](),
		"CAA":    reflect.TypeFor[cert.CAAState](), "Connected": reflect.TypeFor[control.Result](),
		"Nameserver": reflect.TypeFor[cert.Nameserver](),
		"NameResult": reflect.TypeFor[cert.NameResult](),
	} {
		var schema struct{ Properties map[string]any }
		if err := json.Unmarshal(d.Components["schemas"][name], &schema); err != nil {
			t.Fatal(err)
		}
		described := slices.Sorted(maps.Keys(schema.Properties))
		if fields := jsonFields(sent); !slices.Equal(described, fields) {
			t.Errorf("%s: described %q, sent %q", name, described, fields)
		}
	}
}

func TestOpenAPIKnowsEveryHeadline(t *testing.T) {
	t.Parallel()
	d, _ := readDocument(t)
	var schema struct{ Enum []cert.Headline }
	if err := json.Unmarshal(d.Components["schemas"]["Headline"], &schema); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(schema.Enum, control.Headlines) {
		t.Errorf("described %q, known %q", schema.Enum, control.Headlines)
	}
}

// TestF2_OpenAPIHasEveryWordThatIsSent: the values that the document allows are those that package cert declares.
func TestF2_OpenAPIHasEveryWordThatIsSent(t *testing.T) {
	t.Parallel()
	d, _ := readDocument(t)
	for place, typeName := range map[string]string{
		"Headline": "Headline", "Status.domain": "DomainStatus", "Status.certificate": "CertificateStatus", "Status.renewal": "RenewalStatus",
		"Domain.next_actor": "Actor", "Problem.who_acts": "Actor", "ProblemDocument.who_acts": "Actor", "Problem.severity": "Severity",
		"Verb":    "Verb",
		"Verdict": "Verdict", "ServerRole": "ServerRole", "RecordState.state": "RecordWord", "DNSRecord.purpose": "Purpose",
		"NameResult.method": "Method",
		"Nameserver.state":  "ServerState", "Case.kind": "CaseKind",
	} {
		name, field, inside := strings.Cut(place, ".")
		var schema struct {
			Enum       []string
			Properties map[string]struct{ Enum []string }
		}
		if err := json.Unmarshal(d.Components["schemas"][name], &schema); err != nil {
			t.Fatal(place, err)
		}
		described := schema.Enum
		if inside {
			described = schema.Properties[field].Enum
		}
		described = slices.DeleteFunc(described, func(s string) bool { return s == "" }) // where a value may be absent
		declared := drawn.Constants(t, "../cert", typeName)
		slices.Sort(described)
		slices.Sort(declared)
		if !slices.Equal(described, declared) {
			t.Errorf("%s: described %q, declared as %s %q", place, described, typeName, declared)
		}
	}
}

func TestF2_OpenAPIListsEveryProblemCode(t *testing.T) {
	t.Parallel()
	d, _ := readDocument(t)
	var schema struct{ Examples []string }
	if err := json.Unmarshal(d.Components["schemas"]["Code"], &schema); err != nil {
		t.Fatal(err)
	}
	if declared := drawn.Constants(t, "../cert", "Code"); !slices.Equal(schema.Examples, declared) {
		t.Errorf("described %q, declared %q", schema.Examples, declared)
	}
}

// TestF2_EachVerbHasARoute: what a problem leads to can be done over the API.
func TestF2_EachVerbHasARoute(t *testing.T) {
	t.Parallel()
	for _, v := range cert.Verbs {
		if v == cert.Repeat {
			continue
		}
		if !slices.ContainsFunc(routes, func(r route) bool { return r.method+" "+r.path == v.Route() }) {
			t.Errorf("%s: there is no route %s", v, v.Route())
		}
	}
}

// jsonFields lists the names of a struct's fields in JSON, those of embedded structs too.
func jsonFields(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			names = append(names, jsonFields(f.Type)...)
			continue
		}
		if name != "-" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestF24_OpenAPITellsWhichTextsAreTaken: the pattern and the bounds are those that the API checks.
func TestF24_OpenAPITellsWhichTextsAreTaken(t *testing.T) {
	t.Parallel()
	d, _ := readDocument(t)
	for name, bound := range map[string]int{"By": cert.MaxBy, "Reason": cert.MaxReason} {
		var schema struct {
			MaxLength int
			Pattern   string
		}
		if err := json.Unmarshal(d.Components["schemas"][name], &schema); err != nil {
			t.Fatal(err)
		}
		if schema.MaxLength != bound {
			t.Errorf("%s: %d characters, and %d are taken", name, schema.MaxLength, bound)
		}
		pattern := regexp.MustCompile(regexp.MustCompile(`\\u([0-9a-f]{4})`).ReplaceAllString(schema.Pattern, `\x{$1}`))
		for r := range rune(0x3000) {
			if text := "a" + string(r); pattern.MatchString(text) != cert.IsLine(text) {
				t.Errorf("%s: %q fits the pattern: %v; it is taken: %v", name, text, pattern.MatchString(text), cert.IsLine(text))
			}
		}
	}
}
