package cert_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/evercert/evercert/cert"
)

// FuzzParse holds Parse to its promise: a name that it returns is in the one form that everything else relies on, and
// what it refuses comes with words for people.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", ".", "www.example.com", "Bücher.Example.com.", "xn--bcher-kva.de", "XN--BCHER-KVA.de", "faß.de", "例え。jp", "אב.com", "i❤.ws",
		"https://example.com/", "a@example.com", "192.0.2.1", "[2001:db8::1]:443", "co.uk", "github.io", "a_b.example.com", "-a-.com", "a..b.com",
		"*.example.com", "m.store.shops.example.net", "x.shops.example.net", "shop.ready.test", "xn--.com", "ab--cd.com", "STRAẞE.de", "x.onion",
		"1.2.3.4.in-addr.arpa", "a\u00adb.com", "K.com",
		"xn--a.com", "\u00ad.com", "a\u200db.com", "0\xa7.AC", long(237), long(238), long(253), long(254),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		name, err := rules.Parse(input)
		if err != nil {
			var p cert.Problem
			if !errors.As(err, &p) || p.Code == "" || p.Message == "" || p.Remediation == "" || p.WhoActs != cert.TenantActs {
				t.Fatalf("a refusal without words: %#v", err)
			}
			if n := utf8.RuneCountInString(p.Message); n > 2000 {
				t.Fatalf("a message of %d characters", n)
			}
			return
		}
		for _, c := range name {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
				t.Fatalf("%q is kept with %q in it", name, c)
			}
		}
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") || !strings.Contains(name, ".") {
			t.Fatalf("%q has a dot too many or too few", name)
		}
		for _, r := range platform.ExpectedRecords(cert.Domain{Hostname: name, Names: []string{name}, Tenant: "acme"}, secret) {
			if len(r.Name) > 253 {
				t.Fatalf("the record %q is longer than DNS allows", r.Name)
			}
		}
		if again, err := rules.Parse(name); err != nil || again != name {
			t.Fatalf("%q becomes %q, %v", name, again, err)
		}
		if shown, err := rules.Parse(cert.Unicode(name)); err != nil || shown != name {
			t.Fatalf("%q, shown as %q, becomes %q, %v", name, cert.Unicode(name), shown, err)
		}
	})
}
