package resolver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// ownership looks for the TXT record that shows whose a name is: at the name, then above it, up to the registered domain (cert.OwnershipPlaces). What
// stands beside the name shows nothing.
func ownership(ctx context.Context, v *lookup.View, want cert.Record, q cert.Question) finding {
	a := v.Lookup(ctx, want.Name, dns.TypeTXT)
	if a.Err == nil && a.HasText(want.Value) {
		return right(a.Text())
	}
	above := recordsAbove(want, q)
	shown, fault := shownAbove(ctx, v, above)
	switch {
	case shown != nil:
		return right(shown)
	case a.Err != nil:
		return untold(subject(want), a.Err)
	case fault != nil: // the proof may stand there
		return untold(subject(want), fault)
	}
	if other := otherName(a, q); other != "" {
		return wrong(a.Text(), ownershipOfOtherName(want, other))
	}
	if namesTenant(a) {
		return wrong(a.Text(), ownershipMismatch(want))
	}
	for _, name := range doubledNames(want) {
		if doubled := v.Lookup(ctx, name, dns.TypeTXT); doubled.HasText(want.Value) {
			return wrong([]string{name + " " + lookup.RecordText(doubled.Records[0])}, ownershipDoubled(want, name))
		}
	}
	return wrong(a.Text(), ownershipMissing(want, above))
}

// recordsAbove are the ownership records above an expected one, the nearest first.
func recordsAbove(want cert.Record, q cert.Question) []cert.Record {
	var above []cert.Record
	for _, place := range cert.OwnershipPlaces(subject(want))[1:] {
		if i := slices.IndexFunc(q.Above, func(r cert.Record) bool { return r.Name == cert.OwnershipName(place) }); i >= 0 {
			above = append(above, q.Above[i])
		}
	}
	return above
}

// shownAbove asks for all of the records at once. It returns the nearest that is shown, or why one of them was not told.
func shownAbove(ctx context.Context, v *lookup.View, above []cert.Record) (shown []string, fault error) {
	answers := make([]lookup.Answer, len(above))
	var wg sync.WaitGroup
	for i, r := range above {
		wg.Go(func() { answers[i] = v.Lookup(ctx, r.Name, dns.TypeTXT) })
	}
	wg.Wait()
	for i, r := range above {
		if answers[i].Err == nil && answers[i].HasText(r.Value) {
			return []string{fmt.Sprintf("%s TXT %q", r.Name, r.Value)}, nil
		}
		fault = firstError(fault, answers[i].Err)
	}
	return nil, fault
}

// otherName is the name, of those in the question or above them, whose ownership value stands here by mistake; empty if none does.
func otherName(a lookup.Answer, q cert.Question) string {
	for _, r := range slices.Concat(q.Expected, q.Above) {
		if r.Purpose == cert.ForOwnership && a.HasText(r.Value) {
			return subject(r)
		}
	}
	return ""
}

// doubledNames are where a record lands when a DNS provider adds the domain to a name that has it already.
func doubledNames(want cert.Record) []string {
	names := []string{want.Name + "." + zoneOf(want.Name)}
	if s := subject(want); s != zoneOf(want.Name) {
		names = append(names, want.Name+"."+s)
	}
	return names
}

// namesTenant tells whether a TXT record is an ownership record, of whatever tenant.
func namesTenant(a lookup.Answer) bool {
	return slices.ContainsFunc(a.Texts(), func(value string) bool { return strings.HasPrefix(value, cert.OwnershipValuePrefix) })
}
