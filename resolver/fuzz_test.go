package resolver

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// FuzzCAAProperty feeds what strangers may put into an issue record. A record that doesn't name our CA must never let it issue.
func FuzzCAAProperty(f *testing.F) {
	for _, value := range []string{
		"", ";", "letsencrypt.org", " letsencrypt.org ; a=b", "letsencrypt.org; accounturi=https://ca.example/acct/1", "letsencrypt.org;;",
		"letsencrypt.org; validationmethods=dns-01,http-01", "letsencrypt.org; validationmethods=", "letsencrypt.org; =", "pki.goog\x00letsencrypt.org",
	} {
		f.Add(value)
	}
	request := caaRequest{ca: cert.CAIdentity{Name: "letsencrypt", Domains: []string{"letsencrypt.org"}, AccountURI: "https://ca.example/acct/1"}, method: cert.DNS01}
	f.Fuzz(func(t *testing.T, value string) {
		p, ok := parseProperty(value)
		if ok {
			again, ok := parseProperty(written(p))
			if !ok || written(again) != written(p) {
				t.Errorf("%q reads as %v, which reads as %v", value, p, again)
			}
		}
		set := caaSet{owner: "example.com", records: []*dns.CAA{{Tag: "issue", Value: value}}}
		refusal := set.judge(request)
		if refusal == permitted && !strings.HasPrefix(strings.ToLower(trimBlanks(value)), "letsencrypt.org") {
			t.Errorf("%q lets a CA issue that it doesn't name", value)
		}
		if refusal == permitted {
			return
		}
		remedy := set.remedy("shop.example.com", request, refusal)
		rr, err := dns.NewRR(remedy.Name + ". CAA " + remedy.Value)
		if err != nil {
			t.Fatalf("the remedy %q is no record: %v", remedy.Value, err)
		}
		set.records = append(set.records, rr.(*dns.CAA))
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

// FuzzReply feeds messages that a resolver might send. Following them must end, and what is told of them must stay small.
func FuzzReply(f *testing.F) {
	for _, zone := range []string{
		"shop.example.com. 60 CNAME shops.platform.net.\nshops.platform.net. 60 A 192.0.2.10",
		"shop.example.com. 60 CNAME a.example.com.\na.example.com. 60 CNAME shop.example.com.",
		`shop.example.com. 60 CAA 0 issue "letsencrypt.org"`,
		`shop.example.com. 60 TXT "evercert-tenant=abc" "def"`,
	} {
		m := new(dns.Msg).SetQuestion("shop.example.com.", dns.TypeA)
		for line := range strings.Lines(zone) {
			rr, err := dns.NewRR(line)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		m := new(dns.Msg)
		if err := m.Unpack(packet); err != nil {
			return
		}
		_ = refusal(m)
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeCAA} {
			a := answer{asked: "shop.example.com."}
			a.extend(m, qtype)
			if len(a.aliases) > maxAliases {
				t.Errorf("followed %d aliases", len(a.aliases))
			}
			size := 0
			for _, found := range a.tell() {
				size += len(found)
			}
			if size > 2*maxFound*maxFoundLength {
				t.Errorf("tells %d bytes", size)
			}
			addressesOf(a.records)
			texts(a.records)
			newCAASet("shop.example.com", a, nil)
		}
	})
}
