package caa

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// suiteRow is a name of a suite that CAs test themselves with.
type suiteRow struct {
	name    string
	verdict cert.Verdict
}

func (row suiteRow) run(t *testing.T, z zone, ca cert.CAIdentity, method cert.Method) {
	t.Run(row.name, func(t *testing.T) {
		t.Parallel()
		request := NewRequest(ca, row.name, method)
		set := Find(t.Context(), z.lookup, row.name)
		require.Equal(t, row.verdict, Verdict([]Set{set}, request), "found at %q", set.Owner)
		if row.verdict != cert.Wrong {
			return
		}
		p := Problem(row.name, []Set{set}, request)
		require.Equal(t, cert.TenantActs, p.WhoActs)
		if set.Alias == "" {
			requireRemedy(t, row.name, set, request)
		}
	})
}

// big is a set of 1,001 records, of which the last decides.
func big(last string) []string {
	records := make([]string, 1000, 1001)
	for i := range records {
		records[i] = fmt.Sprintf(`0 test%d "test"`, i)
	}
	return append(records, last)
}

// caaTestSuite is caatestsuite.com (github.com/SSLMate/caatestsuite), as a resolver shows it. What it has of name servers and of DNSSEC
// stands in e2e/dnstruth, on real servers.
func caaTestSuite(t *testing.T) zone {
	theirs := `0 issue "caatestsuite.com"`
	z := zone{}
	for name, records := range map[string][]string{
		"empty.basic":          {`0 issue ";"`},
		"deny.basic":           {theirs},
		"uppercase-deny.basic": {`0 ISSUE "caatestsuite.com"`},
		"mixedcase-deny.basic": {`0 IsSuE "caatestsuite.com"`},
		"big.basic":            big(theirs),
		"critical1.basic":      {`128 caatestsuitedummyproperty "test"`},
		"critical2.basic":      {`130 caatestsuitedummyproperty "test"`},
		"deny-wild.basic":      {`0 issue "ca.example"`, `0 issuewild "caatestsuite.com"`},
		"permit.basic":         {`0 issue "ca.example"`},
		"deny.permit.basic":    {theirs},
		"ipv6only":             {theirs},
		"xss":                  {`0 issue "<script>alert(1)</script>"`},
	} {
		z.add(t, name+".caatestsuite.com", records...)
	}
	for alias, end := range map[string]string{
		"cname-deny.basic": "deny.basic", "cname-cname-deny.basic": "deny.basic", "dname-deny.basic": "deny.basic",
		"cname-deny-sub.basic": "sub1.deny.basic",
	} {
		a := z[end+".caatestsuite.com"]
		a.Alias = end + ".caatestsuite.com"
		z[alias+".caatestsuite.com"] = a
	}
	for _, silent := range []string{"expired", "missing", "blackhole", "servfail", "refused"} {
		z[silent+".caatestsuite-dnssec.com"] = Answer{Err: errors.New("SERVFAIL")}
	}
	return z
}

func TestF1_CAATestSuite(t *testing.T) {
	t.Parallel()
	z := caaTestSuite(t)
	for _, row := range []suiteRow{
		{"empty.basic.caatestsuite.com", cert.Wrong},
		{"deny.basic.caatestsuite.com", cert.Wrong},
		{"uppercase-deny.basic.caatestsuite.com", cert.Wrong},
		{"mixedcase-deny.basic.caatestsuite.com", cert.Wrong},
		{"big.basic.caatestsuite.com", cert.Wrong},
		{"critical1.basic.caatestsuite.com", cert.Wrong},
		{"critical2.basic.caatestsuite.com", cert.Wrong},
		{"sub1.deny.basic.caatestsuite.com", cert.Wrong},
		{"sub2.sub1.deny.basic.caatestsuite.com", cert.Wrong},
		{"*.deny.basic.caatestsuite.com", cert.Wrong},
		{"*.deny-wild.basic.caatestsuite.com", cert.Wrong},
		{"cname-deny.basic.caatestsuite.com", cert.Wrong},
		{"cname-cname-deny.basic.caatestsuite.com", cert.Wrong},
		{"sub1.cname-deny.basic.caatestsuite.com", cert.Wrong},
		{"dname-deny.basic.caatestsuite.com", cert.Wrong},
		{"deny.permit.basic.caatestsuite.com", cert.Wrong},
		{"ipv6only.caatestsuite.com", cert.Wrong},
		{"xss.caatestsuite.com", cert.Wrong},
		// RFC 6844 climbed from the end of an alias, too; RFC 8659 does not.
		{"cname-deny-sub.basic.caatestsuite.com", cert.OK},
		{"expired.caatestsuite-dnssec.com", cert.Unknown},
		{"missing.caatestsuite-dnssec.com", cert.Unknown},
		{"blackhole.caatestsuite-dnssec.com", cert.Unknown},
		{"servfail.caatestsuite-dnssec.com", cert.Unknown},
		{"refused.caatestsuite-dnssec.com", cert.Unknown},
		{"permit.basic.caatestsuite.com", cert.OK},
		{"deny-wild.basic.caatestsuite.com", cert.OK},
	} {
		row.run(t, z, identity("ca.example"), cert.HTTP01)
	}
	t.Run("as the CA that it names", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{
			"deny.basic", "uppercase-deny.basic", "mixedcase-deny.basic", "big.basic", "sub1.deny.basic", "sub2.sub1.deny.basic",
			"*.deny.basic", "*.deny-wild.basic", "cname-deny.basic", "cname-cname-deny.basic", "sub1.cname-deny.basic", "deny.permit.basic",
			"ipv6only",
		} {
			suiteRow{name + ".caatestsuite.com", cert.OK}.run(t, z, identity("caatestsuite.com"), cert.HTTP01)
		}
	})
}

