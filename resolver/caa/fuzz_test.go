package caa

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// FuzzProperty feeds what strangers may put into an issue record. A record that doesn't name our CA must never let it issue.
func FuzzProperty(f *testing.F) {
	for _, value := range []string{
		"", ";", "letsencrypt.org", " letsencrypt.org ; a=b", "letsencrypt.org; accounturi=https://ca.example/acct/1", "letsencrypt.org;;",
		"letsencrypt.org; validationmethods=dns-01,http-01", "letsencrypt.org; validationmethods=", "letsencrypt.org; =", "pki.goog\x00letsencrypt.org",
	} {
		f.Add(value)
	}
	request := Request{CA: cert.CAIdentity{Name: "letsencrypt", Domains: []string{"letsencrypt.org"}, AccountURI: "https://ca.example/acct/1"}, Method: cert.DNS01}
	f.Fuzz(func(t *testing.T, value string) {
		p, ok := parseProperty(value)
		if ok {
			again, ok := parseProperty(written(p))
			if !ok || written(again) != written(p) {
				t.Errorf("%q reads as %v, which reads as %v", value, p, again)
			}
		}
		set := Set{Owner: "example.com", Answer: Answer{Records: []*dns.CAA{{Tag: "issue", Value: value}}}}
		refused := set.judge(request)
		if refused == permitted && !strings.HasPrefix(strings.ToLower(trimBlanks(value)), "letsencrypt.org") {
			t.Errorf("%q lets a CA issue that it doesn't name", value)
		}
		if refused == permitted {
			return
		}
		remedy := set.remedy("shop.example.com", request, refused)
		rr, err := dns.NewRR(remedy.Name + ". CAA " + remedy.Value)
		if err != nil {
			t.Fatalf("the remedy %q is no record: %v", remedy.Value, err)
		}
		set.Records = append(set.Records, rr.(*dns.CAA))
		if set.judge(request) != permitted {
			t.Errorf("with %q beside %q the CA may still not issue", remedy.Value, value)
		}
	})
}

// written is a property as a record holds it, its parameters sorted.
func written(p property) string {
	var parts []string
	for tag, values := range p.parameters {
		for _, value := range values {
			parts = append(parts, tag+"="+value)
		}
	}
	return strings.Join(append([]string{p.issuer}, slices.Sorted(slices.Values(parts))...), ";")
}
