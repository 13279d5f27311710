package authority

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

const (
	// maxSteps is how many labels a name may have for the walk to stop at each of them (RFC 9156 §2.3 bounds it likewise).
	maxSteps = 16
	// maxTries is how many servers of one zone above the registered domain, or on the way to a name server, are tried.
	maxTries = 5
)

// cut is a zone, as its parent's servers show it.
type cut struct {
	name     string
	parent   *cut                    // nil for the root
	registry bool                    // above the registered domains: the root, a top-level domain, co.uk
	fixed    []Server                // of the root
	held     bool                    // lives on a server of its parent, which gave no referral
	ns       []string                // as the parent names its servers or, when held, as it does itself; sorted
	glue     map[string][]netip.Addr // of them, as came with their names
	proof    []dns.RR                // what the referral says about DNSSEC
}

// place is where a name is.
type place struct {
	cut    *cut
	absent bool  // the zone says that the name doesn't exist
	stuck  error // the zone's servers give no answer: the name may as well be in a zone below
}

// find walks to the zone that holds a name, label by label (RFC 9156). Stopping at every label shows zones that live on their
// parent's servers and names without records of their own, and lets names that share a part share its questions.
func (t *Tree) find(ctx context.Context, name string, needs *need) (place, error) {
	if name == "." {
		return place{cut: t.root}, nil
	}
	if known, ok := recall(t, t.places, name); ok {
		return known, nil
	}
	next := above(name)
	if registered := dns.Fqdn(cert.RegisteredDomain(bare(name))); dns.CountLabel(name) > maxSteps && registered != name {
		next = registered
	}
	up, err := t.find(ctx, next, needs)
	if err != nil || up.stuck != nil {
		return up, err
	}
	here, err := t.descend(ctx, up.cut, name, needs)
	if err != nil || here.stuck != nil {
		return here, err // cheap to find out again: the servers are known to be silent
	}
	return remember(t, t.places, name, here), nil
}

// descend asks a zone about a name, and follows its referrals. The question is for SOA because each answer to it shows the
// zone that it is from.
func (t *Tree) descend(ctx context.Context, at *cut, name string, needs *need) (place, error) {
	for {
		m, err := t.query(ctx, at, inquiry{name: name, qtype: dns.TypeSOA, needs: needs})
		if unreachable, ok := errors.AsType[*UnreachableError](err); ok && !at.registry {
			return place{cut: at, stuck: unreachable}, nil
		}
		if err != nil {
			return place{}, err
		}
		got := understand(m, at.name, name)
		if got.kind == referral {
			if at = t.referred(m, at, got.cut); at.name == name {
				return place{cut: at}, nil
			}
			continue
		}
		if got.cut != "" {
			if at, err = t.held(ctx, at, got.cut, needs); err != nil {
				return place{}, err
			}
		}
		// An alias at the name makes NXDOMAIN speak of what it leads to (RFC 6604 §3).
		absent := m.Rcode == dns.RcodeNameError && len(recordsAt(m.Answer, name, dns.TypeCNAME)) == 0
		if absent && isDomain(name) {
			return place{}, &NoDomainError{Name: name, Zone: at.name, SOA: soaOf(m.Ns)}
		}
		return place{cut: at, absent: absent}, nil
	}
}

// referred is the zone that a referral leads to.
func (t *Tree) referred(m *dns.Msg, from *cut, name string) *cut {
	ns := nameserversOf(m.Ns, name)
	return remember(t, t.cuts, name, &cut{
		name: name, parent: from, registry: IsRegistry(name),
		ns: ns, glue: glueOf(m, from.name, ns), proof: proofOf(m.Ns),
	})
}

// held is a zone that answered although its parent was asked. Its own NS records name servers that hold only this zone.
func (t *Tree) held(ctx context.Context, parent *cut, name string, needs *need) (*cut, error) {
	if known, ok := recall(t, t.cuts, name); ok {
		return known, nil
	}
	c := &cut{name: name, parent: parent, held: true, registry: IsRegistry(name)}
	m, err := t.query(ctx, parent, inquiry{name: name, qtype: dns.TypeNS, needs: needs, accept: func(m *dns.Msg) error {
		if understand(m, parent.name, name).kind != answer || len(nameserversOf(m.Answer, name)) == 0 {
			return errors.New("it has no NS records")
		}
		return nil
	}})
	switch {
	case err == nil:
		c.ns = nameserversOf(m.Answer, name)
		c.glue = glueOf(m, parent.name, c.ns)
	case ours(err):
		return nil, err
	}
	return remember(t, t.cuts, name, c), nil
}

