package resolver

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/caa"
	"github.com/evercert/evercert/resolver/lookup"
	"github.com/evercert/evercert/resolver/reach"
)

// askWebServers asks the addresses of the names for which dns-01 won't do, or can't be known to. The CA, too, connects to them only then.
// PROBE_TIMEOUT 0s switches it off.
func (e *evidence) askWebServers(ctx context.Context, views []*lookup.View) {
	if e.config.ProbeTimeout <= 0 || len(views) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.config.ProbeTimeout+e.config.QueryTimeout)
	defer cancel()
	prober := reach.New(reach.Config{
		HTTPPort: e.config.ProbeHTTPPort, HTTPSPort: e.config.ProbeHTTPSPort, Timeout: e.config.ProbeTimeout,
		Allowed: probeNetworks(e.config, e.question),
	}, func(ctx context.Context, host string) ([]netip.Addr, error) { return addressesIn(ctx, views, host) })
	own := sync.OnceValue(func() []netip.Addr { return platformAddresses(ctx, e.question, views) }) // the same for every name
	best := e.bestPlan()
	var wg sync.WaitGroup
	for _, n := range e.names {
		if !e.needsWeb(n, best.ca) {
			continue
		}
		wg.Go(func() {
			addresses, err := addressesIn(ctx, views, n.name)
			if err != nil || len(addresses) == 0 {
				return
			}
			t := reach.Target{Name: n.name, Addresses: addresses, IPv6First: asksIPv6First(e.question.CAs), Own: own(), Probe: e.question.Probe}
			if e.allows(cert.HTTP01) {
				n.web.http = prober.HTTP(ctx, t)
			}
			if e.allows(cert.TLSALPN01) && (n.pointed.usable == cert.OK || !e.allows(cert.HTTP01)) {
				n.web.alpn = prober.TLSALPN(ctx, t)
			}
		})
	}
	wg.Wait()
	for _, n := range e.names {
		e.noteCDN(n)
	}
}

// ipv6First are the CAs, by issuer domain name, that are known to ask IPv4 addresses only where IPv6 can't be connected to
// (letsencrypt.org/docs/ipv6-support).
var ipv6First = []string{"letsencrypt.org"}

// asksIPv6First reports whether that is known of all the CAs.
func asksIPv6First(cas []cert.CAIdentity) bool {
	return len(cas) > 0 && !slices.ContainsFunc(cas, func(ca cert.CAIdentity) bool {
		return !slices.ContainsFunc(ca.Domains, func(domain string) bool { return slices.Contains(ipv6First, domain) })
	})
}

// needsWeb decides whether a name's web servers are asked.
//
// Where it is unknown whether dns-01 will do, they are: mostly the validation zone is silent because the edges are down, which answer
// http-01 and tls-alpn-01, too. Of a domain that isn't connected nobody knows which method will be used, so that all are tried.
func (e *evidence) needsWeb(n *nameEvidence, ca cert.CAIdentity) bool {
	if strings.HasPrefix(n.name, "*.") || n.zone.broken() || !e.allowsByAddress() {
		return false
	}
	if e.unconnected() || !e.allows(cert.DNS01) {
		return true
	}
	return e.provable(n, cert.DNS01).Worse(e.permitted(n, caa.NewRequest(ca, n.name, cert.DNS01))) != cert.OK
}

// noteCDN replaces "leads somewhere else" by "a CDN stands in front" where one is recognised. Whether the CDN leads to the platform is
// unknown until a token shows it; tls-alpn-01 alone can't work, because a CDN ends the connection.
func (e *evidence) noteCDN(n *nameEvidence) {
	f := &n.pointed
	if e.unconnected() || f.usable != cert.Wrong || n.web.cdn() == "" {
		return
	}
	for _, p := range n.web.problems() {
		if p.Code == cert.ProxiedByCDN {
			p.Record, p.Found = f.problem.Record, f.problem.Found
			f.problem = p
		}
	}
	f.usable = cert.Unknown
	switch {
	case !e.allows(cert.HTTP01):
		f.usable = cert.Wrong
	case e.question.Probe != nil:
		f.usable = n.web.http.Verdict()
	}
}

// addressesIn returns the addresses of a name that all views show: a CA may see any of them. Where a view stops at the platform's own name,
// the complete ones show what is there. The error is why there are none, where a look-up failed.
func addressesIn(ctx context.Context, views []*lookup.View, name string) ([]netip.Addr, error) {
	type result struct {
		addresses []netip.Addr
		err       error
	}
	results := make([]result, len(views))
	var wg sync.WaitGroup
	for i, v := range views {
		wg.Go(func() {
			shown := v.LookupAddresses(ctx, name)
			results[i] = result{shown.All(), shown.Err()}
			if end := lookup.NoDot(shown.A.End()); v.StopsAt(shown.A) && end != name {
				results[i].addresses, results[i].err = addressesIn(ctx, complete(views), end)
			}
		})
	}
	wg.Wait()
	var all []netip.Addr
	var fault error
	for _, r := range results {
		all = append(all, r.addresses...)
		if fault == nil {
			fault = r.err
		}
	}
	if len(all) > 0 {
		slices.SortFunc(all, netip.Addr.Compare)
		return slices.Compact(all), nil
	}
	return nil, fault
}

func complete(views []*lookup.View) []*lookup.View {
	return slices.DeleteFunc(slices.Clone(views), func(v *lookup.View) bool { return !v.Complete() })
}

// platformAddresses returns the platform's own addresses: those that tenants' records have, and those of its names that tenants' records
// lead to. Names that can't be looked up are left out.
func platformAddresses(ctx context.Context, q cert.Question, views []*lookup.View) []netip.Addr {
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
			addresses, _ := addressesIn(ctx, views, want.Value)
			own = append(own, addresses...)
		}
	}
	return own
}

// probeNetworks returns the networks that may be asked although they are not public: those of PROBE_ALLOW, and the platform's own
// addresses.
func probeNetworks(config Config, q cert.Question) []netip.Prefix {
	allowed := config.allowed()
	for _, want := range q.Expected {
		if address, err := netip.ParseAddr(want.Value); err == nil && want.Purpose == cert.ForAddress {
			allowed = append(allowed, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	return allowed
}
