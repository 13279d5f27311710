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

// destination is what the address records of a name must lead to.
type destination struct {
	name    string
	records []cert.Record // those expected for this name: one CNAME, or A and AAAA
	targets []string      // every name that tenants' CNAMEs lead to; addresses equal to theirs are right, too
}

// destinationOf collects from the question where a name must lead.
func destinationOf(q cert.Question, name string) destination {
	d := destination{name: name}
	for _, want := range q.Expected {
		if want.Purpose != cert.ForAddress {
			continue
		}
		if want.Type == "CNAME" && !slices.Contains(d.targets, want.Value) {
			d.targets = append(d.targets, want.Value)
		}
		if want.Name == name {
			d.records = append(d.records, want)
		}
	}
	return d
}

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
		return wrong(found, addressElsewhere(d, found))
	default:
		return wrong(nil, addressMissing(d))
	}
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
		return d.byRecord(wrong(found, addressConflict(d, strays)), addresses)
	default:
		return addressFinding{finding: wrong(found, addressElsewhere(d, found))}
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

func (d destination) expectsAlias() bool {
	return slices.ContainsFunc(d.records, func(r cert.Record) bool { return r.Type == "CNAME" })
}

func (d destination) expectedAddresses() []netip.Addr {
	var expected []netip.Addr
	for _, want := range d.records {
		if a, err := netip.ParseAddr(want.Value); err == nil {
			expected = append(expected, a.Unmap())
		}
	}
	return expected
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
		fmt.Sprintf("%s has no address, so visitors can't reach it.", cert.Unicode(d.name)), d.toAdd())
}

func addressElsewhere(d destination, found []string) cert.Problem {
	return tenantActs(cert.DNSWrongTarget, d.records[0],
		fmt.Sprintf("%s leads somewhere else: %s.", cert.Unicode(d.name), strings.Join(found, ", ")),
		fmt.Sprintf("delete the records %s of type A, AAAA and CNAME, then %s", cert.FormName(d.name), d.toAdd()))
}

func addressEndless(d destination) cert.Problem {
	return tenantActs(cert.DNSWrongTarget, d.records[0],
		fmt.Sprintf("The CNAME record of %s leads in a circle or through too many names, so visitors can't reach it.", cert.Unicode(d.name)),
		fmt.Sprintf("delete the CNAME record %s, then %s", cert.FormName(d.name), d.toAdd()))
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

func (d destination) toAdd() string {
	steps := make([]string, len(d.records))
	for i, want := range d.records {
		steps[i] = toAdd(want)
	}
	return strings.Join(steps, ", and ")
}
