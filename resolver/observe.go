package resolver

import (
	"context"
	"sync"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/caa"
	"github.com/evercert/evercert/resolver/lookup"
)

// observation is what one view shows for a whole question.
type observation struct {
	view    *lookup.View
	records map[cert.Record]*finding    // of each expected record
	names   map[string]*nameObservation // of each name
}

// nameObservation is what one view shows for a name.
type nameObservation struct {
	pointed   finding // where its addresses lead
	challenge finding // whether its _acme-challenge name can be looked up; only where no records are expected
	caa       caa.Set // the CAA records that govern it; only where CAs are asked about
}

// observeAll asks each of the views, all at once.
func observeAll(ctx context.Context, views []*lookup.View, q cert.Question) []observation {
	all := make([]observation, len(views))
	var wg sync.WaitGroup
	for i, v := range views {
		wg.Go(func() { all[i] = observe(ctx, v, q) })
	}
	wg.Wait()
	return all
}

// observe makes every check of one view at once: in the common case each answer comes after one round trip.
func observe(ctx context.Context, v *lookup.View, q cert.Question) observation {
	o := observation{view: v, records: map[cert.Record]*finding{}, names: map[string]*nameObservation{}}
	for _, want := range q.Expected {
		o.records[want] = new(finding)
	}
	var wg sync.WaitGroup
	for _, want := range q.Expected {
		switch want.Purpose {
		case cert.ForOwnership:
			wg.Go(func() { *o.records[want] = checkOwnership(ctx, v, want, q) })
		case cert.ForDelegation:
			wg.Go(func() { *o.records[want] = checkDelegation(ctx, v, want, q) })
		case cert.ForAddress: // below, with its name
		}
	}
	for _, name := range q.Names {
		n := &nameObservation{pointed: notExpected, challenge: notExpected}
		o.names[name] = n
		d := destinationOf(q, name)
		switch {
		case len(q.Expected) == 0:
			wg.Go(func() { n.pointed = checkAnyAddress(ctx, v, base(name)) })
			if cert.CanDelegate(name) {
				wg.Go(func() { n.challenge = checkChallengeName(ctx, v, base(name)) })
			}
		case len(d.records) > 0:
			wg.Go(func() {
				seen := checkAddress(ctx, v, d)
				n.pointed = seen.finding
				for _, want := range d.records {
					*o.records[want] = seen.of(want)
				}
			})
		}
		if len(q.CAs) > 0 {
			wg.Go(func() { n.caa = governingCAA(ctx, v, name, d.targets) })
		}
	}
	wg.Wait()
	return o
}

// onWildcard returns the wildcard record that answers for the addresses of a name, and would do so no more once there is a record below
// the name (RFC 4592 §2.2.2: the name then exists, with no records). It asks only where such a record is to be added.
func onWildcard(ctx context.Context, o observation, name string) string {
	if len(o.names[name].pointed.found) == 0 || !o.lacksBelow(name) {
		return ""
	}
	return wildcardAddress(ctx, o.view, name, o.view.LookupAddresses(ctx, name))
}

// lacksBelow reports whether a record is expected below a name and isn't there.
func (o observation) lacksBelow(name string) bool {
	for want, f := range o.records {
		if isBelow(want.Name, name) && f.record == cert.Wrong {
			return true
		}
	}
	return false
}
