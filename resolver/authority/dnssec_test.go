package authority_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// chain is a tree signed from the root down: root (1), test. (2), example.test. (4).
type chain struct {
	*world
	root, registry, tenant *key
	anchors                []*dns.DS
	silent                 bool // somebody never answers
}

// newChain signs the root and the registry; ds is what the registry has for example.test., nil meaning the right record.
func newChain(t *testing.T, algorithm uint8, ds func(c *chain) string) *chain {
	c := &chain{
		world: newWorld(t, 5), root: newKey(t, ".", algorithm), registry: newKey(t, "test.", algorithm),
		tenant: newKey(t, "example.test.", algorithm),
	}
	c.anchors = []*dns.DS{c.root.ToDS(dns.SHA256)}
	c.zone(".", "test. NS ns.test.\nns.test. A $2\n"+c.registry.ds(), 1).signedBy(c.root)
	record := c.tenant.ds()
	if ds != nil {
		record = ds(c)
	}
	c.zone("test.", "example.test. NS ns1.example.test.\nns1.example.test. A $4\n"+record, 2).signedBy(c.registry)
	return c
}

const signedZone = `
	example.test. NS ns1.example.test.
	ns1.example.test. A $4
	www.example.test. CNAME shop.elsewhere.example.
	*.wild.example.test. TXT "wild"
	old.example.test. DNAME new.example.
	example.test. TXT "a" 
	example.test. TXT "B"`

func (c *chain) anchored(config *authority.Config) {
	config.TrustAnchors = c.anchors
	config.Now = func() time.Time { return today }
	if c.silent {
		impatient(config)
	}
}

func (c *chain) check(t *testing.T, name string) (*authority.Tree, *authority.Zone, authority.Validation) {
	t.Helper()
	tree := c.tree(c.anchored)
	z, err := tree.Zone(c.context(), name)
	require.NoError(t, err)
	return tree, z, tree.CheckZone(c.context(), z)
}

func TestCheckZone_Secure(t *testing.T) {
	t.Parallel()
	for name, algorithm := range map[string]uint8{
		"RSASHA256": dns.RSASHA256, "ECDSAP256SHA256": dns.ECDSAP256SHA256, "ECDSAP384SHA384": dns.ECDSAP384SHA384, "ED25519": dns.ED25519,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, algorithm, nil)
			c.zone("example.test.", signedZone, 4).signedBy(c.tenant)
			tree, z, v := c.check(t, "example.test")
			require.Equal(t, authority.Secure, v.Security, v.Detail)
			require.Len(t, z.DS, 1)
			require.Equal(t, 4+3, tree.Queries(), "the keys of three zones")
			require.Equal(t, v, tree.CheckZone(c.context(), z))
			require.Equal(t, 4+3, tree.Queries(), "and once only")
		})
	}
}

