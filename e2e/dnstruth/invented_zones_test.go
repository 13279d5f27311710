package dnstruth

import (
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// zoneOnNSD is a zone on the third server, delegated to it.
func zoneOnNSD(name, text string) []dnslab.Zone {
	return []dnslab.Zone{{Name: name, Delegation: dnslab.NS(c), On: dnslab.Zones{c: dnslab.NS(c) + text}}}
}

// inventedAliases are CNAME chains and DNAME records.
func inventedAliases() []invention {
	const (
		alias   = "RFC 8555 §8.4 (CNAMEs are followed); RFC 1034 §3.6.2"
		unbound = "Unbound iterator/iterator.h MAX_RESTART_COUNT 11: aliases between zones that its resolvers follow"
		dname   = "RFC 6672 §2.3"
	)
	above := "_evercert TXT $OWNERSHIP(@)\n"
	// zigzag leads from $DOMAIN to $SECOND and back, in so many steps, and then to the delegation's target.
	zigzag := func(steps int) (first, second string) {
		at := "_acme-challenge.shop"
		for n := range steps {
			next := string(rune('a' + n))
			if n%2 == 0 {
				first += at + " CNAME " + next + ".$SECOND.\n"
			} else {
				second += at + " CNAME " + next + ".$DOMAIN.\n"
			}
			at = next
		}
		last := at + " CNAME $DELEGATION(shop).\n"
		if steps%2 == 0 {
			return first + last, second
		}
		return first, second + last
	}
	sixFirst, sixSecond := zigzag(6)
	manyFirst, manySecond := zigzag(20)
	return []invention{
		ready(alias, row{
			name: "challenge through another domain's alias",
			text: owned + pointed + "_acme-challenge.shop CNAME shop.dcv.$SECOND.\n", second: "shop.dcv CNAME $DELEGATION(shop).\n",
		}),
		ready(unbound, row{name: "challenge through six aliases in two domains", text: owned + pointed + sixFirst, second: sixSecond}),
		doomed(unbound, row{
			name: "challenge through twenty aliases in two domains", methods: dns01, text: owned + pointed + manyFirst,
			second: manySecond, says: []string{"$DELEGATION(shop)"},
		}).oneOf(cert.DelegationWrongTarget),
		ready("Unbound follows a chain that one zone answers in one step, and up to 11 between zones", row{
			name: "address through nine aliases of the domain", chosen: http01, text: owned + `shop CNAME h1
h1 CNAME h2
h2 CNAME h3
h3 CNAME h4
h4 CNAME h5
h5 CNAME h6
h6 CNAME h7
h7 CNAME h8
h8 CNAME $TARGET.
`,
		}),
		ready(alias, row{
			name: "address through an alias in another domain", chosen: http01, text: owned + "shop CNAME shop.$SECOND.\n",
			second: "shop CNAME $TARGET.\n",
		}),
		doomed(alias, row{
			name: "address through an alias that isn't there", methods: http01, text: owned + "shop CNAME sohp.$SECOND.\n",
			second: "shop CNAME $TARGET.\n", codes: codes(cert.DNSWrongTarget), says: []string{"sohp.$SECOND", "$TARGET"},
		}),
		doomed(alias, row{
			name: "address through an alias without an address", methods: http01, text: owned + "shop CNAME mail.$SECOND.\n",
			second: "mail TXT \"no address here\"\n", says: []string{"mail.$SECOND", "$TARGET"},
		}).oneOf(cert.DNSWrongTarget, cert.DNSNoRecords),
		doomed("RFC 1034 §3.6.2 (a circle has no answer); the domain of the alias is not registered", row{
			name: "address through an alias in a domain that was given up", methods: http01,
			text: owned + "shop CNAME shop.$SECOND.\n", codes: codes(cert.DNSWrongTarget), says: []string{"shop.$SECOND"},
		}),
		doomed("RFC 8555 §8.4; NXDOMAIN at the alias's domain", row{
			name: "challenge through an alias in a domain that was given up", methods: dns01,
			text: owned + pointed + "_acme-challenge.shop CNAME shop.$SECOND.\n", codes: codes(cert.DelegationWrongTarget),
			says: []string{"shop.$SECOND", "$DELEGATION(shop)"},
		}),
		ready(dname, row{
			name: "DNAME in front of all records", hosts: []string{"shop.eu"}, text: above + "eu DNAME eu.$SECOND.\n",
			second: "_acme-challenge.shop.eu CNAME $DELEGATION(shop.eu).\nshop.eu A $EDGE4\nshop.eu AAAA $EDGE6\n",
		}),
		ready(dname, row{
			name: "DNAME at the domain", text: "@ DNAME $SECOND.\n",
			second: above + "_acme-challenge.shop CNAME $DELEGATION(shop).\nshop CNAME $TARGET.\n",
		}),
		ready("RFC 6672 §2.3: a DNAME does not lead its own name away", row{
			name: "DNAME at the host itself", text: above + "shop DNAME shop.$SECOND.\nshop A $EDGE4\nshop AAAA $EDGE6\n",
			second: delegated,
		}),
		doomed(dname, row{
			name: "alias of a whole sub-domain to where the challenge isn't", hosts: []string{"shop.eu"}, methods: dns01,
			text: above + "eu DNAME eu.$SECOND.\n", second: "shop.eu A $EDGE4\nshop.eu AAAA $EDGE6\n",
			says: []string{"_acme-challenge.shop.eu", "DNAME"}, never: []string{"named *"},
		}).oneOf(cert.DelegationMissing, cert.DelegationWrongTarget),
		ready("RFC 1912 §2.4: ALIAS and flattened records answer with addresses", row{
			name: "domain flattened and www an alias of it", hosts: []string{"@", "www"}, chosen: http01,
			text: above + "@ A $EDGE4\n@ AAAA $EDGE6\nwww CNAME $DOMAIN.\n",
		}),
		ready(alias, row{
			name: "challenge of www through that of the domain", hosts: []string{"www"},
			text: above + "www CNAME $TARGET.\n_acme-challenge.www CNAME _acme-challenge\n" +
				"_acme-challenge CNAME $DELEGATION(www).\n",
		}),
		doomed("docs/ownership.md; each name's challenge leads to a target of its own", row{
			name: "challenges of two hosts lead to one target", hosts: []string{"shop", "www"}, methods: dns01,
			text:  above + delegated + pointed + "www CNAME $TARGET.\n_acme-challenge.www CNAME $DELEGATION(shop).\n",
			codes: codes(cert.DelegationWrongTarget), says: []string{"_acme-challenge.www", "$DELEGATION(www)"},
		}),
	}
}

// inventedZones are sub-zones, delegations, public suffixes and registrations.
func inventedZones() []invention {
	const (
		cut    = "RFC 1034 §4.2.1: below a zone cut the child decides, whatever the parent holds"
		suffix = "publicsuffix.org; RFC 8555 §7.1.3 names no zone: a CA asks for records, wherever the zone begins"
	)
	inChild := "_evercert TXT \"$OWNERSHIP\"\n_acme-challenge CNAME $DELEGATION(shop).\n@ A $EDGE4\n@ AAAA $EDGE6\n"
	ns := func(servers ...string) string { return dnslab.NS(servers...) }
	two := func(name, text string) dnslab.Zone {
		return dnslab.Zone{Name: name, Delegation: ns(a, b), On: dnslab.OnEach(ns(a, b)+text, a, b)}
	}
	suffixed := func(host string) string {
		return "_evercert." + host + " TXT \"$OWNERSHIP\"\n"
	}
	// in is a domain of one row that is a public suffix, such as hopto.org, with the host's records in the suffix's own zone.
	in := func(name string) row {
		return row{
			name: name, absent: true, hosts: []string{"shop.$SECOND"},
			second: suffixed("shop") + "_acme-challenge.shop CNAME $DELEGATION(shop.$SECOND).\nshop A $EDGE4\nshop AAAA $EDGE6\n",
		}
	}
	pointedIn := func(name string) row {
		return row{
			name: name, absent: true, hosts: []string{"shop.$SECOND"}, chosen: http01,
			second: suffixed("shop") + "shop A $EDGE4\nshop AAAA $EDGE6\n",
		}
	}
	ofSuffix := func(host, tail string) string {
		return "_evercert." + tail + " TXT \"$OWNERSHIP\"\n_acme-challenge." + tail + " CNAME $DELEGATION(" + host + ").\n" + tail +
			" A $EDGE4\n" + tail + " AAAA $EDGE6\n"
	}
	return []invention{
		doomed(cut, row{
			name: "records above the zone cut of the host", methods: dns01, text: owned + delegated,
			extra: zoneOnNSD("shop.$DOMAIN", "@ A $EDGE4\n@ AAAA $EDGE6\n"),
			codes: codes(cert.DelegationMissing, cert.OwnershipMissing), says: []string{"ns-c"},
		}),
		ready(cut, row{
			name:  "old records above the zone cut of the host",
			text:  "_acme-challenge.shop CNAME old.stranger.org.\nshop A " + hostOld + "\n",
			extra: zoneOnNSD("shop.$DOMAIN", inChild),
		}),
		ready(cut, row{name: "host in a zone of its own on the same servers", extra: []dnslab.Zone{two("shop.$DOMAIN", inChild)}}),
		ready("RFC 1034 §4.3.2: a server answers from the nearest zone that it has", row{
			name: "host in a zone of its own that the parent doesn't delegate", extra: []dnslab.Zone{
				{Name: "shop.$DOMAIN", On: dnslab.OnEach(ns(a, b)+inChild, a, b)},
			},
		}),
		doomed("RFC 1034 §4.3.2: one server has the zone, the other answers from the parent's; a CA may ask either", row{
			name: "host in a zone of its own that only one server has", methods: dns01, extra: []dnslab.Zone{
				{Name: "shop.$DOMAIN", On: dnslab.OnEach(ns(a)+inChild, a)},
			}, codes: codes(cert.AnswersDiffer), says: []string{"ns-b"},
		}).may(cert.DelegationMissing, cert.OwnershipMissing, cert.DNSNoRecords),
		ready(cut, row{
			name: "host three zones down", hosts: []string{"shop.shops.eu"}, extra: []dnslab.Zone{two("eu.$DOMAIN", ""), {
				Name: "shops.eu.$DOMAIN", Delegation: ns(c), On: dnslab.Zones{c: ns(c) +
					"_evercert.shop TXT \"$OWNERSHIP\"\n_acme-challenge.shop CNAME $DELEGATION(shop.shops.eu).\n" +
					"shop CNAME $TARGET.\n"},
			}},
		}),
		ready(cut, row{
			name:  "challenge name is a zone of its own on a live server",
			text:  owned + pointed + "_acme-challenge.shop NS ns-c.dnshost.net.\n",
			extra: []dnslab.Zone{{Name: "_acme-challenge.shop.$DOMAIN", On: dnslab.Zones{c: ns(c)}}}, chosen: http01,
		}),
		doomed(cut+"; RFC 1034 §3.6.2: no CNAME can stand at the top of a zone", row{
			name: "challenge name is a zone of its own without our record", methods: dns01, text: owned + pointed +
				"_acme-challenge.shop NS ns-c.dnshost.net.\n",
			extra: []dnslab.Zone{{Name: "_acme-challenge.shop.$DOMAIN", On: dnslab.Zones{c: ns(c) + "@ TXT \"of another tool\"\n"}}},
			says:  []string{"_acme-challenge.shop.$DOMAIN", "NS"},
		}).oneOf(cert.DelegationMissing, cert.DelegationWrongTarget),
		doomed(cut, row{
			name: "challenge name is handed to a lame server", methods: dns01,
			text: owned + pointed + "_acme-challenge.shop NS ns-lame.dnshost.net.\n",
			says: []string{"_acme-challenge.shop.$DOMAIN", "ns-lame.dnshost.net"},
		}).oneOf(cert.NameserverLame, cert.DelegationWrongTarget, cert.DelegationMissing),
		ready("RFC 1034 §4.2.1; http-01 needs no challenge name", row{
			name: "challenge name is handed to a lame server and the host leads to us",
			text: owned + pointed + "_acme-challenge.shop NS ns-lame.dnshost.net.\n", chosen: http01,
		}).may(cert.NameserverLame),
		unsure("docs/failure.md: nobody knows what silent servers hold", row{
			name: "host in a zone of its own on dead servers", text: owned + "shop NS ns-dead.dnshost.net.\n", methods: http01,
			says: []string{"ns-dead.dnshost.net"},
		}).oneOf(cert.NameserverUnreachable, cert.DNSLookupFailed).may(cert.CAALookupFailed, cert.DelegationMissing),
		doomed("RFC 1034 §4.2.1: the sub-zone's servers have no address", row{
			name: "host in a zone whose server has no address", text: owned + "shop NS ns-gone.dnshost.net.\n", methods: http01,
			says: []string{"ns-gone.dnshost.net"},
		}).oneOf(cert.NameserverUnreachable).may(cert.CAALookupFailed, cert.DNSLookupFailed),
		ready("RFC 2181 §6.1: NS records with names in another case are the same", row{
			name: "name servers in capitals", text: owned + delegated + pointed,
			own: "@ NS NS-A.DNSHOST.NET.\n@ NS ns-b.DnsHost.net.\n",
		}),
		ready("RFC 1034 §4.2.2: glue for servers in the zone", row{
			name: "six name servers in the zone, two of them dead", text: owned + delegated + pointed, parent: sixServers,
			own: sixServers, warns: codes(cert.NameserverUnreachable),
		}),
		ready("RFC 1035 §2.3.1: an NS record holds a name; the other servers answer", row{
			name: "a name server typed as an address", text: owned + delegated + pointed, parent: ns(a, b) + "@ NS $NET.11.\n",
			own: ns(a, b) + "@ NS $NET.11.\n", warns: codes(cert.NameserverUnreachable), says: []string{"$NET.11"},
		}),
		doomed("RFC 1035 §2.3.1", row{
			name: "all name servers typed as addresses", text: owned + delegated + pointed,
			parent: "@ NS $NET.11.\n@ NS $NET.12.\n", codes: codes(cert.NameserverUnreachable), says: []string{"$NET.11"},
		}),
		ready("RFC 1034 §4.3.5: the other servers answer", row{
			name: "a name server in a domain that was given up", text: owned + delegated + pointed,
			parent: ns(a, b) + "@ NS ns1.$SECOND.\n", own: ns(a, b) + "@ NS ns1.$SECOND.\n",
			warns: codes(cert.NameserverUnreachable), says: []string{"ns1.$SECOND"},
		}),
		doomed("RFC 1034 §4.2.1: nobody can ask servers without an address", row{
			name: "all name servers in a domain that was given up", text: owned + delegated + pointed,
			parent: "@ NS ns1.$SECOND.\n@ NS ns2.$SECOND.\n", codes: codes(cert.NameserverUnreachable),
			says: []string{"ns1.$SECOND", "ns2.$SECOND"},
		}),
		ready(suffix, in("hopto")),
		ready(suffix, pointedIn("ddnss")),
		ready(suffix, row{
			name: "spdns", absent: true, hosts: []string{"www.shop.$SECOND"},
			second: "_evercert.shop TXT $OWNERSHIP(shop.$SECOND)\n" +
				"_acme-challenge.www.shop CNAME $DELEGATION(www.shop.$SECOND).\nwww.shop CNAME $TARGET.\n",
		}),
		doomed(suffix+"; docs/ownership.md", row{
			name: "zapto", absent: true, hosts: []string{"shop.$SECOND"}, second: "shop A $EDGE4\nshop AAAA $EDGE6\n",
			codes: codes(cert.OwnershipMissing), says: []string{"_evercert.shop.$SECOND"}, never: []string{"not registered"},
		}),
		doomed(suffix+"; the host exists and leads elsewhere", row{
			name: "myftp", absent: true, methods: http01, hosts: []string{"shop.$SECOND"},
			second: suffixed("shop") + "shop A " + hostOld + "\n", codes: codes(cert.DNSWrongTarget),
			never: []string{"not registered"},
		}),
		doomed(suffix+"; NXDOMAIN in the suffix's zone", row{
			name: "homelinux", absent: true, hosts: []string{"shop.$SECOND"}, second: "other A $EDGE4\n",
			says: []string{"shop.$SECOND"},
		}).oneOf(cert.DomainNotRegistered, cert.DNSNoRecords).may(cert.OwnershipMissing, cert.DelegationMissing),
		ready(
			suffix,
			row{name: "eu", absent: true, hosts: []string{"www.tenant.$SECOND"}, second: "nic A $EDGE4\n", extra: []dnslab.Zone{two(
				"tenant.eu.org",
				"_evercert.www TXT \"$OWNERSHIP\"\n_acme-challenge.www CNAME $DELEGATION(www.tenant.$SECOND).\n"+
					"www CNAME $TARGET.\n",
			)}},
		),
		ready(suffix, row{
			name: "a shop below co uk without a zone in between", absent: true, hosts: []string{"www.brand.co.uk."},
			extra: []dnslab.Zone{two("brand.co.uk", ofSuffix("www.brand.co.uk.", "www"))},
		}),
		doomed("RFC 1034 §4.3.2: NXDOMAIN from the registry", row{
			name: "a shop below co uk that nobody registered", absent: true, hosts: []string{"www.brnad.co.uk."},
			extra: []dnslab.Zone{two("other.co.uk", "")}, codes: codes(cert.DomainNotRegistered), says: []string{"brnad.co.uk"},
		}),
		ready(suffix, row{
			name: "a shop below a suffix with a zone of its own", absent: true, hosts: []string{"shop.brand.com.br."},
			extra: []dnslab.Zone{two("com.br", ""), two("brand.com.br", ofSuffix("shop.brand.com.br.", "shop"))},
		}),
		ready(suffix, row{
			name: "an app host with records in the provider's zone", absent: true, hosts: []string{"shop.netlify.app."},
			extra: []dnslab.Zone{two("netlify.app", ofSuffix("shop.netlify.app.", "shop"))},
		}),
		ready(suffix, row{
			name: "a host with records in a hospital's suffix", absent: true, hosts: []string{"www.ward.nhs.uk."},
			extra: []dnslab.Zone{two("nhs.uk", ofSuffix("www.ward.nhs.uk.", "www.ward"))},
		}),
		doomed("RFC 1034 §4.3.2: NXDOMAIN from the registry", row{
			name: "the second of two domains was never registered", hosts: []string{"shop", "shop.$SECOND"},
			text: owned + delegated + pointed, codes: codes(cert.DomainNotRegistered), says: []string{"$SECOND"},
		}).may(cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords),
	}
}

// sixServers stand in the zone itself; two of them are dead.
const sixServers = `@ NS n1
@ NS n2
@ NS n3
@ NS n4
@ NS n5
@ NS n6
n1 A $NET.11
n2 A $NET.12
n3 A $NET.14
n4 A $NET.11
n5 A $NET.12
n6 A $NET.14
`