// IsRegistry reports whether a zone is above the registered domains, by the public suffix list. Its servers are not the tenant's to change.
func IsRegistry(zone string) bool {
	return zone == "." || cert.RegisteredDomain(bare(zone)) == bare(zone) && !cert.IsApex(bare(zone))
}

// isDomain reports whether NXDOMAIN for a name means that a domain isn't there at all: a registered domain, or a top-level one.
// A name between them, as k12.ca.us, may lack records, and a careless server then denies it although there are names below.
func isDomain(name string) bool {
	return dns.CountLabel(name) == 1 || cert.IsApex(bare(name))
}

// inquiry is a question to a zone, whichever of its servers answers.
type inquiry struct {
	name   string
	qtype  uint16
	needs  *need
	accept func(*dns.Msg) error // what is wrong with a reply, so that the next server is tried; nil: any that means something
}

// query asks the servers of a zone one after the other until one gives an acceptable reply. The next is asked when the one
// before has failed, or is slower than most: a dead server costs little, and a healthy zone gets one question.
func (t *Tree) query(ctx context.Context, c *cut, q inquiry) (*dns.Msg, error) {
	type result struct {
		server Server
		msg    *dns.Msg
		err    error
	}
	servers, tries := t.askable(ctx, c, q.needs)
	replies := make(chan result, cap(servers))
	patience := time.NewTimer(0)
	defer patience.Stop()
	var failure error
	for ready, running := false, 0; servers != nil || running > 0; {
		next := servers
		if !ready {
			next = nil
		}
		select {
		case server, ok := <-next:
			switch {
			case !ok || tries == 0:
				servers = nil
			case server.State != "" && server.State != Answers:
				failure = graver(failure, &serverFailure{server, &ServerError{Server: server}})
			default:
				ready, running, tries = false, running+1, tries-1
				patience.Reset(t.config.QueryTimeout / 5)
				go func() {
					m, err := t.ask(ctx, server.Address, q.name, q.qtype)
					replies <- result{server, m, err}
				}()
			}
		case r := <-replies:
			ready, running = true, running-1
			if r.err == nil {
				r.err = q.check(r.msg, c.name)
			}
			if r.err == nil {
				return r.msg, nil
			}
			if ours(r.err) {
				return nil, r.err
			}
			failure = graver(failure, &serverFailure{r.server, r.err})
		case <-patience.C:
			ready = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, &UnreachableError{Zone: c.name, Cause: failure}
}

// check says why a reply doesn't do.
func (q inquiry) check(m *dns.Msg, zone string) error {
	if got := understand(m, zone, q.name); got.kind == lame {
		return errors.New(got.why)
	}
	if q.accept == nil {
		return nil
	}
	return q.accept(m)
}

// graver keeps the failure that says more: a broken signature rather than silence, and that rather than a server that was
// not asked.
func graver(a, b error) error {
	weight := func(err error) int {
		if _, ok := errors.AsType[*breach](err); ok {
			return 2
		}
		if _, ok := errors.AsType[*ServerError](err); ok || err == nil {
			return 0
		}
		return 1
	}
	if a != nil && weight(a) > weight(b) {
		return a
	}
	return b
}

// askable sends, as they become known, the servers of a zone are asked on the way to a name in it, and how many of them at
// most. In a tenant's own zone those are the servers that have shown by their SOA record that they hold it; elsewhere that
// would be many questions about zones that are not checked.
func (t *Tree) askable(ctx context.Context, c *cut, needs *need) (servers <-chan Server, most int) {
	candidates := t.candidates(ctx, c, needs)
	if c.registry || needs != nil {
		return candidates, maxTries
	}
	probed := make(chan Server, cap(candidates))
	go func() {
		defer close(probed)
		_ = t.probe(ctx, c, candidates, func(s Server) { probed <- s }) // what went wrong shows at the next question
	}()
	return probed, cap(candidates)
}