// TestCheckZone holds ways in which a chain of trust can be broken.
func TestCheckZone(t *testing.T) {
	t.Parallel()
	other := newKey(t, "example.test.", dns.ECDSAP256SHA256)
	strong, weak := newKey(t, "example.test.", dns.RSASHA256), newKey(t, "example.test.", dns.RSASHA256)
	weak.PublicKey = base64.StdEncoding.EncodeToString(slices.Concat([]byte{3, 1, 0, 1}, bytes.Repeat([]byte{0xc5}, 64)))
	alone := func(c *chain) signing {
		return signing{published: []*key{c.tenant}, signers: []*key{c.tenant}}
	}
	for _, row := range []struct {
		name     string
		ds       func(c *chain) string
		sign     func(c *chain) signing // the tenant's zone; nil: unsigned
		change   func(c *chain)
		security authority.Security
		fault    authority.SignatureFault
		zone     string
		says     string
		at       time.Time
	}{
		{name: "not signed", ds: func(*chain) string { return "" }, security: authority.Insecure, zone: "example.test."},
		{
			name: "signed, and the registry doesn't know", ds: func(*chain) string { return "" }, sign: alone, security: authority.Insecure,
			zone: "example.test.",
		},
		{
			name: "DS without DNSKEY", security: authority.Bogus, fault: authority.NoKey, zone: "example.test.",
			says: "example.test has no DNSKEY record",
		},
		{
			name: "the key was changed", ds: func(*chain) string { return other.ds() }, sign: alone,
			security: authority.Bogus, fault: authority.NoMatchingKey, zone: "example.test.", says: "fit none of its keys",
		},
		{
			name: "DS of one of two keys", sign: func(c *chain) signing {
				return signing{published: []*key{c.tenant, other}, signers: []*key{c.tenant}, workers: []*key{other}}
			}, security: authority.Secure, zone: "example.test.",
		},
		{
			name: "digest of another key", sign: alone, ds: func(c *chain) string {
				ds := c.tenant.ToDS(dns.SHA256)
				ds.Digest = other.ToDS(dns.SHA256).Digest
				return ds.String()
			}, security: authority.Bogus, fault: authority.NoMatchingKey, zone: "example.test.",
		},
		{
			name: "keys signed by another key only", sign: func(c *chain) signing {
				return signing{published: []*key{c.tenant, other}, signers: []*key{other}}
			}, security: authority.Bogus, fault: authority.KeysNotSigned, zone: "example.test.",
			says: "not signed by the key that its DS record names",
		},
		{
			name: "expired", sign: func(c *chain) signing {
				s := alone(c)
				s.from, s.to = today.Add(-48*time.Hour), today.Add(-24*time.Hour)
				return s
			}, security: authority.Bogus, fault: authority.Expired, zone: "example.test.", says: "expired on 28 February 2026 12:00 UTC",
			at: today.Add(-24 * time.Hour),
		},
		{
			name: "not yet valid", sign: func(c *chain) signing {
				s := alone(c)
				s.from, s.to = today.Add(time.Hour), today.Add(24*time.Hour)
				return s
			}, security: authority.Bogus, fault: authority.NotYetValid, zone: "example.test.", at: today.Add(time.Hour),
		},
		{
			name: "expired beside a good one", sign: func(c *chain) signing {
				s := alone(c)
				s.published, s.signers = append(s.published, other), append(s.signers, other)
				s.spoil = func(_ []dns.RR, sig *dns.RRSIG) bool {
					if sig.KeyTag == other.KeyTag() {
						sig.Expiration = uint32(today.Unix()) - 60
					}
					return true
				}
				return s
			}, security: authority.Secure, zone: "example.test.",
		},
		{
			name: "invalid signature", sign: func(c *chain) signing {
				s := alone(c)
				s.spoil = func(_ []dns.RR, sig *dns.RRSIG) bool { sig.OrigTtl++; return true }
				return s
			}, security: authority.Bogus, fault: authority.InvalidSignature, zone: "example.test.", says: "doesn't fit",
		},
		{
			name: "no signature", sign: func(c *chain) signing {
				s := alone(c)
				s.spoil = func([]dns.RR, *dns.RRSIG) bool { return false }
				return s
			}, security: authority.Bogus, fault: authority.KeysNotSigned, zone: "example.test.",
		},
		{ // an RSA key of 512 bits: other resolvers may well take it
			name: "a key that this program can't use", ds: func(*chain) string { return weak.ds() }, sign: func(*chain) signing {
				s := signing{published: []*key{weak}, signers: []*key{strong}}
				s.spoil = func(_ []dns.RR, sig *dns.RRSIG) bool { sig.KeyTag = weak.KeyTag(); return true }
				return s
			}, security: authority.Indeterminate, fault: authority.NotCheckable, zone: "example.test.", says: "can't be checked here",
		},
		{
			name: "an algorithm that nobody uses", sign: alone, ds: func(c *chain) string {
				ds := c.tenant.ToDS(dns.SHA256)
				ds.Algorithm = dns.RSAMD5
				return ds.String()
			}, security: authority.Insecure, fault: authority.UnsupportedAlgorithm, zone: "example.test.",
		},
		{
			name: "a digest that nobody uses", sign: alone, ds: func(c *chain) string {
				ds := c.tenant.ToDS(dns.SHA256)
				ds.DigestType = dns.GOST94
				return ds.String()
			}, security: authority.Insecure, fault: authority.UnsupportedAlgorithm, zone: "example.test.",
		},
		{
			name: "a SHA-1 digest only", sign: alone, ds: func(c *chain) string { return c.tenant.ToDS(dns.SHA1).String() },
			security: authority.Secure, zone: "example.test.",
		},
		{
			name: "a good SHA-1 digest beside a bad SHA-256 one", sign: alone, ds: func(c *chain) string {
				return c.tenant.ToDS(dns.SHA1).String() + "\n" + other.ds()
			}, security: authority.Bogus, fault: authority.NoMatchingKey, zone: "example.test.",
		},
		{
			name: "DS records of which one is right", sign: alone, ds: func(c *chain) string { return c.tenant.ds() + "\n" + other.ds() },
			security: authority.Secure, zone: "example.test.",
		},
		{
			name: "the registry's DS record has a bad signature", sign: alone, change: func(c *chain) {
				c.zone("test.", "example.test. NS ns1.example.test.\nns1.example.test. A $4\n"+c.tenant.ds(), 2).signed(signing{
					published: []*key{c.registry}, signers: []*key{c.registry},
					spoil: func(set []dns.RR, sig *dns.RRSIG) bool {
						if set[0].Header().Rrtype == dns.TypeDS {
							sig.OrigTtl++
						}
						return true
					},
				})
			}, security: authority.Bogus, fault: authority.InvalidSignature, zone: "test.",
		},
		{
			name: "the registry doesn't prove that there is no DS record", change: func(c *chain) {
				c.zone("test.", "example.test. NS ns1.example.test.\nns1.example.test. A $4", 2).signed(signing{
					published: []*key{c.registry}, signers: []*key{c.registry}, noNSEC: true,
				})
			}, security: authority.Bogus, fault: authority.NoProof, zone: "test.",
		},
		{
			name: "the registry's keys expired", sign: alone, change: func(c *chain) {
				c.zone("test.", "example.test. NS ns1.example.test.\nns1.example.test. A $4\n"+c.tenant.ds(), 2).signed(signing{
					published: []*key{c.registry}, signers: []*key{c.registry}, from: today.Add(-48 * time.Hour), to: today.Add(-time.Hour),
				})
			}, security: authority.Bogus, fault: authority.Expired, zone: "test.", at: today.Add(-time.Hour),
		},
		{
			name: "the registry's keys can't be asked for", sign: alone, change: func(c *chain) {
				c.silent = true
				c.twist(func(m *dns.Msg, _ string) *dns.Msg {
					if m.Question[0].Qtype == dns.TypeDNSKEY {
						return nil
					}
					return m
				}, 2)
			}, security: authority.Indeterminate, fault: authority.NoAnswer, zone: "test.", says: "no server of test gave an answer",
		},
		{
			name: "referrals without DNSSEC records", sign: alone, change: func(c *chain) {
				c.twist(func(m *dns.Msg, _ string) *dns.Msg {
					if !m.Authoritative {
						m.Ns = m.Ns[:1]
					}
					return m
				}, 1, 2)
			}, security: authority.Secure, zone: "example.test.",
		},
		{
			name: "parent and child on one server", sign: alone, change: func(c *chain) {
				c.zone("test.", "example.test. NS ns1.example.test.\nns1.example.test. A $2\n"+c.tenant.ds(), 2).signedBy(c.registry)
				c.zone("example.test.", "example.test. NS ns1.example.test.\nns1.example.test. A $2", 2).signedBy(c.tenant)
			}, security: authority.Secure, zone: "example.test.",
		},
		{
			name: "an anchor that the root doesn't have", sign: alone,
			change:   func(c *chain) { c.anchors = []*dns.DS{newKey(t, ".", dns.ED25519).ToDS(dns.SHA256)} },
			security: authority.Bogus, fault: authority.NoMatchingKey, zone: ".",
		},
		{
			name: "an anchor at the registry", sign: alone, change: func(c *chain) {
				c.anchors = []*dns.DS{c.registry.ToDS(dns.SHA256)}
				c.zone(".", "test. NS ns.test.\nns.test. A $2", 1)
			}, security: authority.Secure, zone: "example.test.",
		},
		{
			name: "no anchors, parents not signed", sign: alone, change: func(c *chain) {
				c.anchors = nil
				c.zone(".", "test. NS ns.test.\nns.test. A $2", 1)
				c.zone("test.", "example.test. NS ns1.example.test.\nns1.example.test. A $4\n"+c.tenant.ds(), 2)
			}, security: authority.Secure, zone: "example.test.",
		},
		{
			name: "no anchors, parents not signed, the key was changed", sign: alone, change: func(c *chain) {
				c.anchors = nil
				c.zone(".", "test. NS ns.test.\nns.test. A $2", 1)
				c.zone("test.", "example.test. NS ns1.example.test.\nns1.example.test. A $4\n"+other.ds(), 2)
			}, security: authority.Bogus, fault: authority.NoMatchingKey, zone: "example.test.",
		},
		{
			name: "a DS record below a registry that isn't signed", sign: alone, change: func(c *chain) {
				c.zone(".", "test. NS ns.test.\nns.test. A $2", 1).signedBy(c.root)
				c.zone("test.", "example.test. NS ns1.example.test.\nns1.example.test. A $4\n"+other.ds(), 2)
			}, security: authority.Insecure, zone: "test.",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, dns.ECDSAP256SHA256, row.ds)
			z := c.zone("example.test.", signedZone, 4)
			if row.sign != nil {
				z.signed(row.sign(c))
			}
			if row.change != nil {
				row.change(c)
			}
			_, _, v := c.check(t, "example.test")
			t.Log(v.Detail)
			require.Equal(t, row.security, v.Security, v.Detail)
			require.Equal(t, row.fault, v.Fault)
			require.Equal(t, row.zone, v.Zone)
			require.Contains(t, v.Detail, row.says)
			require.Equal(t, row.at, v.At)
			require.Equal(t, row.fault != "", v.Detail != "")
			require.NotContains(t, v.Detail, "%!")
		})
	}
}
