package dnstruth

import "github.com/evercert/evercert/cert"

// brokenCAA has all other records right. CAA can't stand beside a CNAME, so that these names have addresses.
func brokenCAA() []row {
	forbids, bound := codes(cert.CAAForbids), codes(cert.CAAAccountBound)
	ready := owned + delegated + flat
	apex := `_evercert TXT "$OWNERSHIP"` + "\n_acme-challenge CNAME $DELEGATION(@).\n* CNAME $TARGET.\n"
	table := []row{
		{name: "CAA names another CA", text: ready + `shop CAA 0 issue "other.example"`, codes: forbids, tells: []string{
			"the CA letsencrypt isn't among them", `add a CAA record named shop (in full: shop.$DOMAIN) with the value 0 issue "letsencrypt.org"`, `CAA 0 issue "other.example"`,
		}},
		{name: "CAA of the domain names another CA", text: ready + `@ CAA 0 issue "other.example"`, codes: forbids, tells: []string{"named @ (in full: $DOMAIN)"}},
		{name: "CAA lets nobody issue", text: ready + `@ CAA 0 issue ";"`, codes: forbids},
		{name: "CAA lets nobody issue by an empty value", text: ready + `@ CAA 0 issue ""`, codes: forbids},
		{name: "CAA that is nearer counts", text: ready + `shop CAA 0 issue "other.example"` + "\n" + `@ CAA 0 issue "letsencrypt.org"`, codes: forbids},
		{name: "CAA with a critical property", text: ready + `@ CAA 128 tbs "Unknown"` + "\n" + `@ CAA 0 issue "letsencrypt.org"`, codes: forbids, tells: []string{`delete this CAA record named @ (in full: $DOMAIN): CAA 128 tbs "Unknown".`}},
		{name: "CAA with the bit that many take for critical", text: ready + `@ CAA 1 tbs "Unknown"`, codes: forbids},
		{name: "CAA binds another account", text: ready + `@ CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/2"`, codes: bound, tells: []string{`0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1"`}},
		{name: "CAA binds two accounts in one record", text: ready + `@ CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1; accounturi=https://ca.example/acct/1"`, codes: bound},
		{name: "CAA binds an empty account", text: ready + `@ CAA 0 issue "letsencrypt.org; accounturi="`, codes: bound},
		{name: "CAA demands another method", text: ready + `@ CAA 0 issue "letsencrypt.org; validationmethods=tls-alpn-01"`, codes: forbids, tells: []string{`0 issue "letsencrypt.org; validationmethods=dns-01"`}},
		{name: "CAA demands methods that can't be read", text: ready + `@ CAA 0 issue "letsencrypt.org; validationmethods=dns-01,h@ha"`, codes: forbids},
		{name: "CAA with a parameter that can't be read", text: ready + `@ CAA 0 issue "letsencrypt.org; dns-01"`, codes: forbids},
		{name: "CAA keeps wildcards for another CA", hosts: []string{"*.$DOMAIN"}, text: apex + `@ CAA 0 issue "letsencrypt.org"` + "\n" + `@ CAA 0 issuewild "other.example"`, codes: forbids, tells: []string{`0 issuewild "letsencrypt.org"`}},
		{name: "CAA behind the tenant's own alias", text: owned + delegated + "shop CNAME cdn\ncdn A $EDGE4\ncdn CAA 0 issue \"other.example\"", codes: forbids, tells: []string{"The records stand at cdn.$DOMAIN, to which the CNAME record of shop.$DOMAIN leads"}},
		{name: "CAA forbids both CAs", cas: []cert.CAIdentity{letsEncrypt, google}, text: ready + `@ CAA 0 issue "other.example"`, codes: forbids, tells: []string{"letsencrypt.org"}},
		{
			name: "CAA has no CA for both names", hosts: []string{"shop", "shop.$SECOND"}, cas: []cert.CAIdentity{letsEncrypt, google},
			text:   ready + `@ CAA 0 issue "pki.goog"`,
			second: `_evercert.shop TXT "$OWNERSHIP(shop.$SECOND)"` + "\n_acme-challenge.shop CNAME $DELEGATION(shop.$SECOND).\n" + flat + `@ CAA 0 issue "letsencrypt.org"`,
			codes:  forbids,
		},
		{name: "CAA demands the method that isn't ready", text: owned + flat + `@ CAA 0 issue "letsencrypt.org; validationmethods=dns-01"`, codes: codes(cert.DelegationMissing, cert.CAAForbids)},
		{name: "CAA forbids where pointing would do", text: owned + flat + `@ CAA 0 issue "other.example"`, codes: forbids},
		{name: "CAA is of the platform's own name", text: owned + delegated + "shop CNAME $TARGET.\n", target: "nobody.platform.net", codes: forbids, acts: cert.PlatformActs, tells: []string{"There is nothing for you to do", "nobody.platform.net"}},
		{name: "CAA on one server only", text: ready, on: onKnot(ready + `@ CAA 0 issue "other.example"`), codes: forbids},
	}
	for i := range table {
		if table[i].verdict = cert.Wrong; table[i].acts == "" {
			table[i].acts = cert.TenantActs
		}
	}
	return table
}
