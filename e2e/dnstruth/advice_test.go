package dnstruth

import (
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
	"github.com/evercert/evercert/resolver"
)

// rivals are CNAME records of services that get certificates for the tenant by the same record: Cloudflare ("Delegated DCV"), Fastly (TLS
// subscriptions), Akamai (Default DV), Google Cloud (Certificate Manager, DNS authorization), Fly.io (fly certs), acme-dns.
var rivals = map[string]string{
	"Cloudflare": "shop.rival.example.8a602f2b29d92dc2.dcv.cloudflare.com", "Fastly": "9ju9qpopwm9fbqid5n.fastly-validations.com",
	"Akamai":       "ac.ee03f141752f0e52808f6669ad50ad43.shop.rival.example.validate-akdv.net",
	"Google Cloud": "eaa43455.2.authorize.certificatemanager.goog",
	"Fly.io":       "shop.rival.example.j2o5oe.flydns.net", "acme-dns": "d420c923-bbd7-4056-ab64-c3ca54c9b3cf.auth.acme-dns.io",
}

// brokenDelegations are other things than a CNAME record of ours where the challenge of dns-01 is looked for.
func brokenDelegations() []row {
	at := func(value string) string { return owned + "_acme-challenge.shop " + value + "\n" }
	wrongTarget := codes(cert.DelegationWrongTarget, cert.DNSNoRecords)
	table := []row{
		{
			name: "the challenge name is a zone on dead servers", text: at("NS ns-dead.dnshost.net.") + pointed, methods: dns01,
			codes: codes(cert.DelegationWrongTarget),
			says: []string{
				"ns-dead.dnshost.net", "delete the NS records named _acme-challenge.shop", "add a CNAME record named _acme-challenge.shop",
			},
			never: []string{"ns-a.dnshost.net"},
		},
		{
			name: "the challenge name is a zone on a lame server", text: at("NS ns-lame.dnshost.net.") + pointed, methods: dns01,
			codes: codes(cert.DelegationWrongTarget),
			says:  []string{"ns-lame.dnshost.net", "delete the NS records"},
		},
		{
			name: "the challenge name is a zone of another service", text: owned + pointed, methods: dns01, codes: codes(cert.DelegationWrongTarget),
			extra: []dnslab.Zone{
				{
					Name: "_acme-challenge.shop.$DOMAIN", Delegation: dnslab.NS(c),
					On: dnslab.OnEach(dnslab.NS(c)+"@ TXT LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0\n", c),
				},
			},
			says: []string{"ns-c.dnshost.net", "delete the NS records"}, never: []string{"delete the TXT record"},
		},
		{
			name: "the challenge name is an empty zone", text: owned + pointed, methods: dns01, codes: codes(cert.DelegationWrongTarget),
			extra: []dnslab.Zone{{Name: "_acme-challenge.shop.$DOMAIN", Delegation: dnslab.NS(c), On: dnslab.OnEach(dnslab.NS(c), c)}},
			says:  []string{"ns-c.dnshost.net", "delete the NS records"},
		},
		{
			name: "the challenge name answers addresses only", text: at("A $EDGE4"), codes: wrongTarget,
			says: []string{"proxy", "add a CNAME record named _acme-challenge.shop"},
		},
		{
			name: "the challenge name answers IPv6 addresses only", text: at("AAAA 2606:4700::6810:1"), codes: wrongTarget,
			says: []string{"proxy", "AAAA 2606:4700::6810:1"},
		},
		{
			name: "delegation to the validation zone itself", text: at("CNAME dcv.platform.net."), codes: wrongTarget,
			says: []string{"change the value"},
		},
		{
			name: "delegation to the name that visitors are led to", text: at("CNAME $TARGET."), codes: wrongTarget,
			says: []string{"change the value"},
		},
		{name: "delegation with the challenge label before the target", text: at("CNAME _acme-challenge.$DELEGATION(shop)."), codes: wrongTarget},
		{name: "delegation to the name itself", text: at("CNAME shop"), codes: wrongTarget},
		{
			name: "delegation with another underscore", text: owned + "_acme_challenge.shop CNAME $DELEGATION(shop).\n",
			codes: codes(cert.DelegationMissing, cert.DNSNoRecords),
		},
		{
			name: "delegation without the underscore", text: owned + "acme-challenge.shop CNAME $DELEGATION(shop).\n",
			codes: codes(cert.DelegationMissing, cert.DNSNoRecords),
		},
		{
			name: "delegation of the domain in place of the name", text: owned + "_acme-challenge CNAME $DELEGATION(@).\n",
			codes: codes(cert.DelegationMissing, cert.DNSNoRecords),
		},
	}
	for service, target := range rivals {
		table = append(
			table,
			row{
				name: service + " has the challenge name", text: at("CNAME " + target + "."), codes: codes(cert.RivalDelegation, cert.DNSNoRecords),
				says: []string{service, target, "add a CNAME record named shop (in full: shop.$DOMAIN) with the value $TARGET", "another name"},
			},
		)
	}
	table = append(table, row{
		name: "another service has the challenge name and dns-01 is all that is allowed", text: at("CNAME " + rivals["Fastly"] + "."),
		methods: dns01,
		codes:   codes(cert.RivalDelegation), warns: codes(cert.DNSNoRecords), says: []string{"Fastly", "another name"},
		never: []string{"http-01"},
	})
	for i := range table {
		table[i].verdict, table[i].acts = cert.Wrong, cert.TenantActs
	}
	return append(
		table,
		// Wildcards are validated by dns-01 only (Baseline Requirements §3.2.2.4.19), and so is a name whose challenge name fits nowhere else.
		row{
			name: "a wildcard where http-01 is all that is allowed", hosts: []string{"*.$DOMAIN"},
			text: "_evercert TXT \"$OWNERSHIP\"\n* CNAME $TARGET.\n", methods: http01,
			verdict: cert.Wrong, acts: cert.PlatformActs, codes: codes(cert.NameInvalid), says: []string{"dns-01", "VALIDATION_METHODS"},
		},
		row{
			name: "too long for dns-01 which alone is allowed", hosts: []string{longHost},
			text: "_evercert TXT \"$OWNERSHIP(@)\"\n" + longHost + " A $EDGE4\n", methods: dns01,
			verdict: cert.Wrong, acts: cert.PlatformActs, codes: codes(cert.NameInvalid), says: []string{"VALIDATION_METHODS"},
		},
	)
}