// boulderSuite is the DNS that boulder tests with (va/caa_test.go, caaMockDNS), and the values of its other tests of CAA.
func boulderSuite(t *testing.T) zone {
	account := "accounturi=https://letsencrypt.org/acct/"
	critical := []string{`128 issue "letsencrypt.org"`, `128 issuewild ";"`, `128 iodef "c"`, `128 issuemail ";"`, `128 issuevmc ";"`}
	twoAccounts := []string{`0 issue "letsencrypt.org; ` + account + `321"`, `0 issue "letsencrypt.org; ` + account + `1"`}
	z := zone{
		"caa-timeout.com":      {Err: errors.New("time-out")},
		"servfail.com":         {Err: errors.New("SERVFAIL")},
		"servfail.present.com": {Err: errors.New("SERVFAIL")},
		"gonetld":              {Err: errors.New("NXDOMAIN")},
	}
	for name, records := range map[string][]string{
		"reserved.com":                               {`0 issue "ca.com"`},
		"mixedcase.com":                              {`0 iSsUe "ca.com"`},
		"critical.com":                               {`1 issue "ca.com"`},
		"present.com":                                {`0 issue "letsencrypt.org"`},
		"present.servfail.com":                       {`0 issue "letsencrypt.org"`},
		"multi-crit-present.com":                     {`1 issue "ca.com"`, `1 issue "letsencrypt.org"`},
		"unknown-critical.com":                       {`128 foo "bar"`},
		"unknown-critical2.com":                      {`1 foo "bar"`},
		"unknown-critical9.com":                      {`9 foo "bar"`},
		"unknown-noncritical.com":                    {`126 foo "bar"`},
		"recognized-critical.com":                    critical,
		"present-with-parameter.com":                 {`0 issue "  letsencrypt.org  ;foo=bar;baz=bar"`},
		"present-with-invalid-tag.com":               {`0 issue "letsencrypt.org; a_b=123"`},
		"present-with-invalid-value.com":             {`0 issue "letsencrypt.org; ab=1 2 3"`},
		"present-dns-only.com":                       {`0 issue "letsencrypt.org; validationmethods=dns-01"`},
		"present-http-only.com":                      {`0 issue "letsencrypt.org; validationmethods=http-01"`},
		"present-http-or-dns.com":                    {`0 issue "letsencrypt.org; validationmethods=http-01,dns-01"`},
		"present-dns-only-correct-accounturi.com":    {`0 issue "letsencrypt.org; ` + account + `1; validationmethods=dns-01"`},
		"present-http-only-correct-accounturi.com":   {`0 issue "letsencrypt.org; ` + account + `1; validationmethods=http-01"`},
		"present-http-only-incorrect-accounturi.com": {`0 issue "letsencrypt.org; ` + account + `321; validationmethods=http-01"`},
		"present-correct-accounturi.com":             {`0 issue "letsencrypt.org; ` + account + `1"`},
		"present-incorrect-accounturi.com":           {`0 issue "letsencrypt.org; ` + account + `321"`},
		"present-multiple-accounturi.com":            twoAccounts,
		"unsatisfiable.com":                          {`0 issue ";"`},
		"unsatisfiable-wildcard.com":                 {`0 issuewild ";"`},
		"unsatisfiable-wildcard-override.com":        {`0 issue "letsencrypt.org"`, `0 issuewild "ca.com"`},
		"satisfiable-wildcard-override.com":          {`0 issue "ca.com"`, `0 issuewild "letsencrypt.org"`},
		"satisfiable-multi-wildcard.com":             {`0 issuewild "ca.com"`, `0 issuewild "letsencrypt.org"`},
		"satisfiable-wildcard.com":                   {`0 issuewild "letsencrypt.org"`},
	} {
		z.add(t, name, records...)
	}
	return z
}

