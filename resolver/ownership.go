package resolver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// ownership looks for the TXT record that shows whose a name is: at the name, then above it, up to the registered domain (cert.OwnershipPlaces). What
// stands beside the name shows nothing.
func (v *view) ownership(ctx context.Context, want cert.Record, q cert.Question) finding {
	a := v.lookup(ctx, want.Name, dns.TypeTXT)
	if a.err == nil && hasText(a.records, want.Value) {
		return right(a.tell())
	}
	above := recordsAbove(want, q)
	shown, fault := v.shownAbove(ctx, above)
	switch {
	case shown != nil:
		return right(shown)
	case a.err != nil:
		return untold(subject(want), a.err)
	case fault != nil: // the proof may stand there
		return untold(subject(want), fault)
	}
	if other := otherName(a.records, q); other != "" {
		return wrong(a.tell(), ownershipOfOtherName(want, other))
	}
	if namesTenant(a.records) {
		return wrong(a.tell(), ownershipMismatch(want))
	}
	for _, name := range doubledNames(want) {
		if doubled := v.lookup(ctx, name, dns.TypeTXT); hasText(doubled.records, want.Value) {
			return wrong([]string{name + " " + tellRecord(doubled.records[0])}, ownershipDoubled(want, name))
		}
	}
	return wrong(a.tell(), ownershipMissing(want, above))
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
func (v *view) shownAbove(ctx context.Context, above []cert.Record) (shown []string, fault error) {
	answers := make([]answer, len(above))
	var wg sync.WaitGroup
	for i, r := range above {
		wg.Go(func() { answers[i] = v.lookup(ctx, r.Name, dns.TypeTXT) })
	}
	wg.Wait()
	for i, r := range above {
		if answers[i].err == nil && hasText(answers[i].records, r.Value) {
			return []string{fmt.Sprintf("%s TXT %q", r.Name, r.Value)}, nil
		}
		fault = firstError(fault, answers[i].err)
	}
	return nil, fault
}

// otherName is the name, of those in the question or above them, whose ownership value stands here by mistake; empty if none does.
func otherName(records []dns.RR, q cert.Question) string {
	for _, r := range slices.Concat(q.Expected, q.Above) {
		if r.Purpose == cert.ForOwnership && hasText(records, r.Value) {
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

// texts are the values of TXT records, without the quotes and blanks that slip in by copying.
func texts(records []dns.RR) []string {
	var values []string
	for _, rr := range records {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Trim(strings.ReplaceAll(strings.Join(txt.Txt, ""), `\"`, `"`), "\" \t"))
		}
	}
	return values
}

func hasText(records []dns.RR, want string) bool {
	return slices.Contains(texts(records), want)
}

// namesTenant tells whether a TXT record is an ownership record, of whatever tenant.
func namesTenant(records []dns.RR) bool {
	return slices.ContainsFunc(texts(records), func(value string) bool { return strings.HasPrefix(value, cert.OwnershipValuePrefix) })
}
