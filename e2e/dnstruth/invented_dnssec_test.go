package dnstruth

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// signedZone is a zone that is signed in a way of its own.
type signedZone struct {
	name    string // as row's texts have names
	text    string // without SOA and NS records
	servers []string
	keys    []zoneKey
	options []string // of dnssec-signzone
	ds      func(keys []*dns.DNSKEY) []*dns.DS
	changed func(zoneFile string) string // after it was signed; one record per line
}

// zoneKey is a key that dnssec-keygen makes.
type zoneKey struct {
	algorithm string
	options   []string // such as -f KSK
}

var (
	oneKey    = []zoneKey{{"ECDSAP256SHA256", []string{"-f", "KSK"}}}
	splitKeys = func(algorithm string, options ...string) []zoneKey {
		return []zoneKey{{algorithm, append([]string{"-f", "KSK"}, options...)}, {algorithm, options}}
	}
)

// digests are DS records of a key.
func digests(key *dns.DNSKEY, types ...uint8) []*dns.DS {
	var ds []*dns.DS
	for _, digest := range types {
		ds = append(ds, key.ToDS(digest))
	}
	return ds
}

// foreign is a DS record of another key of the same tag.
func foreign(ds *dns.DS) *dns.DS {
	other := *ds
	other.Digest = strings.Repeat("a1", len(ds.Digest)/2)
	return &other
}

// zone is the signed zone, and what its parent says of it.
func (z signedZone) zone(t *testing.T, r row) dnslab.Zone {
	t.Helper()
	if len(z.servers) == 0 {
		z.servers = []string{a, b}
	}
	name, ns := r.fill(z.name), dnslab.NS(z.servers...)
	folder := t.TempDir()
	var keys []*dns.DNSKEY
	for _, k := range z.keys {
		keys = append(keys, k.generate(t, folder, name))
	}
	signed := fmt.Sprintf("$ORIGIN %s.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n%s%s", name, ns, r.fill(z.text))
	if len(keys) > 0 {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "unsigned"), []byte(signed), 0o600))
		options := []string{"-q", "-S", "-P", "-K", folder, "-O", "full", "-o", name + ".", "-f", "signed"}
		if len(keys) == 1 {
			options = append(options, "-z")
		}
		bindTool(t, folder, "dnssec-signzone", append(append(options, z.options...), "unsigned")...)
		raw, err := os.ReadFile(filepath.Join(folder, "signed"))
		require.NoError(t, err)
		signed = string(raw)
	}
	if z.changed != nil {
		signed = z.changed(signed)
	}
	if z.ds == nil {
		z.ds = func(keys []*dns.DNSKEY) []*dns.DS { return digests(keys[0], dns.SHA256) }
	}
	delegation := ns
	for _, ds := range z.ds(keys) {
		delegation += fmt.Sprintf("@ DS %d %d %d %s\n", ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
	}
	return dnslab.Zone{Name: name, Delegation: delegation, On: dnslab.OnEach(signed, z.servers...)}
}

func (k zoneKey) generate(t *testing.T, folder, zone string) *dns.DNSKEY {
	t.Helper()
	name := strings.TrimSpace(
		bindTool(
			t, folder, "dnssec-keygen", append(append([]string{"-q", "-a", k.algorithm, "-K", folder}, k.options...), zone+".")...,
		),
	)
	raw, err := os.ReadFile(filepath.Join(folder, name+".key"))
	require.NoError(t, err)
	parser := dns.NewZoneParser(strings.NewReader(string(raw)), "", "")
	record, _ := parser.Next()
	require.IsType(t, new(dns.DNSKEY), record)
	return record.(*dns.DNSKEY)
}

func bindTool(t *testing.T, folder, tool string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Dir = folder
	out, err := cmd.Output()
	var detail string
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // exec returns it as it is
		detail = string(exit.Stderr)
	}
	require.NoError(t, err, "%s %v: %s", tool, args, detail)
	return string(out)
}

