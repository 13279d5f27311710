package resolver_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// TestD5_WildcardsAreNotTakenForRecords: where a wildcard record answers there is only something to add (RFC 4592).
func TestD5_WildcardsAreNotTakenForRecords(t *testing.T) {
	t.Parallel()
	const (
		bare     = undelegate + unpoint + "del _evercert.shop.example.com TXT\n"
		wildcard = "add *.example.com. 60 CNAME shops.platform.net.\n"
	)
	for _, s := range []setup{
		{
			name: "the site would break", zone: bare + wildcard, codes: []cert.Code{cert.OwnershipMissing, cert.SiteWouldBreak},
			says: []string{
				"A wildcard record named * (in full: *.example.com) leads the visitors of shop.example.com (CNAME shops.platform.net",
				"first add a CNAME record named shop (in full: shop.example.com) with the value shops.platform.net",
			},
		},
		{
			name: "the wildcard leads elsewhere", zone: bare + "add *.example.com. 60 A 203.0.113.7",
			codes: []cert.Code{cert.OwnershipMissing, cert.DelegationMissing, cert.DNSWrongTarget, cert.SiteWouldBreak},
			says: []string{
				"by the wildcard record named * (in full: *.example.com): A 203.0.113.7", "At your DNS provider add a CNAME record named shop (in full",
			},
		},
		{
			name: "a wildcard of texts", zone: bare + "add *.example.com. 60 TXT \"v=spf1 -all\"",
			codes: []cert.Code{cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords},
			says:  []string{"comes from the wildcard record named * (in full: *.example.com), and is for other names"},
		},
		{
			name: "a record below has taken the name off the wildcard", zone: undelegate + unpoint + wildcard,
			codes: []cert.Code{cert.DelegationMissing, cert.DNSNoRecords},
			says:  []string{"because there are records below it, the wildcard record named * "},
		},
		{
			name:  "a record of its own that is equal to the wildcard's",
			zone:  bare + "add shop.example.com. 60 A 203.0.113.7\nadd *.example.com. 60 A 203.0.113.7",
			codes: []cert.Code{cert.OwnershipMissing, cert.DelegationMissing, cert.DNSWrongTarget},
			says:  []string{"delete the records named shop "},
		},
		{
			name:  "doubled names are those of the wildcard",
			zone:  undelegate + unpoint + "add shop.example.com. 60 A 203.0.113.7\nadd *.example.com. 60 CNAME $DELEGATION.",
			codes: []cert.Code{cert.DelegationMissing, cert.DNSWrongTarget}, says: []string{"add a CNAME record named _acme-challenge.shop "},
		},
	} {
		s.verdict, s.acts = cert.Wrong, cert.TenantActs
		t.Run(s.name, s.run)
	}
}

// TestD5_WhatStandsAtTheChallengeNameIsRecognised has other things there than our CNAME record.
func TestD5_WhatStandsAtTheChallengeNameIsRecognised(t *testing.T) {
	t.Parallel()
	rival := undelegate + unpoint + "add _acme-challenge.shop.example.com. 60 CNAME shop.example.com.8a602f2b29d92dc2.dcv.cloudflare.com."
	for _, s := range []setup{
		{
			name: "another service", zone: rival, codes: []cert.Code{cert.RivalDelegation, cert.DNSNoRecords},
			says: []string{
				"Cloudflare gets its own certificates for shop.example.com", "keep that record and add a CNAME record named shop ", "another name",
			},
		},
		{
			name: "addresses", zone: undelegate + unpoint + "add _acme-challenge.shop.example.com. 60 A 203.0.113.9",
			codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords},
			says:  []string{"(A 203.0.113.9)", "a proxy of your DNS provider", "DNS only"},
		},
	} {
		s.verdict, s.acts = cert.Wrong, cert.TenantActs
		t.Run(s.name, s.run)
	}

	where := setup{zone: rival}
	q := where.question()
	q.Methods = []cert.Method{cert.DNS01}
	d := where.answer(t, q)
	require.NotContains(t, d.Problems[0].Remediation, "over HTTP", "http-01 is not allowed")
	require.Contains(t, d.Problems[0].Remediation, "another name")
}

// TestD5_WhatGaveNoAnswerIsNamed: an unknown verdict says what was asked for, of whom, and who knows more.
func TestD5_WhatGaveNoAnswerIsNamed(t *testing.T) {
	t.Parallel()
	d := setup{zone: "fault _evercert.shop.example.com servfail"}.diagnose(t)
	require.Equal(t, cert.Unknown, d.Verdict)
	require.Contains(t, d.Problems[0].Message, "no answer to the question for _evercert.shop.example.com (TXT) came from 127.0.0.1")
	require.Contains(t, d.Problems[0].Remediation, "ask whoever runs that server")
}

// TestF1_AWildcardNeedsDNS: a wildcard by http-01 alone can't be validated, and the platform is informed.
func TestF1_AWildcardNeedsDNS(t *testing.T) {
	t.Parallel()
	s := setup{names: []string{"*.example.com"}}
	q := s.question()
	q.Methods = []cert.Method{cert.HTTP01}
	d := s.answer(t, q)
	require.Equal(t, cert.Wrong, d.Verdict)
	require.Equal(t, cert.NameInvalid, d.Problems[0].Code)
	require.Equal(t, cert.PlatformActs, d.Problems[0].WhoActs)
	require.Contains(t, d.Problems[0].Remediation, "VALIDATION_METHODS")
}
