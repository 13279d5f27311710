package dnstruth

import "github.com/evercert/evercert/cert"

// inventedTyping are what people and providers' forms make of the records that are asked for, and what wildcards make of them.
func inventedTyping() []invention {
	return append(inventedTypos(), inventedWildcards()...)
}

func inventedTypos() []invention {
	const (
		challenge = "RFC 8555 §8.4: the CA asks for _acme-challenge and the name, nothing else"
		proof     = "docs/ownership.md: one TXT record at _evercert and the name"
		letters   = "RFC 4343 §3: names are compared without regard to case"
	)
	missing, wrong := codes(cert.DelegationMissing), codes(cert.DelegationWrongTarget)
	typed := func(name, source, challengeRecord string, of []cert.Code, says ...string) invention {
		return doomed(source, row{
			name: name, methods: dns01, text: owned + pointed + challengeRecord + "\n", codes: of,
			says: append(says, "_acme-challenge.shop.$DOMAIN", "$DELEGATION(shop)"),
		})
	}
	proved := func(name, record string, says ...string) invention {
		return doomed(
			proof,
			row{
				name: name, text: delegated + pointed + record + "\n", says: append(says, "_evercert.shop.$DOMAIN", "$OWNERSHIP"),
			},
		).oneOf(cert.OwnershipMissing, cert.OwnershipMismatch)
	}
	return []invention{
		typed("challenge name without its underscore", challenge, "acme-challenge.shop CNAME $DELEGATION(shop).", missing),
		typed("challenge name with an underscore for its hyphen", challenge, "_acme_challenge.shop CNAME $DELEGATION(shop).", missing),
		typed("challenge name of the domain for a host below it", challenge, "_acme-challenge CNAME $DELEGATION(shop).", missing),
		typed("challenge name after the host", challenge, "shop._acme-challenge CNAME $DELEGATION(shop).", missing),
		typed("challenge name of www for shop", challenge, "_acme-challenge.www.shop CNAME $DELEGATION(shop).", missing),
		typed(
			"challenge target as a web address", "RFC 1034 §3.6.2: a CNAME leads to a name",
			"_acme-challenge.shop CNAME https\\058\\047\\047$DELEGATION(shop).", wrong, "https://",
		),
		typed(
			"challenge target with a space at its end", "RFC 1035 §5.1: an escaped space is part of the name",
			"_acme-challenge.shop CNAME $DELEGATION(shop)\\032.", wrong,
		),
		typed(
			"challenge target with the type in front", "RFC 1035 §5.1: an escaped space is part of the name",
			"_acme-challenge.shop CNAME CNAME\\032$DELEGATION(shop).", wrong,
		),
		typed("challenge target without its label", challenge, "_acme-challenge.shop CNAME dcv.platform.net.", wrong),
		typed("challenge leads to the shops' own target", challenge, "_acme-challenge.shop CNAME $TARGET.", wrong),
		typed("challenge leads to the host itself", challenge, "_acme-challenge.shop CNAME shop", wrong),
		typed("challenge leads to itself", "RFC 1034 §3.6.2", "_acme-challenge.shop CNAME _acme-challenge.shop", wrong),
		typed(
			"challenge typed as MX", challenge, "_acme-challenge.shop MX 10 $DELEGATION(shop).", nil,
		).oneOf(cert.DelegationMissing, cert.DelegationWrongTarget),
		typed("challenge typed as NS to the validation name", "RFC 1034 §4.2.1: NS records hand the name to servers; "+
			"the validation name has no address, so nobody answers for it",
			"_acme-challenge.shop NS $DELEGATION(shop).", nil,
		).oneOf(cert.DelegationWrongTarget, cert.DelegationMissing, cert.NameserverUnreachable),
		doomed(challenge, row{
			name: "both targets are swapped", text: owned + "shop CNAME $DELEGATION(shop).\n_acme-challenge.shop CNAME $TARGET.\n",
			codes: wrong, says: []string{"$DELEGATION(shop)", "$TARGET"},
		}).oneOf(cert.DNSWrongTarget, cert.DNSNoRecords),
		proved("ownership name without its underscore", `evercert.shop TXT "$OWNERSHIP"`),
		proved("ownership with two underscores", `__evercert.shop TXT "$OWNERSHIP"`),
		proved("ownership typed as CNAME", "_evercert.shop CNAME $OWNERSHIP.").at(a), // Knot takes no such name
		proved("ownership with name and TTL in its text", `_evercert.shop TXT "_evercert.shop 3600 IN TXT $OWNERSHIP"`),
		proved("ownership with a letter cut off", `_evercert.shop TXT "`+"evercert-tenant=abcdefghijklmnopqrstuvwxy"+`"`),
		proved("ownership at the host below", `_evercert.www.shop TXT "$OWNERSHIP"`),
		ready(
			"RFC 7208 §3.3 and Boulder bdns/dns.go LookupTXT: the strings of a TXT record are one text",
			row{name: "ownership in two strings", text: `_evercert.shop TXT "" "$OWNERSHIP"` + "\n" + delegated + pointed},
		),
		ready(letters, row{
			name: "names and targets in capitals",
			text: `_EVERCERT.SHOP TXT "$OWNERSHIP"` +
				"\n_ACME-Challenge.Shop CNAME $DELEGATION(shop).\nSHOP CNAME SHOPS.Platform.NET.\n",
		}),
		ready(letters, row{
			name: "an alias in capitals on the way", chosen: http01,
			text: owned + "shop CNAME WWW\nwww CNAME Shops.PLATFORM.net.\n",
		}),
		ready("RFC 2181 §8: a TTL of 0 is allowed", row{
			name: "records that may not be kept",
			text: "_evercert.shop 0 TXT \"$OWNERSHIP\"\n_acme-challenge.shop 0 CNAME $DELEGATION(shop).\nshop 0 CNAME $TARGET.\n",
		}),
		ready(challenge, row{
			name: "doubled names beside the right ones",
			text: owned + delegated + pointed +
				"_acme-challenge.shop.$DOMAIN CNAME $DELEGATION(shop).\n_evercert.shop.$DOMAIN TXT \"$OWNERSHIP\"\n" +
				"shop.$DOMAIN CNAME $TARGET.\n",
		}),
		ready(challenge, row{
			name: "records of another tool beside ours",
			text: owned + delegated + pointed + "_acme-challenge TXT \"LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0\"\n" +
				"_acme-challenge.www CNAME www.dcv.stranger.org.\n",
		}),
		ready("RFC 8555 §8.3: http-01 does not ask for the challenge name", row{
			name: "challenge led to another service and the host to us", chosen: http01,
			text: owned + pointed + "_acme-challenge.shop CNAME shop.dcv.stranger.org.\n",
		}).may(cert.DelegationWrongTarget, "rival_delegation"),
		ready("RFC 8555 §8.3: http-01 does not ask for the challenge name", row{
			name: "challenge proxied to an address and the host led to us", chosen: http01,
			text: owned + flat + "_acme-challenge.shop A " + hostCDN + "\n",
		}).may(cert.DelegationMissing, cert.DelegationWrongTarget, "rival_delegation"),
		ready(challenge, row{
			name: "a host that begins with a digit", hosts: []string{"3d"},
			text: "_evercert.3d TXT \"$OWNERSHIP\"\n_acme-challenge.3d CNAME $DELEGATION(3d).\n3d CNAME $TARGET.\n",
		}),
		ready("RFC 1035 §2.3.4: a label has up to 63 octets, a name up to 255", row{
			name: "a name too long for the challenge label", hosts: []string{longestHost}, chosen: http01,
			text: "_evercert TXT $OWNERSHIP(@)\n" +
				longestHost + " CNAME $TARGET.\n",
		}),
		ready(
			"RFC 8555 §7.4: an order has many names",
			row{name: "ten hosts in one order", hosts: tenHosts, text: "_evercert TXT $OWNERSHIP(@)\n" + tenTexts("")},
		),
		doomed("RFC 8555 §7.1.6: an order is invalid when one authorization is", row{
			name: "ten hosts, and one of them lacks its record", hosts: tenHosts, methods: dns01,
			text: "_evercert TXT $OWNERSHIP(@)\n" + tenTexts("h7"), codes: missing, says: []string{"_acme-challenge.h7.$DOMAIN"},
			never: []string{"_acme-challenge.h6", "_acme-challenge.h8"},
		}),
	}
}

