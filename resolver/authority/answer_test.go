package authority_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// TestCheckZone_OneBadServer: resolvers ask the next server when one has stale signatures, so the zone works.
func TestCheckZone_OneBadServer(t *testing.T) {
	t.Parallel()
	c := newChain(t, dns.ECDSAP256SHA256, nil)
	c.zone("test.", "example.test. NS ns1.example.test.\nexample.test. NS ns2.example.test.\nns1.example.test. A $4\nns2.example.test. A $5\n"+c.tenant.ds(), 2).signedBy(c.registry)
	c.zone("example.test.", signedZone, 5).signedBy(c.tenant)
	c.zone("example.test.", signedZone, 4).signed(signing{
		published: []*key{c.tenant}, signers: []*key{c.tenant}, from: today.Add(-48 * time.Hour), to: today.Add(-time.Hour),
	})
	tree, z, v := c.check(t, "example.test")
	require.Equal(t, authority.Secure, v.Security, v.Detail)
	for i, want := range []authority.Security{authority.Bogus, authority.Secure} {
		m, err := tree.Ask(c.context(), z, i, "example.test", dns.TypeTXT)
		require.NoError(t, err)
		require.Equal(t, want, tree.CheckAnswer(v, m).Security)
	}
}

func TestCheckAnswer(t *testing.T) {
	t.Parallel()
	spoilt := func(rrtype uint16, how func(*dns.RRSIG) bool) func([]dns.RR, *dns.RRSIG) bool {
		return func(set []dns.RR, s *dns.RRSIG) bool {
			return set[0].Header().Rrtype != rrtype || how(s)
		}
	}
	left := func(*dns.RRSIG) bool { return false }
	for _, row := range []struct {
		name     string
		question string
		qtype    uint16
		spoil    func([]dns.RR, *dns.RRSIG) bool
		noNSEC   bool
		twist    func(*dns.Msg, string) *dns.Msg
		security authority.Security
		fault    authority.SignatureFault
	}{
		{name: "records", question: "example.test.", qtype: dns.TypeTXT, security: authority.Secure},
		{name: "alias", question: "www.example.test.", qtype: dns.TypeTXT, security: authority.Secure},
		{name: "wildcard", question: "x.y.wild.example.test.", qtype: dns.TypeTXT, security: authority.Secure},
		{name: "no such type", question: "example.test.", qtype: dns.TypeCAA, security: authority.Secure},
		{name: "no such name", question: "nothing.example.test.", qtype: dns.TypeCAA, security: authority.Secure},
		{name: "not signed", question: "example.test.", qtype: dns.TypeTXT, spoil: spoilt(dns.TypeTXT, left), security: authority.Bogus, fault: authority.NotSigned},
		{name: "alias not signed", question: "www.example.test.", qtype: dns.TypeTXT, spoil: spoilt(dns.TypeCNAME, left), security: authority.Bogus, fault: authority.NotSigned},
		{
			name: "expired", question: "example.test.", qtype: dns.TypeTXT, security: authority.Bogus, fault: authority.Expired,
			spoil: spoilt(dns.TypeTXT, func(s *dns.RRSIG) bool { s.Expiration = uint32(today.Unix()) - 1; return true }),
		},
		{
			name: "changed after signing", question: "example.test.", qtype: dns.TypeTXT, security: authority.Bogus, fault: authority.InvalidSignature,
			twist: func(m *dns.Msg, _ string) *dns.Msg {
				if m.Question[0].Qtype == dns.TypeTXT {
					m.Answer[0] = &dns.TXT{Hdr: *m.Answer[0].Header(), Txt: []string{"forged"}}
				}
				return m
			},
		},
		{
			name: "signed by a stranger", question: "example.test.", qtype: dns.TypeTXT, security: authority.Bogus, fault: authority.NotSigned,
			spoil: spoilt(dns.TypeTXT, func(s *dns.RRSIG) bool { s.SignerName = "test."; return true }),
		},
		{
			name: "by a key that is gone", question: "example.test.", qtype: dns.TypeTXT, security: authority.Bogus, fault: authority.NotSigned,
			spoil: spoilt(dns.TypeTXT, func(s *dns.RRSIG) bool { s.KeyTag++; return true }),
		},
		{name: "SOA not signed", question: "nothing.example.test.", qtype: dns.TypeCAA, spoil: spoilt(dns.TypeSOA, left), security: authority.Bogus, fault: authority.NotSigned},
		{name: "NSEC not signed", question: "nothing.example.test.", qtype: dns.TypeCAA, spoil: spoilt(dns.TypeNSEC, left), security: authority.Bogus, fault: authority.NotSigned},
		{name: "no NSEC", question: "nothing.example.test.", qtype: dns.TypeCAA, noNSEC: true, security: authority.Bogus, fault: authority.NoProof},
		{name: "DNAME", question: "a.old.example.test.", qtype: dns.TypeTXT, security: authority.Secure},
		{name: "DNAME not signed", question: "a.old.example.test.", qtype: dns.TypeTXT, spoil: spoilt(dns.TypeDNAME, left), security: authority.Bogus, fault: authority.NotSigned},
		{
			name: "SERVFAIL", question: "example.test.", qtype: dns.TypeTXT, security: authority.Indeterminate, fault: authority.NoAnswer,
			twist: func(m *dns.Msg, _ string) *dns.Msg {
				if m.Question[0].Qtype == dns.TypeTXT {
					m.Rcode = dns.RcodeServerFailure
				}
				return m
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, dns.ECDSAP256SHA256, nil)
			c.zone("example.test.", signedZone, 4).signed(signing{
				published: []*key{c.tenant}, signers: []*key{c.tenant}, spoil: row.spoil, noNSEC: row.noNSEC,
			})
			if row.twist != nil {
				c.twist(row.twist, 4)
			}
			tree, z, v := c.check(t, row.question)
			require.Equal(t, authority.Secure, v.Security, v.Detail)
			m, err := tree.Ask(c.context(), z, 0, row.question, row.qtype)
			require.NoError(t, err)
			got := tree.CheckAnswer(v, m)
			t.Log(got.Detail)
			require.Equal(t, row.security, got.Security, got.Detail)
			require.Equal(t, row.fault, got.Fault)
			require.Equal(t, "example.test.", got.Zone)

			insecure := authority.Validation{Security: authority.Insecure, Zone: "example.test."}
			require.Equal(t, insecure, tree.CheckAnswer(insecure, m), "what isn't signed needs no signature")
		})
	}
}
