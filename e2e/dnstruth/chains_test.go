package dnstruth

import (
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
)

// chain is that many CNAME records, from a name to a target.
func chain(from, to string, n int) string {
	var text strings.Builder
	for i := 1; i < n; i++ {
		fmt.Fprintf(&text, "%s CNAME h%d\n", from, i)
		from = fmt.Sprintf("h%d", i)
	}
	fmt.Fprintf(&text, "%s CNAME %s\n", from, to)
	return text.String()
}

// Resolvers of CAs follow 11 CNAME records and answer SERVFAIL at the twelfth: Unbound's max-query-restarts (unbound.conf(5)), which Let's
// Encrypt uses, and BIND's (ARM, max-query-restarts).

// brokenChains are names that CAs' resolvers don't get to the end of.
func brokenChains() []row {
	table := []row{
		{
			name: "delegation through twelve aliases", text: owned + chain("_acme-challenge.shop", "$DELEGATION(shop).", 12),
			codes: codes(cert.DelegationWrongTarget, cert.DNSNoRecords), says: []string{"too many names"},
		},
		{
			name: "pointed through twelve aliases", text: owned + chain("shop", "$TARGET.", 12), methods: http01,
			codes: codes(cert.DNSWrongTarget, cert.CAALookupFailed), says: []string{"too many names"},
		},
		{
			name: "delegation by a DNAME record that leads elsewhere", hosts: []string{"shop.old"},
			text: "old DNAME new.stranger.org.\n_evercert TXT \"$OWNERSHIP(@)\"\n", codes: codes(cert.DelegationWrongTarget, cert.DNSWrongTarget),
			says: []string{
				"delete the DNAME record named old (in full: old.$DOMAIN), then add a CNAME record named _acme-challenge.shop.old ",
				"or add the record where it leads to, at _acme-challenge.shop.new.stranger.org, with the value $DELEGATION(shop.old)",
			},
			never: []string{"change the value"},
		},
		{
			name: "nothing where a DNAME record leads", hosts: []string{"shop.old"}, text: "old DNAME new\nnew TXT here\n", methods: dns01,
			codes: codes(cert.OwnershipMissing, cert.DelegationWrongTarget), warns: codes(cert.DNSWrongTarget),
			says: []string{"or add the record where it leads to, at _evercert.shop.new.$DOMAIN, with the value $OWNERSHIP"},
		},
	}
	for i := range table {
		table[i].verdict, table[i].acts = cert.Wrong, cert.TenantActs
	}
	return table
}

func healthyChains() []row {
	return []row{
		{
			name: "healthy with a delegation through eleven aliases",
			text: owned + pointed + chain("_acme-challenge.shop", "$DELEGATION(shop).", 11),
		},
		{name: "healthy through nine aliases", text: owned + chain("shop", "$TARGET.", 9), chosen: http01},
		{
			name: "healthy through a DNAME record", hosts: []string{"shop.old"},
			text: "old DNAME new\n" + "_evercert.shop.new TXT \"$OWNERSHIP\"\n" + "_acme-challenge.shop.new CNAME $DELEGATION(shop.old).\n" +
				"shop.new CNAME $TARGET.\n",
		},
		{
			name: "healthy with the ownership record behind an alias",
			text: "_evercert.shop CNAME proof\nproof TXT \"$OWNERSHIP\"\n" + delegated + pointed,
		},
	}
}