// lacking is a zone file without the records of a kind whose line holds a text.
func lacking(kind, text string) func(string) string {
	return func(zone string) string {
		var kept strings.Builder
		for line := range strings.Lines(zone) {
			if fields := strings.Fields(line); len(fields) > 4 && fields[3] == kind && strings.Contains(line, text) {
				continue
			}
			kept.WriteString(line)
		}
		return kept.String()
	}
}

// inventedDNSSEC are signed zones.
func inventedDNSSEC() []invention {
	return append(inventedSignatures(), inventedSignedZones()...)
}

// inventedSignatures are one zone each, which is signed in different ways.
func inventedSignatures() []invention {
	const (
		path   = "RFC 4035 §5.2 (one DS record that matches is enough)"
		unable = "RFC 4035 §5.2: where no algorithm or digest of the DS records is known, the zone counts as unsigned"
		sha1   = "RFC 4509 §3: SHA-1 digests are left aside where there are SHA-256 digests"
		algos  = "RFC 8624 §3.1; Unbound validates it"
		roll   = "RFC 6781 §4.1.2"
	)
	text := owned + delegated + pointed
	alone := func(name string) row { return row{name: name, absent: true} } // the zone itself is made by sign
	sign := func(keys []zoneKey, options ...string) signedZone {
		return signedZone{name: "$DOMAIN", text: text, keys: keys, options: options}
	}
	with := func(z signedZone, ds func(keys []*dns.DNSKEY) []*dns.DS) signedZone {
		z.ds = ds
		return z
	}
	changed := func(z signedZone, change func(string) string) signedZone {
		z.changed = change
		return z
	}
	unknownDS := func(algorithm, digest uint8) func([]*dns.DNSKEY) []*dns.DS {
		return func([]*dns.DNSKEY) []*dns.DS {
			return []*dns.DS{{KeyTag: 4711, Algorithm: algorithm, DigestType: digest, Digest: strings.Repeat("0f", 32)}}
		}
	}
	bogus := func(source, name string, z signedZone, says ...string) invention {
		r := alone(name)
		r.codes, r.says = codes(cert.DNSSECBogus), append(says, "$DOMAIN")
		return doomed(source, r).with(z)
	}
	ahead := []zoneKey{oneKey[0], {"ECDSAP256SHA256", []string{"-f", "KSK", "-A", "none"}}, {"ECDSAP256SHA256", nil}}
	rsa := splitKeys("RSASHA256", "-b", "2048")
	soon := time.Now().Add(time.Hour).UTC().Format("20060102150405")
	return []invention{
		ready(algos, alone("signed by RSA with two keys")).with(sign(rsa)),
		ready(algos, alone("signed by RSA with keys of 4096 bits")).with(sign(splitKeys("RSASHA256", "-b", "4096"))),
		ready(algos, alone("signed by ED25519")).with(sign(splitKeys("ED25519"))),
		ready(algos, alone("signed by ECDSA on P-384")).with(sign(splitKeys("ECDSAP384SHA384"))),
		ready(
			"RFC 8624 §3.1: validation of algorithm 7 is a must; one that drops it treats the zone as unsigned",
			alone("signed by RSA with SHA-1"),
		).with(sign(splitKeys("NSEC3RSASHA1", "-b", "2048"), "-3", "aabb")),
		ready(
			"RFC 4034 §2.1.1: any zone key may be named by a DS record, with or without the SEP flag",
			alone("signed by one key without the SEP flag"),
		).with(sign([]zoneKey{{"ECDSAP256SHA256", nil}})),
		ready(path, alone("DS records of an old key and of ours")).with(with(sign(oneKey), func(keys []*dns.DNSKEY) []*dns.DS {
			return append(digests(keys[0], dns.SHA256), foreign(keys[0].ToDS(dns.SHA256)))
		})),
		ready(path, alone("DS record by SHA-384")).with(
			with(sign(oneKey), func(keys []*dns.DNSKEY) []*dns.DS { return digests(keys[0], dns.SHA384) }),
		),
		ready(path, alone("DS records of two algorithms, one of them without a key")).with(with(sign(oneKey), func(
			keys []*dns.DNSKEY,
		) []*dns.DS {
			other := keys[0].ToDS(dns.SHA256)
			other.Algorithm, other.KeyTag = dns.RSASHA256, 12345
			return append(digests(keys[0], dns.SHA256), other)
		})),
		ready(sha1, alone("DS records by SHA-1 and SHA-256, the first wrong")).with(with(sign(oneKey), func(keys []*dns.DNSKEY) []*dns.DS {
			return append(digests(keys[0], dns.SHA256), foreign(keys[0].ToDS(dns.SHA1)))
		})),
		bogus(path, "DS record with a wrong key tag", with(sign(oneKey), func(keys []*dns.DNSKEY) []*dns.DS {
			ds := keys[0].ToDS(dns.SHA256)
			ds.KeyTag++
			return []*dns.DS{ds}
		}), "DS"),
		bogus(path, "DS record with a wrong algorithm", with(sign(oneKey), func(keys []*dns.DNSKEY) []*dns.DS {
			ds := keys[0].ToDS(dns.SHA256)
			ds.Algorithm = dns.RSASHA256
			return []*dns.DS{ds}
		}), "DS"),
		ready(unable, alone("DS record of an algorithm that nobody knows")).with(with(sign(nil), unknownDS(dns.PRIVATEDNS, dns.SHA256))),
		ready(unable, alone("DS record of a digest that nobody knows")).with(with(sign(nil), unknownDS(dns.ECDSAP256SHA256, 99))),
		bogus(unable, "DS records of an algorithm that nobody knows and of one that all know", with(sign(nil), func(
			[]*dns.DNSKEY,
		) []*dns.DS {
			return append(unknownDS(dns.PRIVATEDNS, dns.SHA256)(nil), unknownDS(dns.ED25519, dns.SHA256)(nil)...)
		}), "DS"),
		ready(
			roll, alone("two key-signing keys, one of them with a DS record"),
		).with(sign([]zoneKey{oneKey[0], oneKey[0], {"ECDSAP256SHA256", nil}})),
		ready(roll, alone("a key is published ahead of its time")).with(sign(ahead)),
		bogus(
			"RFC 4035 §5.2: the key that the DS record names must sign the keys", "DS record of a key that signs nothing yet",
			with(sign(ahead), func(keys []*dns.DNSKEY) []*dns.DS { return digests(keys[1], dns.SHA256) }), "DS",
		),
		bogus(
			"RFC 4035 §5.3.1: a signature counts from its inception", "signatures of a clock that is ahead",
			sign(oneKey, "-s", "20400101000000", "-e", "20400201000000"),
		),
		ready(
			"RFC 4035 §5.3.1: a signature counts until its end", alone("signatures that end within the hour"),
		).with(sign(oneKey, "-e", soon)),
		bogus(
			"RFC 4035 §5.3.1", "keys signed well and records with signatures that have ended",
			sign(splitKeys("ECDSAP256SHA256"), "-s", "20200101000000", "-e", "20200201000000", "-X", soon),
		),
		ready("RFC 5155 §7.2.1", alone("hashed denial with a salt and ten iterations")).with(sign(oneKey, "-3", "aabbccdd", "-H", "10")),
		ready(
			"RFC 9276 §3.2; Unbound's val-nsec3-keysize-iterations takes up to 150 iterations",
			alone("hashed denial with 150 iterations"),
		).with(signedZone{
			name: "$DOMAIN", text: text, keys: oneKey, options: []string{"-3", "aabbccdd", "-H", "150"}, servers: []string{c},
		}),
		ready("RFC 5155 §6", alone("hashed denial with opt-out")).with(sign(oneKey, "-3", "aabb", "-A")),
		bogus(
			"RFC 4035 §5.4: that there is no CAA record must be proven", "hashed denial lost",
			changed(
				signedZone{name: "$DOMAIN", text: text, keys: oneKey, options: []string{"-3", "aabb"}, servers: []string{b}},
				lacking("NSEC3", ""),
			),
		),
		bogus(
			"RFC 4035 §5.3.3", "signature of the challenge record lost",
			changed(signedZone{name: "$DOMAIN", text: owned + delegated + flat, keys: oneKey}, lacking("RRSIG", "CNAME 13 4")),
		).only(dns01),
	}
}

