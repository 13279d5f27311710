package resolver

import (
	"context"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// delegation looks for the CNAME record by which evercert answers dns-01 for a tenant (RFC 8555 §8.4). It asks for TXT, as
// a CA does, so that it sees the whole way to the answer and not the tenant's record alone.
func (v *view) delegation(ctx context.Context, want cert.Record) finding {
	a := v.lookup(ctx, want.Name, dns.TypeTXT)
	switch {
	case a.leadsTo(want.Value):
		if a.err != nil {
			return rightButBroken(a.tell(), validationZoneSilent(want, a.err))
		}
		return right(tellAliases(a))
	case a.err != nil:
		return v.delegationBehindFault(ctx, want, a.err)
	case len(a.aliases) > 0 || a.endless:
		return wrong(tellAliases(a), delegationElsewhere(want, a))
	case len(a.records) > 0:
		return wrong(a.tell(), delegationIsText(want, hasText(a.records, want.Value) || hasText(a.records, want.Value+".")))
	}
	for _, name := range doubledNames(want) {
		if doubled := v.lookup(ctx, name, dns.TypeTXT); doubled.leadsTo(want.Value) {
			return wrong([]string{name + " CNAME " + want.Value}, delegationDoubled(want, name))
		}
	}
	return wrong(nil, delegationMissing(want))
}

// delegationBehindFault tells a tenant's record that is right and whose target gives no answer from one that nobody sees.
func (v *view) delegationBehindFault(ctx context.Context, want cert.Record, fault error) finding {
	a := v.aliasesOf(ctx, want.Name)
	switch {
	case a.leadsTo(want.Value):
		return rightButBroken(tellAliases(a), validationZoneSilent(want, fault))
	case a.err == nil && len(a.aliases) > 0:
		return wrong(tellAliases(a), delegationElsewhere(want, a))
	default:
		f := untold(subject(want), fault)
		f.found = tellAliases(a)
		return f
	}
}

// tellAliases leaves out what stands at the end: the values there are evercert's own and pass.
func tellAliases(a answer) []string {
	a.records = nil
	return a.tell()
}

// completedBy tells whether a DNS provider took the value for a name inside the tenant's own zone, because it had no dot
// at its end, and returns what became of it.
func (a *answer) completedBy(want cert.Record) (became string, ok bool) {
	if len(a.aliases) == 0 {
		return "", false
	}
	became = bare(a.aliases[0])
	return became, strings.HasPrefix(became, want.Value+".")
}
