package authority

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"

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
	root   *cut
	seed   uint32       // where this Tree begins in a list of equal servers: many Trees spread their questions
	sent   atomic.Int64 // questions
	hosted atomic.Int64 // name servers whose addresses were looked for

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

// NewTree returns a Tree that knows the root servers only.
func NewTree(config Config) *Tree {
	config = config.withDefaults()
	t := &Tree{
		config: config, client: client{timeout: config.QueryTimeout, slots: config.Slots}, seed: rand.Uint32(),
		cuts: map[string]*cut{}, places: map[string]place{}, hosts: map[string]host{}, zones: map[*cut]*Zone{},
		answered: map[netip.AddrPort]bool{}, silent: map[netip.AddrPort]error{},
	}
	t.root = &cut{name: ".", registry: true}
	for _, address := range config.Roots {
		if root, err := netip.ParseAddrPort(address); err == nil {
			t.root.fixed = append(t.root.fixed, Server{Address: root})
		}
	}
	rotate(t.root.fixed, t.seed)
	t.cuts["."] = t.root
	return t
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
