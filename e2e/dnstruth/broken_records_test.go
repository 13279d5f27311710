package dnstruth

import "github.com/evercert/evercert/cert"

// brokenRecords are the ways in which tenants' ownership and delegation records go wrong.
func brokenRecords() []row {
	wrongTarget := codes(cert.DelegationWrongTarget, cert.DNSNoRecords)
	table := []row{
		{
			name: "nothing was added", codes: codes(cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords),
			says: []string{"add a TXT record named _evercert.shop (in full: _evercert.shop.$DOMAIN) with the value $OWNERSHIP"},
		},
		{
			name: "nothing was added for an apex", hosts: []string{"@"},
			codes: codes(cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords),
			says:  []string{"add a TXT record named _evercert (in full: _evercert.$DOMAIN)"},
		},
		{
			name: "another TXT in place of the ownership record", text: `_evercert.shop TXT "v=spf1 -all"` + "\n" + delegated + pointed,
			codes: codes(cert.OwnershipMissing), says: []string{`TXT "v=spf1 -all"`},
		},
		{
			name: "ownership of another tenant", text: "_evercert.shop TXT evercert-tenant=abcdefghijklmnopqrstuvwxyz\n" + delegated + pointed,
			codes: codes(cert.OwnershipMismatch), says: []string{"names another account", "evercert-tenant=abcdefghijklmnopqrstuvwxyz"},
		},
		{
			name: "ownership value cut short", text: "_evercert.shop TXT evercert-tenant=\n" + delegated + pointed,
			codes: codes(cert.OwnershipMismatch), says: []string{"to $OWNERSHIP"},
		},
		{
			name: "ownership at the doubled name", text: `_evercert.shop.$DOMAIN TXT "$OWNERSHIP"` + "\n" + delegated + pointed,
			codes: codes(cert.OwnershipMissing),
			says:  []string{"_evercert.shop.$DOMAIN.$DOMAIN", "rename that record: it must be named _evercert.shop "},
		},
		{
			name: "ownership at the name itself", text: `shop TXT "$OWNERSHIP"` + "\n" + delegated + flat,
			codes: codes(cert.OwnershipMissing),
		},
		{
			name: "ownership of a second registered domain is missing", hosts: []string{"shop", "shop.$SECOND"},
			second: "_acme-challenge.shop CNAME $DELEGATION(shop.$SECOND).\n" + pointed,
			text:   owned + delegated + pointed, codes: codes(cert.OwnershipMissing), says: []string{"_evercert.shop.$SECOND"},
		},
		{
			name: "delegation missing and pointed elsewhere", text: owned + elsewhere, codes: codes(cert.DelegationMissing, cert.DNSWrongTarget),
			says: []string{
				"add a CNAME record named _acme-challenge.shop (in full: _acme-challenge.shop.$DOMAIN) with the value $DELEGATION(shop)",
			},
		},
		{
			name: "delegation to another platform", text: owned + "_acme-challenge.shop CNAME shop.dcv.stranger.org.\n", codes: wrongTarget,
			says: []string{"leads to shop.dcv.stranger.org", "to $DELEGATION(shop)", "CNAME shop.dcv.stranger.org"},
		},
		{
			name: "delegation to another platform that fails", text: owned + "_acme-challenge.shop CNAME shop.outage.org.\n", // it may lead on to us
			verdict: cert.Unknown, codes: codes(cert.DNSLookupFailed, cert.DNSNoRecords),
		},
		{
			name: "delegation with the label of another name", text: owned + "_acme-challenge.shop CNAME $DELEGATION(www).\n", codes: wrongTarget,
		},
		{
			name: "delegation completed with the own zone", text: owned + "_acme-challenge.shop CNAME $DELEGATION(shop)\n", codes: wrongTarget,
			says: []string{"your DNS provider added your own domain to it", "with a dot at its end"},
		},
		{
			name: "delegation through an alias that ends elsewhere", text: owned + "_acme-challenge.shop CNAME a\na CNAME b.stranger.org.\n",
			codes: wrongTarget,
			says:  []string{"CNAME a.$DOMAIN, CNAME b.stranger.org"},
		},
		{
			name: "delegation in a circle", text: owned + "_acme-challenge.shop CNAME a\na CNAME _acme-challenge.shop\n", codes: wrongTarget,
			says: []string{"circle"},
		},
		{
			name: "delegation typed as TXT", text: owned + `_acme-challenge.shop TXT "$DELEGATION(shop)."` + "\n", codes: wrongTarget,
			says: []string{"right value but the wrong type", "delete the TXT record named _acme-challenge.shop", "then add a CNAME record"},
		},
		{
			name: "a TXT of another tool in place of the delegation",
			text: owned + "_acme-challenge.shop TXT LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0\n", codes: wrongTarget,
			says: []string{"where a CNAME record must be"},
		},
		{
			name: "delegation at the name doubled by the domain", text: owned + "_acme-challenge.shop.$DOMAIN CNAME $DELEGATION(shop).\n",
			codes: codes(cert.DelegationDoubledName, cert.DNSNoRecords),
			says:  []string{"which made it _acme-challenge.shop.$DOMAIN.$DOMAIN", "must be named _acme-challenge.shop "},
		},
		{
			name: "delegation at the name doubled by itself", text: owned + "_acme-challenge.shop.$DOMAIN.shop CNAME $DELEGATION(shop).\n",
			codes: codes(cert.DelegationDoubledName, cert.DNSNoRecords),
		},
		{
			name: "ownership of one of two sub-domains", hosts: []string{"b", "shop"}, codes: codes(cert.OwnershipMissing),
			text: "_evercert.b TXT \"$OWNERSHIP\"\n" + delegated + pointed + "_acme-challenge.b CNAME $DELEGATION(b).\nb CNAME $TARGET.\n",
			says: []string{"that shop.$DOMAIN is yours", "once for all names below $DOMAIN", "$OWNERSHIP(shop)", "$OWNERSHIP(@)"},
		},
		{
			name: "the ownership value of another name", hosts: []string{"b", "shop"}, codes: codes(cert.OwnershipMismatch),
			text: "_evercert.b TXT \"$OWNERSHIP\"\n_evercert.shop TXT \"$OWNERSHIP\"\n" + delegated + pointed +
				"_acme-challenge.b CNAME $DELEGATION(b).\nb CNAME $TARGET.\n",
			says: []string{"belongs to b.$DOMAIN", "$OWNERSHIP(shop)"},
		},
		{
			name: "only the second of two names is ready", hosts: []string{"@", "www"}, codes: codes(cert.DelegationMissing, cert.DNSWrongTarget),
			text: "_evercert TXT \"$OWNERSHIP\"\n_acme-challenge.www CNAME $DELEGATION(www).\nwww CNAME $TARGET.\n@ A " + hostOld + "\n",
			says: []string{"_acme-challenge.$DOMAIN"},
		},
	}
	for i := range table {
		if table[i].verdict == "" {
			table[i].verdict, table[i].acts = cert.Wrong, cert.TenantActs
		}
	}
	return table
}

