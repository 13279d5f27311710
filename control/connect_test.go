package control_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/control/controltest"
)

var (
	rules = cert.NameRules{
		PlatformSuffix: "shops.example.net", PlatformNames: []string{"dcv.example.net", "edge.example.net"},
		ReservedLabels: []string{"m", "skin"}, TestSuffixes: []string{"ready.test"},
	}
	platform = cert.Platform{ValidationZone: "dcv.example.net", Target: "edge.example.net", Addresses: []string{"203.0.113.7", "2001:db8::7"}}
)

type bundle struct {
	*control.Control
	store     *controltest.Store
	workflows *controltest.Workflows
}

func setup(t *testing.T) bundle {
	t.Helper()
	b := bundle{store: controltest.NewStore(), workflows: &controltest.Workflows{}}
	b.Control = control.New(b.store, b.workflows, rules, platform, slog.New(slog.DiscardHandler))
	return b
}

// connected connects a domain and lets its workflow have recorded something.
func (b bundle) connected(t *testing.T, hostname string, also ...string) {
	t.Helper()
	if _, err := b.Connect(t.Context(), control.Connection{Hostname: hostname, Also: also, Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	if err := b.workflows.Start(t.Context(), cert.Domain{Hostname: hostname}); err != nil {
		t.Fatal(err)
	}
	b.store.Record(hostname, func(*cert.Snapshot) {})
}

func code(t *testing.T, err error) cert.Code {
	t.Helper()
	var p cert.Problem
	if !errors.As(err, &p) {
		t.Fatalf("%v is no problem that a person could read", err)
	}
	return p.Code
}

func TestA1_ConnectingClaimsTheNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := b.Connect(
		t.Context(),
		control.Connection{Hostname: "Shop.Example.com.", Also: []string{"SHOP.example.org", "shop.example.com"}, Tenant: "acme"},
	)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Created || r.Hostname != "shop.example.com" || r.Headline != cert.Pending ||
		!slices.Equal(r.Names, []string{"shop.example.com", "shop.example.org"}) {
		t.Errorf("got %+v", r)
	}
	for _, name := range r.Names {
		if d, err := b.Status(t.Context(), name); err != nil || d.Hostname != r.Hostname {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func TestD1_ConnectingTellsTheRecordsToAdd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := b.Connect(t.Context(), control.Connection{Hostname: "example.com", Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, record := range r.Records {
		lines = append(lines, string(record.Purpose)+" "+record.Name+" "+record.Type)
	}
	want := []string{
		"ownership _evercert.example.com TXT",
		"delegation _acme-challenge.example.com CNAME",
		"address example.com A",
		"address example.com AAAA",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q", lines)
	}
	if !strings.HasSuffix(r.Records[1].Value, ".dcv.example.net") {
		t.Errorf("the delegation leads to %s", r.Records[1].Value)
	}
}

func TestConnectingAnIDNKeepsALabelsAndShowsUnicode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := b.Connect(t.Context(), control.Connection{Hostname: "Bücher.Example.com", Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Hostname != "xn--bcher-kva.example.com" || r.UnicodeName != "bücher.example.com" {
		t.Errorf("kept as %s, shown as %s", r.Hostname, r.UnicodeName)
	}
	if d, err := b.Status(t.Context(), "BÜCHER.example.com."); err != nil || d.Hostname != r.Hostname {
		t.Errorf("looked up in Unicode: %+v, %v", d, err)
	}
}

func TestConnectingTwiceIsConnectingOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	want := control.Connection{Hostname: "shop.example.com", Tenant: "acme"}
	if r, err := b.Connect(t.Context(), want); err != nil || r.Created {
		t.Errorf("the second time: created %t, %v", r.Created, err)
	}
	if n, asked := b.store.Len(), b.workflows.Asked(); n != 1 || len(asked) != 0 {
		t.Errorf("%d domains; asked of its workflow: %q", n, asked)
	}

	b.workflows.Stop("shop.example.com")
	if r, err := b.Connect(t.Context(), want); err != nil || r.Created {
		t.Errorf("the third time: created %t, %v", r.Created, err)
	}
	resumed := []string{"resume shop.example.com: its workflow was not running when somebody connected it again"}
	if running, asked := b.workflows.Running(), b.workflows.Asked(); len(running) != 1 || !slices.Equal(asked, resumed) {
		t.Errorf("F22: running %v after %q", running, asked)
	}

	b.workflows.Stop("shop.example.com")
	b.workflows.SetDown(true)
	if _, err := b.Connect(t.Context(), want); err != nil {
		t.Errorf("connecting needs no Temporal: %v", err)
	}
}

func TestTheOtherHalfOfAPairIsHintedAtAndNeverAdded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hostname, hint string
		also           []string
	}{
		{hostname: "example.com", hint: "www.example.com is not included"},
		{hostname: "www.example.com", hint: "example.com is not included"},
		{
			hostname: strings.Repeat(strings.Repeat("a", 59)+".", 4) + "com",
			hint:     strings.Repeat(strings.Repeat("a", 59)+".", 4) + "com has 243 characters",
		},
		{hostname: "www.bücher.de", hint: "bücher.de is not included"},
		{hostname: "example.com", also: []string{"www.example.com"}},
		{hostname: "shop.example.com"},
	} {
		b := setup(t)
		r, err := b.Connect(t.Context(), control.Connection{Hostname: c.hostname, Also: c.also, Tenant: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(r.Hint, c.hint) || (c.hint == "") != (r.Hint == "") || len(r.Names) != 1+len(c.also) {
			t.Errorf("%s with %v: hint %q, names %v", c.hostname, c.also, r.Hint, r.Names)
		}
	}
}

func TestBadInputCreatesNothing(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	var many []string
	for i := range 100 {
		many = append(many, strings.Repeat("b", i%50+1)+strings.Repeat("c", i/50)+".example.com")
	}
	cases := []struct {
		name  string
		want  control.Connection
		code  cert.Code
		shows string // in the message: what was typed, or what is wrong with it
	}{
		{"empty", control.Connection{Tenant: "acme"}, cert.NameInvalid, "empty"},
		{"IPv4", control.Connection{Hostname: "192.0.2.1", Tenant: "acme"}, cert.NameInvalid, "192.0.2.1"},
		{"IPv6", control.Connection{Hostname: "[2001:db8::1]", Tenant: "acme"}, cert.NameInvalid, "IP address"},
		{"URL", control.Connection{Hostname: "https://shop.example.com/", Tenant: "acme"}, cert.NameInvalid, "https://shop.example.com/"},
		{"wildcard", control.Connection{Hostname: "*.example.com", Tenant: "acme"}, cert.NameInvalid, "wildcard"},
		{"long label", control.Connection{Hostname: long + ".example.com", Tenant: "acme"}, cert.NameInvalid, "64 characters"},
		{
			"long name",
			control.Connection{Hostname: strings.Repeat("abcdefgh.", 28) + "example.com", Tenant: "acme"},
			cert.NameInvalid,
			"263 characters long",
		},
		{"underscore", control.Connection{Hostname: "my_shop.example.com", Tenant: "acme"}, cert.NameInvalid, "underscore"},
		{"two dots", control.Connection{Hostname: "shop..example.com", Tenant: "acme"}, cert.NameInvalid, "two dots"},
		{"no dot", control.Connection{Hostname: "localhost", Tenant: "acme"}, cert.NameInvalid, "localhost"},
		{"public suffix", control.Connection{Hostname: "co.uk", Tenant: "acme"}, cert.DomainNotAllowed, "co.uk"},
		{"registry's suffix", control.Connection{Hostname: "hokkaido.jp", Tenant: "acme"}, cert.DomainNotAllowed, "hokkaido.jp"},
		{"unknown suffix", control.Connection{Hostname: "shop.internal", Tenant: "acme"}, cert.DomainNotAllowed, "internal"},
		{"platform suffix", control.Connection{Hostname: "SHOPS.example.net", Tenant: "acme"}, cert.NameReserved, "shops.example.net"},
		{"platform domain", control.Connection{Hostname: "mine.shops.example.net", Tenant: "acme"}, cert.NameReserved, "mine.shops.example.net"},
		{"reserved label", control.Connection{Hostname: "m.mine.shops.example.net", Tenant: "acme"}, cert.NameReserved, `"m"`},
		{
			"two labels deep",
			control.Connection{Hostname: "a.mine.shops.example.net", Tenant: "acme"},
			cert.NameTooDeep,
			"a.mine.shops.example.net",
		},
		{"the edge", control.Connection{Hostname: "edge.example.net", Tenant: "acme"}, cert.NameReserved, "edge.example.net"},
		{"in the validation zone", control.Connection{Hostname: "x.dcv.example.net", Tenant: "acme"}, cert.NameReserved, "x.dcv.example.net"},
		{
			"a further name",
			control.Connection{Hostname: "shop.example.com", Also: []string{"10.0.0.1"}, Tenant: "acme"},
			cert.NameInvalid,
			"10.0.0.1",
		},
		{
			"a further name of another tenant",
			control.Connection{Hostname: "new.example.com", Also: []string{"taken.example.com"}, Tenant: "acme"},
			cert.NameTaken,
			"taken.example.com",
		},
		{"another tenant's", control.Connection{Hostname: "Taken.example.com.", Tenant: "acme"}, cert.NameTaken, "taken.example.com"},
		{"no tenant", control.Connection{Hostname: "shop.example.com"}, cert.RequestMalformed, "tenant"},
		{"tenant in upper case", control.Connection{Hostname: "shop.example.com", Tenant: "ACME"}, cert.RequestMalformed, "ACME"},
		{"tenant with a slash", control.Connection{Hostname: "shop.example.com", Tenant: "a/b"}, cert.RequestMalformed, "a/b"},
		{"long tenant", control.Connection{Hostname: "shop.example.com", Tenant: long}, cert.RequestMalformed, long},
		{"too many names", control.Connection{Hostname: "shop.example.com", Also: many, Tenant: "acme"}, cert.RequestMalformed, "101 names"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if _, err := b.Connect(t.Context(), control.Connection{Hostname: "taken.example.com", Tenant: "other"}); err != nil {
				t.Fatal(err)
			}
			_, err := b.Connect(t.Context(), c.want)
			if got := code(t, err); got != c.code {
				t.Fatalf("got %s (%v), want %s", got, err, c.code)
			}
			p := cert.AsProblem(err)
			if !strings.Contains(p.Message, c.shows) || p.WhoActs == "" {
				t.Errorf("%+v does not say %q, or who acts", p, c.shows)
			}
			if n := b.store.Len(); n != 1 {
				t.Errorf("half-created: %d domains", n)
			}
		})
	}
}
