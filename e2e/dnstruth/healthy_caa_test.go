package dnstruth

import "github.com/evercert/evercert/cert"

// healthyCAA has CAA records that let the CA issue. Where it issues and others would not, a warning says so.
func healthyCAA() []row {
	forbids, bound := codes(cert.CAAForbids), codes(cert.CAAAccountBound)
	ready := owned + delegated + flat
	apex := `_evercert TXT "$OWNERSHIP"` + "\n_acme-challenge CNAME $DELEGATION(@).\n* CNAME $TARGET.\n"
	google := []cert.CAIdentity{google}
	table := []row{
		{
			name: "healthy CAA names our CA among others",
			text: ready + `@ CAA 0 issue ";"` + "\n" + `@ CAA 0 issue "other.example"` + "\n" + `@ CAA 0 issue "letsencrypt.org"`,
		},
		{name: "healthy CAA with a tag in capitals", text: ready + `@ CAA 0 ISSUE "letsencrypt.org"`},
		{name: "healthy CAA with blanks", text: ready + `@ CAA 0 issue "  letsencrypt.org ;  validationmethods = dns-01  "`},
		{name: "healthy CAA with a semicolon at its end", text: ready + `@ CAA 0 issue "letsencrypt.org;"`},
		{name: "healthy CAA with a parameter of others", text: ready + `@ CAA 0 issue "letsencrypt.org; cansignhttpexchanges=yes"`},
		{name: "healthy CAA with several methods", text: ready + `@ CAA 0 issue "letsencrypt.org; validationmethods=http-01,dns-01"`},
		{
			name: "healthy CAA binds two accounts in two records",
			text: ready + `@ CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/2"` + "\n" +
				`@ CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1"`,
		},
		{
			name: "healthy CAA binds our account by a tag in capitals",
			text: ready + `@ CAA 0 issue "letsencrypt.org; AccountURI=https://ca.example/acct/1"`,
		},
		{
			name: "healthy CAA binds another account in capitals, unread", warns: bound,
			text: ready + `@ CAA 0 issue "letsencrypt.org; AccountURI=https://ca.example/acct/2"`,
			says: []string{"not in lower case", `0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1"`},
		},
		{
			name: "healthy CAA with a list that is read in part", warns: forbids,
			text: ready + `@ CAA 0 issue "letsencrypt.org; validationmethods=dns-01,h@ha"`,
		},
		{name: "healthy CAA restricts wildcards only", text: ready + `@ CAA 0 issuewild ";"`},
		{name: "healthy CAA restricts mail only", text: ready + `@ CAA 0 issuemail ";"`},
		{name: "healthy CAA restricts mail, critical and known", warns: forbids, text: ready + `@ CAA 128 issuemail ";"`, says: []string{
			"Nothing has to change for this CA", `CAA 128 issuemail ";"`,
		}},
		{name: "healthy CAA restricts mark certificates, critical and known", warns: forbids, text: ready + `@ CAA 128 issuevmc ";"`},
		{name: "healthy CAA with a critical iodef", text: ready + `@ CAA 128 iodef "mailto:security@example.com"`},
		{name: "healthy CAA with a critical issue", text: ready + `@ CAA 128 issue "letsencrypt.org"`},
		{name: "healthy CAA with an unknown property", text: ready + `@ CAA 126 tbs "Unknown"`},
		{name: "healthy CAA with the bit that many take for critical", cas: google, text: ready + `@ CAA 1 tbs "Unknown"`},
		{name: "healthy CAA in capitals, of a CA that minds no case", cas: google, text: ready + `@ CAA 0 issue "PKI.Goog"`},
		{name: "healthy CAA with a hyphen in a tag", cas: google, text: ready + `@ CAA 0 issue "pki.goog; a-b=c"`},
		{name: "healthy CAA that is nearer counts", text: ready + `shop CAA 0 issue "letsencrypt.org"` + "\n" + `@ CAA 0 issue ";"`},
		{name: "healthy CAA of 1001 records", servers: []string{c}, text: ready + manyCAA("letsencrypt.org")},
		{
			name: "healthy CAA behind an alias",
			text: owned + delegated + "shop CNAME cdn\ncdn A $EDGE4\ncdn AAAA $EDGE6\ncdn CAA 0 issue \"letsencrypt.org\"\n" +
				`@ CAA 0 issue "other.example"`,
		},
		{
			name: "healthy CAA above the end of an alias does not count",
			text: owned + delegated + "shop CNAME end.cdn\nend.cdn A $EDGE4\nend.cdn AAAA $EDGE6\n" + `cdn CAA 0 issue "other.example"`,
		},
		{
			name: "healthy CAA has wildcards of its own", hosts: []string{"*.$DOMAIN"},
			text: apex + `@ CAA 0 issue ";"` + "\n" + `@ CAA 0 issuewild "letsencrypt.org"`,
		},
		{name: "healthy CAA for all counts for wildcards", hosts: []string{"*.$DOMAIN"}, text: apex + `@ CAA 0 issue "letsencrypt.org"`},
	}
	for i := range table {
		table[i].verdict, table[i].chosen = cert.OK, dns01
	}
	return table
}
