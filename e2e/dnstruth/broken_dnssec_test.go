package dnstruth

import (
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// brokenElsewhere are zones that are not the tenant's own, through which an answer comes: every one must pass DNSSEC validation, as it
// must for a CA (RFC 8659 §3, Baseline Requirements §3.2.2.8). The zone at fault is named.
func brokenElsewhere() []row {
	ready := owned + delegated
	// behind is a zone in which a CAA record would be looked for, as signing has it.
	behind := func(name string, signing dnslab.Signing, tamper func(string) string) []dnslab.Zone {
		// Knot gives out signatures that are left of a zone whose NSEC records are gone; BIND gives out none.
		return []dnslab.Zone{{
			Name: name, Delegation: dnslab.NS(b), On: onKnot(dnslab.NS(b) + "www A " + hostOld + "\n"), Signing: signing, Tamper: tamper,
		}}
	}
	table := []row{
		{
			name: "alias into a zone whose signatures have expired", text: ready + "shop CNAME www.expired-elsewhere.net.\n",
			extra: behind("expired-elsewhere.net", dnslab.Expired, nil),
			says:  []string{"expired-elsewhere.net", "expired on", "lead the alias elsewhere"},
		},
		{
			name: "alias into a zone with a foreign DS", text: ready + "shop CNAME www.foreign-elsewhere.net.\n",
			extra: behind("foreign-elsewhere.net", dnslab.ForeignDS, nil),
			says:  []string{"foreign-elsewhere.net", "fit none of its keys"},
		},
		{
			name: "alias into a zone that has a DS record and no keys", text: ready + "shop CNAME www.unkeyed-elsewhere.net.\n",
			extra: behind("unkeyed-elsewhere.net", dnslab.DSOnly, nil),
			says:  []string{"unkeyed-elsewhere.net", "has no DNSKEY record"},
		},
		{
			name: "alias into a zone that can not deny CAA", text: ready + "shop CNAME www.undenied-elsewhere.net.\n",
			extra: behind("undenied-elsewhere.net", dnslab.Signed, takenOut("NSEC", "")),
			warns: codes(cert.DNSWrongTarget), says: []string{"undenied-elsewhere.net", "without signed proof"},
		},
		{
			name: "parent that is an alias into a broken zone", hosts: []string{"a.shop"},
			text: `_evercert.a.shop TXT "$OWNERSHIP"` +
				"\n_acme-challenge.a.shop CNAME $DELEGATION(a.shop).\na.shop A $EDGE4\nshop CNAME www.expired-above.net.\n",
			extra: behind("expired-above.net", dnslab.Expired, nil), says: []string{"expired-above.net"},
		},
	}
	sub := func(signing dnslab.Signing) []dnslab.Zone {
		return []dnslab.Zone{{
			Name: "shop.$DOMAIN", Delegation: dnslab.NS(c), Signing: signing,
			On: dnslab.Zones{c: dnslab.NS(c) + "_evercert TXT \"$OWNERSHIP\"\n_acme-challenge CNAME $DELEGATION(shop).\n@ A $EDGE4\n"},
		}}
	}
	table = append(table,
		row{
			name: "unsigned sub zone without proof above", servers: []string{b}, signing: dnslab.Signed, tamper: takenOut("NSEC", ""),
			extra: sub(dnslab.Unsigned), says: []string{"unsigned-sub-zone-without-proof-above.example", "without signed proof"},
		},
		row{
			name: "signed sub zone with a foreign DS", signing: dnslab.Signed, extra: sub(dnslab.ForeignDS),
			says: []string{"shop.signed-sub-zone-with-a-foreign-ds.example", "fit none of its keys"},
		},
	)
	for i := range table {
		table[i].verdict, table[i].acts, table[i].codes = cert.Wrong, cert.TenantActs, codes(cert.DNSSECBogus)
		if len(table[i].extra) == 1 && strings.HasSuffix(table[i].extra[0].Name, ".net") && table[i].hosts == nil {
			table[i].methods = dns01 // the name itself leads elsewhere: only CAA stands in the way of dns-01
		}
	}
	return append(table, keysMissingRows()...)
}

// keysMissingRows have a DS record and a server that doesn't answer the question for the keys: no validating resolver gets an answer, and
// it is not known for how long.
func keysMissingRows() []row {
	ready := owned + delegated + pointed
	keyless := func(name string, quirk dnslab.Quirk) row {
		return row{
			name: name, servers: []string{dnslab.Odd}, signing: dnslab.Signed, text: ready, quirk: quirk,
			verdict: cert.Unknown, acts: cert.PlatformActs, codes: codes(cert.DNSLookupFailed),
			says: []string{"$DOMAIN", dnslab.Odd + ".dnshost.net"},
		}
	}
	return []row{
		keyless("silent about its keys", dnslab.SilentTo(dns.TypeDNSKEY)),
		keyless("refuses its keys", dnslab.RefusesTypes(dns.TypeDNSKEY)),
	}
}

// brokenDenials are signed zones that deny what their own NSEC or NSEC3 records don't, because a record was taken out after signing.
func brokenDenials() []row {
	ready := owned + delegated + pointed
	table := []row{
		{
			name: "CAA taken out after signing", methods: dns01, text: ready + "@ CAA 0 issue \"letsencrypt.org\"\n",
			tamper: takenOut("CAA", "letsencrypt"), says: []string{"says that there is a CAA record"},
		},
		{
			name: "delegation taken out after signing", methods: dns01, text: ready, tamper: takenOut("CNAME", "dcv."),
			says: []string{"says that there is a CNAME record"},
		},
		{
			name: "CAA taken out after signing with hashes", methods: dns01, signing: dnslab.SignedHash,
			text: ready + "@ CAA 0 issue \"letsencrypt.org\"\n", tamper: takenOut("CAA", "letsencrypt"),
			says: []string{"says that there is a CAA record"},
		},
	}
	for i := range table {
		table[i].verdict, table[i].acts, table[i].codes = cert.Wrong, cert.TenantActs, codes(cert.DNSSECBogus)
		if table[i].signing == dnslab.Unsigned {
			table[i].signing = dnslab.Signed
		}
	}
	return table
}

// healthyServers answer in unusual ways that CAs' resolvers get along with.
func healthyServers() []row {
	ready := owned + delegated + pointed
	odd := func(name string, quirk dnslab.Quirk) row {
		return row{name: name, servers: []string{dnslab.Odd}, text: ready, quirk: quirk}
	}
	balanced := func(name string, quirk dnslab.Quirk) row {
		return row{name: name, extra: []dnslab.Zone{{
			Name: "shop.$DOMAIN", Delegation: dnslab.NS(dnslab.Odd), Quirk: quirk,
			On: dnslab.Zones{
				dnslab.Odd: dnslab.NS(dnslab.Odd) + "_evercert TXT \"$OWNERSHIP\"\n_acme-challenge CNAME $DELEGATION(shop).\n@ A $EDGE4\n",
			},
		}}}
	}
	// inSuffix is a name whose records stand in the zone of its public suffix, which delegates nothing.
	inSuffix := func(name, host, suffix string) row {
		within := strings.TrimSuffix(host, "."+suffix)
		records := "_evercert." + within + " TXT \"$OWNERSHIP\"\n" +
			"_acme-challenge." + within + " CNAME $DELEGATION(" + host + ".).\n" +
			within + " CNAME $TARGET.\n"
		return row{name: name, absent: true, hosts: []string{host + "."}, extra: []dnslab.Zone{{
			Name: suffix, Delegation: dnslab.NS(a, b), Signing: dnslab.Signed,
			On: dnslab.OnEach(dnslab.NS(a, b)+records, a, b),
		}}}
	}
	table := []row{
		inSuffix("healthy in the zone of a registry", "www.trust.nhs.uk", "nhs.uk"),
		inSuffix("healthy in the zone of a company's suffix", "tenant.github.io", "github.io"),
		inSuffix("healthy in the zone of a suffix for dynamic addresses", "shop.duckdns.org", "duckdns.org"),
		odd("healthy without the AA bit", dnslab.WithoutAA),
		odd("healthy in lower case only", dnslab.LowersCase),
		odd("healthy at one second an answer", dnslab.Takes(time.Second)),
		balanced("healthy at a load balancer that refuses SOA and NS", dnslab.RefusesTypes(dns.TypeSOA, dns.TypeNS)),
		balanced("healthy at a load balancer that is silent about SOA and NS", dnslab.SilentTo(dns.TypeSOA, dns.TypeNS)),
	}
	for i := range table {
		table[i].verdict, table[i].chosen = cert.OK, dns01
	}
	return table
}

// takenOut takes records of a type out of a zone after it was signed: those whose lines have a part.
func takenOut(rrtype, part string) func(string) string {
	return func(zone string) string {
		var kept strings.Builder
		for line := range strings.Lines(zone) {
			if fields := strings.Fields(line); len(fields) < 4 || fields[3] != rrtype || !strings.Contains(line, part) {
				kept.WriteString(line)
			}
		}
		return kept.String()
	}
}
