package authority_test

import (
	"slices"
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
	c.zone("test.", "example.test. NS ns1.example.test.\nexample.test. NS ns2.example.test.\nns1.example.test. A $4\nns2.example.test. A $5\n"+
		c.tenant.ds(), 2).signedBy(c.registry)
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
		{
			name: "not signed", question: "example.test.", qtype: dns.TypeTXT, spoil: spoilt(dns.TypeTXT, left), security: authority.Bogus,
			fault: authority.NotSigned,
		},
		{
			name: "alias not signed", question: "www.example.test.", qtype: dns.TypeTXT, spoil: spoilt(dns.TypeCNAME, left),
			security: authority.Bogus, fault: authority.NotSigned,
		},
		{
			name: "expired", question: "example.test.", qtype: dns.TypeTXT, security: authority.Bogus, fault: authority.Expired,
			spoil: spoilt(dns.TypeTXT, func(s *dns.RRSIG) bool { s.Expiration = uint32(today.Unix()) - 1; return true }),
		},
		{
			name: "changed after signing", question: "example.test.", qtype: dns.TypeTXT, security: authority.Bogus,
			fault: authority.InvalidSignature,
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
		{
			name: "SOA not signed", question: "nothing.example.test.", qtype: dns.TypeCAA, spoil: spoilt(dns.TypeSOA, left),
			security: authority.Bogus, fault: authority.NotSigned,
		},
		{
			name: "NSEC not signed", question: "nothing.example.test.", qtype: dns.TypeCAA, spoil: spoilt(dns.TypeNSEC, left),
			security: authority.Bogus, fault: authority.NotSigned,
		},
		{
			name: "no NSEC", question: "nothing.example.test.", qtype: dns.TypeCAA, noNSEC: true, security: authority.Bogus,
			fault: authority.NoProof,
		},
		{name: "DNAME", question: "a.old.example.test.", qtype: dns.TypeTXT, security: authority.Secure},
		{
			name: "DNAME not signed", question: "a.old.example.test.", qtype: dns.TypeTXT, spoil: spoilt(dns.TypeDNAME, left),
			security: authority.Bogus, fault: authority.NotSigned,
		},
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

// provider is a server (4) that holds the tenant's zone, a zone below it and a stranger's, as a DNS provider's servers do.
func provider(t *testing.T, sub func(c *chain) (ds string, sign signing)) *chain {
	c := newChain(t, dns.ECDSAP256SHA256, nil)
	ds, sign := sub(c)
	stranger := newKey(t, "stranger.test.", dns.ECDSAP256SHA256)
	c.zone("test.", `
		example.test. NS ns1.example.test.
		ns1.example.test. A $4
		stranger.test. NS ns1.example.test.
		`+c.tenant.ds()+"\n"+stranger.ds(), 2).signedBy(c.registry)
	c.zone("example.test.", signedZone+`
		shop.example.test. CNAME edge.stranger.test.
		inside.example.test. CNAME there.example.test.
		there.example.test. A 192.0.2.9
		gone.example.test. CNAME nowhere.stranger.test.
		sub.example.test. NS ns1.example.test.
		`+ds, 4).signedBy(c.tenant)
	c.zone("sub.example.test.", "sub.example.test. NS ns1.example.test.\nwww.sub.example.test. A 192.0.2.8", 4).signed(sign)
	c.zone("stranger.test.", "stranger.test. NS ns1.example.test.\nedge.stranger.test. A 192.0.2.7", 4).signed(signing{
		published: []*key{stranger}, signers: []*key{stranger}, from: today.Add(-48 * time.Hour), to: today.Add(-time.Hour),
	})
	c.twist(c.followAliases, 4)
	return c
}

// followAliases adds to an answer what the server holds of the name that an alias leads to (RFC 1034 §4.3.2).
func (c *chain) followAliases(m *dns.Msg, _ string) *dns.Msg {
	for _, rr := range m.Answer {
		alias, ok := rr.(*dns.CNAME)
		if !ok || m.Question[0].Qtype == dns.TypeCNAME {
			continue
		}
		if z := c.hosts[3].holder(alias.Target, m.Question[0].Qtype); z != nil {
			next := new(dns.Msg).SetQuestion(alias.Target, m.Question[0].Qtype)
			z.answer(next, alias.Target, m.Question[0].Qtype)
			m.Answer, m.Ns, m.Rcode = append(m.Answer, next.Answer...), append(m.Ns, next.Ns...), next.Rcode
		}
		break
	}
	return m
}

// TestF1_AliasesAreFollowedZoneByZone: what a server adds about the end of an alias is of another zone, which has keys of its own.
func TestF1_AliasesAreFollowedZoneByZone(t *testing.T) {
	t.Parallel()
	c := provider(t, func(*chain) (string, signing) { return "", signing{} })
	for name, records := range map[string]int{"shop.example.test.": 2, "inside.example.test.": 2, "gone.example.test.": 2} {
		m, v := c.validate(t, name, dns.TypeA)
		require.Equal(t, authority.Secure, v.Security, v.Detail)
		require.Len(t, m.Answer, records, "the CNAME record of %s and its signature", name)
		require.Equal(t, dns.RcodeSuccess, m.Rcode)
		require.Empty(t, m.Ns)
	}
	tree := c.tree(c.anchored)
	z, err := tree.Zone(c.context(), "edge.stranger.test.")
	require.NoError(t, err)
	_, v, err := tree.AskValidated(c.context(), z, 0, "edge.stranger.test.", dns.TypeA)
	require.NoError(t, err)
	require.Equal(t, authority.Expired, v.Fault)
	require.Equal(t, "stranger.test.", v.Zone)
	require.True(t, v.Refused())

	// In an unsigned zone the server's word for the whole zone is as good as for the name.
	c.anchors = []*dns.DS{newKey(t, "other.", dns.ED25519).ToDS(dns.SHA256)}
	m, v := c.validate(t, "inside.example.test.", dns.TypeA)
	require.Equal(t, authority.Insecure, v.Security)
	require.Len(t, recordsOf(m, dns.TypeA), 1)
	m, _ = c.validate(t, "shop.example.test.", dns.TypeA)
	require.Empty(t, recordsOf(m, dns.TypeA))
	m, _ = c.validate(t, "gone.example.test.", dns.TypeA)
	require.Equal(t, dns.RcodeSuccess, m.Rcode)
}

func recordsOf(m *dns.Msg, rrtype uint16) []dns.RR {
	return slices.DeleteFunc(slices.Clone(m.Answer), func(rr dns.RR) bool { return rr.Header().Rrtype != rrtype })
}

// TestF1_ZoneBelowOnTheSameServer: its answers are validated with its own keys, and by what the zone above says of it.
func TestF1_ZoneBelowOnTheSameServer(t *testing.T) {
	t.Parallel()
	sub := newKey(t, "sub.example.test.", dns.ECDSAP256SHA256)
	signed := signing{published: []*key{sub}, signers: []*key{sub}}
	for _, row := range []struct {
		name     string
		ds       string
		sign     signing
		security authority.Security
		fault    authority.SignatureFault
	}{
		{"not signed", "", signing{}, authority.Insecure, ""},
		{"signed", sub.ds(), signed, authority.Secure, ""},
		{"signed, and the zone above doesn't know", "", signed, authority.Insecure, ""},
		{"a DS record and no keys", sub.ds(), signing{}, authority.Bogus, authority.NoKey},
		{"a DS record of another key", newKey(t, "sub.example.test.", dns.ED25519).ds(), signed, authority.Bogus, authority.NoMatchingKey},
	} {
		c := provider(t, func(*chain) (string, signing) { return row.ds, row.sign })
		for _, name := range []string{"www.sub.example.test.", "nothing.sub.example.test."} {
			_, v := c.validate(t, name, dns.TypeA)
			require.Equal(t, row.security, v.Security, "%s: %s", row.name, v.Detail)
			require.Equal(t, row.fault, v.Fault)
			require.Equal(t, "sub.example.test.", v.Zone)
		}
	}
}

// TestF1_KeysThatDoNotCome: a zone that has a DS record and whose keys nobody can ask for gives no answer to any validating resolver. It
// is not known who is to blame.
func TestF1_KeysThatDoNotCome(t *testing.T) {
	t.Parallel()
	for name, twist := range map[string]func(m *dns.Msg) *dns.Msg{
		"silent":   func(*dns.Msg) *dns.Msg { return nil },
		"SERVFAIL": func(m *dns.Msg) *dns.Msg { m.Rcode, m.Answer = dns.RcodeServerFailure, nil; return m },
		"REFUSED":  func(m *dns.Msg) *dns.Msg { m.Rcode, m.Answer = dns.RcodeRefused, nil; return m },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, dns.ECDSAP256SHA256, nil)
			c.silent = true
			c.zone("example.test.", signedZone, 4).signedBy(c.tenant)
			c.twist(func(m *dns.Msg, _ string) *dns.Msg {
				if m.Question[0].Qtype == dns.TypeDNSKEY {
					return twist(m)
				}
				return m
			}, 4)
			_, v := c.validate(t, "example.test.", dns.TypeTXT)
			require.Equal(t, authority.Indeterminate, v.Security)
			require.Equal(t, authority.NoAnswer, v.Fault)
			require.True(t, v.Refused())
			require.Equal(t, "example.test.", v.Zone)
			require.Contains(t, v.Detail, c.fill("ns1.example.test ($4)"), "the server is named")
		})
	}
	require.False(t, authority.Validation{Security: authority.Indeterminate, Fault: authority.NotCheckable}.Refused(),
		"others may well be able to check it")
	require.False(t, authority.Validation{Security: authority.Insecure}.Refused())
}