// brokenAddresses are the ways in which names don't lead to the platform. Only http-01 is allowed where it matters.
func brokenAddresses() []row {
	table := []row{
		{name: "no address and http-01 only", text: owned, methods: http01, codes: codes(cert.DNSNoRecords)},
		{
			name: "still at the old server", text: owned + elsewhere, methods: http01, codes: codes(cert.DNSWrongTarget),
			says: []string{"A " + hostOld},
		},
		{
			name: "a CNAME to another platform", text: owned + "shop CNAME www.stranger.org.\n", methods: http01, codes: codes(cert.DNSWrongTarget),
			says: []string{"CNAME www.stranger.org"},
		},
		{
			name: "a CNAME to a name that isn't there", text: owned + "shop CNAME gone.stranger.org.\n", methods: http01,
			codes: codes(cert.DNSWrongTarget), says: []string{"gone.stranger.org"},
		},
		{
			name: "a CNAME completed with the own zone", text: owned + "shop CNAME $TARGET\n", methods: http01, codes: codes(cert.DNSWrongTarget),
			says: []string{"$TARGET.$DOMAIN"},
		},
		{
			name: "a CNAME in a circle", text: owned + "shop CNAME www\nwww CNAME shop\n", methods: http01,
			codes: codes(cert.DNSWrongTarget, cert.CAALookupFailed), says: []string{"circle"},
		},
		{name: "an address at the doubled name", text: owned + "shop.$DOMAIN CNAME $TARGET.\n", methods: http01, codes: codes(cert.DNSNoRecords)},
		{
			name: "an old address is left beside ours", text: owned + "shop A $EDGE4\n" + elsewhere, methods: http01,
			codes: codes(cert.DNSConflictingRecords), says: []string{hostOld},
		},
		{
			name: "an apex with an old address left", hosts: []string{"@"}, text: "_evercert TXT \"$OWNERSHIP\"\n@ A $EDGE4\n@ A " + hostOld + "\n",
			methods: http01, codes: codes(cert.DNSConflictingRecords),
		},
		{
			name: "an old address is left though delegated", text: owned + delegated + flat + elsewhere, verdict: cert.OK, chosen: dns01,
			warns: codes(cert.DNSConflictingRecords),
		},
		{
			name: "still at the old server though delegated", text: owned + delegated + elsewhere, verdict: cert.OK, chosen: dns01,
			warns: codes(cert.DNSWrongTarget),
		},
		{name: "no address though delegated", text: owned + delegated, verdict: cert.OK, chosen: dns01, warns: codes(cert.DNSNoRecords)},
		{
			name: "a private address", text: owned + "shop A 10.1.2.3\n", methods: http01, codes: codes(cert.ReservedAddress, cert.DNSWrongTarget),
			says: []string{"10.1.2.3"},
		},
		{
			name: "a link-local address", text: owned + "shop A 169.254.10.1\n", methods: http01,
			codes: codes(cert.ReservedAddress, cert.DNSWrongTarget),
		},
		{
			name: "an address of the provider's inner network", text: owned + "shop A 100.64.0.9\n", methods: http01,
			codes: codes(cert.ReservedAddress, cert.DNSWrongTarget),
		},
		{
			name: "an address of AS112", text: owned + "shop A 192.175.48.9\n", methods: http01,
			codes: codes(cert.ReservedAddress, cert.DNSWrongTarget),
			says:  []string{"192.175.48.9"},
		},
		{
			name: "an IPv4 address written as IPv6", text: owned + "shop AAAA ::ffff:192.0.3.9\n", methods: http01,
			codes: codes(cert.ReservedAddress, cert.DNSWrongTarget), says: []string{"::ffff:192.0.3.9"},
		},
		{
			name: "an address of a 6to4 tunnel", text: owned + "shop AAAA 2002:808:808::1\n", methods: http01,
			codes: codes(cert.ReservedAddress, cert.DNSWrongTarget),
		},
		{
			name: "a documentation address", text: owned + "shop AAAA 2001:db8::1\n", methods: http01,
			codes: codes(cert.ReservedAddress, cert.DNSWrongTarget),
		},
	}
	for i := range table {
		if table[i].verdict == "" {
			table[i].verdict, table[i].acts = cert.Wrong, cert.TenantActs
		}
	}
	return table
}
