package calendar

import (
	"time"

	"github.com/evercert/evercert/cert"
)

// Where the rules are written.
const (
	baselineRequirements = "https://github.com/cabforum/servercert/blob/main/docs/BR.md"
	ballotSC081          = "https://github.com/cabforum/servercert/pull/553"
	from90to45           = "https://letsencrypt.org/2025/12/02/from-90-to-45"
)

// The rules, by date. Each stands in its source with this date; what is only proposed is left out.
var rules = []Rule{
	{
		ID: "cab-200-days", Date: On(2026, time.March, 15), Who: CABForum,
		Change:  "certificates are valid for 200 days at most, and a validation is used for 200 days at most (ballot SC-081v3)",
		Touches: Touched{LongerThan: 200 * day},
		Counted: "domains whose live certificate is valid for more than 200 days",
		Do:      "nothing: a renewal goes by the dates of its certificate, whatever its lifetime",
		DoBy:    On(2026, time.March, 15), Source: ballotSC081,
	},
	{
		ID: "cab-dnssec", Date: On(2026, time.March, 15), Who: CABForum,
		Change:  "CAs check DNSSEC in every lookup for validation and CAA; a zone that fails it gets no certificate (ballot SC-085v2)",
		Touches: Touched{Problem: cert.DNSSECBogus},
		Counted: "domains whose newest check shows dnssec_bogus",
		Do:      "the tenants of these domains repair the signatures of their zone or take the DS record out of the zone above",
		DoBy:    On(2026, time.March, 15),
		Source:  "https://cabforum.org/2025/06/18/ballot-sc-085v2-require-validation-of-dnssec-when-present-for-caa-and-dcv-lookups",
	},
	{
		ID: "cab-five-perspectives", Date: On(2026, time.December, 15), Who: CABForum,
		Change:  "CAs validate from five remote places besides their own, in at least two regions (Baseline Requirements 3.2.2.9)",
		Counted: "not countable: from one place no check sees what the others see",
		Do:      "let port 53 of the edges, and port 80 for http-01, be reached from everywhere: no filter by country or network",
		DoBy:    On(2026, time.December, 15), Source: baselineRequirements,
	},
	{
		ID: "root-ksk-2017-revoked", Date: On(2027, time.January, 11), Who: ICANN,
		Change:  "the root zone's key KSK-2017 is revoked; KSK-2024 (tag 38696) alone is trusted",
		Counted: "not countable: it concerns resolvers, not domains",
		Do:      "check that the resolvers of DNS_RESOLVERS trust KSK-2024 and that TCP to port 53 goes out; evercert itself trusts it already",
		DoBy:    On(2027, time.January, 11), Source: "https://www.icann.org/resources/pages/ksk-rollover",
	},
	{
		ID: "le-64-days", Date: On(2027, time.February, 10), Who: LetsEncrypt,
		Change:  "the default profile (classic) issues certificates of 64 days instead of 90, and reuses a validation for 10 days instead of 30",
		Touches: Touched{LongerThan: 64 * day, Directory: LetsEncryptDirectory},
		Counted: "domains whose live certificate is from Let's Encrypt and valid for more than 64 days",
		Do:      "set monitors that warn at a fixed number of days before the end to less than 21: renewals then come 21 days before it, not 30",
		DoBy:    On(2027, time.February, 10), Source: from90to45,
	},
	{
		ID: "cab-100-days", Date: On(2027, time.March, 15), Who: CABForum,
		Change:  "certificates are valid for 100 days at most, and a validation is used for 100 days at most (ballot SC-081v3)",
		Touches: Touched{LongerThan: 100 * day},
		Counted: "domains whose live certificate is valid for more than 100 days",
		Do:      "nothing: a renewal goes by the dates of its certificate, whatever its lifetime",
		DoBy:    On(2027, time.March, 15), Source: ballotSC081,
	},
	{
		ID: "cab-rfc8657", Date: On(2027, time.March, 15), Who: CABForum,
		Change:  "every CA obeys accounturi and validationmethods in CAA records (RFC 8657; ballot SC-098v2)",
		Touches: Touched{Problem: cert.CAAAccountBound},
		Counted: "domains whose newest check shows caa_account_bound: their CAA record names another account",
		Do:      "the tenants of these domains put evercert's account into accounturi, or take the parameter out",
		DoBy:    On(2027, time.March, 15), Source: "https://groups.google.com/a/groups.cabforum.org/g/servercert/c/4oUI4jd2mXE",
	},
	{
		ID: "le-45-days", Date: On(2028, time.February, 16), Who: LetsEncrypt,
		Change:  "the default profile (classic) issues certificates of 45 days, and reuses a validation for 7 hours",
		Touches: Touched{LongerThan: 45 * day, Directory: LetsEncryptDirectory},
		Counted: "domains whose live certificate is from Let's Encrypt and valid for more than 45 days",
		Do: "set monitors that warn at a fixed number of days before the end to less than 15; " +
			"the records of validation are needed at every renewal",
		DoBy: On(2028, time.February, 16), Source: from90to45,
	},
	{
		ID: "cab-no-email", Date: On(2028, time.March, 15), Who: CABForum,
		Change:  "validation by e-mail ends (ballot SC-090); by telephone, fax and post it ends on 2027-03-15",
		Touches: Touched{Nobody: true},
		Counted: "none: evercert validates by ACME challenges only",
		Do:      "nothing here; who buys certificates elsewhere changes to validation by DNS",
		DoBy:    On(2028, time.March, 15),
		Source: "https://cabforum.org/2025/11/20/ballot-sc-090-gradually-sunset-all-remaining-email-based-phone-based-and-crossover-" +
			"validation-methods-from-sections-3.2.2.4-and-3.2.2.5",
	},
	{
		ID: "cab-47-days", Date: On(2029, time.March, 15), Who: CABForum,
		Change:  "certificates are valid for 47 days at most, and a validation is used for 10 days at most (ballot SC-081v3)",
		Touches: Touched{LongerThan: 47 * day},
		Counted: "domains whose live certificate is valid for more than 47 days",
		Do:      "run evercert simulate with --lifetime 47d for the number of domains that you expect by then",
		DoBy:    On(2029, time.March, 15), Source: ballotSC081,
	},
}
