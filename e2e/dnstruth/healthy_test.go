package dnstruth

import (
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
	"github.com/evercert/evercert/resolver"
)

// healthyTable is every set-up of which nothing may be said.
func healthyTable() []row {
	ready := owned + delegated + pointed
	inZone := "@ NS ns1\n@ NS ns2\nns1 A $NET.11\nns2 A $NET.12\n"
	apex := `_evercert TXT "$OWNERSHIP"` + "\n"
	table := []row{
		{name: "healthy with both records", text: ready},
		{name: "healthy on three servers", servers: []string{a, b, c}, text: ready},
		{name: "healthy on one server", servers: []string{c}, text: ready},
		{name: "healthy with servers in its own zone", text: ready, parent: inZone, own: inZone},
		{name: "healthy and signed", signing: dnslab.Signed, text: ready},
		{name: "healthy and signed with hashed denial", signing: dnslab.SignedHash, text: ready},
		{name: "healthy and signed without a DS record", signing: dnslab.Island, text: ready},
		{name: "healthy with the name in a zone of its own", extra: []dnslab.Zone{{
			Name: "shop.$DOMAIN", Delegation: dnslab.NS(c),
			On: dnslab.Zones{c: dnslab.NS(c) + "_evercert TXT \"$OWNERSHIP\"\n_acme-challenge CNAME $DELEGATION(shop).\n@ A $EDGE4\n"},
		}}},
		{
			name: "healthy with a delegation through an alias", text: owned + pointed + "_acme-challenge.shop CNAME a\na CNAME $DELEGATION(shop).\n",
		},
		{name: "healthy with quotes in the value", text: `_evercert.shop TXT "\"$OWNERSHIP\""` + "\n" + delegated + pointed},
		{name: "healthy with other values beside ours", text: ready + "_evercert.shop TXT evercert-tenant=abcdefghijklmnopqrstuvwxyz\n"},
		{name: "healthy with answers too long for UDP", text: ready + longTexts()},
		{name: "healthy and pointed only", text: owned + pointed, chosen: http01},
		{name: "healthy and flattened", text: owned + flat, chosen: http01},
		{name: "healthy and flattened without IPv6", text: owned + "shop A $EDGE4\n", chosen: http01},
		{name: "healthy through the tenant's own alias", text: owned + "shop CNAME www\nwww CNAME $TARGET.\n", chosen: http01},
		{name: "healthy apex", hosts: []string{"@"}, text: apex + "_acme-challenge CNAME $DELEGATION(@).\n@ A $EDGE4\n@ AAAA $EDGE6\n"},
		{
			name: "healthy apex and www by their own methods", hosts: []string{"@", "www"},
			text:   apex + "@ A $EDGE4\n@ AAAA $EDGE6\n_acme-challenge.www CNAME $DELEGATION(www).\nwww CNAME $TARGET.\n",
			chosen: []cert.Method{cert.HTTP01, cert.DNS01},
		},
		{
			name: "healthy with the proof of the registered domain", hosts: []string{"shop", "blog"},
			text: "_evercert TXT $OWNERSHIP(@)\n" + delegated + pointed + "_acme-challenge.blog CNAME $DELEGATION(blog).\nblog CNAME $TARGET.\n",
		},
		{
			name: "healthy wildcard", hosts: []string{"*.$DOMAIN"},
			text: `_evercert TXT "$OWNERSHIP"` + "\n_acme-challenge CNAME $DELEGATION(@).\n* CNAME $TARGET.\n",
		},
		{
			name: "healthy internationalised name", hosts: []string{"xn--bcher-kva"},
			text: "_evercert.xn--bcher-kva TXT \"$OWNERSHIP\"\n" + "_acme-challenge.xn--bcher-kva CNAME $DELEGATION(xn--bcher-kva).\n" +
				"xn--bcher-kva CNAME $TARGET.\n",
		},
		{
			name: "healthy with two registered domains", hosts: []string{"shop", "shop.$SECOND"}, text: ready,
			second: "_evercert.shop TXT $OWNERSHIP(shop.$SECOND)\n_acme-challenge.shop CNAME $DELEGATION(shop.$SECOND).\n" + pointed,
		},
		{
			name: "healthy with CAA that names our CA",
			text: ready + `@ CAA 0 issue "letsencrypt.org; validationmethods=dns-01; accounturi=https://ca.example/acct/1"`,
		},
		{name: "healthy with CAA for our second CA", cas: []cert.CAIdentity{letsEncrypt, google}, text: ready + `@ CAA 0 issue "pki.goog"`},
		{
			name: "healthy with CAA for http-01 only", text: owned + delegated + flat + `@ CAA 0 issue "letsencrypt.org; validationmethods=http-01"`,
			chosen: http01,
		},
		{
			name: "healthy behind a CDN that leads to us", text: owned + "shop A " + hostCDN + "\n", methods: http01, probe: true, chosen: http01,
			warns: nil,
		},
		{name: "healthy for somebody who only asks", text: elsewhere, bare: true, methods: http01, chosen: http01},
		{name: "unregistered, says a registry that does not know all, and healthy", registered: true, text: ready},
		{name: "healthy by tls-alpn-01", text: owned + flat, methods: alpn01, chosen: alpn01},
		{name: "healthy at the platform's name servers", text: ready, config: func(c *resolver.Config) {
			c.HostedNameservers = []string{"ns-a.dnshost.net", "ns-b.dnshost.net"}
		}},
	}
	for _, part := range [][]row{
		healthyServers(), healthyWildcards(), healthyFallbacks(), healthyChains(), healthyDelegations(), healthyRedirects(),
	} {
		table = append(table, part...)
	}
	for i := range table {
		if table[i].verdict = cert.OK; table[i].chosen == nil {
			table[i].chosen = dns01
		}
	}
	return append(table, healthyCAA()...)
}

// longTexts are more values beside the ownership record than a datagram holds.
func longTexts() string {
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, "_evercert.shop TXT \"another value of another tool, the one with number %d\"\n", i)
	}
	return text.String()
}
