package resolver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
	"github.com/evercert/evercert/resolver/lookup"
)

// zone is the zone that one of the tenant's names is in, as the walk from the root servers found it.
type zone struct {
	name       string          // the tenant's name, without the label of a wildcard
	found      *authority.Zone // nil where the walk failed
	validation authority.Validation
	err        error // of the walk
	unwalked   bool  // the roots can't be reached, or aren't to be asked: nothing is known of zones
}

// walk finds the zone of every name of the question, and validates it by DNSSEC. The zones are keyed by the names without wildcards'
// labels.
func walk(ctx context.Context, tree *authority.Tree, names []string) map[string]zone {
	return eachZone(names, func(z *zone) {
		if z.found, z.err = tree.Zone(ctx, dns.Fqdn(z.name)); z.err == nil {
			z.validation = tree.CheckZone(ctx, z.found)
		}
	})
}

// unwalkedZones is what resolvers alone show of the zones: a registered domain does not exist if all resolvers that answer say so.
func unwalkedZones(ctx context.Context, views []*lookup.View, q cert.Question) map[string]zone {
	qtype := dns.TypeSOA
	if len(q.CAs) > 0 {
		qtype = dns.TypeCAA // which is asked for in any case
	}
	return eachZone(q.Names, func(z *zone) {
		z.unwalked = true
		domain := cert.RegisteredDomain(z.name)
		denied, known := false, false
		for _, v := range views {
			exists, err := v.Exists(ctx, domain, qtype)
			denied = denied || err == nil && !exists
			known = known || err == nil && exists
		}
		if denied && !known {
			z.err = &authority.NoDomainError{Name: dns.Fqdn(domain)}
		}
	})
}

// base returns a name without the label of a wildcard: a wildcard is in the zone of the name below which it stands.
func base(name string) string { return strings.TrimPrefix(name, "*.") }

// eachZone lets fill complete one zone for each name, all at once.
func eachZone(names []string, fill func(*zone)) map[string]zone {
	filled := map[string]*zone{}
	var wg sync.WaitGroup
	for _, name := range names {
		if filled[base(name)] == nil {
			z := &zone{name: base(name)}
			filled[z.name] = z
			wg.Go(func() { fill(z) })
		}
	}
	wg.Wait()
	zones := make(map[string]zone, len(filled))
	for name, z := range filled {
		zones[name] = *z
	}
	return zones
}

// walked reports whether the walk found anything. Where it did not, port 53 of the internet can't be reached from here, or the roots are
// down, and the resolvers decide.
func walked(zones map[string]zone) bool {
	for _, z := range zones {
		if z.found != nil || z.missing() {
			return true
		}
	}
	return false
}

// foundZones returns the zones that the walk found.
func foundZones(zones map[string]zone) []*authority.Zone {
	var found []*authority.Zone
	for _, z := range zones {
		if z.found != nil {
			found = append(found, z.found)
		}
	}
	return found
}

// missing reports whether the registered domain doesn't exist, or has no name servers of its own and no records in the zone above either.
// Names of companies' suffixes, such as shop.duckdns.org, and of some registries' have records there.
func (z zone) missing() bool {
	_, absent := errors.AsType[*authority.NoDomainError](z.err)
	return absent || z.found != nil && z.found.Undelegated
}

// unsigned reports whether the walk found the zone, and that DNSSEC does not protect it.
func (z zone) unsigned() bool {
	return z.found != nil && z.err == nil && z.validation.Security == authority.Insecure
}

// verdict is what the zone itself allows. Nothing can be right in a zone that does not exist, that fails DNSSEC validation, or that none
// of its servers knows. Servers that give no answer, or SERVFAIL, leave it unknown; so do keys that don't come where a DS record asks
// for them, because no validating resolver gets an answer then.
func (z zone) verdict() cert.Verdict {
	switch {
	case z.missing():
		return cert.Wrong
	case z.unwalked:
		return cert.OK
	case z.err != nil:
		return cert.Unknown
	case z.validation.Security == authority.Bogus:
		return cert.Wrong
	case z.unvalidated():
		return cert.Unknown
	case len(z.found.Answering()) > 0:
		return cert.OK
	case z.hasServer(authority.Unreachable, authority.NotAsked, authority.Failing):
		return cert.Unknown
	default:
		return cert.Wrong // every server says that it doesn't know the zone, or none has an address
	}
}

// unvalidated reports whether the zone's servers answer, and not with the keys that a DS record demands.
func (z zone) unvalidated() bool {
	return z.validation.Security == authority.Indeterminate && z.validation.Refused() && len(z.found.Answering()) > 0
}

// broken reports whether the zone's own problem stands for all that could be said of the names in it.
func (z zone) broken() bool {
	return z.missing() || z.found != nil && z.verdict() != cert.OK && !z.failing()
}

// failing reports whether all servers that speak answer SERVFAIL. As little is known then as when none answers, and it is reported record
// by record.
func (z zone) failing() bool {
	return len(z.found.Answering()) == 0 && z.hasServer(authority.Failing)
}

func (z zone) hasServer(states ...authority.State) bool {
	return slices.ContainsFunc(z.found.Servers, func(s authority.Server) bool { return slices.Contains(states, s.State) })
}

// tenants reports whether the walk found a zone that is the tenant's, not a registry's.
func (z zone) tenants() bool { return z.found != nil && !z.found.Registry }

// nameservers returns the names of those that count: the parent's, which every resolver meets first.
func (z zone) nameservers() []string {
	list := z.found.ParentNS
	if len(list) == 0 {
		list = z.found.ChildNS
	}
	names := make([]string, len(list))
	for i, name := range list {
		names[i] = lookup.NoDot(name)
	}
	return names
}

// hostedAt reports whether every name server of the zone is one of those: the platform's.
func (z zone) hostedAt(platform []string) bool {
	if !z.tenants() || len(platform) == 0 {
		return false
	}
	return !slices.ContainsFunc(z.nameservers(), func(name string) bool { return !slices.Contains(platform, name) })
}

// hostedElsewhere reports whether the platform's name servers are demanded and the zone has others (rows B3 and B7).
func (z zone) hostedElsewhere(platform []string) bool {
	return len(platform) > 0 && z.tenants() && !z.hostedAt(platform)
}

// servers lists the zone's servers for people; nil where the zone is not the tenant's.
func (z zone) servers() []cert.Nameserver {
	if !z.tenants() {
		return nil
	}
	list := make([]cert.Nameserver, len(z.found.Servers))
	for i, s := range z.found.Servers {
		list[i] = cert.Nameserver{
			Zone: lookup.NoDot(z.found.Name), Name: lookup.NoDot(s.Name), State: cert.ServerState(s.State), Detail: s.Detail,
		}
		if s.Address.IsValid() {
			list[i].Address = s.Address.Addr().String()
		}
	}
	return list
}
