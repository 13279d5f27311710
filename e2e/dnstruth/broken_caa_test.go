package dnstruth

import (
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
)

// brokenCAA has all other records right. CAA can't stand beside a CNAME, so that these names have addresses.
func brokenCAA() []row {
	forbids, bound := codes(cert.CAAForbids), codes(cert.CAAAccountBound)
	ready := owned + delegated + flat
	apex := `_evercert TXT "$OWNERSHIP"` + "\n_acme-challenge CNAME $DELEGATION(@).\n* CNAME $TARGET.\n"
	table := []row{
		{
			name: "CAA names another CA", codes: forbids,
			text: ready + `shop CAA 0 issue "other.example"`,
			says: []string{
				"the CA letsencrypt isn't among them",
				`add a CAA record named shop (in full: shop.$DOMAIN) with the value 0 issue "letsencrypt.org"`,
				`CAA 0 issue "other.example"`,
			},
		},
		{
			name: "CAA of the domain names another CA", codes: forbids,
			text: ready + `@ CAA 0 issue "other.example"`,
			says: []string{"named @ (in full: $DOMAIN)"},
		},
		{name: "CAA lets nobody issue", text: ready + `@ CAA 0 issue ";"`, codes: forbids},
		{name: "CAA lets nobody issue by an empty value", text: ready + `@ CAA 0 issue ""`, codes: forbids},
		{
			name: "CAA that is nearer counts", codes: forbids,
			text: ready + `shop CAA 0 issue "other.example"` + "\n" + `@ CAA 0 issue "letsencrypt.org"`,
		},
		{
			name: "CAA with a critical property", codes: forbids,
			text: ready + `@ CAA 128 tbs "Unknown"` + "\n" + `@ CAA 0 issue "letsencrypt.org"`,
			says: []string{`change the flags of this CAA record named @ (in full: $DOMAIN) to 0, or delete it: CAA 128 tbs "Unknown".`},
		},
		{name: "CAA with the bit that many take for critical", text: ready + `@ CAA 1 tbs "Unknown"`, codes: forbids},
		{
			name: "CAA binds another account", codes: bound,
			text: ready + `@ CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/2"`,
			says: []string{`0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1"`},
		},
		{
			name: "CAA binds two accounts in one record", codes: bound,
			text: ready + `@ CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1; accounturi=https://ca.example/acct/1"`,
		},
		{name: "CAA binds an empty account", text: ready + `@ CAA 0 issue "letsencrypt.org; accounturi="`, codes: bound},
		{
			name: "CAA demands another method", codes: forbids,
			text: ready + `@ CAA 0 issue "letsencrypt.org; validationmethods=tls-alpn-01"`,
			says: []string{`0 issue "letsencrypt.org; validationmethods=dns-01"`},
		},
		{
			name: "CAA demands methods that can't be read", codes: forbids,
			text: ready + `@ CAA 0 issue "letsencrypt.org; validationmethods=h@ha,dns-01"`,
		},
		{name: "CAA with a parameter that can't be read", text: ready + `@ CAA 0 issue "letsencrypt.org; dns-01"`, codes: forbids},
		{
			name: "CAA keeps wildcards for another CA", hosts: []string{"*.$DOMAIN"}, codes: forbids,
			text: apex + `@ CAA 0 issue "letsencrypt.org"` + "\n" + `@ CAA 0 issuewild "other.example"`,
			says: []string{`0 issuewild "letsencrypt.org"`},
		},
		{
			name: "CAA behind the tenant's own alias", codes: forbids,
			text: owned + delegated + "shop CNAME cdn\ncdn A $EDGE4\ncdn CAA 0 issue \"other.example\"",
			says: []string{"The records stand at cdn.$DOMAIN, to which the CNAME record of shop.$DOMAIN leads"},
		},
		{
			name: "CAA forbids both CAs", cas: []cert.CAIdentity{letsEncrypt, google}, codes: forbids,
			text: ready + `@ CAA 0 issue "other.example"`,
			says: []string{"letsencrypt.org"},
		},
		{
			name: "CAA has no CA for both names", hosts: []string{"shop", "shop.$SECOND"}, cas: []cert.CAIdentity{letsEncrypt, google},
			text: ready + `@ CAA 0 issue "pki.goog"`,
			second: `_evercert.shop TXT "$OWNERSHIP(shop.$SECOND)"` + "\n_acme-challenge.shop CNAME $DELEGATION(shop.$SECOND).\n" +
				flat + `@ CAA 0 issue "letsencrypt.org"`,
			codes: forbids,
		},
		{
			name: "CAA demands the method that isn't ready", codes: codes(cert.DelegationMissing, cert.CAAForbids),
			text: owned + flat + `@ CAA 0 issue "letsencrypt.org; validationmethods=dns-01"`,
		},
		{name: "CAA forbids where pointing would do", text: owned + flat + `@ CAA 0 issue "other.example"`, codes: forbids},
		{
			name: "CAA is of the platform's own name", target: "nobody.platform.net", codes: forbids, acts: cert.PlatformActs,
			text: owned + delegated + "shop CNAME $TARGET.\n",
			says: []string{"There is nothing for you to do", "nobody.platform.net"},
		},
		{name: "CAA names our CA in capitals", text: ready + `@ CAA 0 issue "LetsEncrypt.org"`, codes: forbids, says: []string{
			"letter by letter", `with the value 0 issue "letsencrypt.org"`,
		}},
		{
			name: "CAA has a hyphen in a tag", codes: forbids,
			text: ready + `@ CAA 0 issue "letsencrypt.org; a-b=c"`,
			says: []string{"can't be read"},
		},
		{name: "CAA ends with a semicolon after a parameter", text: ready + `@ CAA 0 issue "letsencrypt.org; a=b;"`, codes: forbids},
		{
			name: "CAA demands our method in capitals", codes: forbids,
			text: ready + `@ CAA 0 issue "letsencrypt.org; validationmethods=DNS-01"`,
			says: []string{`0 issue "letsencrypt.org; validationmethods=dns-01"`},
		},
		{
			name: "CAA has two lists of methods", codes: forbids,
			text: ready + `@ CAA 0 issue "letsencrypt.org; validationmethods=dns-01; validationmethods=dns-01"`,
		},
		{
			name: "CAA is critical for S/MIME and the CA does not know it", cas: []cert.CAIdentity{google},
			text: ready + `@ CAA 128 issuemail ";"`, codes: forbids,
			says: []string{`to 0, or delete it: CAA 128 issuemail ";".`},
		},
		{
			name: "CAA is critical for mark certificates, unknown", cas: []cert.CAIdentity{google}, codes: forbids,
			text: ready + `@ CAA 128 issuevmc ";"`,
		},
		{name: "CAA is critical for a contact", text: ready + `@ CAA 128 contactemail "a@example.com"`, codes: forbids},
		{
			name: "CAA is critical and names another CA", codes: forbids,
			text: ready + `@ CAA 128 tbs "Unknown"` + "\n" + `@ CAA 0 issue "other.example"`,
			says: []string{`CAA 128 tbs "Unknown"; then add a CAA record named @ (in full: $DOMAIN) with the value 0 issue "letsencrypt.org"`},
		},
		{
			name: "CAA binds another account by a tag in capitals", cas: []cert.CAIdentity{google}, codes: bound,
			text: ready + `@ CAA 0 issue "pki.goog; AccountURI=https://gts.example/acct/8"`,
			says: []string{`0 issue "pki.goog; accounturi=https://gts.example/acct/9"`},
		},
		{
			name: "CAA demands another method by a tag in capitals", cas: []cert.CAIdentity{google}, codes: forbids,
			text: ready + `@ CAA 0 issue "pki.goog; ValidationMethods=tls-alpn-01"`,
		},
		{name: "CAA of 1001 records", servers: []string{c}, text: ready + manyCAA("other.example"), codes: forbids},
		{name: "CAA has markup in its value", text: ready + `@ CAA 0 issue "<script>alert(1)</script>"`, codes: forbids},
		{
			name: "CAA behind two aliases", codes: forbids,
			text: owned + delegated + "shop CNAME cdn\ncdn CNAME end\nend A $EDGE4\nend CAA 0 issue \"other.example\"",
			says: []string{"The records stand at end.$DOMAIN", `add the CAA record 0 issue "letsencrypt.org" there`},
		},
		{
			name: "CAA behind an alias above the name", codes: forbids, hosts: []string{"a.shop"},
			text: "_evercert.a.shop TXT \"$OWNERSHIP\"\n_acme-challenge.a.shop CNAME $DELEGATION(a.shop).\na.shop CNAME $TARGET.\n" +
				"shop CNAME cdn\ncdn A $EDGE4\ncdn CAA 0 issue \"other.example\"",
			says: []string{"The records stand at cdn.$DOMAIN, to which the CNAME record of shop.$DOMAIN leads"},
		},
		{
			name: "CAA behind a DNAME", codes: forbids, hosts: []string{"shop.old"},
			text: "old DNAME new\n_evercert.shop.new TXT \"$OWNERSHIP\"\n_acme-challenge.shop.new CNAME $DELEGATION(shop.old).\n" +
				"shop.new A $EDGE4\nshop.new AAAA $EDGE6\nshop.new CAA 0 issue \"other.example\"",
			says: []string{"The records stand at shop.new.$DOMAIN"},
		},
		{name: "CAA lets nobody issue wildcards", hosts: []string{"*.$DOMAIN"}, codes: forbids, text: apex + `@ CAA 0 issuewild ";"`},
		{
			name: "CAA for all but the wildcard's other name", hosts: []string{"*.$DOMAIN"}, codes: forbids,
			text: apex + `@ CAA 0 issue "other.example"`,
			says: []string{`0 issuewild "letsencrypt.org"`},
		},
		{name: "CAA on one server only", text: ready, on: onKnot(ready + `@ CAA 0 issue "other.example"`), codes: forbids},
	}
	for i := range table {
		if table[i].verdict = cert.Wrong; table[i].acts == "" {
			table[i].acts = cert.TenantActs
		}
	}
	return table
}

// manyCAA are 1,001 records, of which one decides.
func manyCAA(issuer string) string {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "@ CAA 0 test%d \"test\"\n", i)
	}
	return text.String() + `@ CAA 0 issue "` + issuer + `"`
}