// only is the same set-up where no other methods are allowed.
func (i invention) only(of []cert.Method) invention {
	i.methods = of
	return i
}

// inventedSignedZones are signed zones with other zones below them, or behind aliases.
func inventedSignedZones() []invention {
	const (
		island   = "RFC 4035 §5.2: that a child has no DS record is proven by the parent, and makes it unsigned"
		every    = "RFC 4035 §5; BR 3.2.2.8.1: each zone that an answer comes through is validated"
		wildcard = "RFC 4035 §5.3.4"
	)
	inChild := "_evercert TXT \"$OWNERSHIP\"\n_acme-challenge CNAME $DELEGATION(shop).\n@ A $EDGE4\n@ AAAA $EDGE6\n"
	child := func(signing dnslab.Signing) []dnslab.Zone {
		zones := zoneOnNSD("shop.$DOMAIN", inChild)
		zones[0].Signing = signing
		return zones
	}
	bogus := codes(cert.DNSSECBogus)
	behind := func(name string, signing dnslab.Signing) dnslab.Zone {
		return dnslab.Zone{
			Name: name, Delegation: dnslab.NS(c), Signing: signing,
			On: dnslab.Zones{c: dnslab.NS(c) + "shop CNAME $DELEGATION(shop).\nwww A $EDGE4\n"},
		}
	}
	onBoth := func(name, text string, signing dnslab.Signing) []dnslab.Zone {
		return []dnslab.Zone{{Name: name, Delegation: dnslab.NS(a, b), Signing: signing, On: dnslab.OnEach(dnslab.NS(a, b)+text, a, b)}}
	}
	odd := func(name string, quirk dnslab.Quirk) row {
		return row{name: name, servers: []string{dnslab.Odd}, signing: dnslab.Signed, text: owned + delegated + flat, quirk: quirk}
	}
	fault := func(source string, r row, zone string) invention {
		r.codes, r.says = bogus, []string{zone}
		return doomed(source, r)
	}
	return []invention{
		ready(island, row{name: "unsigned host zone below a signed domain", signing: dnslab.Signed, extra: child(dnslab.Unsigned)}),
		ready(
			island,
			row{
				name: "unsigned host zone below a domain with hashed denial", signing: dnslab.SignedHash,
				extra: child(dnslab.Unsigned),
			},
		),
		ready("RFC 5155 §8.9: opt-out proves that the child may be unsigned", row{
			name: "unsigned host zone below a domain with opt-out", absent: true,
			extra: []dnslab.Zone{{Name: "shop.$DOMAIN", On: dnslab.Zones{c: dnslab.NS(c) + inChild}}},
		}).
			with(signedZone{name: "$DOMAIN", text: "shop NS ns-c.dnshost.net.\n", keys: oneKey, options: []string{"-3", "aabb", "-A"}}),
		ready(every, row{name: "signed host zone below a signed domain", signing: dnslab.Signed, extra: child(dnslab.Signed)}),
		ready(island, row{name: "signed host zone below an unsigned domain", extra: child(dnslab.Island)}),
		ready(island+"; an island's signatures are not looked at", row{
			name: "host zone that lost its signatures and has no DS record", signing: dnslab.Signed,
			extra: func() []dnslab.Zone {
				zones := child(dnslab.Island)
				zones[0].Tamper = lacking("RRSIG", "")
				return zones
			}(),
		}),
		fault(
			every,
			row{
				name: "host zone with ended signatures below a signed domain", signing: dnslab.Signed, extra: child(dnslab.Expired),
			},
			"shop.$DOMAIN",
		),
		fault(
			every,
			row{name: "unsigned host zone with a DS record in the domain", signing: dnslab.Signed, extra: child(dnslab.DSOnly)},
			"shop.$DOMAIN",
		),
		ready(every, row{
			name:  "challenge through an alias in a signed domain",
			text:  owned + pointed + "_acme-challenge.shop CNAME shop.z-$SECOND.\n",
			extra: []dnslab.Zone{behind("z-$SECOND", dnslab.Signed)},
		}),
		fault(
			every,
			row{
				name: "challenge through an alias in a domain with ended signatures", methods: dns01,
				text:  owned + pointed + "_acme-challenge.shop CNAME shop.z-$SECOND.\n",
				extra: []dnslab.Zone{behind("z-$SECOND", dnslab.Expired)},
			},
			"z-$SECOND",
		),
		ready("RFC 8555 §8.3: http-01 does not ask for the challenge name", row{
			name: "pointed, and the challenge leads into a bogus domain", chosen: http01,
			text:  owned + pointed + "_acme-challenge.shop CNAME shop.z-$SECOND.\n",
			extra: []dnslab.Zone{behind("z-$SECOND", dnslab.Expired)},
		}).may(cert.DNSSECBogus),
		fault(
			every,
			row{
				name: "address through an alias in a domain with a foreign DS record", methods: http01,
				text: owned + "shop CNAME www.z-$SECOND.\n", extra: []dnslab.Zone{behind("z-$SECOND", dnslab.ForeignDS)},
			},
			"z-$SECOND",
		),
		fault(
			every+"; RFC 8659 §3: the CAA look-up of the host goes through its alias",
			row{
				name: "challenge fine and the host an alias into a bogus domain",
				text: owned + delegated + "shop CNAME www.z-$SECOND.\n", extra: []dnslab.Zone{behind("z-$SECOND", dnslab.Expired)},
			},
			"z-$SECOND",
		),
		fault(
			every+"; a DNAME is an alias",
			row{
				name: "DNAME into a bogus domain", hosts: []string{"shop.eu"},
				text: "_evercert TXT $OWNERSHIP(@)\neu DNAME eu.z-$SECOND.\n",
				extra: []dnslab.Zone{{
					Name: "z-$SECOND", Delegation: dnslab.NS(c), Signing: dnslab.ForeignDS,
					On: dnslab.Zones{c: dnslab.NS(c) + "_acme-challenge.shop.eu CNAME $DELEGATION(shop.eu).\nshop.eu A $EDGE4\n"},
				}},
			},
			"z-$SECOND",
		),
		ready("RFC 6672 §5.3.1: the CNAME that a DNAME makes has no signature of its own", row{
			name: "DNAME in a signed domain", hosts: []string{"shop.eu"}, signing: dnslab.Signed,
			text:   "_evercert TXT $OWNERSHIP(@)\neu DNAME eu.$SECOND.\n",
			second: "_acme-challenge.shop.eu CNAME $DELEGATION(shop.eu).\nshop.eu A $EDGE4\nshop.eu AAAA $EDGE6\n",
		}),
		ready(wildcard, row{
			name: "wildcard in a signed domain", hosts: []string{"blog"}, signing: dnslab.Signed, chosen: http01,
			text: "_evercert TXT $OWNERSHIP(@)\n* CNAME $TARGET.\n",
		}),
		ready(wildcard+"; RFC 5155 §8.8", row{
			name: "wildcard in a domain with hashed denial", hosts: []string{"blog"}, signing: dnslab.SignedHash, chosen: http01,
			text: "_evercert TXT $OWNERSHIP(@)\n* CNAME $TARGET.\n",
		}),
		fault(
			wildcard+": without the proof that the name itself doesn't exist the answer is bogus",
			row{
				name: "wildcard in a signed domain without the proof", hosts: []string{"blog"}, servers: []string{b},
				signing: dnslab.Signed, methods: http01, text: "_evercert TXT $OWNERSHIP(@)\n* CNAME $TARGET.\n",
				tamper: lacking("NSEC", ""),
			},
			"$DOMAIN",
		),
		fault(every+"; that the alias's name has no CAA record must be proven", row{
			name: "host an alias into a domain that lost its denials", text: owned + delegated + "shop CNAME www.z-$SECOND.\n",
			extra: func() []dnslab.Zone {
				z := behind("z-$SECOND", dnslab.Signed)
				z.Delegation, z.On, z.Tamper = dnslab.NS(b), dnslab.Zones{b: dnslab.NS(b) + "www A $EDGE4\n"}, lacking("NSEC", "")
				return []dnslab.Zone{z}
			}(),
		}, "z-$SECOND"),
		fault(
			"RFC 4035 §3.1.1: signatures belong into answers to those who ask for them",
			odd("signed, and a box in front drops the signatures", dropSignatures), "$DOMAIN",
		),
		ready(
			"Unbound validator/validator.c validate_nameerror_response: where the NSEC record proves that "+
				"the type isn't there, the code is taken to be wrong",
			odd("signed, and the server denies names for CAA", answersCodeSigned(dns.RcodeNameError, dns.TypeCAA)),
		),
		fault("RFC 4035 §5.4", odd("signed, and the server leaves out why there is no CAA", withoutProof(dns.TypeCAA)), "$DOMAIN"),
		ready(island, row{
			name: "unsigned host zone on the servers of its signed domain", signing: dnslab.Signed,
			extra: onBoth("shop.$DOMAIN", inChild, dnslab.Unsigned),
		}),
		ready(every, row{
			name: "signed host zone on the servers of its signed domain", signing: dnslab.Signed,
			extra: onBoth("shop.$DOMAIN", inChild, dnslab.Signed),
		}),
		ready("RFC 4035 §5.2: a DS record in a zone that is unsigned itself can't be validated, and binds nobody", row{
			name: "DS record in an unsigned zone below a signed domain", hosts: []string{"shop.eu"}, signing: dnslab.Signed,
			extra: append(onBoth("eu.$DOMAIN", "shop DS 4711 13 2 "+strings.Repeat("0f", 32)+"\n", dnslab.Unsigned), dnslab.Zone{
				Name: "shop.eu.$DOMAIN", Delegation: dnslab.NS(c), On: dnslab.Zones{c: dnslab.NS(c) +
					"_evercert TXT \"$OWNERSHIP\"\n_acme-challenge CNAME $DELEGATION(shop.eu).\n@ A $EDGE4\n" +
					"@ AAAA $EDGE6\n"},
			}),
		}),
		ready("RFC 4035 §5.4; RFC 4592: an empty non-terminal is denied by an NSEC record that covers it", row{
			name: "host that exists by its records only, in a signed domain", signing: dnslab.Signed, text: owned + delegated,
			warns: codes(cert.DNSNoRecords),
		}),
		ready("RFC 5155 §7.1: empty non-terminals have hashes of their own", row{
			name: "host that exists by its records only, with hashed denial", signing: dnslab.SignedHash, text: owned + delegated,
			warns: codes(cert.DNSNoRecords),
		}),
	}
}

// dropSignatures leaves all signatures out.
func dropSignatures(_, right *dns.Msg) *dns.Msg {
	for _, section := range []*[]dns.RR{&right.Answer, &right.Ns, &right.Extra} {
		*section = slices.DeleteFunc(*section, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
	}
	return right
}

// answersCodeSigned changes the code of answers to questions of these types, and leaves the rest.
func answersCodeSigned(code int, types ...uint16) dnslab.Quirk {
	return func(asked, right *dns.Msg) *dns.Msg {
		if slices.Contains(types, asked.Question[0].Qtype) {
			right.Rcode = code
		}
		return right
	}
}

// withoutProof leaves the NSEC records out of answers to questions of these types.
func withoutProof(types ...uint16) dnslab.Quirk {
	return func(asked, right *dns.Msg) *dns.Msg {
		if !slices.Contains(types, asked.Question[0].Qtype) {
			return right
		}
		right.Ns = slices.DeleteFunc(right.Ns, func(rr dns.RR) bool {
			signature, ok := rr.(*dns.RRSIG)
			return rr.Header().Rrtype == dns.TypeNSEC || ok && signature.TypeCovered == dns.TypeNSEC
		})
		return right
	}
}
