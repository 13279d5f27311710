package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
)

// home is the zone that one of the tenant's names is in, as the walk from the roots found it.
type home struct {
	name     string // the tenant's name, without a wildcard's label
	zone     *authority.Zone
	dnssec   authority.Validation
	err      error // the walk's
	unwalked bool  // the roots can't be reached, and nothing is known of zones
}

// missing tells whether the registered domain isn't there, or has no name servers of its own.
func (h home) missing() bool {
	_, absent := errors.AsType[*authority.NoDomainError](h.err)
	return absent || h.zone != nil && h.zone.Registry
}

// homesOf walks to every name of the question.
func homesOf(ctx context.Context, tree *authority.Tree, names []string) []home {
	homes := make([]home, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			h := home{name: base(name)}
			if h.zone, h.err = tree.Zone(ctx, dns.Fqdn(h.name)); h.err == nil {
				h.dnssec = tree.CheckZone(ctx, h.zone)
			}
			homes[i] = h
		})
	}
	wg.Wait()
	return homes
}

// unwalkedHomes is what resolvers alone tell of the zones: that a registered domain doesn't exist, if all that answer say so.
func unwalkedHomes(ctx context.Context, views []*view, q cert.Question) []home {
	homes := make([]home, len(q.Names))
	qtype := dns.TypeSOA
	if len(q.CAs) > 0 {
		qtype = dns.TypeCAA // which is asked for anyway
	}
	var wg sync.WaitGroup
	for i, name := range q.Names {
		homes[i] = home{name: base(name), unwalked: true}
		wg.Go(func() {
			domain := dns.Fqdn(cert.RegisteredDomain(name))
			denied, known := false, false
			for _, v := range views {
				m, err := v.ask(ctx, domain, qtype)
				denied = denied || err == nil && m.Rcode == dns.RcodeNameError
				known = known || err == nil && m.Rcode == dns.RcodeSuccess
			}
			if denied && !known {
				homes[i].err = &authority.NoDomainError{Name: domain}
			}
		})
	}
	wg.Wait()
	return homes
}

// base is a name without a wildcard's label.
func base(name string) string { return strings.TrimPrefix(name, "*.") }

// walked tells whether the walk led anywhere. Where it did not, port 53 of the world can't be reached from here, or the roots are down, and
// the resolvers' word must do.
func walked(homes []home) bool {
	return slices.ContainsFunc(homes, func(h home) bool { return h.zone != nil || h.missing() })
}

// authorities makes one view for each server: the nth view asks the nth answering server of whatever zone a name is in. So the
// views together see every server of the zone that has most. The first also follows aliases beyond the names in ends, which are the
// platform's own: one look at those is enough.
func authorities(tree *authority.Tree, homes []home, ends []string) []*view {
	servers := 1
	for _, h := range homes {
		if h.zone != nil {
			servers = max(servers, len(h.zone.Answering()))
		}
	}
	views := make([]*view, servers)
	for i := range views {
		views[i] = newView(&authoritative{tree: tree, homes: homes, index: i, below: map[string]*authority.Zone{}})
		if i > 0 {
			views[i].ends = ends
		}
	}
	return views
}

// authoritative asks the authoritative servers, one of each zone.
type authoritative struct {
	tree  *authority.Tree
	homes []home
	index int

	mu    sync.Mutex
	below map[string]*authority.Zone // where the walk found names that the tenant's own zones don't hold
}

func (a *authoritative) role() cert.ServerRole { return cert.Authoritative }

// host is the server that knows of a name: of the zone that was found to hold it, which may lie below the tenant's own.
func (a *authoritative) host(name string) string {
	a.mu.Lock()
	zone := a.below[dns.CanonicalName(name)]
	a.mu.Unlock()
	if zone == nil {
		zone = a.homeOf(name)
	}
	if zone == nil {
		return "the name servers of " + bare(name)
	}
	if server, err := a.pick(zone); err == nil {
		return tellServer(zone.Servers[server])
	}
	return "the name servers of " + bare(zone.Name)
}

