package resolver

import (
	"net/netip"
	"slices"

	"github.com/evercert/evercert/cert"
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
