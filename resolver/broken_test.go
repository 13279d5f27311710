package resolver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

const (
	unpoint    = "\ndel shop.example.com CNAME\n" // leaves dns-01 as the only way
	undelegate = "\ndel _acme-challenge.shop.example.com CNAME\n"
)

// TestD5_BrokenRecordsAreNamed goes through the ways in which tenants' own records go wrong.
func TestD5_BrokenRecordsAreNamed(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{
		{
			name:    "signatures are bogus",
			zone:    "fault shop.example.com bogus\nfault _evercert.shop.example.com bogus\nfault _acme-challenge.shop.example.com bogus",
			verdict: cert.Wrong, codes: []cert.Code{cert.DNSSECBogus}, acts: cert.TenantActs,
			says: []string{"DNSSEC Bogus", "delete all DS records"},
		},
		{
			name: "the domain does not exist", names: []string{"example.com"},
			zone:    "del _evercert.example.com TXT\ndel _acme-challenge.example.com CNAME\ndel example.com A\ndel example.com AAAA",
			verdict: cert.Wrong, codes: []cert.Code{cert.DomainNotRegistered}, acts: cert.TenantActs, says: []string{"example.com does not exist"},
		},
		{
			name:    "nothing was added",
			zone:    "add example.com. 60 MX 10 mail.example.net.\ndel _evercert.shop.example.com TXT" + undelegate + unpoint,
			verdict: cert.Wrong, codes: []cert.Code{cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"add a TXT record named _evercert.shop (in full: _evercert.shop.example.com) with the value $OWNERSHIP"},
		},
		{
			name: "nothing was added for an apex", names: []string{"example.com"},
			zone: "add example.com. 60 MX 10 mail.example.net.\n" + "del _evercert.example.com TXT\n" + "del _acme-challenge.example.com CNAME\n" +
				"del example.com A\n" + "del example.com AAAA",
			verdict: cert.Wrong, codes: []cert.Code{cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"add a TXT record named _evercert (in full: _evercert.example.com)"},
		},
		{
			name:    "ownership record is missing, another TXT stands there",
			zone:    "del _evercert.shop.example.com TXT\nadd _evercert.shop.example.com. 60 TXT \"v=spf1 -all\"",
			verdict: cert.Wrong, codes: []cert.Code{cert.OwnershipMissing}, acts: cert.TenantActs, says: []string{`TXT "v=spf1 -all"`},
		},
		{
			name:    "ownership record of another tenant",
			zone:    "del _evercert.shop.example.com TXT\nadd _evercert.shop.example.com. 60 TXT evercert-tenant=abcdefghijklmnopqrstuvwxyz",
			verdict: cert.Wrong, codes: []cert.Code{cert.OwnershipMismatch}, acts: cert.TenantActs,
			says: []string{"names another account", "evercert-tenant=abcdefghijklmnopqrstuvwxyz"},
		},
		{
			name: "ownership value cut short", zone: "del _evercert.shop.example.com TXT\nadd _evercert.shop.example.com. 60 TXT evercert-tenant=",
			verdict: cert.Wrong, codes: []cert.Code{cert.OwnershipMismatch}, acts: cert.TenantActs, says: []string{"to $OWNERSHIP"},
		},
		{
			name:    "ownership record at the doubled name",
			zone:    "del _evercert.shop.example.com TXT\nadd _evercert.shop.example.com.example.com. 60 TXT $OWNERSHIP",
			verdict: cert.Wrong, codes: []cert.Code{cert.OwnershipMissing}, acts: cert.TenantActs,
			says: []string{"_evercert.shop.example.com.example.com", "rename that record: it must be named _evercert.shop "},
		},
		{
			name:    "ownership name is an alias in a circle",
			zone:    "del _evercert.shop.example.com TXT\nadd _evercert.shop.example.com. 60 CNAME _evercert.shop.example.com.",
			verdict: cert.Wrong, codes: []cert.Code{cert.OwnershipMissing}, acts: cert.TenantActs,
		},
		{
			name: "delegation is missing and the name leads elsewhere", zone: undelegate + unpoint + "add shop.example.com. 60 A 203.0.113.7",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationMissing, cert.DNSWrongTarget}, acts: cert.TenantActs,
			says: []string{"add a CNAME record named _acme-challenge.shop (in full: _acme-challenge.shop.example.com) with the value $DELEGATION"},
		},
		{
			name:    "delegation leads to another platform",
			zone:    undelegate + unpoint + "add _acme-challenge.shop.example.com. 60 CNAME shop.dcv.other.example.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"leads to shop.dcv.other.example", "to $DELEGATION", "CNAME shop.dcv.other.example"},
		},
		{
			name:    "delegation with the label of another name",
			zone:    undelegate + unpoint + "add _acme-challenge.shop.example.com. 60 CNAME abcdefghijklmnopqrstuvwxyz.dcv.platform.net.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs,
		},
		{
			name:    "delegation value completed with the tenant's own zone",
			zone:    undelegate + unpoint + "add _acme-challenge.shop.example.com. 60 CNAME $DELEGATION.example.com.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"your DNS provider added your own domain to it", "with a dot at its end"},
		},
		{
			name: "delegation through an alias that ends elsewhere",
			zone: undelegate + unpoint +
				"add _acme-challenge.shop.example.com. 60 CNAME a.example.com.\nadd a.example.com. 60 CNAME b.other.example.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"CNAME a.example.com, CNAME b.other.example"},
		},
		{
			name:    "delegation to another platform whose values can't be looked up",
			zone:    undelegate + unpoint + "add _acme-challenge.shop.example.com. 60 CNAME a.other.example.\nfault a.other.example TXT servfail",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"leads to a.other.example"},
		},
		{
			name: "delegation in a circle",
			zone: undelegate + unpoint +
				"add _acme-challenge.shop.example.com. 60 CNAME a.example.com.\nadd a.example.com. 60 CNAME _acme-challenge.shop.example.com.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs, says: []string{"circle"},
		},
		{
			name: "delegation in a circle, seen hop by hop",
			zone: "lazy" + undelegate + unpoint +
				"add _acme-challenge.shop.example.com. 60 CNAME a.example.com.\nadd a.example.com. 60 CNAME _acme-challenge.shop.example.com.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs, says: []string{"circle"},
		},
		{
			name: "delegation through twelve aliases", zone: undelegate + unpoint + chain("_acme-challenge.shop.example.com.", "$DELEGATION.", 12),
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"too many names"},
		},
		{
			name: "a wildcard stands in for the delegation", zone: undelegate + unpoint + "add *.shop.example.com. 60 CNAME shop.other.example.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationMissing, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{
				"add a CNAME record named _acme-challenge.shop",
				"the wildcard record named *.shop (in full: *.shop.example.com), and is for other names",
			},
		},
		{
			name: "delegation typed as TXT", zone: undelegate + unpoint + "add _acme-challenge.shop.example.com. 60 TXT $DELEGATION.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"right value but the wrong type", "delete the TXT record named _acme-challenge.shop", "then add a CNAME record"},
		},
		{
			name:    "a TXT of another tool in the delegation's place",
			zone:    undelegate + unpoint + "add _acme-challenge.shop.example.com. 60 TXT LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationWrongTarget, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"where a CNAME record must be"},
		},
		{
			name:    "delegation at the name doubled by the registered domain",
			zone:    undelegate + unpoint + "add _acme-challenge.shop.example.com.example.com. 60 CNAME $DELEGATION.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationDoubledName, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"which made it _acme-challenge.shop.example.com.example.com", "must be named _acme-challenge.shop "},
		},
		{
			name:    "delegation at the name doubled by itself",
			zone:    undelegate + unpoint + "add _acme-challenge.shop.example.com.shop.example.com. 60 CNAME $DELEGATION.",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationDoubledName, cert.DNSNoRecords}, acts: cert.TenantActs,
		},
		{
			name: "only the second of two names is ready", names: []string{"example.com", "www.example.com"},
			zone:    "del _acme-challenge.example.com CNAME\ndel example.com A\ndel example.com AAAA\nadd example.com. 60 A 203.0.113.7",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationMissing, cert.DNSWrongTarget}, acts: cert.TenantActs,
			says: []string{"_acme-challenge.example.com"},
		},
		{
			name: "ownership of a second registered domain is missing", names: []string{"shop.example.com", "shop.example.org"},
			zone:    "del _evercert.shop.example.org TXT",
			verdict: cert.Wrong, codes: []cert.Code{cert.OwnershipMissing}, acts: cert.TenantActs, says: []string{"_evercert.shop.example.org"},
		},
		{
			name: "a wildcard can't be validated by pointing", names: []string{"*.example.com"}, zone: "del _acme-challenge.example.com CNAME",
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationMissing}, acts: cert.TenantActs,
			says: []string{"the wildcard record named * (in full: *.example.com)"},
		},
		{
			name: "records seen by one resolver and not by the other", zone: undelegate + unpoint, others: []string{""},
			verdict: cert.Wrong, codes: []cert.Code{cert.DelegationMissing, cert.DNSNoRecords}, acts: cert.TenantActs,
			says: []string{"others don't yet", "just wait"},
		},
	} {
		t.Run(s.name, s.run)
	}
}