// longHost makes, with the domain of its rows, a name that fits into DNS, and whose _acme-challenge name doesn't (RFC 1035 §2.3.4).
var longHost = strings.Repeat(strings.Repeat("a", 63)+".", 3) + "aaaaa"

// brokenSubzones have a name that is a zone of its own: what stands at it and below it in the zone above counts no more (RFC 2181 §6.1).
func brokenSubzones() []row {
	shop := func(text string, servers ...string) []dnslab.Zone {
		return []dnslab.Zone{{Name: "shop.$DOMAIN", Delegation: dnslab.NS(servers...), On: dnslab.OnEach(dnslab.NS(servers...)+text, c)}}
	}
	table := []row{
		{
			name: "the records are above the zone of the name", text: owned + delegated, extra: shop("@ A $EDGE4\n", c),
			codes: codes(cert.OwnershipMissing),
			says:  []string{"_evercert.shop.$DOMAIN", "shop.$DOMAIN is a zone of its own", "on the name servers ns-c.dnshost.net"},
		},
		{
			name: "the records are above the zone of the name and dns-01 alone", text: owned + delegated, extra: shop("@ A $EDGE4\n", c),
			methods: dns01,
			codes:   codes(cert.OwnershipMissing, cert.DelegationMissing),
		},
		{
			name: "the zone of the name is empty", text: owned + delegated, extra: shop("", c),
			codes: codes(cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords),
			says:  []string{"as an ALIAS or ANAME record, or as A and AAAA records with the addresses of $TARGET"},
		},
	}
	for i := range table {
		table[i].verdict, table[i].acts = cert.Wrong, cert.TenantActs
	}
	return append(
		table,
		row{
			name: "the ownership name is a zone on dead servers", text: delegated + pointed + "_evercert.shop NS ns-dead.dnshost.net.\n",
			verdict: cert.Unknown, acts: cert.PlatformActs,
			codes: codes(cert.DNSLookupFailed), says: []string{"_evercert.shop.$DOMAIN", "ns-dead.dnshost.net"},
		},
		row{
			name: "the second of two domains is on dead servers", hosts: []string{"shop", "shop.$SECOND"}, text: owned + delegated + pointed,
			verdict: cert.Unknown, acts: cert.PlatformActs,
			extra: []dnslab.Zone{{Name: "$SECOND", Delegation: dnslab.NS(dead)}}, codes: codes(cert.NameserverUnreachable),
			says: []string{"ns-dead.dnshost.net"},
		},
		row{
			name: "the second of two domains is not registered", hosts: []string{"shop", "shop.$SECOND"}, text: owned + delegated + pointed,
			verdict: cert.Wrong, acts: cert.TenantActs,
			codes: codes(cert.DomainNotRegistered), says: []string{"$SECOND"},
		},
	)
}

