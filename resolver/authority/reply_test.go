package authority_test

import (
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// TestReferral_LeadsDownTowardsTheName whether or not the AA bit is set.
func TestReferral_LeadsDownTowardsTheName(t *testing.T) {
	t.Parallel()
	const zone, name = "example.com.", "_evercert.shop.example.com."
	for _, c := range []struct {
		record string // in the authority section
		refers bool
		to     string
		change func(m *dns.Msg)
	}{
		{record: "shop.example.com. NS ns.example.net.", refers: true, to: "shop.example.com."},
		{record: "_evercert.shop.example.com. NS ns.example.net.", refers: true, to: name},
		{record: "example.com. NS ns.example.net.", refers: true},
		{record: "com. NS ns.example.net.", refers: true},
		{record: ". NS ns.example.net.", refers: true},
		{record: "www.example.com. NS ns.example.net.", refers: true},
		{record: "shop.example.com. DS 1 13 2 00"},
		{record: "shop.example.com. NS ns.example.net.", change: func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }},
		{record: "shop.example.com. NS ns.example.net.", change: func(m *dns.Msg) { m.Answer = m.Ns }},
		{record: "shop.example.com. NS ns.example.net.", change: func(m *dns.Msg) {
			m.Ns = append(m.Ns,
				&dns.SOA{Hdr: dns.RR_Header{Rrtype: dns.TypeSOA}})
		}},
	} {
		for _, aa := range []bool{false, true} {
			m := new(dns.Msg).SetQuestion(name, dns.TypeTXT)
			rr, err := dns.NewRR(c.record)
			require.NoError(t, err)
			if m.Authoritative, m.Ns = aa, []dns.RR{rr}; c.change != nil {
				c.change(m)
			}
			require.Equal(t, c.refers, authority.Refers(m), m)
			require.Equal(t, c.to, authority.Referral(m, zone, name), m)
		}
	}
}