func TestF1_BoulderSuite(t *testing.T) {
	t.Parallel()
	z := boulderSuite(t)
	for _, row := range []suiteRow{
		{"caa-timeout.com", cert.Unknown},
		{"reserved.com", cert.Wrong},
		{"mixedcase.com", cert.Wrong},
		{"critical.com", cert.Wrong},
		{"nx.critical.com", cert.Wrong},
		{"absent.com", cert.OK},
		{"example.co.uk", cert.OK},
		{"present.com", cert.OK},
		{"child.present.com", cert.OK},
		{"not.here.but.still.present.com", cert.OK},
		{"present.servfail.com", cert.OK},
		{"servfail.present.com", cert.Unknown},
		{"child.servfail.present.com", cert.Unknown},
		{"example.gonetld", cert.Unknown},
		{"multi-crit-present.com", cert.OK},
		{"unknown-critical.com", cert.Wrong},
		{"unknown-critical2.com", cert.Wrong},
		{"unknown-critical9.com", cert.Wrong},
		{"unknown-noncritical.com", cert.OK},
		{"*.unknown-noncritical.com", cert.OK},
		{"recognized-critical.com", cert.OK},
		{"present-with-parameter.com", cert.OK},
		{"present-with-invalid-tag.com", cert.Wrong},
		{"present-with-invalid-value.com", cert.Wrong},
		{"present-dns-only.com", cert.Wrong},
		{"present-http-only.com", cert.OK},
		{"present-http-or-dns.com", cert.OK},
		{"present-correct-accounturi.com", cert.OK},
		{"present-http-only-correct-accounturi.com", cert.OK},
		{"present-dns-only-correct-accounturi.com", cert.Wrong},
		{"present-http-only-incorrect-accounturi.com", cert.Wrong},
		{"present-incorrect-accounturi.com", cert.Wrong},
		{"present-multiple-accounturi.com", cert.OK},
		{"unsatisfiable.com", cert.Wrong},
		{"*.unsatisfiable.com", cert.Wrong},
		{"*.unsatisfiable-wildcard.com", cert.Wrong},
		{"*.unsatisfiable-wildcard-override.com", cert.Wrong},
		{"*.satisfiable-wildcard.com", cert.OK},
		{"*.satisfiable-multi-wildcard.com", cert.OK},
		{"*.satisfiable-wildcard-override.com", cert.OK},
		{"satisfiable-wildcard-override.com", cert.Wrong},
	} {
		row.run(t, z, letsEncrypt, cert.HTTP01)
	}
}

// TestF1_BoulderValues has the values that boulder tests its reading of parameters with (TestExtractIssuerDomainAndParameters,
// TestAccountURIMatches, TestValidationMethodMatches).
func TestF1_BoulderValues(t *testing.T) {
	t.Parallel()
	const account = "https://letsencrypt.org/acct/1"
	for _, row := range []struct {
		value string
		want  refusal
	}{
		{"", notListed},
		{";", notListed},
		{" ; ", notListed},
		{"letsencrypt.org", permitted},
		{"letsencrypt.org;", permitted},
		{"letsencrypt.org;   ", permitted},
		{"letsencrypt.org\n", notListed}, // only blanks and tabs count for nothing
		{"  letsencrypt.org\t;foo=bar;baz=bar", permitted},
		{"\tletsencrypt.org ;foo=bar;baz=bar", permitted},
		{"letsencrypt.org; foo=; baz =\tbar", permitted},
		{"letsencrypt.org; foo=\t; baz =\tbar", permitted},
		{"letsencrypt.org; foo=b1,b2,b3\t; baz =\t\ta=b\t", permitted},
		{"letsencrypt.org; foo=b1; foo=b2", permitted},
		{"letsencrypt.org; foo=b1,b2,b3\t; baz =\t\ta = b\t", unreadable},
		{"letsencrypt.org; foo=b1,b2,b3\t; baz=a=\tb", unreadable},
		{"letsencrypt.org; foo=b1,b2,b3\t; baz =\t\ta;b\t", unreadable},
		{"letsencrypt.org; 1=2; baz=a-b", permitted},
		{"letsencrypt.org; a_b=123", unreadable},
		{"letsencrypt.org; ab=1 2 3", unreadable},
		{"letsencrypt.org; 1=2; a-b=c", unreadable},
		{"letsencrypt.org; foo=a\u2615b", unreadable},
		{"letsencrypt.org; foo=b1,b2,b3 baz=a", unreadable},
		{"letsencrypt.org; accounturi=\\invalid", otherAccount},
		{"letsencrypt.org; validationmethods=http-01; accounturi=" + account, permitted},
		{"letsencrypt.org; accounturi=; accounturi=", otherAccount},
		{"letsencrypt.org; accounturi=; accounturi=" + account, otherAccount},
		{"letsencrypt.org; accounturi=" + account + "; accounturi=" + account, otherAccount},
		{"letsencrypt.org; accounturi=" + account + "; accounturi=https://letsencrypt.org/acct/2", otherAccount},
		{"letsencrypt.org; validationmethods=", otherMethod},
		{"letsencrypt.org; validationmethods=,", otherMethod},
		{"letsencrypt.org; validationmethods=howdy!", otherMethod},
		{"letsencrypt.org; validationmethods=tls-sni-01", otherMethod},
		{"letsencrypt.org; validationmethods=; validationmethods=http-01", otherMethod},
		{"letsencrypt.org; validationmethods=http-01; validationmethods=http-01", otherMethod},
		{"letsencrypt.org; validationmethods=http-01; validationmethods=dns-01", otherMethod},
		{"letsencrypt.org; validationmethods=dns-01,http-01", permitted},
	} {
		t.Run(row.value, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, row.want, profileOf(letsEncrypt).judgeProperty(row.value, Request{CA: letsEncrypt, Method: cert.HTTP01}))
		})
	}
}
