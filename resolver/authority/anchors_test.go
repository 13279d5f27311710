package authority_test

import (
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// ksks are the root's key signing keys, as IANA publishes them (https://www.iana.org/dnssec/files).
var ksks = map[uint16]string{
	20326: "AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuC" +
		"aSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1" +
		"uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU=",
	38696: "AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/cidltpkyGwCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjICMQMC3aeHbGiShvZsx4wMY" +
		"SjH8e7Vrhbu6irwCzVBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/dL/q8PkcRU5oUKEpUge71M3ej2/7CPqpdVwuMoTvoB+ZOT4YeGyxMvHmbrxl" +
		"FzGOHOijtzN+u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2vaF18UYH9Z9GNUUeayffKC73PYc=",
}

func TestF1_RootAnchorsAreThoseOfBothKeys(t *testing.T) {
	t.Parallel()
	anchors := authority.RootAnchors()
	require.Len(t, anchors, len(ksks))
	for _, anchor := range anchors {
		key := &dns.DNSKEY{
			Hdr:   dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET},
			Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.RSASHA256, PublicKey: ksks[anchor.KeyTag],
		}
		require.Equal(t, anchor.KeyTag, key.KeyTag())
		require.Equal(t, key.ToDS(anchor.DigestType).Digest, anchor.Digest)
	}
}

// revoked is a key as its owner shows it when it is not to be used any more (RFC 5011 §2.1).
func (k *key) revoked() *key {
	gone := *k.DNSKEY
	gone.Flags |= dns.REVOKE
	return &key{DNSKEY: &gone, private: k.private}
}

// TestF1_RootKeyRoll goes through a roll of the root's key, from the old key alone to the new one alone, for programs that know the
// one, the other or both.
func TestF1_RootKeyRoll(t *testing.T) {
	t.Parallel()
	old, next := newKey(t, ".", dns.RSASHA256), newKey(t, ".", dns.RSASHA256)
	const secure, bogus = authority.Secure, authority.Bogus
	for _, stage := range []struct {
		name               string
		published, signers []*key
		onlyOld, onlyNext  authority.Security // by the anchors that a program knows; with both it is always secure
	}{
		{"the old key alone", []*key{old}, []*key{old}, secure, bogus},
		{"the new one is published", []*key{old, next}, []*key{old}, secure, bogus},
		{"the new one signs", []*key{old, next}, []*key{next}, bogus, secure},
		{"the old one is revoked", []*key{old.revoked(), next}, []*key{old.revoked(), next}, bogus, secure},
		{"the old one is gone", []*key{next}, []*key{next}, bogus, secure},
	} {
		for _, known := range []struct {
			name    string
			anchors []*key
			want    authority.Security
		}{{"both", []*key{old, next}, secure}, {"the old one", []*key{old}, stage.onlyOld}, {"the new one", []*key{next}, stage.onlyNext}} {
			t.Run(stage.name+", anchors of "+known.name, func(t *testing.T) {
				t.Parallel()
				c := newChain(t, dns.ECDSAP256SHA256, nil)
				c.zone(".", "test. NS ns.test.\nns.test. A $2\n"+c.registry.ds(), 1).signed(signing{published: stage.published, signers: stage.signers})
				c.zone("example.test.", signedZone, 4).signedBy(c.tenant)
				c.anchors = nil
				for _, k := range known.anchors {
					c.anchors = append(c.anchors, k.ToDS(dns.SHA256))
				}
				_, _, v := c.check(t, "example.test")
				require.Equal(t, known.want, v.Security, v.Detail)
				if known.want == bogus {
					require.Equal(t, ".", v.Zone)
				}
			})
		}
	}
}

// TestF1_RevokedKeyIsNotUsed: whoever has the old key may still sign with it, and publish it once more without the REVOKE bit.
func TestF1_RevokedKeyIsNotUsed(t *testing.T) {
	t.Parallel()
	old := newKey(t, ".", dns.RSASHA256)
	for name, published := range map[string][]*key{
		"revoked":                      {old.revoked()},
		"revoked, and as it was":       {old.revoked(), old},
		"as it was before, by a thief": {old},
	} {
		c := newChain(t, dns.ECDSAP256SHA256, nil)
		c.zone(".", "test. NS ns.test.\nns.test. A $2\n"+c.registry.ds(), 1).signed(signing{published: published, signers: published})
		c.zone("example.test.", signedZone, 4).signedBy(c.tenant)
		c.anchors = []*dns.DS{old.ToDS(dns.SHA256), old.revoked().ToDS(dns.SHA256)}
		_, _, v := c.check(t, "example.test")
		if name == "as it was before, by a thief" { // nothing in DNS shows that this is wrong: the anchor must go
			require.Equal(t, authority.Secure, v.Security, v.Detail)
			continue
		}
		require.Equal(t, authority.Bogus, v.Security, "%s: %s", name, v.Detail)
		require.Equal(t, ".", v.Zone)
	}
}
