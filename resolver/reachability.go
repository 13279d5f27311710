package resolver

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/evercert/evercert/cert"
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

// reachAll asks the addresses of the names for which dns-01 won't do. The CA, too, connects to them only then.
func (r *Resolver) reachAll(ctx context.Context, e *evidence, views []*view) {
	if r.config.ProbeTimeout <= 0 || len(views) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.ProbeTimeout+r.config.QueryTimeout)
	defer cancel()
	prober := reach.New(reach.Config{
		HTTPPort: r.config.ProbeHTTPPort, HTTPSPort: r.config.ProbeHTTPSPort, Timeout: r.config.ProbeTimeout, Allowed: r.allowedFor(e.question),
	}, func(ctx context.Context, host string) ([]netip.Addr, error) { return addressesIn(ctx, views, host) })
	best := e.bestPlan()
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
			t := reach.Target{Name: name, Addresses: addresses, Probe: e.question.Probe}
			if !e.bare() && e.pointed[i].usable == cert.OK {
				t.Own = addresses
			}
			if e.allows(cert.HTTP01) {
				e.reached[i].http = prober.HTTP(ctx, t)
			}
			if e.allows(cert.TLSALPN01) && e.pointed[i].usable == cert.OK {
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
	return !e.allows(cert.DNS01) || dns01 == cert.Wrong
}

// noteCDN puts "a CDN stands in front" in the place of "leads somewhere else".
func (e evidence) noteCDN(i int) {
	f := &e.pointed[i]
	if e.bare() || f.usable != cert.Wrong || e.reached[i].cdn() == "" {
		return
	}
	for _, p := range e.reached[i].http.Problems() {
		if p.Code == cert.ProxiedByCDN {
			p.Record, p.Found = f.problem.Record, f.problem.Found
			f.problem = p
		}
	}
	f.usable = cert.Unknown // until a token shows where the CDN leads
	if e.question.Probe != nil {
		f.usable = e.reached[i].http.Verdict()
	}
}

// addressesIn are those that the first view that knows shows.
func addressesIn(ctx context.Context, views []*view, name string) ([]netip.Addr, error) {
	var fault error
	for _, v := range views {
		a, aaaa := v.bothFamilies(ctx, name)
		if found := addressesOf(a.records, aaaa.records); len(found) > 0 {
			return distinctAddresses(found), nil
		}
		fault = firstError(fault, a.err, aaaa.err)
	}
	return nil, fault
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
