package authority

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Tree is what one diagnosis learns of the tree of DNS. It is safe for concurrent use: a question is sent once to a server,
// however many want to know. Trees share nothing but Config.Slots.
//
// Calls return as soon as their ctx ends. Questions that nobody waits for any more, such as one to a slow server after a
// faster one has answered, go on until that ctx ends or Config.QueryTimeout is over.
type Tree struct {
	config Config
	client client
	// candidates is nameServers. The walk to a zone needs the addresses of its name servers, and the way to these is a walk again; with this
	// the walk stands below what it is used by.
	candidates func(ctx context.Context, c *cut, needs *need) <-chan Server
	root       *cut
	seed       uint32       // where this Tree begins in a list of equal servers: many Trees spread their questions
	sent       atomic.Int64 // questions
	hosted     atomic.Int64 // name servers whose addresses were looked for

	asked sharedCalls[asking, *dns.Msg]
	trust sharedCalls[*cut, Validation]

	mu       sync.Mutex // for the maps, never held while something is waited for
	cuts     map[string]*cut
	places   map[string]place
	hosts    map[string]host
	zones    map[*cut]*Zone
	answered map[netip.AddrPort]bool
	silent   map[netip.AddrPort]error // servers that have answered nothing, and how
}

// asking is one question to one server.
type asking struct {
	server netip.AddrPort
	name   string
	qtype  uint16
}

// Queries is how many questions were sent so far; repetitions of one and its way over TCP count once.
func (t *Tree) Queries() int { return int(t.sent.Load()) }

// Ask puts a question to the server of that index in zone.Servers, without recursion and with DNSSEC records wanted. Any
// message that answers the question is returned, whatever its rcode. A server that was found dead, lame or forbidden is not
// asked again (*ServerError).
func (t *Tree) Ask(ctx context.Context, zone *Zone, server int, qname string, qtype uint16) (*dns.Msg, error) {
	if _, ok := dns.IsDomainName(qname); !ok {
		return nil, fmt.Errorf("%q is no domain name", qname)
	}
	s := zone.Servers[server]
	if s.State != Answers {
		return nil, &ServerError{Server: s}
	}
	return t.ask(ctx, s.Address, dns.CanonicalName(qname), qtype)
}

// ask sends a question, or waits for the answer to the same one sent before.
func (t *Tree) ask(ctx context.Context, server netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	key := asking{server, name, qtype}
	return t.asked.do(ctx, key, func() (*dns.Msg, error) { return t.send(ctx, key) })
}

// send asks, unless the server has been silent before: what follows up an unanswered question would wait in vain again.
func (t *Tree) send(ctx context.Context, key asking) (*dns.Msg, error) {
	t.mu.Lock()
	dead := t.silent[key.server]
	t.mu.Unlock()
	if dead != nil {
		return nil, dead
	}
	if t.sent.Add(1) > int64(t.config.MaxQueries) {
		t.sent.Add(-1)
		return nil, ErrTooManyQueries
	}
	m, err := t.client.query(ctx, key.server, key.name, key.qtype)
	if err == nil && m.Rcode == dns.RcodeServerFailure { // it may be of the moment: resolvers ask again, too (RFC 2308 §7.1)
		if again, failed := t.client.query(ctx, key.server, key.name, key.qtype); failed == nil {
			m = again
		}
	}
	_, byTCP := errors.AsType[*tcpError](err) // it did answer over UDP
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil || byTCP:
		t.answered[key.server] = true
		delete(t.silent, key.server)
	case !ours(err) && !t.answered[key.server]:
		t.silent[key.server] = err
	}
	return m, err
}

// remember keeps the first value that was found for a key, and returns it: what many found at once is the same for all.
func remember[K comparable, V any](t *Tree, in map[K]V, key K, value V) V {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first, ok := in[key]; ok {
		return first
	}
	in[key] = value
	return value
}

func recall[K comparable, V any](t *Tree, in map[K]V, key K) (V, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	value, ok := in[key]
	return value, ok
}

// rotate turns a list of equals, so that not everybody asks the first.
func rotate[T any](list []T, by uint32) {
	if len(list) < 2 {
		return
	}
	n := int(by % uint32(len(list)))
	turned := append(append(make([]T, 0, len(list)), list[n:]...), list[:n]...)
	copy(list, turned)
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
	case soa != nil && c.held && c.parent != nil && soa.Hdr.Name == c.parent.name:
		// The parent delegates the zone to nobody, so that resolvers ask its servers, and take the answers of one that holds only the parent.
		return Answers, ""
	case soa != nil && strictlyBelow(soa.Hdr.Name, c.name):
		return Lame, "it holds the zone above, not " + bare(c.name)
	case m.Rcode == dns.RcodeNameError:
		return Lame, "it says that " + bare(c.name) + " doesn't exist"
	default:
		return Answers, ""
	}
}
