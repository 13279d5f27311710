package lookup

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzReply feeds messages that a resolver might send. Following them must end, and what is shown of them must stay small.
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
		_ = noAnswer(m)
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeCAA} {
			a := Answer{Name: "shop.example.com."}
			a.extend(m, qtype)
			if len(a.Aliases) > MaxAliases {
				t.Errorf("followed %d aliases", len(a.Aliases))
			}
			size := 0
			for _, found := range a.Text() {
				size += len(found)
			}
			if size > 2*maxTexts*maxTextLength {
				t.Errorf("lists %d bytes", size)
			}
			Addresses{A: a}.All()
			a.Texts()
		}
	})
}
