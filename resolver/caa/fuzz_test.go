package caa

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// FuzzProperty feeds what strangers may put into an issue record. A record that doesn't name a CA must never let it issue, a value reads
// the same when it is written again, and the remedy always helps.
func FuzzProperty(f *testing.F) {
	for _, value := range []string{
		"", ";", "letsencrypt.org", " letsencrypt.org ; a=b", "letsencrypt.org; accounturi=https://letsencrypt.org/acct/1", "letsencrypt.org;;",
		"letsencrypt.org; validationmethods=dns-01,http-01", "letsencrypt.org; validationmethods=", "letsencrypt.org; =",
		"pki.goog\x00letsencrypt.org",
		"LetsEncrypt.org; AccountURI=a", "pki.goog; a-b=c", "PKI.goog; -=c",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, ca := range []cert.CAIdentity{letsEncrypt, google} {
			p := profileOf(ca)
			if read, ok := p.parse(value); ok {
				if again, ok := p.parse(written(read)); !ok || written(again) != written(read) {
					t.Errorf("%q reads as %v, which reads as %v", value, read, again)
				}
			}
			request := Request{CA: ca, Method: cert.DNS01}
			set := Set{Owner: "example.com", Answer: Answer{Records: []*dns.CAA{{Tag: "issue", Value: value}}}}
			if set.judge(request, p) == permitted {
				if !strings.HasPrefix(strings.ToLower(trimBlanks(value)), ca.Domains[0]) {
					t.Errorf("%q lets %s issue, which it doesn't name", value, ca.Domains[0])
				}
				continue
			}
			want := Problem("shop.example.com", []Set{set}, request).Record
			rr, err := dns.NewRR(want.Name + ". CAA " + want.Value)
			if err != nil {
				t.Fatalf("the remedy %q is no record: %v", want.Value, err)
			}
			set.Records = append(set.Records, rr.(*dns.CAA))
			if set.judge(request, p) != permitted {
				t.Errorf("with %q beside %q the CA may still not issue", want.Value, value)
			}
		}
	})
}

// written is a property as a record holds it.
func written(p property) string {
	parts := []string{p.issuer}
	for _, parameter := range p.parameters {
		parts = append(parts, parameter.tag+"="+parameter.value)
	}
	return strings.Join(parts, ";")
}