// longestHost leaves no room for _acme-challenge in front: with the domain it has 241 octets.
const longestHost = "" +
	"a23456789012345678901234567890123456789012345678901234567890." +
	"b23456789012345678901234567890123456789012345678901234567890." +
	"c23456789012345678901234567890123456789012345678901234567890." +
	"d23"

var tenHosts = []string{"h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9"}

// tenTexts are the records of tenHosts, without the challenge record of one.
func tenTexts(without string) string {
	var text string
	for _, host := range tenHosts {
		text += host + " CNAME $TARGET.\n"
		if host != without {
			text += "_acme-challenge." + host + " CNAME $DELEGATION(" + host + ").\n"
		}
	}
	return text
}

// at is the same set-up on other servers.
func (i invention) at(servers ...string) invention {
	i.servers = servers
	return i
}

// inventedWildcards are wildcards, and names that exist because something stands below them.
func inventedWildcards() []invention {
	const (
		exists = "RFC 4592 §2.2.2 (empty non-terminals exist), §3.3.1 (a wildcard makes records for names that don't exist)"
		wild   = "RFC 4592 §3.3.1"
	)
	above := "_evercert TXT $OWNERSHIP(@)\n"
	blog := func(name string, text string) row {
		return row{name: name, hosts: []string{"blog"}, methods: http01, text: above + text}
	}
	return []invention{
		ready(wild, row{
			name: "wildcard leads all names to the platform", hosts: []string{"blog", "news"}, chosen: http01,
			text: above + "* CNAME $TARGET.\n",
		}),
		ready(wild, blog("wildcard address leads to the platform", "* A $EDGE4\n* AAAA $EDGE6\n")).method(http01),
		doomed(exists, func() row {
			r := blog("wildcard hidden by a mail record", "* CNAME $TARGET.\nblog MX 10 mail.stranger.org.\n")
			r.codes, r.says, r.never = codes(cert.DNSNoRecords), []string{"blog.$DOMAIN"}, []string{"stands in"}
			return r
		}()),
		doomed(exists, func() row {
			r := blog("wildcard hidden by a record below the name", "* CNAME $TARGET.\nold.blog A "+hostOld+"\n")
			r.codes, r.says = codes(cert.DNSNoRecords), []string{"blog.$DOMAIN"}
			return r
		}()),
		ready(exists, blog("wildcard beside a record below another name", "* CNAME $TARGET.\nold.news A "+hostOld+"\n")).method(http01),
		ready(exists, row{
			name: "wildcard hidden by our own records", text: owned + delegated +
				"* CNAME $TARGET.\n", warns: codes(cert.DNSNoRecords), says: []string{"shop.$DOMAIN", "$TARGET"},
		}).may("site_would_break"),
		ready(
			wild, row{name: "wildcard below the host", chosen: http01, text: owned + pointed + "*.shop CNAME $TARGET.\n"},
		).may(cert.DelegationWrongTarget, cert.DelegationMissing),
		ready(wild, row{
			name: "wildcard below the host and the challenge in front of it",
			text: owned + delegated + pointed + "*.shop A " + hostOld + "\n",
		}),
		ready(wild, row{
			name: "wildcard of a sub-domain", hosts: []string{"*.eu"},
			text: "_evercert.eu TXT \"$OWNERSHIP\"\n_acme-challenge.eu CNAME $DELEGATION(eu).\n*.eu CNAME $TARGET.\n",
		}),
		ready("RFC 8555 §8.4: a wildcard and its base share one challenge name", row{
			name: "wildcard and domain in one order", hosts: []string{"@", "*.$DOMAIN"},
			text: above + "_acme-challenge CNAME $DELEGATION(@).\n@ A $EDGE4\n@ AAAA $EDGE6\n* CNAME $TARGET.\n",
		}),
		doomed("RFC 8555 §8.4: the challenge of a wildcard stands at its base", row{
			name: "wildcard with an asterisk in the challenge name", hosts: []string{"*.$DOMAIN"}, text: above +
				"_acme-challenge.* CNAME $DELEGATION(@).\n* CNAME $TARGET.\n", says: []string{"_acme-challenge.$DOMAIN", "$DELEGATION(@)"},
		}).oneOf(cert.DelegationMissing, cert.DelegationWrongTarget),
		doomed("RFC 8555 §8.4; RFC 4592 §3.3.1: every doubled name exists under a wildcard, which says nothing about the record", row{
			name: "wildcard address answers for every doubled name", methods: dns01, text: owned + pointed + "* A " + hostOld +
				"\n", codes: codes(cert.DelegationMissing), says: []string{"$DELEGATION(shop)"}, never: []string{"rename"},
		}),
		doomed("RFC 8555 §8.4; RFC 4592 §3.3.1", row{
			name: "wildcard text in place of the challenge", hosts: []string{"blog"}, methods: dns01, text: above +
				"blog CNAME $TARGET.\n*.blog TXT \"v=spf1 -all\"\n",
			says: []string{"_acme-challenge.blog", "$DELEGATION(blog)"}, never: []string{"delete the txt record named _acme-challenge"},
		}).oneOf(cert.DelegationMissing, cert.DelegationWrongTarget),
		doomed("docs/ownership.md: a wildcard that answers with the value of another name proves nothing", row{
			name: "wildcard text with the domain's ownership value", text: "*.shop TXT \"$OWNERSHIP(@)\"\n" + delegated +
				pointed, says: []string{"_evercert"},
		}).oneOf(cert.OwnershipMissing, cert.OwnershipMismatch),
		ready("RFC 4592 §4.2 (a wildcard below a zone cut belongs to the child)", row{
			name: "wildcard of the domain above a zone of its own", text: "* A " + hostOld + "\n",
			extra: zoneOnNSD(
				"shop.$DOMAIN",
				"_evercert TXT \"$OWNERSHIP\"\n_acme-challenge CNAME $DELEGATION(shop).\n@ A $EDGE4\n@ AAAA $EDGE6\n",
			),
		}),
	}
}

// method is the same set-up with the method that is chosen.
func (i invention) method(of []cert.Method) invention {
	i.chosen = of
	return i
}
