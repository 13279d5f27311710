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

// checkOwnership decides whether the TXT record is there that shows whose a name is.
//
// It may stand at the name or above it, up to the registered domain (cert.OwnershipPlaces): who controls a name controls those below it.
// A record beside the name shows nothing. Where a record above could not be looked up, the finding is unknown, because it may be there.
func checkOwnership(ctx context.Context, v *lookup.View, want cert.Record, q cert.Question) finding {
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
		return unanswered(want.Hostname, nil, a.Err)
	case fault != nil:
		return unanswered(want.Hostname, nil, fault)
	}
	other := otherName(a, q)
	switch {
	case other == "" && !isOwnership(a):
	case wildcardText(ctx, v, want.Name, a) != "": // there is no record at the name to change
		return wrong(a.Text(), ownershipMissing(want, above))
	case other != "":
		return wrong(a.Text(), ownershipOfOtherName(want, other))
	default:
		return wrong(a.Text(), ownershipMismatch(want))
	}
	for _, name := range doubledNames(want) {
		if doubled := v.Lookup(ctx, name, dns.TypeTXT); doubled.HasText(want.Value) && wildcardText(ctx, v, name, doubled) == "" {
			return wrong([]string{name + " " + lookup.RecordText(doubled.Records[0])}, ownershipDoubled(want, name))
		}
	}
	return wrong(a.Text(), ownershipMissing(want, above))
}

// recordsAbove returns the ownership records above an expected one, the nearest first.
func recordsAbove(want cert.Record, q cert.Question) []cert.Record {
	var above []cert.Record
	for _, place := range cert.OwnershipPlaces(want.Hostname)[1:] {
		if i := slices.IndexFunc(q.Above, func(r cert.Record) bool { return r.Name == cert.OwnershipName(place) }); i >= 0 {
			above = append(above, q.Above[i])
		}
	}
	return above
}

// shownAbove asks for all of the records at once. It returns the nearest that is there, or why one of them could not be looked up.
func shownAbove(ctx context.Context, v *lookup.View, above []cert.Record) (shown []string, fault error) {
	type place struct {
		record cert.Record
		answer lookup.Answer
	}
	places := make([]place, len(above))
	var wg sync.WaitGroup
	for i, r := range above {
		wg.Go(func() { places[i] = place{r, v.Lookup(ctx, r.Name, dns.TypeTXT)} })
	}
	wg.Wait()
	for _, p := range places {
		if p.answer.Err == nil && p.answer.HasText(p.record.Value) {
			return []string{fmt.Sprintf("%s TXT %q", p.record.Name, p.record.Value)}, nil
		}
		if fault == nil {
			fault = p.answer.Err
		}
	}
	return nil, fault
}

// otherName returns the name whose ownership value stands here by mistake, of those in the question or above them; empty if none does.
func otherName(a lookup.Answer, q cert.Question) string {
	for _, r := range slices.Concat(q.Expected, q.Above) {
		if r.Purpose == cert.ForOwnership && a.HasText(r.Value) {
			return r.Hostname
		}
	}
	return ""
}

// isOwnership reports whether there is an ownership record, of whatever tenant.
func isOwnership(a lookup.Answer) bool {
	return slices.ContainsFunc(a.Texts(), func(value string) bool { return strings.HasPrefix(value, cert.OwnershipValuePrefix) })
}

// ownershipMissing offers the record of the registered domain as well, which covers all names below it.
func ownershipMissing(want cert.Record, above []cert.Record) cert.Problem {
	step := toAdd(want)
	if len(above) > 0 {
		top := above[len(above)-1]
		step += fmt.Sprintf("; or, once for all names below %s, %s", cert.Unicode(top.Hostname), toAdd(top))
	}
	return tenantActs(cert.OwnershipMissing, want,
		fmt.Sprintf("We don't see the record that shows that %s is yours.", cert.Unicode(want.Hostname)), step)
}

func ownershipOfOtherName(want cert.Record, other string) cert.Problem {
	return tenantActs(cert.OwnershipMismatch, want,
		fmt.Sprintf("The record that should show that %s is yours has the value that belongs to %s: each name has its own.",
			cert.Unicode(want.Hostname), cert.Unicode(other)),
		fmt.Sprintf("change the value of the TXT record %s to %s", cert.FormName(want.Name), want.Value))
}

func ownershipDoubled(want cert.Record, stands string) cert.Problem {
	return tenantActs(cert.OwnershipMissing, want,
		fmt.Sprintf("The record that shows that %s is yours is in the wrong place: "+addedTwice, cert.Unicode(want.Hostname), stands),
		fmt.Sprintf("rename that record: it must be %s", cert.FormName(want.Name)))
}

func ownershipMismatch(want cert.Record) cert.Problem {
	return tenantActs(cert.OwnershipMismatch, want,
		fmt.Sprintf("The record that should show that %s is yours names another account.", cert.Unicode(want.Hostname)),
		fmt.Sprintf("change the value of the TXT record %s to %s; or connect the domain from the account that it names",
			cert.FormName(want.Name), want.Value))
}