// chain is that many CNAME records, from a name to a target.
func chain(from, to string, n int) string {
	var text strings.Builder
	for i := 1; i < n; i++ {
		next := fmt.Sprintf("h%d.example.com.", i)
		fmt.Fprintf(&text, "add %s 60 CNAME %s\n", from, next)
		from = next
	}
	return text.String() + fmt.Sprintf("add %s 60 CNAME %s", from, to)
}

// TestD5_BrokenAddressesAreNamed has no delegation, so that everything hangs on where the name leads.
func TestD5_BrokenAddressesAreNamed(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{
		{
			name: "no address", zone: unpoint, codes: []cert.Code{cert.DelegationMissing, cert.DNSNoRecords},
			says: []string{"add a CNAME record named shop (in full: shop.example.com) with the value shops.platform.net"},
		},
		{
			name: "the old server's address", zone: unpoint + "add shop.example.com. 60 A 203.0.113.7",
			codes: []cert.Code{cert.DelegationMissing, cert.DNSWrongTarget},
			says: []string{
				"delete the records named shop (in full: shop.example.com) of type A, AAAA and CNAME, then add a CNAME record", "A 203.0.113.7",
			},
		},
		{
			name:  "a CNAME to another platform that has addresses",
			zone:  unpoint + "add shop.example.com. 60 CNAME shop.other.example.\nadd shop.other.example. 60 A 203.0.113.7",
			codes: []cert.Code{cert.DelegationMissing, cert.DNSWrongTarget}, says: []string{"CNAME shop.other.example, A 203.0.113.7"},
		},
		{
			name: "a CNAME to a name that is gone", zone: unpoint + "add shop.example.com. 60 CNAME gone.other.example.",
			codes: []cert.Code{cert.DelegationMissing, cert.DNSWrongTarget}, says: []string{"leads somewhere else: CNAME gone.other.example"},
		},
		{
			name: "a CNAME to itself", zone: unpoint + "add shop.example.com. 60 CNAME shop.example.com.",
			codes: []cert.Code{cert.DelegationMissing, cert.DNSWrongTarget, cert.CAALookupFailed}, says: []string{"leads in a circle"},
		},
		{
			name:  "the right address and a left-over one",
			zone:  unpoint + "add shop.example.com. 60 A 192.0.2.10\nadd shop.example.com. 60 A 203.0.113.7",
			codes: []cert.Code{cert.DelegationMissing, cert.DNSConflictingRecords},
			says:  []string{"delete these records named shop (in full: shop.example.com): A 203.0.113.7."},
		},
		{
			name:  "the right IPv4 address and a left-over IPv6 one",
			zone:  unpoint + "add shop.example.com. 60 A 192.0.2.10\nadd shop.example.com. 60 AAAA 2001:db8:dead::1",
			codes: []cert.Code{cert.DelegationMissing, cert.DNSConflictingRecords}, says: []string{"AAAA 2001:db8:dead::1."},
		},
		{
			name: "an apex with a left-over address", names: []string{"example.com"},
			zone:  "del _acme-challenge.example.com CNAME\nadd example.com. 60 A 203.0.113.7",
			codes: []cert.Code{cert.DelegationMissing, cert.DNSConflictingRecords},
		},
		{
			name: "an apex that leads elsewhere", names: []string{"example.com"},
			zone:  "del _acme-challenge.example.com CNAME\ndel example.com A\ndel example.com AAAA\nadd example.com. 60 A 203.0.113.7",
			codes: []cert.Code{cert.DelegationMissing, cert.DNSWrongTarget},
			says: []string{
				"add an A record named @ (in full: example.com) with the value 192.0.2.10, and add an AAAA record named @ (in full: example.com) " +
					"with the value 2001:db8::10",
			},
		},
		{
			name: "one resolver still sees the old server", zone: "", others: []string{unpoint + "add shop.example.com. 60 A 203.0.113.7"},
			codes: []cert.Code{cert.DelegationMissing, cert.DNSWrongTarget}, says: []string{"others don't yet"},
		},
	} {
		if len(s.names) == 0 {
			s.zone += undelegate
			for i := range s.others {
				s.others[i] += undelegate
			}
		}
		s.verdict, s.acts = cert.Wrong, cert.TenantActs
		t.Run(s.name, s.run)
	}
}

