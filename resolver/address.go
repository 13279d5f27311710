package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// addressFinding is what a server shows of a name's addresses.
type addressFinding struct {
	finding              // of the name as a whole
	present []netip.Addr // set where each expected address is there or not by itself
}

// of returns the finding of one expected record. Some of several addresses are enough for the name to be reached, and each is reported.
func (f addressFinding) of(want cert.Record) finding {
	one := finding{record: f.record, usable: f.usable, found: f.found, fault: f.fault}
	if len(f.present) == 0 {
		return one
	}
	one.record = cert.Wrong
	if address, err := netip.ParseAddr(want.Value); err == nil && slices.Contains(f.present, address.Unmap()) {
		one.record = cert.OK
	}
	return one
}

// checkAddress decides where a name leads visitors, and with them the CA's http-01 requests.
//
// An alias of the platform's target is right, and so are addresses equal to the target's: DNS providers that "flatten" show nothing else.
// One family of addresses is enough, whatever became of the question for the other: a CA continues with what it has.
func checkAddress(ctx context.Context, v *lookup.View, d destination) addressFinding {
	var shown lookup.Addresses
	if d.expectsAlias() { // an alias of the target is the common case, and AAAA adds nothing to it: one question less
		shown.A = v.Lookup(ctx, d.name, dns.TypeA)
		if slices.ContainsFunc(d.targets, shown.A.LeadsTo) {
			return addressFinding{finding: throughTarget(ctx, v, d, shown.A)}
		}
		shown.AAAA = v.Lookup(ctx, d.name, dns.TypeAAAA)
	} else {
		shown = v.LookupAddresses(ctx, d.name)
	}
	if len(shown.All()) > 0 {
		return compareAddresses(ctx, v, d, shown)
	}
	return addressFinding{finding: noAddressFinding(ctx, v, d, shown)}
}

// noAddressFinding is the finding of a name for which no address was seen.
func noAddressFinding(ctx context.Context, v *lookup.View, d destination, shown lookup.Addresses) finding {
	found, fault := shown.Text(), shown.Err()
	switch {
	case slices.ContainsFunc(d.targets, shown.A.LeadsTo) && v.StopsAt(shown.A):
		return right(found)
	case slices.ContainsFunc(d.targets, shown.A.LeadsTo):
		return rightButBroken(found, targetSilent(d, fault))
	case shown.A.Endless || shown.AAAA.Endless:
		return wrong(found, addressEndless(d))
	case fault != nil:
		return addressBehindFault(ctx, v, d, fault)
	case len(found) > 0:
		return elsewhere(ctx, v, d, shown)
	}
	if !shown.A.Absent { // there are records below the name, or of other types
		if wildcard := wildcardBeside(ctx, v, d.name); wildcard != "" {
			return wrong(nil, addressTakenOffWildcard(d, wildcard))
		}
	}
	return wrong(nil, addressMissing(d))
}

// elsewhere is the finding of a name that leads to others than the platform, by records of its own or by a wildcard record.
func elsewhere(ctx context.Context, v *lookup.View, d destination, shown lookup.Addresses) finding {
	if wildcard := wildcardAddress(ctx, v, d.name, shown); wildcard != "" {
		return wrong(shown.Text(), addressElsewhereByWildcard(d, wildcard, shown.Text()))
	}
	return wrong(shown.Text(), addressElsewhere(d, shown.Text()))
}

// compareAddresses decides by the addresses: all of them must be the platform's. Where its target could not be looked up, the finding is
// unknown, because the addresses may be the target's.
func compareAddresses(ctx context.Context, v *lookup.View, d destination, shown lookup.Addresses) addressFinding {
	addresses, found := shown.All(), shown.Text()
	strays := without(addresses, d.expectedAddresses())
	if len(strays) == 0 {
		return d.byRecord(right(found), addresses)
	}
	theirs, err := targetAddresses(ctx, v, d.targets)
	strays = without(strays, theirs)
	switch {
	case len(strays) == 0:
		return d.byRecord(right(found), addresses)
	case err != nil:
		return addressFinding{finding: unanswered(d.name, nil, err)}
	case len(strays) < len(addresses):
		f := wrong(found, addressConflict(d, strays))
		f.strays = strays
		return d.byRecord(f, addresses)
	default:
		return addressFinding{finding: elsewhere(ctx, v, d, shown)}
	}
}

// throughTarget decides about a name whose CNAME is right by whether the platform's target itself has an address.
func throughTarget(ctx context.Context, v *lookup.View, d destination, a lookup.Answer) finding {
	if len(a.Records) > 0 || v.StopsAt(a) {
		return right(a.Text())
	}
	both := lookup.Addresses{A: a, AAAA: v.Lookup(ctx, d.name, dns.TypeAAAA)}
	if len(both.AAAA.Records) > 0 {
		return right(both.AAAA.Text())
	}
	return rightButBroken(a.Text(), targetSilent(d, both.Err()))
}