// tellServer is a name server as people know it.
func tellServer(s authority.Server) string {
	if !s.Address.IsValid() {
		return bare(s.Name)
	}
	return fmt.Sprintf("%s (%s)", bare(s.Name), s.Address.Addr())
}

// homeOf is the smallest zone of the tenant's that a name is in or below, nil for names elsewhere.
func (a *authoritative) homeOf(name string) *authority.Zone {
	var found *authority.Zone
	for _, h := range a.homes {
		if h.zone != nil && !h.zone.Registry && dns.IsSubDomain(h.zone.Name, dns.Fqdn(name)) &&
			(found == nil || dns.CountLabel(h.zone.Name) > dns.CountLabel(found.Name)) {
			found = h.zone
		}
	}
	return found
}

// pick is this view's server of a zone.
func (a *authoritative) pick(zone *authority.Zone) (int, error) {
	answering := zone.Answering()
	if len(answering) == 0 {
		return 0, noneAnswers(zone)
	}
	return answering[a.index%len(answering)], nil
}

// noneAnswers is why no server of a zone can be asked: what the first of them did.
func noneAnswers(zone *authority.Zone) error {
	for _, s := range zone.Servers {
		if s.State == authority.Failing || s.State == authority.Lame {
			return errors.New(s.Detail)
		}
	}
	return errTimeout
}

// ask goes to the tenant's own zone without a walk; where that refers to a zone below it, and for names elsewhere, the walk finds who
// knows. A domain that doesn't exist has no records: that is an answer.
func (a *authoritative) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	if zone := a.homeOf(name); zone != nil {
		m, err := a.askZone(ctx, zone, name, qtype)
		if err != nil || authority.Referral(m, zone.Name, name) == "" {
			return m, err
		}
	}
	zone, err := a.tree.Zone(ctx, name)
	if _, absent := errors.AsType[*authority.NoDomainError](err); absent {
		m := new(dns.Msg).SetQuestion(name, qtype)
		m.Rcode = dns.RcodeNameError
		return m, nil
	}
	if err != nil {
		return nil, silence(err)
	}
	a.mu.Lock()
	a.below[name] = zone
	a.mu.Unlock()
	return a.askZone(ctx, zone, name, qtype)
}

func (a *authoritative) askZone(ctx context.Context, zone *authority.Zone, name string, qtype uint16) (*dns.Msg, error) {
	server, err := a.pick(zone)
	if err != nil {
		return nil, err
	}
	m, err := a.tree.Ask(ctx, zone, server, name, qtype)
	if err != nil {
		return nil, silence(err)
	}
	if authority.Referral(m, zone.Name, name) != "" {
		return m, nil
	}
	if v := a.tree.CheckAnswer(a.dnssecOf(zone), m); v.Security == authority.Bogus {
		detail := v.Detail
		if a.dnssecOf(zone).Security == authority.Secure { // the zone's keys are right: it is this server that has something wrong
			detail += ", at " + tellServer(zone.Servers[server])
		}
		return nil, &bogusError{zone: bare(zone.Name), detail: detail}
	}
	return m, nil
}

// dnssecOf is what was found of a zone of the tenant's. Others are left to the validating resolvers.
func (a *authoritative) dnssecOf(zone *authority.Zone) authority.Validation {
	for _, h := range a.homes {
		if h.zone != nil && h.zone.Name == zone.Name {
			return h.dnssec
		}
	}
	return authority.Validation{Security: authority.Insecure}
}

// silence is why nobody told anything, for a tenant's eyes.
func silence(err error) error {
	if unreachable, ok := errors.AsType[*authority.UnreachableError](err); ok {
		return fmt.Errorf("no answer from the name servers of %s", bare(unreachable.Zone))
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errTimeout
	}
	if _, ok := errors.AsType[*authority.ServerError](err); ok || errors.Is(err, authority.ErrTooManyQueries) {
		return err
	}
	return describe(err)
}
