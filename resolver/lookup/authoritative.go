package lookup

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

// Authoritative returns one View for each server: the nth View asks the nth answering server of whatever zone a name is in. So the
// Views together see every server of the zone that has most. There is at least one.
//
// zones are those that the tenant's names are in; the walk finds all others. The first View follows aliases to their end; the others
// stop at the names in stops, which are canonical and the platform's own: one of the Views is enough for those.
func Authoritative(tree *authority.Tree, zones []*authority.Zone, stops []string) []*View {
	servers := 1
	for _, z := range zones {
		servers = max(servers, len(z.Answering()))
	}
	views := make([]*View, servers)
	for i := range views {
		views[i] = newView(&authoritative{tree: tree, zones: zones, index: i, below: map[string]*authority.Zone{}}, nil)
		if i > 0 {
			views[i].stops = stops
		}
	}
	return views
}

// authoritative asks the authoritative servers, one of each zone.
type authoritative struct {
	tree  *authority.Tree
	zones []*authority.Zone
	index int // of this View among those of the tenant's zones

	mu    sync.Mutex
	below map[string]*authority.Zone // the zones of names that the tenant's own zones don't hold, by name
}

func (a *authoritative) role() cert.ServerRole { return cert.Authoritative }

// server returns the server of the zone that was found to hold the name, which may be a sub-zone of the tenant's.
func (a *authoritative) server(name string) string {
	a.mu.Lock()
	zone := a.below[dns.CanonicalName(name)]
	a.mu.Unlock()
	if zone == nil {
		zone = a.zoneOf(name)
	}
	if zone == nil {
		return "the name servers of " + NoDot(name)
	}
	if server, err := a.pick(zone); err == nil {
		return zone.Servers[server].String()
	}
	return "the name servers of " + NoDot(zone.Name)
}

func (a *authoritative) delegatedTo(name string) []string {
	a.mu.Lock()
	zone := a.below[dns.CanonicalName(name)]
	a.mu.Unlock()
	if zone == nil || zone.Name != dns.CanonicalName(name) {
		return nil
	}
	servers := make([]string, len(zone.ParentNS))
	for i, server := range zone.ParentNS {
		servers[i] = NoDot(server)
	}
	return servers
}

// zoneOf returns the smallest of the tenant's zones that a name is in, nil for names elsewhere.
func (a *authoritative) zoneOf(name string) *authority.Zone {
	var found *authority.Zone
	for _, z := range a.zones {
		if !z.Registry && dns.IsSubDomain(z.Name, dns.Fqdn(name)) &&
			(found == nil || dns.CountLabel(z.Name) > dns.CountLabel(found.Name)) {
			found = z
		}
	}
	return found
}

// pick returns the index of this View's server among those of a zone.
func (a *authoritative) pick(zone *authority.Zone) (int, error) {
	answering := zone.Answering()
	if len(answering) == 0 {
		return 0, noneAnswers(zone)
	}
	return answering[a.index%len(answering)], nil
}

// noneAnswers returns why no server of a zone can be asked: what the first of them did that answers at all, or else that they are silent.
func noneAnswers(zone *authority.Zone) error {
	for _, s := range zone.Servers {
		if s.State == authority.Failing || s.State == authority.Lame {
			return &ServerError{Server: s.String(), Err: errors.New(s.Detail)}
		}
	}
	var silent []string
	for _, s := range zone.Servers {
		silent = append(silent, s.String())
	}
	if len(silent) == 0 {
		return ErrTimeout
	}
	return &ServerError{Server: strings.Join(Distinct(silent), ", "), Err: ErrTimeout}
}

// ask goes to the tenant's own zone without a walk. Where that refers to a sub-zone, and for names elsewhere, the walk finds the zone.
// A domain that doesn't exist has no records: that is an answer, NXDOMAIN.
func (a *authoritative) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	if zone := a.zoneOf(name); zone != nil {
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
		return nil, forPeople(err)
	}
	a.mu.Lock()
	a.below[name] = zone
	a.mu.Unlock()
	return a.askZone(ctx, zone, name, qtype)
}

// askZone asks this View's server of a zone, and validates the answer as a CA's resolver does, whoever's zone it is: every zone on the way
// to CAA records, or through an alias to a challenge, must pass (RFC 8659 §3, Baseline Requirements §3.2.2.8). The errors name the zone
// at fault, which may be one above.
func (a *authoritative) askZone(ctx context.Context, zone *authority.Zone, name string, qtype uint16) (*dns.Msg, error) {
	server, err := a.pick(zone)
	if err != nil {
		return nil, err
	}
	m, v, err := a.tree.AskValidated(ctx, zone, server, name, qtype)
	switch {
	case err != nil:
		return nil, forPeople(err)
	case v.Security == authority.Bogus:
		return nil, NewBogusError(v)
	case v.Refused():
		return nil, fmt.Errorf("DNSSEC of %s can't be validated: %s", ZoneText(v.Zone), v.Detail)
	case qtype == dns.TypeCAA && lacksSOA(m):
		return nil, errors.New("it says that there is no such record, without the SOA record that belongs to this answer")
	}
	return m, nil
}

// lacksSOA reports whether a message says that there is no record, and leaves out the SOA record (RFC 2308 §3). Unbound, from 1.18, asks
// the next server then, and answers SERVFAIL in the end, so that Let's Encrypt can't look up CAA (community.letsencrypt.org, topic
// 210417). A missing CAA record is the only answer of this kind that an order depends on.
func lacksSOA(m *dns.Msg) bool {
	return len(m.Answer) == 0 && !slices.ContainsFunc(m.Ns, func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeSOA || rr.Header().Rrtype == dns.TypeNS
	})
}

// forPeople returns why no answer came, in words that a tenant may read.
func forPeople(err error) error {
	if unreachable, ok := errors.AsType[*authority.UnreachableError](err); ok {
		return fmt.Errorf("no answer from the name servers of %s", NoDot(unreachable.Zone))
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return ErrTimeout
	}
	if _, ok := errors.AsType[*authority.ServerError](err); ok || errors.Is(err, authority.ErrTooManyQueries) {
		return err
	}
	return withoutSockets(err)
}
