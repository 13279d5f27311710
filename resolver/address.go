package resolver

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
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
func (v *view) address(ctx context.Context, p pointing) addressed {
	var a, aaaa answer
	if p.expectsAlias() { // then AAAA tells nothing that A doesn't, in the common case: one question less
		a = v.lookup(ctx, p.name, dns.TypeA)
		if slices.ContainsFunc(p.targets, a.leadsTo) {
			return p.each(v.throughTarget(ctx, p, a))
		}
		aaaa = v.lookup(ctx, p.name, dns.TypeAAAA)
	} else {
		a, aaaa = v.bothFamilies(ctx, p.name)
	}
	found := addressesOf(a.records, aaaa.records)
	seen := distinct(append(a.tell(), aaaa.tell()...))
	fault := firstError(a.err, aaaa.err)
	switch {
	case len(found) > 0: // with one family seen a CA goes on, whatever became of the other
		return v.compare(ctx, p, found, seen)
	case slices.ContainsFunc(p.targets, a.leadsTo) && v.endsAt(a):
		return p.each(right(seen))
	case slices.ContainsFunc(p.targets, a.leadsTo):
		return p.each(rightButBroken(seen, targetSilent(p, fault)))
	case a.endless || aaaa.endless:
		return p.each(wrong(seen, addressEndless(p)))
	case fault != nil:
		return p.each(v.addressBehindFault(ctx, p, fault))
	case len(seen) > 0:
		return p.each(wrong(seen, addressElsewhere(p, seen)))
	default:
		return p.each(wrong(nil, addressMissing(p)))
	}
}

// compare holds the addresses found against those of the platform.
func (v *view) compare(ctx context.Context, p pointing, found []netip.Addr, seen []string) addressed {
	strays := without(found, p.expectedAddresses())
	if len(strays) == 0 {
		return p.byRecord(right(seen), found)
	}
	theirs, err := v.targetAddresses(ctx, p.targets)
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
func (v *view) throughTarget(ctx context.Context, p pointing, a answer) finding {
	if len(a.records) > 0 || v.endsAt(a) {
		return right(a.tell())
	}
	aaaa := v.lookup(ctx, p.name, dns.TypeAAAA)
	if len(aaaa.records) > 0 {
		return right(aaaa.tell())
	}
	return rightButBroken(a.tell(), targetSilent(p, firstError(a.err, aaaa.err)))
}

// addressBehindFault tells a CNAME that is right and whose target gives no answer from a name that nobody could look up.
func (v *view) addressBehindFault(ctx context.Context, p pointing, fault error) finding {
	a := v.aliasesOf(ctx, p.name)
	if slices.ContainsFunc(p.targets, a.leadsTo) {
		return rightButBroken(a.tell(), targetSilent(p, fault))
	}
	f := untold(p.name, fault)
	f.found = a.tell()
	return f
}

func (v *view) bothFamilies(ctx context.Context, name string) (a, aaaa answer) {
	var wg sync.WaitGroup
	wg.Go(func() { a = v.lookup(ctx, name, dns.TypeA) })
	wg.Go(func() { aaaa = v.lookup(ctx, name, dns.TypeAAAA) })
	wg.Wait()
	return a, aaaa
}

// targetAddresses are those that this view shows for all the targets.
func (v *view) targetAddresses(ctx context.Context, targets []string) ([]netip.Addr, error) {
	found := make([][]netip.Addr, len(targets))
	errs := make([]error, len(targets))
	var wg sync.WaitGroup
	for i, target := range targets {
		wg.Go(func() {
			a, aaaa := v.bothFamilies(ctx, target)
			found[i], errs[i] = addressesOf(a.records, aaaa.records), firstError(a.err, aaaa.err)
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

func addressesOf(sections ...[]dns.RR) []netip.Addr {
	var found []netip.Addr
	for _, rr := range slices.Concat(sections...) {
		var ip []byte
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			found = append(found, a.Unmap())
		}
	}
	return found
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
	return strings.Join(distinct(told), ", ")
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
