package resolver_test

import (
	"testing"

	"github.com/evercert/evercert/cert"
)

// TestDiagnose_CAAThatForbids has all other records right.
func TestDiagnose_CAAThatForbids(t *testing.T) {
	t.Parallel()
	// CAA can't stand beside a CNAME, so that these names have addresses.
	flat := "del shop.example.com CNAME\nadd shop.example.com. 60 A 192.0.2.10\n"
	forbids, bound := []cert.Code{cert.CAAForbids}, []cert.Code{cert.CAAAccountBound}
	for _, s := range []setup{
		{
			name: "another CA is named", zone: flat + `add shop.example.com. 60 CAA 0 issue "other.example"`, codes: forbids,
			says: []string{
				"the CA letsencrypt isn't among them",
				`add a CAA record named shop (in full: shop.example.com) with the value 0 issue "letsencrypt.org"`,
				"flags 0, tag issue, value letsencrypt.org.", `CAA 0 issue "other.example"`,
			},
		},
		{
			name: "another CA is named at the registered domain", zone: `add example.com. 60 CAA 0 issue "other.example"`, codes: forbids,
			says: []string{"named @ (in full: example.com)"},
		},
		{
			name: "another CA is named at the top-level domain", zone: `add com. 60 CAA 0 issue "other.example"`, codes: forbids,
			says: []string{"add a CAA record named @ (in full: example.com)"},
		},
		{
			name: "in capitals, of a CA that compares letter by letter", zone: `add example.com. 60 CAA 0 issue "LetsEncrypt.ORG"`, codes: forbids,
			says: []string{"letter by letter", `with the value 0 issue "letsencrypt.org"`},
		},
		{
			name: "a critical property that this CA does not know", cas: []cert.CAIdentity{google},
			zone: `add example.com. 60 CAA 128 issuemail ";"`, codes: forbids,
		},
		{name: "nobody may issue", zone: `add example.com. 60 CAA 0 issue ";"`, codes: forbids},
		{name: "nobody may issue, empty value", zone: `add example.com. 60 CAA 0 issue ""`, codes: forbids},
		{
			name:  "the nearer records count",
			zone:  flat + `add shop.example.com. 60 CAA 0 issue "other.example"` + "\n" + `add example.com. 60 CAA 0 issue "letsencrypt.org"`,
			codes: forbids,
		},
		{
			name: "a critical property that nobody understands",
			zone: `add example.com. 60 CAA 128 tbs "Unknown"` + "\n" + `add example.com. 60 CAA 0 issue "letsencrypt.org"`, codes: forbids,
			says: []string{`change the flags of this CAA record named @ (in full: example.com) to 0, or delete it: CAA 128 tbs "Unknown".`},
		},
		{name: "a critical property by the bit that many take for the flag", zone: `add example.com. 60 CAA 1 tbs "Unknown"`, codes: forbids},
		{
			name: "another account", zone: `add example.com. 60 CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/2"`,
			codes: bound,
			says:  []string{`0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1"`},
		},
		{
			name:  "two accounts in one record",
			zone:  `add example.com. 60 CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1; accounturi=https://ca.example/acct/1"`,
			codes: bound,
		},
		{name: "an empty account", zone: `add example.com. 60 CAA 0 issue "letsencrypt.org; accounturi="`, codes: bound},
		{
			name: "another method", zone: `add example.com. 60 CAA 0 issue "letsencrypt.org; validationmethods=tls-alpn-01"`,
			codes: forbids,
			says:  []string{"not after the check that works here (dns-01)", `0 issue "letsencrypt.org; validationmethods=dns-01"`},
		},
		{
			name:  "another method for our account",
			zone:  `add example.com. 60 CAA 0 issue "letsencrypt.org; validationmethods=tls-alpn-01; accounturi=https://ca.example/acct/1"`,
			codes: forbids,
			says:  []string{`"letsencrypt.org; accounturi=https://ca.example/acct/1; validationmethods=dns-01"`},
		},
		{
			name: "methods that can't be read", zone: `add example.com. 60 CAA 0 issue "letsencrypt.org; validationmethods=h@ha,dns-01"`,
			codes: forbids,
		},
		{name: "a parameter that can't be read", zone: `add example.com. 60 CAA 0 issue "letsencrypt.org; dns-01"`, codes: forbids},
		{
			name: "wildcards are for another CA", names: []string{"*.example.com"},
			zone:  `add example.com. 60 CAA 0 issue "letsencrypt.org"` + "\n" + `add example.com. 60 CAA 0 issuewild "other.example"`,
			codes: forbids,
			says:  []string{`0 issuewild "letsencrypt.org"`},
		},
		{
			name: "records behind the tenant's own alias",
			zone: "del shop.example.com CNAME\nadd shop.example.com. 60 CNAME cdn.other.example.\nadd cdn.other.example. 60 A 192.0.2.10\n" +
				`add cdn.other.example. 60 CAA 0 issue "other.example"`,
			codes: forbids,
			says:  []string{"The records stand at cdn.other.example, to which the CNAME record of shop.example.com leads"},
		},
		{
			name: "every CA of two is forbidden", cas: []cert.CAIdentity{letsEncrypt, google},
			zone: `add example.com. 60 CAA 0 issue "other.example"`, codes: forbids,
			says: []string{"letsencrypt.org"},
		},
		{name: "one resolver sees a refusal", zone: "", others: []string{`add example.com. 60 CAA 0 issue "other.example"`}, codes: forbids},
		{
			name: "no CA may issue for both names", names: []string{"a.example.com", "b.example.org"}, cas: []cert.CAIdentity{letsEncrypt, google},
			zone:  `add example.com. 60 CAA 0 issue "pki.goog"` + "\n" + `add example.org. 60 CAA 0 issue "letsencrypt.org"`,
			codes: forbids, says: []string{"CAA records of example.com"},
		},
		{
			name:  "the only permitted method is the one that isn't ready",
			zone:  undelegate + flat + `add example.com. 60 CAA 0 issue "letsencrypt.org; validationmethods=dns-01"`,
			codes: []cert.Code{cert.DelegationMissing, cert.CAAForbids},
		},
		{
			name:  "forbidden where pointing would do: the delegation isn't asked for",
			zone:  undelegate + flat + `add example.com. 60 CAA 0 issue "other.example"`,
			codes: forbids,
		},
		{
			name: "nothing is ready, but the second CA would do: CAA isn't at fault", cas: []cert.CAIdentity{letsEncrypt, google},
			zone:  undelegate + unpoint + `add example.com. 60 CAA 0 issue "pki.goog"`,
			codes: []cert.Code{cert.DelegationMissing, cert.DNSNoRecords},
		},
	} {
		s.verdict, s.acts = cert.Wrong, cert.TenantActs
		t.Run(s.name, s.run)
	}
}

