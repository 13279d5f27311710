package authority

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Zone walks from the roots to the zone that holds a name, and asks all its servers for its SOA record. Where the zone's
// servers all fail, it is returned all the same, with the state of each; the name may then be in a zone below it.
//
// Errors are *NoDomainError; *UnreachableError when no server of a zone above the registered domain answers; ErrTooManyQueries; and
// ctx's.
func (t *Tree) Zone(ctx context.Context, name string) (*Zone, error) {
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return nil, fmt.Errorf("%q is no domain name", name)
	}
	at, err := t.find(ctx, dns.CanonicalName(name), nil)
	if err != nil {
		return nil, err
	}
	z, err := t.survey(ctx, at.cut)
	if err != nil {
		return nil, err
	}
	here := *z
	if here.Servers, err = t.reconsidered(ctx, z, dns.CanonicalName(name)); err != nil {
		return nil, err
	}
	undelegated, err := t.undelegated(ctx, at, dns.CanonicalName(name))
	if err != nil {
		return nil, err
	}
	here.NXDomain, here.Undelegated = at.absent, undelegated
	return &here, nil
}

// undelegated is Zone.Undelegated for a name. A name without records exists in a top-level domain's zone where glue is left over below it.
func (t *Tree) undelegated(ctx context.Context, at place, name string) (bool, error) {
	switch labels := dns.CountLabel(at.cut.name); {
	case labels > 1 || at.cut.name == name:
		return false, nil
	case labels == 0 || at.absent: // only top-level domains have records in the root zone
		return true, nil
	}
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX} {
		m, err := t.query(ctx, at.cut, inquiry{name: name, qtype: qtype})
		if err != nil || len(m.Answer) > 0 {
			return false, err
		}
	}
	return true, nil
}

// survey asks all servers of a zone, and one of them for its NS records.
func (t *Tree) survey(ctx context.Context, c *cut) (*Zone, error) {
	if known, ok := recall(t, t.zones, c); ok {
		return known, nil
	}
	z := &Zone{Name: c.name, Registry: c.registry, cut: c}
	if !c.held {
		z.ParentNS = c.ns
	}
	if c.parent != nil {
		z.Parent = c.parent.name
	}
	for _, rr := range recordsAt(c.proof, c.name, dns.TypeDS) {
		if ds, ok := rr.(*dns.DS); ok {
			z.DS = append(z.DS, ds)
		}
	}
	err := t.probe(ctx, c, t.nameServers(ctx, c, nil), func(s Server) {
		if s.refers == nil {
			z.Servers = append(z.Servers, s)
		} else if z.ParentNS == nil {
			z.ParentNS = s.refers
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(z.Servers, func(a, b Server) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.Address.Compare(b.Address))
	})
	if z.ChildNS, err = t.ownNS(ctx, z); err != nil {
		return nil, err
	}
	return remember(t, t.zones, c, z), nil
}

// ownNS asks for a zone's NS records. One server that doesn't answer this question is enough to give up: what a zone says of its servers
// is good to know, and no CA asks for it.
func (t *Tree) ownNS(ctx context.Context, z *Zone) ([]string, error) {
	for _, i := range z.Answering() {
		m, err := t.ask(ctx, z.Servers[i].Address, z.Name, dns.TypeNS)
		switch {
		case err != nil && ours(err):
			return nil, err
		case m == nil: // no answer
			return nil, nil
		}
		if list := nameserversOf(m.Answer, z.Name); list != nil && understand(m, z.Name, z.Name).kind == answer {
			return list, nil
		}
	}
	return nil, nil
}

// reconsidered returns the zone's servers. Those that gave no good answer about SOA are asked for an address of the name first: load
// balancers know the names that they balance, and some refuse, fail or are silent about everything else. A CA doesn't ask for SOA.
// Where no server has authority, those that answer from a cache count, as they do for resolvers.
func (t *Tree) reconsidered(ctx context.Context, z *Zone, name string) ([]Server, error) {
	servers := slices.Clone(z.Servers)
	errs := make([]error, len(servers))
	var again sync.WaitGroup
	for i := range servers {
		s := &servers[i]
		doubtful := s.State == Lame || s.State == Failing || s.State == Unreachable
		if !doubtful || z.Registry || s.cached || !s.Address.IsValid() {
			continue
		}
		again.Go(func() {
			m, err := t.ask(ctx, s.Address, name, dns.TypeA)
			if err != nil && ours(err) {
				errs[i] = err
			} else if err == nil && z.knows(m, name) {
				s.State, s.Detail = Answers, ""
			}
		})
	}
	again.Wait()
	if !slices.ContainsFunc(servers, func(s Server) bool { return s.State == Answers }) {
		for i := range servers {
			if servers[i].cached {
				servers[i].State = Answers
			}
		}
	}
	return servers, errors.Join(errs...)
}

// knows reports whether an answer about a name shows that its server holds the zone. That the name doesn't exist, a server of another
// zone says as well.
func (z *Zone) knows(m *dns.Msg, name string) bool {
	if understand(m, z.Name, name).kind != answer {
		return false
	}
	if soa := soaOf(m.Ns); soa != nil {
		return dns.IsSubDomain(z.Name, soa.Hdr.Name)
	}
	return m.Rcode == dns.RcodeSuccess
}
