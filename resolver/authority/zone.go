package authority

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// State is what became of asking a server for the SOA record of its zone.
type State string

// The states of a server.
const (
	Answers     State = "answers"
	Lame        State = "lame"           // it speaks, but not for this zone: REFUSED, without authority, a referral to elsewhere
	Failing     State = "fails"          // it answers SERVFAIL: it may know the zone or not
	Unreachable State = "unreachable"    // no answer in time, or its address can't be looked up
	NoAddress   State = "has no address" // its name has none, doesn't exist, or can't be resolved because glue is missing
	Forbidden   State = "forbidden"      // Config.Allow refuses its address; nothing was sent
	NotAsked    State = "not asked"      // there are more servers than MaxServers, or this machine has no way to it. No fault
)

// Server is one address of one name server of a zone.
type Server struct {
	Name    string         // as in the NS record; empty for a server from Config.Roots
	Address netip.AddrPort // not valid without an address
	State   State
	Detail  string   // why it doesn't answer, in words that a tenant may read
	SOA     *dns.SOA // as this server has it; nil when it gave none

	cause  error    // why its address is not known
	cached bool     // it answers, but as a resolver does, from a cache
	refers []string // the name servers that it, being the parent's, leaves the zone to
}

// String is a server as people know it: "ns1.example.com (192.0.2.1)".
func (s Server) String() string {
	switch {
	case !s.Address.IsValid():
		return bare(s.Name)
	case s.Name == "":
		return s.Address.Addr().String()
	}
	return fmt.Sprintf("%s (%s)", bare(s.Name), s.Address.Addr())
}

// Zone is what a zone's servers and its parent's say of it. It is shared: don't change it.
type Zone struct {
	Name     string
	Parent   string    // the zone that delegates it; empty for the root
	Registry bool      // above the registered domains: a domain that is found in it is not delegated to anybody
	Servers  []Server  // by name and address
	ParentNS []string  // as the parent delegates, sorted; nil when all its servers hold the zone too and give no referral
	ChildNS  []string  // as the zone itself says, sorted; nil when no server answered that
	DS       []*dns.DS // as they came with the referral, not yet verified; see Tree.CheckZone
	NXDomain bool      // the name that was asked for doesn't exist in it

	// Undelegated means that the zone is a top-level domain's, and has neither a delegation of the name that was asked for nor records at
	// it. Some top-level domains, and many suffixes below them, hold records of their customers in their own zone.
	Undelegated bool

	cut *cut
}

// Answering lists the indexes of the servers that can be asked.
func (z *Zone) Answering() []int {
	var indexes []int
	for i, server := range z.Servers {
		if server.State == Answers {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

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
	err := t.probe(ctx, c, t.candidates(ctx, c, nil), func(s Server) {
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
		case err != nil:
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

// probe asks each candidate for the zone's SOA record, all at once, and reports each as its state becomes known, one at a time.
// It ends when all are reported. An error means that some could not be asked for a reason of ours.
func (t *Tree) probe(ctx context.Context, c *cut, candidates <-chan Server, report func(Server)) error {
	var reporting sync.Mutex
	var failure error
	var probes sync.WaitGroup
	for server := range candidates {
		probes.Go(func() {
			var err error
			if server.State == "" {
				var m *dns.Msg
				if m, err = t.askSOA(ctx, server.Address, c.name); err != nil {
					server.State, server.Detail = silence(err)
				} else {
					server.State, server.Detail = c.judge(m)
					server.cached = server.State == Lame && fromCache(m) && understand(m, c.name, c.name).kind == answer
					if server.State == NotAsked {
						server.refers = nameserversOf(m.Ns, c.name)
					}
					server.SOA = soaOf(recordsAt(m.Answer, c.name, dns.TypeSOA))
				}
			}
			reporting.Lock()
			defer reporting.Unlock()
			if err != nil && ours(err) {
				failure = err
			}
			report(server)
		})
	}
	probes.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failure
}

// askSOA asks a server for the SOA record of its zone. One that is slow to answer is asked for an address beside it: any answer shows
// that it is not dead, so that it is asked further questions even if the one about SOA is never answered.
func (t *Tree) askSOA(ctx context.Context, server netip.AddrPort, zone string) (*dns.Msg, error) {
	beside, cancel := context.WithCancel(ctx)
	defer cancel()
	slow := time.AfterFunc(t.config.QueryTimeout/5, func() { _, _ = t.ask(beside, server, zone, dns.TypeA) })
	defer slow.Stop()
	return t.ask(ctx, server, zone, dns.TypeSOA)
}

// silence is the state of a server that gave no answer.
func silence(err error) (State, string) {
	if _, ok := errors.AsType[*localError](err); ok || ours(err) {
		return NotAsked, err.Error()
	}
	return Unreachable, err.Error()
}

// judge reads a server's answer about the SOA record of its zone.
func (c *cut) judge(m *dns.Msg) (State, string) {
	switch got := understand(m, c.name, c.name); {
	case got.kind == lame && c.held && len(recordsAt(m.Ns, c.name, dns.TypeNS)) > 0:
		return NotAsked, "it holds the zone above, and leaves this one to others"
	case got.kind == lame:
		if m.Rcode == dns.RcodeServerFailure {
			return Failing, got.why
		}
		return Lame, got.why
	case fromCache(m):
		return Lame, "it answers from a cache, without authority"
	case len(m.Answer) > 0: // the SOA record, or an alias where none should be
		return Answers, ""
	}
	soa := soaOf(m.Ns)
	switch {
	case soa != nil && strictlyBelow(soa.Hdr.Name, c.name):
		return Lame, "it holds the zone above, not " + bare(c.name)
	case m.Rcode == dns.RcodeNameError:
		return Lame, "it says that " + bare(c.name) + " doesn't exist"
	default:
		return Answers, ""
	}
}