// Somebody who asks without an account gets no report that another one is named.
func TestDiagnose_CAAForAnAccountWhenNoneIsKnown(t *testing.T) {
	setup{
		zone: `add example.com. 60 CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/2"`,
		cas:  []cert.CAIdentity{{Name: "letsencrypt", Domains: []string{"letsencrypt.org"}}}, verdict: cert.Unknown,
		codes: []cert.Code{cert.CAAAccountBound}, acts: cert.PlatformActs, says: []string{"we don't know", "--account-uri"},
	}.run(t)
}

func TestDiagnose_CAAOfThePlatformItselfIsThePlatformsTurn(t *testing.T) {
	setup{
		zone: `add shops.platform.net. 60 CAA 0 issue "other.example"`, verdict: cert.Wrong,
		codes: []cert.Code{cert.CAAForbids}, acts: cert.PlatformActs, says: []string{"There is nothing for you to do", "shops.platform.net"},
	}.run(t)
}

func TestDiagnose_CAAThatPermits(t *testing.T) {
	t.Parallel()
	dns01, http01 := []cert.Method{cert.DNS01}, []cert.Method{cert.HTTP01}
	for _, s := range []setup{
		{name: "our CA is named", zone: `add example.com. 60 CAA 0 issue "letsencrypt.org"`, methods: dns01},
		{
			name: "among others", zone: `add example.com. 60 CAA 0 issue ";"` + "\n" + `add example.com. 60 CAA 0 issue "letsencrypt.org"`,
			methods: dns01,
		},
		{name: "a tag in capitals", zone: `add example.com. 60 CAA 0 ISSUE "letsencrypt.org"`, methods: dns01},
		{
			name: "in capitals, of a CA that minds no case", cas: []cert.CAIdentity{google},
			zone: `add example.com. 60 CAA 0 issue "PKI.Goog"`, methods: dns01,
		},
		{
			name: "a critical property that this CA knows", zone: `add example.com. 60 CAA 128 issuemail ";"`, methods: dns01,
			codes: []cert.Code{cert.CAAForbids}, acts: cert.TenantActs, says: []string{"Nothing has to change for this CA"},
		},
		{
			name: "another account, by a tag that this CA takes no notice of", methods: dns01,
			zone:  `add example.com. 60 CAA 0 issue "letsencrypt.org; AccountURI=https://ca.example/acct/2"`,
			codes: []cert.Code{cert.CAAAccountBound}, acts: cert.TenantActs, says: []string{"not in lower case"},
		},
		{name: "with blanks", zone: `add example.com. 60 CAA 0 issue "  letsencrypt.org ;  validationmethods = dns-01  "`, methods: dns01},
		{
			name:    "with our account and our method",
			zone:    `add example.com. 60 CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1; validationmethods=http-01,dns-01"`,
			methods: dns01,
		},
		{
			name: "with a parameter that means something to others",
			zone: `add example.com. 60 CAA 0 issue "letsencrypt.org; cansignhttpexchanges=yes"`, methods: dns01,
		},
		{name: "only where to report", zone: `add example.com. 60 CAA 128 iodef "mailto:security@example.com"`, methods: dns01},
		{name: "only wildcards are restricted", zone: `add example.com. 60 CAA 0 issuewild ";"`, methods: dns01},
		{name: "an unknown property that isn't critical", zone: `add example.com. 60 CAA 0 issuemail ";"`, methods: dns01},
		{
			name: "the nearer records count",
			zone: "del shop.example.com CNAME\nadd shop.example.com. 60 A 192.0.2.10\n" +
				`add shop.example.com. 60 CAA 0 issue "letsencrypt.org"` + "\n" + `add example.com. 60 CAA 0 issue ";"`,
			methods: dns01,
		},
		{
			name: "the second CA is named", cas: []cert.CAIdentity{letsEncrypt, google}, zone: `add example.com. 60 CAA 0 issue "pki.goog"`,
			methods: dns01,
		},
		{
			name: "only http-01 is permitted", zone: `add example.com. 60 CAA 0 issue "letsencrypt.org; validationmethods=http-01"`,
			methods: http01,
		},
		{
			name: "only http-01 by the first CA, the second permits all", cas: []cert.CAIdentity{letsEncrypt, google},
			zone: unpoint + `add example.com. 60 CAA 0 issue "letsencrypt.org; validationmethods=http-01"` + "\n" +
				`add example.com. 60 CAA 0 issue "pki.goog"`,
			methods: dns01, codes: []cert.Code{cert.DNSNoRecords}, acts: cert.TenantActs,
		},
		{
			name: "wildcards have a record of their own", names: []string{"*.example.com"},
			zone: `add example.com. 60 CAA 0 issue ";"` + "\n" + `add example.com. 60 CAA 0 issuewild "letsencrypt.org"`, methods: dns01,
		},
		{
			name: "the CA publishes no issuer domain name", cas: []cert.CAIdentity{{Name: "private"}},
			zone: `add example.com. 60 CAA 0 issue "other.example"`, methods: dns01,
		},
	} {
		s.verdict = cert.OK
		t.Run(s.name, s.run)
	}
}
