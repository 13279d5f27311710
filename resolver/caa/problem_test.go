package caa

import (
	"cmp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// TestProblem_SaysWhyAndWhatHelps has the sentences that depend on why a CA may not issue.
func TestProblem_SaysWhyAndWhatHelps(t *testing.T) {
	t.Parallel()
	alias, platform := setAt(t, "shop.example.com", `0 issue "other.example"`), setAt(t, "shop.example.com", `0 issue "other.example"`)
	alias.Alias, platform.Alias, platform.Platform = "cdn.other.example", "shops.platform.net", true
	criticalAlias := setAt(t, "shop.example.com", `128 tbs "x"`)
	criticalAlias.Alias = "cdn.other.example"
	noAccount := identity("pki.goog")
	noAccount.AccountURI = ""
	for _, row := range []struct {
		name string
		set  Set
		ca   cert.CAIdentity
		code cert.Code  // CAAForbids when empty
		acts cert.Actor // TenantActs when empty
		says []string
	}{
		{name: "not listed", set: setAt(t, "example.com", `0 issue "other.example; accounturi=urn:a"`), ca: google, says: []string{
			"The CAA records of example.com say", "isn't among them", "add a CAA record named @ (in full: example.com) with the value",
			`0 issue "pki.goog"; in a form with three fields: flags 0, tag issue, value pki.goog. Other`,
		}},
		{name: "in capitals", set: setAt(t, "example.com", `0 issue "LetsEncrypt.org"`), ca: letsEncrypt, says: []string{
			"in capitals", "only letsencrypt.org, letter by letter",
		}},
		{
			name: "in capitals, for another account", ca: letsEncrypt,
			set:  setAt(t, "example.com", `0 issue "LetsEncrypt.org ; accounturi=https://letsencrypt.org/acct/2"`),
			says: []string{`0 issue "letsencrypt.org; accounturi=https://letsencrypt.org/acct/1"`},
		},
		{
			name: "of several refusals, the one that is nearest to a permission", ca: google, code: cert.CAAAccountBound,
			set: setAt(t, "example.com", `0 issue "pki.goog; accounturi=https://pki.goog/acct/2"`, `0 issue "other.example"`),
		},
		{
			name: "a CA whose name its directory has in capitals", ca: identity("PKI.goog"),
			set: setAt(t, "example.com", `0 issue "other.example"`), says: []string{`0 issue "pki.goog"`},
		},
		{name: "unreadable", set: setAt(t, "example.com", `0 issue "letsencrypt.org; a-b=c"`), ca: letsEncrypt, says: []string{"can't be read"}},
		{name: "another method", set: setAt(t, "example.com", `0 issue "pki.goog; validationmethods=http-01"`), ca: google, says: []string{
			"not after the check that works here (dns-01)", "validationmethods=dns-01",
		}},
		{
			name: "another account", ca: google, code: cert.CAAAccountBound,
			set:  setAt(t, "example.com", `0 issue "pki.goog; accounturi=https://pki.goog/acct/2"`),
			says: []string{"another account", "(accounturi)", "pki.goog; accounturi=https://pki.goog/acct/1"},
		},
		{
			name: "another account, however it is spelled", ca: google, code: cert.CAAAccountBound,
			set:  setAt(t, "example.com", `0 issue "pki.goog; AccountURI=https://pki.goog/acct/2; ValidationMethods=http-01"`),
			says: []string{"pki.goog; accounturi=https://pki.goog/acct/1; validationmethods=dns-01"},
		},
		{
			name: "an account, and none is known", ca: noAccount, code: cert.CAAAccountBound, acts: cert.PlatformActs,
			set:  setAt(t, "example.com", `0 issue "pki.goog; accounturi=https://pki.goog/acct/2"`),
			says: []string{"we don't know", "--account-uri"},
		},
		{
			name: "an account, none is known, and another method", ca: noAccount,
			set:  setAt(t, "example.com", `0 issue "pki.goog; accounturi=https://pki.goog/acct/2; validationmethods=http-01"`),
			says: []string{"not after the check", `0 issue "pki.goog; validationmethods=dns-01"`},
		},
		{name: "critical", set: setAt(t, "example.com", `128 tbs "x"`, `0 issue "pki.goog"`), ca: google, says: []string{
			"marked as critical", `change the flags of this CAA record named @ (in full: example.com) to 0, or delete it: CAA 128 tbs "x".`,
		}},
		{name: "critical, and not listed", set: setAt(t, "example.com", `128 tbs "x"`, `0 issue "other.example"`), ca: google, says: []string{
			`or delete it: CAA 128 tbs "x"; then add a CAA record named @`,
		}},
		{name: "critical at the top-level domain", set: setAt(t, "com", `128 tbs "x"`), ca: google, says: []string{
			`add a CAA record named @ (in full: example.com) with the value 0 issue "pki.goog"`,
		}},
		{name: "behind an alias", set: alias, ca: google, says: []string{
			"The CAA records of cdn.other.example", "The records stand at cdn.other.example, to which the CNAME record of shop.example.com leads",
			`add the CAA record 0 issue "pki.goog" there`,
		}},
		{name: "critical behind an alias", set: criticalAlias, ca: google, says: []string{"ask whoever runs that name to change them"}},
		{name: "behind the platform's name", set: platform, ca: google, acts: cert.PlatformActs, says: []string{
			"There is nothing for you to do", "shops.platform.net",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := Problem("shop.example.com", []Set{row.set}, NewRequest(row.ca, "shop.example.com", cert.DNS01))
			require.Equal(t, cmp.Or(row.code, cert.CAAForbids), p.Code)
			require.Equal(t, cmp.Or(row.acts, cert.TenantActs), p.WhoActs)
			require.NotEmpty(t, p.Found)
			for _, part := range row.says {
				require.Contains(t, p.Message+"\n"+p.Remediation, part)
			}
		})
	}
}

func TestNewRequest_LeavesTheIdentityAsItIs(t *testing.T) {
	t.Parallel()
	ca := identity("PKI.goog")
	require.Equal(t, []string{"pki.goog"}, NewRequest(ca, "example.com", cert.DNS01).CA.Domains)
	require.Equal(t, []string{"PKI.goog"}, ca.Domains)
}

// A CA whose account is not known is not refused because of it, and not permitted either.
func TestVerdict_AnAccountThatIsNotKnownIsUnknown(t *testing.T) {
	t.Parallel()
	ca := cert.CAIdentity{Name: "pki.goog", Domains: []string{"pki.goog"}}
	request := NewRequest(ca, "example.com", cert.DNS01)
	verdict := func(record string) cert.Verdict { return Verdict([]Set{setAt(t, "example.com", record)}, request) }
	require.Equal(t, cert.Unknown, verdict(`0 issue "pki.goog; accounturi=https://pki.goog/acct/2"`))
	require.Equal(t, cert.Wrong, verdict(`0 issue "pki.goog; accounturi="`))
	require.Equal(t, cert.Wrong, verdict(`0 issue "pki.goog; accounturi=https://pki.goog/acct/2; accounturi=https://pki.goog/acct/2"`))
	require.Equal(t, cert.OK, verdict(`0 issue "pki.goog"`))
}

// A CA without an issuer domain name can't be named, so that only what is critical keeps it from issuing.
func TestVerdict_ACAWithoutAName(t *testing.T) {
	t.Parallel()
	request := NewRequest(cert.CAIdentity{Name: "private"}, "example.com", cert.DNS01)
	require.Equal(t, cert.OK, Verdict([]Set{setAt(t, "example.com", `0 issue ";"`)}, request))
	for _, owner := range []string{"example.com", "com"} {
		critical := []Set{setAt(t, owner, `128 tbs "x"`)}
		require.Equal(t, cert.Wrong, Verdict(critical, request))
		require.Contains(t, Problem("example.com", critical, request).Remediation, "change the flags")
	}
}

func TestWarning_SaysWhatOtherCAsMakeOfTheRecords(t *testing.T) {
	t.Parallel()
	request := NewRequest(letsEncrypt, "example.com", cert.DNS01)
	for _, row := range []struct {
		record string
		code   cert.Code // empty: nothing is said
		says   []string
	}{
		{
			`128 issuemail ";"`, cert.CAAForbids,
			[]string{"marked as critical", "Nothing has to change for this CA", `to 0: CAA 128 issuemail ";".`},
		},
		{
			`0 issue "letsencrypt.org; AccountURI=https://ca.example/acct/2"`, cert.CAAAccountBound,
			[]string{"not in lower case", `0 issue "letsencrypt.org; accounturi=https://letsencrypt.org/acct/1"`},
		},
		{
			`0 issue "letsencrypt.org; validationmethods=dns-01,h@ha"`, cert.CAAForbids,
			[]string{"reads in part", `0 issue "letsencrypt.org; validationmethods=dns-01"`},
		},
		{`0 issue "letsencrypt.org; =1"`, cert.CAAForbids, []string{"not well formed", `0 issue "letsencrypt.org"`}},
		{`0 issue "letsencrypt.org; accounturi=https://letsencrypt.org/acct/1"`, "", nil},
		{`0 issue "other.example"`, "", nil}, // it is refused, and reported as such
	} {
		p, warns := Warning("example.com", []Set{setAt(t, "example.com", row.record)}, request)
		require.Equal(t, row.code != "", warns, row.record)
		require.Equal(t, row.code, p.Code, row.record)
		if warns {
			require.Equal(t, cert.Warns, p.Severity)
			require.Equal(t, strings.Contains(p.Remediation, "Nothing has to change"), p.Record == nil)
		}
		for _, part := range row.says {
			require.Contains(t, p.Message+"\n"+p.Remediation, part)
		}
	}
	behind := setAt(t, "example.com", `128 issuemail ";"`)
	behind.Alias = "cdn.other.example"
	_, warns := Warning("example.com", []Set{behind}, request)
	require.False(t, warns, "the records of others harm nobody here")
	request.CA.AccountURI = ""
	perhaps := setAt(t, "example.com", `0 issue "letsencrypt.org; AccountURI=https://ca.example/acct/2"`)
	_, warns = Warning("example.com", []Set{perhaps}, request)
	require.False(t, warns, "it may be the account that orders")
}
