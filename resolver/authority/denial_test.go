package authority_test

import (
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// deniedZone has a name of each kind that a denial must distinguish.
const deniedZone = `
	example.test. NS ns1.example.test.
	ns1.example.test. A $4
	example.test. TXT "a"
	www.example.test. CNAME shop.elsewhere.example.
	*.wild.example.test. TXT "wild"
	b.wild.example.test. CAA 0 issue ";"
	one.two.ent.example.test. TXT "below names without records"
	sub.example.test. NS ns1.sub.example.test.
	ns1.sub.example.test. A $5
	old.example.test. DNAME new.example.`

// denied is a chain whose tenant's zone denies names in one way.
func denied(t *testing.T, kind chainKind) (*chain, *zone) {
	c := newChain(t, dns.ECDSAP256SHA256, nil)
	return c, c.zone("example.test.", deniedZone, 4).signed(signing{published: []*key{c.tenant}, signers: []*key{c.tenant}, chain: kind})
}

// validate asks the tenant's server one question.
func (c *chain) validate(t *testing.T, name string, qtype uint16) (*dns.Msg, authority.Validation) {
	t.Helper()
	tree := c.tree(c.anchored)
	z, err := tree.Zone(c.context(), "example.test.")
	require.NoError(t, err)
	m, v, err := tree.AskValidated(c.context(), z, 0, name, qtype)
	require.NoError(t, err)
	return m, v
}

func TestF1_HonestDenialsAreSecure(t *testing.T) {
	t.Parallel()
	for kind, chain := range map[string]chainKind{
		"NSEC": {}, "NSEC3": {hashed: true}, "NSEC3 as few iterations as resolvers take": {hashed: true, iterations: 150, salt: "ab12"},
	} {
		c, _ := denied(t, chain)
		for _, row := range []struct {
			name  string
			qtype uint16
			rcode int
		}{
			{"example.test.", dns.TypeTXT, dns.RcodeSuccess},
			{"example.test.", dns.TypeCAA, dns.RcodeSuccess},
			{"www.example.test.", dns.TypeCAA, dns.RcodeSuccess},
			{"nothing.example.test.", dns.TypeCAA, dns.RcodeNameError},
			{"a.b.nothing.example.test.", dns.TypeCAA, dns.RcodeNameError},
			{"a.example.test.", dns.TypeCAA, dns.RcodeNameError},
			{"zzz.example.test.", dns.TypeCAA, dns.RcodeNameError},
			{"ent.example.test.", dns.TypeCAA, dns.RcodeSuccess},
			{"two.ent.example.test.", dns.TypeCAA, dns.RcodeSuccess},
			{"x.two.ent.example.test.", dns.TypeCAA, dns.RcodeNameError},
			{"x.wild.example.test.", dns.TypeTXT, dns.RcodeSuccess},
			{"x.y.wild.example.test.", dns.TypeTXT, dns.RcodeSuccess},
			{"x.wild.example.test.", dns.TypeCAA, dns.RcodeSuccess},
			{"*.wild.example.test.", dns.TypeTXT, dns.RcodeSuccess},
			{"*.wild.example.test.", dns.TypeCAA, dns.RcodeSuccess},
			{"b.wild.example.test.", dns.TypeCAA, dns.RcodeSuccess},
			{"b.wild.example.test.", dns.TypeTXT, dns.RcodeSuccess},
			{"sub.example.test.", dns.TypeDS, dns.RcodeSuccess},
		} {
			m, v := c.validate(t, row.name, row.qtype)
			require.Equal(t, authority.Secure, v.Security, "%s: %s %s: %s", kind, row.name, dns.TypeToString[row.qtype], v.Detail)
			require.Equal(t, row.rcode, m.Rcode, "%s: %s", kind, row.name)
		}
	}
}

// TestF1_DenialsThatCountAsUnsigned: resolvers take them, without knowing that they are right.
func TestF1_DenialsThatCountAsUnsigned(t *testing.T) {
	t.Parallel()
	for kind, chain := range map[string]chainKind{
		"too many iterations": {hashed: true, iterations: 151}, "opt-out": {hashed: true, optOut: true},
	} {
		c, _ := denied(t, chain)
		_, v := c.validate(t, "nothing.example.test.", dns.TypeCAA)
		require.Equal(t, authority.Insecure, v.Security, "%s: %s", kind, v.Detail)
		_, v = c.validate(t, "example.test.", dns.TypeTXT)
		require.Equal(t, authority.Secure, v.Security, "%s: %s", kind, v.Detail)
	}
}

// forgery is an answer that holds signed records of the zone, and whose proof is not one.
type forgery struct {
	name     string
	question string
	qtype    uint16
	rcode    int
	answer   func(z *zone) []dns.RR // nil: none
	proof    []string               // the names whose NSEC or NSEC3 records come with it
	zone     string                 // "NSEC", "NSEC3" or empty for both
	says     string
}

func TestF1_DenialsThatProveNothingAreBogus(t *testing.T) {
	t.Parallel()
	// expanded is the wildcard's answer under another name, as for any name that doesn't exist.
	expanded := func(owner string) func(z *zone) []dns.RR {
		return func(z *zone) []dns.RR {
			return renamed(z.withSignatures(z.at("*.wild.example.test.", dns.TypeTXT)), owner)
		}
	}
	forgeries := []forgery{
		{name: "no proof at all", question: "nothing.example.test.", qtype: dns.TypeCAA, rcode: dns.RcodeNameError, says: "without signed proof"},
		{
			name: "another name's record", question: "nothing.example.test.", qtype: dns.TypeCAA, rcode: dns.RcodeNameError,
			proof: []string{"www.example.test."}, says: "nothing.example.test doesn't exist",
		},
		{
			name: "the wildcard is not denied", question: "nothing.example.test.", qtype: dns.TypeCAA, rcode: dns.RcodeNameError,
			proof: []string{"nothing.example.test."}, zone: "NSEC", says: "the wildcard *.example.test",
		},
		{
			name: "the wildcard is not denied", question: "c.d.ent.example.test.", qtype: dns.TypeCAA, rcode: dns.RcodeNameError,
			proof: []string{"ent.example.test.", "d.ent.example.test."}, zone: "NSEC3", says: "*.ent.example.test",
		},
		{
			name: "the wildcard exists", question: "x.wild.example.test.", qtype: dns.TypeTXT, rcode: dns.RcodeNameError,
			proof: []string{"wild.example.test.", "x.wild.example.test.", "*.wild.example.test."}, says: "the wildcard *.wild.example.test",
		},
		{
			name: "the name exists", question: "www.example.test.", qtype: dns.TypeTXT, rcode: dns.RcodeNameError,
			proof: []string{"www.example.test.", "example.test."}, says: "www.example.test doesn't exist",
		},
		{
			name: "the name exists, without records", question: "ent.example.test.", qtype: dns.TypeTXT, rcode: dns.RcodeNameError,
			proof: []string{"ent.example.test.", "example.test."}, says: "ent.example.test doesn't exist",
		},
		{
			name: "below a delegation", question: "www.sub.example.test.", qtype: dns.TypeTXT, rcode: dns.RcodeNameError,
			proof: []string{"sub.example.test.", "www.sub.example.test.", "*.sub.example.test.", "example.test."},
			says:  "www.sub.example.test doesn't exist",
		},
		{
			name: "below a DNAME", question: "www.old.example.test.", qtype: dns.TypeTXT, rcode: dns.RcodeNameError,
			proof: []string{"old.example.test.", "www.old.example.test.", "*.old.example.test.", "example.test."},
			says:  "www.old.example.test doesn't exist",
		},
		{
			name: "the type is there", question: "example.test.", qtype: dns.TypeTXT, proof: []string{"example.test."},
			says: "says that there is a TXT record",
		},
		{
			name: "an alias is there", question: "www.example.test.", qtype: dns.TypeTXT, proof: []string{"www.example.test."},
			says: "says that there is a CNAME record",
		},
		{
			name: "another name lacks the type", question: "b.wild.example.test.", qtype: dns.TypeCAA, proof: []string{"www.example.test."},
			says: "b.wild.example.test has no CAA record",
		},
		{
			name: "the wildcard has the type", question: "x.wild.example.test.", qtype: dns.TypeTXT,
			proof: []string{"wild.example.test.", "x.wild.example.test.", "*.wild.example.test."}, says: "says that there is a TXT record",
		},
		{
			name: "no such name, as if it lacked the type", question: "nothing.example.test.", qtype: dns.TypeTXT,
			proof: []string{"example.test.", "nothing.example.test."}, says: "nothing.example.test has no TXT record",
		},
		{
			name: "the zone above, for the name of a delegation", question: "sub.example.test.", qtype: dns.TypeTXT,
			proof: []string{"sub.example.test."}, says: "can't speak for it",
		},
		{
			name: "wildcard without proof", question: "x.wild.example.test.", qtype: dns.TypeTXT, answer: expanded("x.wild.example.test."),
			says: "without signed proof",
		},
		{
			name: "wildcard in place of a name that exists", question: "b.wild.example.test.", qtype: dns.TypeTXT,
			answer: expanded("b.wild.example.test."), proof: []string{"b.wild.example.test.", "*.wild.example.test."},
			says: "made from the wildcard",
		},
		{
			name: "wildcard past a closer name", question: "x.b.wild.example.test.", qtype: dns.TypeTXT, answer: expanded("x.b.wild.example.test."),
			proof: []string{"x.b.wild.example.test.", "b.wild.example.test."}, says: "made from the wildcard",
		},
	}
	for kind, chain := range map[string]chainKind{"NSEC": {}, "NSEC3": {hashed: true, salt: "ab12", iterations: 1}} {
		for _, f := range forgeries {
			if f.zone != "" && f.zone != kind {
				continue
			}
			t.Run(kind+" "+f.name, func(t *testing.T) {
				t.Parallel()
				c, z := denied(t, chain)
				c.twist(func(m *dns.Msg, _ string) *dns.Msg {
					if m.Question[0].Qtype != f.qtype {
						return m
					}
					m.Authoritative, m.Rcode, m.Answer = true, f.rcode, nil
					if f.answer != nil {
						m.Answer = f.answer(z)
					}
					m.Ns = append(z.withSignatures(z.at(z.name, dns.TypeSOA)), z.denial(f.proof)...)
					return m
				}, 4)
				_, v := c.validate(t, f.question, f.qtype)
				require.Equal(t, authority.Bogus, v.Security, v.Detail)
				require.Equal(t, authority.NoProof, v.Fault)
				require.Equal(t, "example.test.", v.Zone)
				require.Contains(t, v.Detail, f.says)
			})
		}
	}
}

// renamed gives signed records another owner, as an answer from a wildcard has.
func renamed(set []dns.RR, owner string) []dns.RR {
	moved := make([]dns.RR, len(set))
	for i, rr := range set {
		moved[i] = dns.Copy(rr)
		moved[i].Header().Name = owner
	}
	return moved
}

// TestF1_WildcardsRecordIsNoOtherNames: the signature of the wildcard's NSEC record fits under every name below, and says nothing of it.
func TestF1_WildcardsRecordIsNoOtherNames(t *testing.T) {
	t.Parallel()
	c, z := denied(t, chainKind{})
	c.twist(func(m *dns.Msg, _ string) *dns.Msg {
		if m.Question[0].Qtype == dns.TypeCAA {
			m.Answer = nil
			m.Ns = append(z.withSignatures(z.at(z.name, dns.TypeSOA)),
				renamed(z.denial([]string{"*.wild.example.test."}), "b.wild.example.test.")...)
		}
		return m
	}, 4)
	_, v := c.validate(t, "b.wild.example.test.", dns.TypeCAA)
	require.Equal(t, authority.NoProof, v.Fault, v.Detail)
}

// TestF1_AnswersBesidesTheQuestion: signed records of another type at the name are no answer, and no proof.
func TestF1_AnswersBesidesTheQuestion(t *testing.T) {
	t.Parallel()
	c, z := denied(t, chainKind{})
	c.twist(func(m *dns.Msg, _ string) *dns.Msg {
		if m.Question[0].Qtype == dns.TypeCAA {
			m.Answer, m.Ns = z.withSignatures(z.at("example.test.", dns.TypeTXT)), nil
		}
		return m
	}, 4)
	_, v := c.validate(t, "example.test.", dns.TypeCAA)
	require.Equal(t, authority.NoProof, v.Fault, v.Detail)
}

// TestF1_DNAMELeadsWhereItSays: the CNAME record that comes with it is not signed, so it must be the one that it makes.
func TestF1_DNAMELeadsWhereItSays(t *testing.T) {
	t.Parallel()
	c, _ := denied(t, chainKind{})
	_, v := c.validate(t, "a.old.example.test.", dns.TypeTXT)
	require.Equal(t, authority.Secure, v.Security, v.Detail)
	c.twist(func(m *dns.Msg, _ string) *dns.Msg {
		for _, rr := range m.Answer {
			if alias, ok := rr.(*dns.CNAME); ok {
				alias.Target = "a.forged.example."
			}
		}
		return m
	}, 4)
	_, v = c.validate(t, "a.old.example.test.", dns.TypeTXT)
	require.Equal(t, authority.InvalidSignature, v.Fault, v.Detail)
}

// TestF1_NoDSProof is of the zone above: what it must show so that a zone without signatures counts as unsigned.
func TestF1_NoDSProof(t *testing.T) {
	t.Parallel()
	const digest = "0000000000000000000000000000000000000000000000000000000000000000"
	const delegations = `
		example.test. NS ns1.example.test.
		ns1.example.test. A $4
		signed.test. NS ns1.example.test.
		signed.test. DS 1 13 2 ` + digest + `
		text.test. TXT "no delegation"`
	for _, row := range []struct {
		name     string
		chain    chainKind
		proof    []string // of the registry; nil: the honest one
		change   func(z *zone)
		security authority.Security
		says     string
	}{
		{name: "NSEC", security: authority.Insecure},
		{name: "NSEC3", chain: chainKind{hashed: true}, security: authority.Insecure},
		{name: "NSEC3 with opt-out", chain: chainKind{hashed: true, optOut: true}, security: authority.Insecure},
		{name: "NSEC3 with too many iterations", chain: chainKind{hashed: true, iterations: 151}, security: authority.Insecure},
		{name: "NSEC of another name", proof: []string{"signed.test."}, security: authority.Bogus, says: "example.test has no DS record"},
		{name: "NSEC over the name", proof: []string{"dxample.test."}, security: authority.Bogus, says: "example.test has no DS record"},
		{
			name: "NSEC3 of another name", chain: chainKind{hashed: true}, proof: []string{"signed.test."}, security: authority.Bogus,
			says: "example.test has no DS record",
		},
		{
			name: "NSEC3 with opt-out of another name", chain: chainKind{hashed: true, optOut: true}, proof: []string{"test."},
			security: authority.Bogus, says: "example.test has no DS record",
		},
		{
			name: "there is a DS record", security: authority.Bogus, says: "says that there is a DS record", proof: []string{"example.test."},
			change: func(z *zone) { z.add("example.test. DS 1 13 2 " + digest) },
		},
		{
			name: "not delegated", security: authority.Bogus, says: "says that it is not delegated", proof: []string{"example.test."},
			change: func(z *zone) {
				delete(z.sets, "example.test. NS")
				z.add("example.test. TXT here")
			},
		},
		{
			name: "not even there", security: authority.Bogus, says: "example.test is not delegated", proof: []string{"example.test."},
			change: func(z *zone) {
				for _, name := range []string{"example.test.", "ns1.example.test."} {
					delete(z.exists, name)
				}
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, dns.ECDSAP256SHA256, nil)
			c.zone("example.test.", signedZone, 4)
			s := signing{published: []*key{c.registry}, signers: []*key{c.registry}, chain: row.chain}
			z := c.zone("test.", delegations, 2).signed(s)
			if row.proof != nil {
				proof := c.zone("test.", delegations).signed(s) // on no server: the registry's proofs come from it
				if row.change != nil {
					row.change(proof)
				}
				c.twist(func(m *dns.Msg, _ string) *dns.Msg {
					switch {
					case m.Question[0].Qtype == dns.TypeDS:
						m.Ns = append(z.withSignatures(z.at(z.name, dns.TypeSOA)), proof.denial(row.proof)...)
					case !m.Authoritative:
						m.Ns = append(m.Ns[:1:1], proof.denial(row.proof)...)
					}
					return m
				}, 2)
			}
			_, _, v := c.check(t, "example.test")
			require.Equal(t, row.security, v.Security, v.Detail)
			if row.security == authority.Bogus {
				require.Equal(t, authority.NoProof, v.Fault)
				require.Equal(t, "test.", v.Zone, "the zone above is at fault")
			}
			require.Contains(t, v.Detail, row.says)
		})
	}
}
