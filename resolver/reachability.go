package resolver

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
	"github.com/evercert/evercert/resolver/reach"
)

// reached is what the addresses of a name answered, where they were asked.
type reached struct {
	http, alpn reach.Results
}

// cdn is the network that stands in front of the name, empty if none is recognised.
func (r reached) cdn() string {
	for _, result := range slices.Concat(r.http, r.alpn) {
		if result.CDN != "" {
			return result.CDN
		}
	}
	return ""
}

// reachAll asks the addresses of the names for which dns-01 won't do, or can't be known to. The CA, too, connects to them only then.
func (r *Resolver) reachAll(ctx context.Context, e *evidence, views []*lookup.View) {
	if r.config.ProbeTimeout <= 0 || len(views) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.ProbeTimeout+r.config.QueryTimeout)
	defer cancel()
	prober := reach.New(reach.Config{
		HTTPPort: r.config.ProbeHTTPPort, HTTPSPort: r.config.ProbeHTTPSPort, Timeout: r.config.ProbeTimeout, Allowed: r.allowedFor(e.question),
	}, func(ctx context.Context, host string) ([]netip.Addr, error) { return addressesIn(ctx, views, host) })
	best := e.bestPlan()
	own := sync.OnceValue(func() []netip.Addr { return platforms(ctx, e.question, views) }) // the same for every name
	var wg sync.WaitGroup
	for i, name := range e.question.Names {
		if !e.asksFor(i, best) {
			continue
		}
		wg.Go(func() {
			addresses, err := addressesIn(ctx, views, name)
			if err != nil || len(addresses) == 0 {
				return
			}
			t := reach.Target{Name: name, Addresses: addresses, Own: own(), Probe: e.question.Probe}
			if e.allows(cert.HTTP01) {
				e.reached[i].http = prober.HTTP(ctx, t)
			}
			if e.allows(cert.TLSALPN01) && (e.pointed[i].usable == cert.OK || !e.allows(cert.HTTP01)) {
				e.reached[i].alpn = prober.TLSALPN(ctx, t)
			}
		})
	}
	wg.Wait()
	for i := range e.question.Names {
		e.noteCDN(i)
	}
}

// asksFor tells whether the ith name needs a look at its web server.
func (e evidence) asksFor(i int, best plan) bool {
	name := e.question.Names[i]
	if strings.HasPrefix(name, "*.") || e.homes[i].broken() || !e.allows(cert.HTTP01) && !e.allows(cert.TLSALPN01) {
		return false
	}
	if e.bare() {
		return true // doctor: nobody knows which method will be used
	}
	dns01 := e.provable(i, cert.DNS01).Worse(e.permitted(i, best.request(name, cert.DNS01)))
	// Unknown as well: mostly the validation zone is silent because the edges are down, which answer http-01 and tls-alpn-01, too.
	return !e.allows(cert.DNS01) || dns01 != cert.OK
}

// noteCDN puts "a CDN stands in front" in the place of "leads somewhere else".
func (e evidence) noteCDN(i int) {
	f := &e.pointed[i]
	if e.bare() || f.usable != cert.Wrong || e.reached[i].cdn() == "" {
		return
	}
	for _, p := range slices.Concat(e.reached[i].http.Problems(), e.reached[i].alpn.Problems()) {
		if p.Code == cert.ProxiedByCDN {
			p.Record, p.Found = f.problem.Record, f.problem.Found
			f.problem = p
		}
	}
	f.usable = cert.Unknown // until a token shows where the CDN leads
	switch {
	case !e.allows(cert.HTTP01):
		f.usable = cert.Wrong // a CDN ends the connection of tls-alpn-01
	case e.question.Probe != nil:
		f.usable = e.reached[i].http.Verdict()
	}
}

// addressesIn are those that all views show: a CA may see any of them. Where a view looks no further than the platform's own name, the
// others tell what is there.
func addressesIn(ctx context.Context, views []*lookup.View, name string) ([]netip.Addr, error) {
	found, faults := make([][]netip.Addr, len(views)), make([]error, len(views))
	var wg sync.WaitGroup
	for i, v := range views {
		wg.Go(func() {
			shown := v.LookupAddresses(ctx, name)
			found[i], faults[i] = shown.All(), shown.Err()
			if end := lookup.NoDot(shown.A.End()); v.StopsAt(shown.A) && end != name {
				found[i], faults[i] = addressesIn(ctx, complete(views), end)
			}
		})
	}
	wg.Wait()
	if all := slices.Concat(found...); len(all) > 0 {
		return distinctAddresses(all), nil
	}
	return nil, firstError(faults...)
}

func complete(views []*lookup.View) []*lookup.View {
	return slices.DeleteFunc(slices.Clone(views), func(v *lookup.View) bool { return !v.Complete() })
}

// platforms are the platform's own addresses: those that tenants are told, and those of its names that tenants' records lead to.
func platforms(ctx context.Context, q cert.Question, views []*lookup.View) []netip.Addr {
	var own []netip.Addr
	asked := map[string]bool{}
	for _, want := range q.Expected {
		if want.Purpose != cert.ForAddress {
			continue
		}
		if address, err := netip.ParseAddr(want.Value); err == nil {
			own = append(own, address.Unmap())
		} else if !asked[want.Value] {
			asked[want.Value] = true
			addresses, _ := addressesIn(ctx, views, want.Value) // not known: then nothing is known to be the platform's
			own = append(own, addresses...)
		}
	}
	return own
}

func distinctAddresses(addresses []netip.Addr) []netip.Addr {
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// allowedFor adds the platform's own addresses, which its configuration names, to the networks that may be probed.
func (r *Resolver) allowedFor(q cert.Question) []netip.Prefix {
	allowed := slices.Clone(r.allowed)
	for _, want := range q.Expected {
		if address, err := netip.ParseAddr(want.Value); err == nil && want.Purpose == cert.ForAddress {
			allowed = append(allowed, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	return allowed
}