// addressBehindFault decides again by the CNAME records alone, where the questions for addresses have no answer: the tenant's record may be
// right, and the servers of the platform's target may be down.
func addressBehindFault(ctx context.Context, v *lookup.View, d destination, fault error) finding {
	a := v.LookupAliases(ctx, d.name)
	if slices.ContainsFunc(d.targets, a.LeadsTo) {
		return rightButBroken(a.Text(), targetSilent(d, fault))
	}
	return unanswered(d.name, a.Text(), fault)
}

// targetAddresses returns those that this view shows for all the targets, and the first error of a look-up.
func targetAddresses(ctx context.Context, v *lookup.View, targets []string) ([]netip.Addr, error) {
	shown := make([]lookup.Addresses, len(targets))
	var wg sync.WaitGroup
	for i, target := range targets {
		wg.Go(func() { shown[i] = v.LookupAddresses(ctx, target) })
	}
	wg.Wait()
	var found []netip.Addr
	var fault error
	for _, s := range shown {
		found = append(found, s.All()...)
		if fault == nil {
			fault = s.Err()
		}
	}
	return found, fault
}

// byRecord separates the expected addresses that are there from those that are not, unless what was found are addresses of a target.
func (d destination) byRecord(f finding, found []netip.Addr) addressFinding {
	expected := d.expectedAddresses()
	if len(expected) < len(d.records) || len(without(expected, found)) == len(expected) {
		return addressFinding{finding: f}
	}
	return addressFinding{finding: f, present: found}
}

func without(all, some []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool { return slices.Contains(some, a) })
}

func addressText(addresses []netip.Addr) string {
	var texts []string
	for _, a := range addresses {
		kind := "AAAA "
		if a.Is4() {
			kind = "A "
		}
		texts = append(texts, kind+a.String())
	}
	return strings.Join(lookup.Distinct(texts), ", ")
}

func addressMissing(d destination) cert.Problem {
	return tenantActs(cert.DNSNoRecords, d.records[0],
		fmt.Sprintf("%s has no address, so visitors can't reach it.", cert.Unicode(d.name)), toAddAll(d.records))
}

func addressElsewhere(d destination, found []string) cert.Problem {
	return tenantActs(cert.DNSWrongTarget, d.records[0],
		fmt.Sprintf("%s leads somewhere else: %s.", cert.Unicode(d.name), strings.Join(found, ", ")),
		fmt.Sprintf("delete the records %s of type A, AAAA and CNAME, then %s", cert.FormName(d.name), toAddAll(d.records)))
}

func addressElsewhereByWildcard(d destination, wildcard string, found []string) cert.Problem {
	return tenantActs(cert.DNSWrongTarget, d.records[0],
		fmt.Sprintf("%s leads somewhere else, by the wildcard record %s: %s.",
			cert.Unicode(d.name), cert.FormName(wildcard), strings.Join(found, ", ")),
		toAddAll(d.records))
}

// addressTakenOffWildcard is the problem of a name that a wildcard record would answer for, if there were no records below the name (RFC
// 4592 §2.2.2).
func addressTakenOffWildcard(d destination, wildcard string) cert.Problem {
	return tenantActs(cert.DNSNoRecords, d.records[0],
		fmt.Sprintf("%s has no address, so visitors can't reach it: because there are records below it, the wildcard record %s "+
			"answers for it no more.",
			cert.Unicode(d.name), cert.FormName(wildcard)), toAddAll(d.records))
}

func addressEndless(d destination) cert.Problem {
	return tenantActs(cert.DNSWrongTarget, d.records[0],
		fmt.Sprintf("The CNAME record of %s leads in a circle or through too many names, so visitors can't reach it.", cert.Unicode(d.name)),
		fmt.Sprintf("delete the CNAME record %s, then %s", cert.FormName(d.name), toAddAll(d.records)))
}

func addressConflict(d destination, strays []netip.Addr) cert.Problem {
	return tenantActs(cert.DNSConflictingRecords, d.records[0],
		fmt.Sprintf("%s leads here, but some visitors are still sent elsewhere: %s.", cert.Unicode(d.name), addressText(strays)),
		fmt.Sprintf("delete these records %s: %s", cert.FormName(d.name), addressText(strays)))
}

func targetSilent(d destination, fault error) cert.Problem {
	return waiting(
		fmt.Sprintf("Your record for %s is right, but the platform's own name that it leads to has no address now.", cert.Unicode(d.name)), fault)
}