// TestD4_NoAnswerIsUnknown shows that what nobody could look up is never held against the tenant.
func TestD4_NoAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	soon := func(c *resolver.Config) { c.QueryTimeout = time.Second }
	silence := []cert.Code{cert.DNSLookupFailed} // and no second time for CAA
	for _, s := range []setup{
		{
			name:   "the tenant's servers time out",
			zone:   "fault shop.example.com silent\nfault _evercert.shop.example.com silent\nfault _acme-challenge.shop.example.com silent",
			config: soon, codes: silence, says: []string{"no answer in time"},
		},
		{name: "the only resolver is dead", zone: "dead", config: soon, codes: silence, says: []string{"no answer in time"}},
		{
			name:  "the tenant's servers fail",
			zone:  "fault shop.example.com servfail\nfault _evercert.shop.example.com servfail\nfault _acme-challenge.shop.example.com servfail",
			codes: silence, says: []string{"SERVFAIL"},
		},
		{
			name:  "the resolver refuses",
			zone:  "fault shop.example.com refused\nfault _evercert.shop.example.com refused\nfault _acme-challenge.shop.example.com refused",
			codes: silence, says: []string{"REFUSED"},
		},
		{
			name:  "the resolver does not resolve",
			zone:  "fault shop.example.com referral\nfault _evercert.shop.example.com referral\nfault _acme-challenge.shop.example.com referral",
			codes: silence, says: []string{"referral"},
		},
		{
			name:   "the resolver talks nonsense",
			zone:   "fault shop.example.com garbage\nfault _evercert.shop.example.com garbage\nfault _acme-challenge.shop.example.com garbage",
			config: soon, codes: silence,
		},
		{name: "ownership alone can't be looked up", zone: "fault _evercert.shop.example.com servfail", codes: silence},
		{name: "CAA at the name can't be looked up", zone: "fault shop.example.com CAA servfail", codes: []cert.Code{cert.CAALookupFailed}},
		{name: "CAA at the parent can't be looked up", zone: "fault example.com CAA servfail", codes: []cert.Code{cert.CAALookupFailed}},
		{
			name: "everything leads to a dead platform",
			zone: undelegate + unpoint +
				"add _acme-challenge.shop.example.com. 60 CNAME a.other.example.\nadd shop.example.com. 60 CNAME b.other.example.\n" +
				"fault a.other.example servfail\nfault b.other.example servfail",
			codes: silence,
		},
		{
			name: "CAA behind a circle", zone: "del shop.example.com CNAME\nadd shop.example.com. 60 CNAME shop.example.com.",
			codes: []cert.Code{cert.DNSWrongTarget, cert.CAALookupFailed}, says: []string{"circle"},
		},
		{
			name: "two resolvers, neither answers", zone: "fault _evercert.shop.example.com servfail",
			others: []string{"fault _evercert.shop.example.com refused"}, codes: silence[:1], says: []string{"SERVFAIL; 127.0.0.1: REFUSED"},
		},
		{
			name: "the validation zone fails and the name isn't pointed", zone: "fault $DELEGATION servfail" + unpoint,
			codes: []cert.Code{cert.DNSLookupFailed, cert.DNSNoRecords},
			says:  []string{"Your CNAME record _acme-challenge.shop.example.com is right"},
		},
		{
			name: "the validation zone fails at a resolver that leaves CNAMEs to us", zone: "lazy\nfault $DELEGATION servfail" + unpoint,
			codes: []cert.Code{cert.DNSLookupFailed, cert.DNSNoRecords},
			says:  []string{"Your CNAME record _acme-challenge.shop.example.com is right"},
		},
		{
			name: "the platform's target has no address", zone: "del shops.platform.net A\ndel shops.platform.net AAAA" + undelegate,
			codes: []cert.Code{cert.DelegationMissing, cert.DNSLookupFailed},
		},
		{
			name: "the platform's target fails", zone: "fault shops.platform.net servfail" + undelegate,
			codes: []cert.Code{cert.DelegationMissing, cert.DNSLookupFailed},
		},
		{
			name:  "flattened, and the platform's target fails",
			zone:  "del shop.example.com CNAME\nadd shop.example.com. 60 A 192.0.2.10\nfault shops.platform.net servfail" + undelegate,
			codes: []cert.Code{cert.DelegationMissing, cert.DNSLookupFailed},
		},
	} {
		s.verdict, s.acts = cert.Unknown, cert.PlatformActs
		if s.codes[0] == cert.DelegationMissing || s.codes[0] == cert.DNSWrongTarget {
			s.acts = cert.TenantActs
		}
		t.Run(s.name, s.run)
	}
}

// TestD4_OwnershipThatIsUnknownBlocks: all else is ready, and what is waited for is said.
func TestD4_OwnershipThatIsUnknownBlocks(t *testing.T) {
	t.Parallel()
	d := setup{zone: "fault _evercert.shop.example.com servfail"}.diagnose(t)
	require.Equal(t, []cert.Verdict{cert.Unknown, cert.Unknown}, []cert.Verdict{d.Verdict, d.Ownership})
	require.Equal(t, []cert.Code{cert.DNSLookupFailed}, blocking(d))
	require.Equal(t, d.Problems[0].Message, d.Names[0].Reason)
}
