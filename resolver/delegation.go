package resolver

import (
	"context"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// delegation looks for the CNAME record by which evercert answers dns-01 for a tenant (RFC 8555 §8.4). It asks for TXT, as
// a CA does, so that it sees the whole way to the answer and not the tenant's record alone.
func delegation(ctx context.Context, v *lookup.View, want cert.Record) finding {
	a := v.Lookup(ctx, want.Name, dns.TypeTXT)
	switch {
	case a.LeadsTo(want.Value):
		if a.Err != nil {
			return rightButBroken(a.Text(), validationZoneSilent(want, a.Err))
		}
		return right(tellAliases(a))
	case a.Err != nil:
		return delegationBehindFault(ctx, v, want, a.Err)
	case len(a.Aliases) > 0 || a.Endless:
		return wrong(tellAliases(a), delegationElsewhere(want, a))
	case len(a.Records) > 0:
		return wrong(a.Text(), delegationIsText(want, a.HasText(want.Value) || a.HasText(want.Value+".")))
	}
	for _, name := range doubledNames(want) {
		if doubled := v.Lookup(ctx, name, dns.TypeTXT); doubled.LeadsTo(want.Value) {
			return wrong([]string{name + " CNAME " + want.Value}, delegationDoubled(want, name))
		}
	}
	return wrong(nil, delegationMissing(want))
}

// delegationBehindFault tells a tenant's record that is right and whose target gives no answer from one that nobody sees.
func delegationBehindFault(ctx context.Context, v *lookup.View, want cert.Record, fault error) finding {
	a := v.LookupAliases(ctx, want.Name)
	switch {
	case a.LeadsTo(want.Value):
		return rightButBroken(tellAliases(a), validationZoneSilent(want, fault))
	case a.Err == nil && len(a.Aliases) > 0:
		return wrong(tellAliases(a), delegationElsewhere(want, a))
	default:
		f := untold(subject(want), fault)
		f.found = tellAliases(a)
		return f
	}
}

// tellAliases leaves out what stands at the end: the values there are evercert's own and pass.
func tellAliases(a lookup.Answer) []string {
	a.Records = nil
	return a.Text()
}

// completedBy tells whether a DNS provider took the value for a name inside the tenant's own zone, because it had no dot
// at its end, and returns what became of it.
func completedBy(a lookup.Answer, want cert.Record) (became string, ok bool) {
	if len(a.Aliases) == 0 {
		return "", false
	}
	became = lookup.NoDot(a.Aliases[0])
	return became, strings.HasPrefix(became, want.Value+".")
}
