package resolver

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// pointing is what a name's address records must lead to.
type pointing struct {
	name    string
	records []cert.Record // those expected for this name: one CNAME, or A and AAAA
	targets []string      // every name that tenants' CNAMEs lead to; addresses equal to theirs are right, too
}

// addressed is what a view shows of a name's addresses.
type addressed struct {
	finding           // of the name as a whole
	records []finding // of each expected record, in the order of pointing.records
}

// address judges where a name leads visitors, and with them the CA's http-01 requests. An alias of the target is right, and
// so are addresses equal to the target's: DNS providers that "flatten" show nothing else.
func address(ctx context.Context, v *lookup.View, p pointing) addressed {
	var shown lookup.Addresses
	if p.expectsAlias() { // then AAAA tells nothing that A doesn't, in the common case: one question less
		shown.A = v.Lookup(ctx, p.name, dns.TypeA)
		if slices.ContainsFunc(p.targets, shown.A.LeadsTo) {
			return p.each(throughTarget(ctx, v, p, shown.A))
		}
		shown.AAAA = v.Lookup(ctx, p.name, dns.TypeAAAA)
	} else {
		shown = v.LookupAddresses(ctx, p.name)
	}
	a, found, seen, fault := shown.A, shown.All(), shown.Text(), shown.Err()
	switch {
	case len(found) > 0: // with one family seen a CA goes on, whatever became of the other
		return compare(ctx, v, p, found, seen)
	case slices.ContainsFunc(p.targets, a.LeadsTo) && v.StopsAt(a):
		return p.each(right(seen))
	case slices.ContainsFunc(p.targets, a.LeadsTo):
		return p.each(rightButBroken(seen, targetSilent(p, fault)))
	case a.Endless || shown.AAAA.Endless:
		return p.each(wrong(seen, addressEndless(p)))
	case fault != nil:
		return p.each(addressBehindFault(ctx, v, p, fault))
	case len(seen) > 0:
		return p.each(wrong(seen, addressElsewhere(p, seen)))
	default:
		return p.each(wrong(nil, addressMissing(p)))
	}
}

// compare holds the addresses found against those of the platform.
func compare(ctx context.Context, v *lookup.View, p pointing, found []netip.Addr, seen []string) addressed {
	strays := without(found, p.expectedAddresses())
	if len(strays) == 0 {
		return p.byRecord(right(seen), found)
	}
	theirs, err := targetAddresses(ctx, v, p.targets)
	strays = without(strays, theirs)
	switch {
	case len(strays) == 0:
		return p.byRecord(right(seen), found)
	case err != nil: // the stray ones may be the platform's
		return p.each(untold(p.name, err))
	case len(strays) < len(found):
		return p.byRecord(wrong(seen, addressConflict(p, strays)), found)
	default:
		return p.each(wrong(seen, addressElsewhere(p, seen)))
	}
}

// throughTarget judges a name whose CNAME is right by whether the platform's target itself has an address.
func throughTarget(ctx context.Context, v *lookup.View, p pointing, a lookup.Answer) finding {
	if len(a.Records) > 0 || v.StopsAt(a) {
		return right(a.Text())
	}
	aaaa := v.Lookup(ctx, p.name, dns.TypeAAAA)
	if len(aaaa.Records) > 0 {
		return right(aaaa.Text())
	}
	return rightButBroken(a.Text(), targetSilent(p, firstError(a.Err, aaaa.Err)))
}

// addressBehindFault tells a CNAME that is right and whose target gives no answer from a name that nobody could look up.
func addressBehindFault(ctx context.Context, v *lookup.View, p pointing, fault error) finding {
	a := v.LookupAliases(ctx, p.name)
	if slices.ContainsFunc(p.targets, a.LeadsTo) {
		return rightButBroken(a.Text(), targetSilent(p, fault))
	}
	f := untold(p.name, fault)
	f.found = a.Text()
	return f
}

// targetAddresses are those that this view shows for all the targets.
func targetAddresses(ctx context.Context, v *lookup.View, targets []string) ([]netip.Addr, error) {
	found := make([][]netip.Addr, len(targets))
	errs := make([]error, len(targets))
	var wg sync.WaitGroup
	for i, target := range targets {
		wg.Go(func() {
			shown := v.LookupAddresses(ctx, target)
			found[i], errs[i] = shown.All(), shown.Err()
		})
	}
	wg.Wait()
	return slices.Concat(found...), firstError(errs...)
}

func (p pointing) expectsAlias() bool {
	return slices.ContainsFunc(p.records, func(r cert.Record) bool { return r.Type == "CNAME" })
}

func (p pointing) expectedAddresses() []netip.Addr {
	var expected []netip.Addr
	for _, want := range p.records {
		if a, err := netip.ParseAddr(want.Value); err == nil {
			expected = append(expected, a.Unmap())
		}
	}
	return expected
}

// each says the same of the name and of every record expected for it.
func (p pointing) each(f finding) addressed {
	records := make([]finding, len(p.records))
	for i := range records {
		records[i] = finding{record: f.record, usable: f.usable, found: f.found, fault: f.fault}
	}
	return addressed{finding: f, records: records}
}

// byRecord tells the expected addresses that are there from those that are not. Some are enough for a name to be reached.
func (p pointing) byRecord(f finding, found []netip.Addr) addressed {
	of := p.each(f)
	expected := p.expectedAddresses()
	if len(expected) < len(p.records) || len(without(expected, found)) == len(expected) {
		return of // the addresses are those of a target
	}
	for i, address := range expected {
		of.records[i].record = cert.Wrong
		if slices.Contains(found, address) {
			of.records[i].record = cert.OK
		}
	}
	return of
}

func without(all, some []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool { return slices.Contains(some, a) })
}

func tellAddresses(addresses []netip.Addr) string {
	var told []string
	for _, a := range addresses {
		kind := "AAAA "
		if a.Is4() {
			kind = "A "
		}
		told = append(told, kind+a.String())
	}
	return strings.Join(lookup.Distinct(told), ", ")
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
