package resolver

import (
	"context"
	"errors"
	"slices"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/caa"
	"github.com/evercert/evercert/resolver/lookup"
)

// governingCAA returns the CAA records that govern a name in one view. targets are the platform's names that tenants' names are aliases of.
func governingCAA(ctx context.Context, v *lookup.View, name string, targets []string) caa.Set {
	return caa.Find(ctx, func(ctx context.Context, name string) caa.Answer {
		return caaAnswer(v.Lookup(ctx, name, dns.TypeCAA), targets)
	}, name)
}

func caaAnswer(a lookup.Answer, targets []string) caa.Answer {
	found := caa.Answer{Err: a.Err}
	if a.Endless {
		found.Err = lookup.ErrEndless
	}
	if len(a.Aliases) > 0 {
		found.Alias = lookup.NoDot(a.End())
		domain := cert.RegisteredDomain(found.Alias)
		found.Platform = slices.ContainsFunc(targets, func(target string) bool { return cert.RegisteredDomain(target) == domain })
	}
	if found.Platform && found.Err != nil {
		found.Err = errors.New(found.Err.Error()) // no fault of the tenant's, not even one that DNSSEC proves
	}
	for _, rr := range a.Records {
		if record, ok := rr.(*dns.CAA); ok {
			found.Records = append(found.Records, record)
		}
	}
	return found
}
