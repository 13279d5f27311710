package reach

import (
	"context"
	"net/netip"
	"strings"

	"golang.org/x/sync/errgroup"
)

// probe asks one address. It returns what it saw and what is wrong with it, which is nil when nothing is.
type probe func(ctx context.Context, t Target, addr netip.Addr) (AddressResult, *fault)

// each runs a probe against the addresses of a target that may be asked, and keeps their order.
func (p *Prober) each(ctx context.Context, t Target, protocol string, ask probe) Results {
	t.Name = strings.TrimSuffix(strings.ToLower(t.Name), ".")
	addresses := unique(t.Addresses)
	results := make(Results, len(addresses))
	var probes errgroup.Group
	probes.SetLimit(atOnce)
	for i, addr := range addresses {
		probes.Go(func() error {
			results[i] = p.one(ctx, t, addr, ask)
			results[i].target, results[i].protocol = t, protocol
			return nil
		})
	}
	_ = probes.Wait() // a probe that fails is a result as well
	results.blameIPv6()
	if !t.visiting {
		results.passOver(protocol)
	}
	for i := range results {
		results[i].explain()
	}
	return results
}

func (p *Prober) one(ctx context.Context, t Target, addr netip.Addr, ask probe) AddressResult {
	if why := p.guard.Why(addr); why != "" {
		return AddressResult{Address: addr, fault: reserved(why)}
	}
	probing, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	deadline, _ := probing.Deadline()
	last, limited := ctx.Deadline()
	result, f := ask(probing, t, addr)
	// The time that a CA would have waited may not be over, when the caller's is.
	if f != nil && (ctx.Err() != nil || f.late && limited && !deadline.Before(last)) {
		f = unknown(f.code, "we stopped looking before its answer could come")
	}
	result.Address, result.fault = addr, f
	if result.CDN == "" {
		result.CDN = p.cdnAt(addr)
	}
	return result
}
