package resolver

import (
	"context"
	"slices"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/resolver/caa"
)

// governing returns the CAA records that govern a name in one view. targets are the platform's names that tenants' names are aliases of.
func (v *view) governing(ctx context.Context, name string, targets []string) caa.Set {
	return caa.Find(ctx, func(ctx context.Context, name string) caa.Answer {
		return caaAnswer(v.lookup(ctx, name, dns.TypeCAA), targets)
	}, name)
}

func caaAnswer(a answer, targets []string) caa.Answer {
	found := caa.Answer{Err: a.err}
	if a.endless {
		found.Err = errEndless
	}
	if len(a.aliases) > 0 {
		found.Alias = bare(a.end())
		found.Platform = slices.ContainsFunc(targets, func(target string) bool { return zoneOf(target) == zoneOf(found.Alias) })
	}
	for _, rr := range a.records {
		if record, ok := rr.(*dns.CAA); ok {
			found.Records = append(found.Records, record)
		}
	}
	return found
}