// faultyResolver is a public resolver that answers SERVFAIL unless it is asked not to validate.
const faultyResolver = network + ".30"

func throughFaulty(c *resolver.Config) { c.Resolvers = []string{faultyResolver + ":53"} }

// healthyDelegations are set-ups that look odd and work.
func healthyDelegations() []row {
	ready := owned + delegated + pointed
	return []row{
		{name: "healthy though a resolver fails unless it need not validate", text: ready, config: throughFaulty},
		{
			name: "healthy and pointed though a resolver fails unless it need not validate", text: owned + pointed, config: throughFaulty,
			chosen: http01,
		},
		{
			name: "healthy though another service has the challenge name",
			text: owned + pointed + "_acme-challenge.shop CNAME " + rivals["Cloudflare"] + ".\n", chosen: http01,
		},
		{
			name: "healthy though the challenge name is a zone on dead servers",
			text: owned + pointed + "_acme-challenge.shop NS ns-dead.dnshost.net.\n", chosen: http01,
		},
		{name: "healthy with the proof below a zone cut", hosts: []string{"shop.eu"}, text: "", extra: []dnslab.Zone{{
			Name: "eu.$DOMAIN", Delegation: dnslab.NS(c),
			On: dnslab.OnEach(
				dnslab.NS(c)+"_evercert TXT \"$OWNERSHIP(eu)\"\n_acme-challenge.shop CNAME $DELEGATION(shop.eu).\nshop CNAME $TARGET.\n", c,
			),
		}}},
		{
			name: "healthy with the proof above a zone cut", hosts: []string{"shop.eu"}, text: "_evercert TXT \"$OWNERSHIP(@)\"\n",
			extra: []dnslab.Zone{{
				Name: "eu.$DOMAIN", Delegation: dnslab.NS(c),
				On: dnslab.OnEach(dnslab.NS(c)+"_acme-challenge.shop CNAME $DELEGATION(shop.eu).\nshop CNAME $TARGET.\n", c),
			}},
		},
		{
			name: "healthy with capitals in names and values",
			text: "_EverCert.Shop TXT \"$OWNERSHIP\"\n_ACME-Challenge.SHOP CNAME $DELEGATION(shop).\nSHOP CNAME Shops.Platform.NET.\n",
		},
		{name: "healthy with the value in two parts", text: `_evercert.shop TXT "" "$OWNERSHIP"` + "\n" + delegated + pointed},
		{name: "healthy with blanks around the value", text: `_evercert.shop TXT " $OWNERSHIP "` + "\n" + delegated + pointed},
		{name: "healthy without time to live", text: "$TTL 0\n" + ready},
		{
			name: "healthy four labels down", hosts: []string{"a.b.shop"},
			text: "_evercert.shop TXT \"$OWNERSHIP(shop)\"\n_acme-challenge.a.b.shop CNAME $DELEGATION(a.b.shop).\na.b.shop CNAME $TARGET.\n",
		},
		{
			name: "healthy with a name too long for dns-01", hosts: []string{longHost},
			text: "_evercert TXT \"$OWNERSHIP(@)\"\n" + longHost + " A $EDGE4\n", chosen: http01,
		},
	}
}
