package dnstruth

import (
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// brokenWildcards have a wildcard record that answers where nothing was added. It belongs to another name than the one asked about: there
// is nothing to change, rename or delete, only something to add (RFC 4592 §2.2.1). And it answers for a name only as long as nothing
// exists at or below that name (§2.2.2, §3.3.1): the first record below shop takes shop off the wildcard.
func brokenWildcards() []row {
	const wildcard = "* CNAME $TARGET.\n"
	add := "add a CNAME record named _acme-challenge.shop (in full: _acme-challenge.shop.$DOMAIN) with the value $DELEGATION(shop)"
	first := "add a CNAME record named shop (in full: shop.$DOMAIN) with the value $TARGET"
	table := []row{
		{
			name: "only a wildcard that leads here", text: wildcard, methods: dns01, codes: codes(cert.OwnershipMissing, cert.DelegationMissing),
			warns: codes(cert.SiteWouldBreak),
			says:  []string{add, first, "from the wildcard record named * (in full: *.$DOMAIN)"},
			never: []string{"change the value", "delete", "rename"},
		},
		{
			name: "only a wildcard that leads here and http-01 would do", text: wildcard, codes: codes(cert.OwnershipMissing),
			warns: codes(cert.SiteWouldBreak),
			says:  []string{first}, never: []string{"change the value", "delete", "rename"},
		},
		{
			name: "only a wildcard that leads to the old server", text: "* A " + hostOld + "\n", methods: dns01,
			codes: codes(cert.OwnershipMissing, cert.DelegationMissing),
			warns: codes(cert.DNSWrongTarget, cert.SiteWouldBreak), says: []string{add, first}, never: []string{"delete the records"},
		},
		{
			name: "a wildcard leads to the old server and http-01 alone", text: "* A " + hostOld + "\n", methods: http01,
			codes: codes(cert.OwnershipMissing, cert.DNSWrongTarget),
			warns: codes(cert.SiteWouldBreak), says: []string{first}, never: []string{"delete the records"},
		},
		{
			name: "a wildcard below the name stands in for the delegation", text: owned + "*.shop CNAME www.stranger.org.\n",
			codes: codes(cert.DelegationMissing, cert.DNSNoRecords),
			says:  []string{add, "CNAME www.stranger.org"}, never: []string{"change the value"},
		},
		{
			name: "a wildcard certificate can't be validated by pointing", hosts: []string{"*.$DOMAIN"},
			text:  "_evercert TXT \"$OWNERSHIP\"\n" + wildcard,
			codes: codes(cert.DelegationMissing), says: []string{"add a CNAME record named _acme-challenge (in full: _acme-challenge.$DOMAIN)"},
			never: []string{"change the value"},
		},
		{
			name:  "a wildcard shows the apex with the ownership record at the wrong place",
			text:  "* CNAME @\n@ A " + hostOld + "\n@ TXT \"$OWNERSHIP\"\n" + delegated + flat,
			codes: codes(cert.OwnershipMissing), never: []string{"rename", "a second time"},
		},
		{
			name: "a wildcard leads to the validation zone", text: owned + elsewhere + "* CNAME $DELEGATION(shop).\n",
			codes: codes(cert.DelegationMissing, cert.DNSWrongTarget),
			says:  []string{add}, never: []string{"rename", "a second time"},
		},
		{
			name: "a wildcard TXT record", text: "* TXT \"v=spf1 -all\"\n",
			codes: codes(cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords),
			says:  []string{add}, never: []string{"delete the TXT", "where a CNAME record must be"},
		},
		{
			name: "a wildcard TXT record with the value of ownership", text: "* TXT \"$OWNERSHIP\"\n" + flat, codes: codes(cert.OwnershipMissing),
			never: []string{"rename"},
		},
		{
			name: "an address of its own that is equal to the wildcard's", text: owned + elsewhere + "* A " + hostOld + "\n", methods: http01,
			codes: codes(cert.DNSWrongTarget), says: []string{"delete the records named shop "}, never: []string{"by the wildcard record"},
		},
		{
			name: "only a wildcard of a signed zone", signing: dnslab.Signed, text: wildcard, methods: dns01,
			codes: codes(cert.OwnershipMissing, cert.DelegationMissing), warns: codes(cert.SiteWouldBreak),
			says: []string{add, first, "from the wildcard record named * (in full: *.$DOMAIN)"}, never: []string{"change the value"},
		},
		{
			name: "a wildcard TXT record names another account", text: "* TXT evercert-tenant=abcdefghijklmnopqrstuvwxyz\n",
			codes: codes(cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords), never: []string{"change the value", "delete the TXT"},
		},
		{
			name: "a wildcard of addresses below the name", text: owned + "*.shop A " + hostOld + "\n",
			codes: codes(cert.DelegationMissing, cert.DNSNoRecords), says: []string{add}, never: []string{"proxy"},
		},
		{
			name:  "a doubled name beside a wildcard",
			text:  owned + "* CNAME @\n@ A " + hostOld + "\n_acme-challenge.shop.$DOMAIN CNAME $DELEGATION(shop).\n",
			codes: codes(cert.DelegationDoubledName, cert.DNSNoRecords),
			says:  []string{"rename that record: it must be named _acme-challenge.shop "},
		},
		{
			name: "two labels below a wildcard", hosts: []string{"eu.shop"}, text: "* CNAME $TARGET.\n", methods: dns01,
			codes: codes(cert.OwnershipMissing, cert.DelegationMissing), warns: codes(cert.SiteWouldBreak),
			says: []string{"A wildcard record named * (in full: *.$DOMAIN)", "first add a CNAME record named eu.shop "},
		},
		{
			name: "a wildcard certificate and the wildcard leads elsewhere", hosts: []string{"*.$DOMAIN"}, methods: dns01,
			text:  "_evercert TXT \"$OWNERSHIP\"\n* A " + hostOld + "\n",
			codes: codes(cert.DelegationMissing), warns: codes(cert.DNSWrongTarget), says: []string{"delete the records named * "},
		},
		{
			name: "a record below the name has taken it off the wildcard", text: owned + wildcard, methods: http01, codes: codes(cert.DNSNoRecords),
			says: []string{first, "named * "},
		},
	}
	for i := range table {
		table[i].verdict, table[i].acts = cert.Wrong, cert.TenantActs
	}
	return table
}

// healthyWildcards have wildcard records that do no harm.
func healthyWildcards() []row {
	ready := owned + delegated + pointed
	proof := `_evercert TXT "$OWNERSHIP(@)"` + "\n"
	return []row{
		{name: "healthy beside a wildcard that leads to the apex", text: ready + "* CNAME @\n@ A " + hostOld + "\n"},
		{name: "healthy beside a wildcard of addresses", text: ready + "* A " + hostOld + "\n"},
		{name: "healthy beside a wildcard of texts", text: ready + "* TXT \"v=spf1 -all\"\n"},
		{name: "healthy beside a wildcard that leads here too", text: ready + "* CNAME $TARGET.\n"},
		{name: "healthy with a wildcard below the name", text: ready + "*.shop A " + hostOld + "\n"},
		{name: "healthy and pointed by a wildcard", text: proof + "* CNAME $TARGET.\n", chosen: http01},
		{name: "healthy and pointed by a wildcard of a signed zone", signing: dnslab.Signed, text: proof + "* CNAME $TARGET.\n", chosen: http01},
		{
			name: "healthy and pointed by a wildcard, with hashed denial", signing: dnslab.SignedHash, text: proof + "* CNAME $TARGET.\n",
			chosen: http01,
		},
		{name: "healthy and delegated by a wildcard", text: proof + "* CNAME $DELEGATION(shop).\n", warns: codes(cert.DNSWrongTarget)},
		{name: "healthy for somebody who only asks under a wildcard", text: "* CNAME @\n@ A $EDGE4\nshop A $EDGE4\n", bare: true, methods: dns01},
		{name: "healthy and delegated by a wildcard below the name", text: owned + flat + "*.shop CNAME $DELEGATION(shop).\n"},
		{
			name: "healthy apex and its wildcard", hosts: []string{"@", "*.$DOMAIN"},
			text: proof + "_acme-challenge CNAME $DELEGATION(@).\n@ A $EDGE4\n@ AAAA $EDGE6\n* CNAME $TARGET.\n",
		},
	}
}
