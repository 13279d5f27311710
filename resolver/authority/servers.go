package authority

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/miekg/dns"
)

const (
	// maxDepth is how many name servers may be looked up one for the sake of the other.
	maxDepth = 6
	// maxAliases is how many CNAMEs are followed from a name server's name. There should be none (RFC 2181 §10.3), but CAs' resolvers
	// follow them.
	maxAliases = 4
)

// need is a name server whose address is looked for, and for whose sake.
type need struct {
	host  string
	of    *need
	depth int
}

func (n *need) includes(name string) bool {
	for ; n != nil; n = n.of {
		if n.host == name {
			return true
		}
	}
	return false
}

// host is what was found out about a name server's addresses. Without addresses and error it has none.
type host struct {
	addresses []netip.Addr
	err       error
}

// candidates sends the servers of a zone as they become known, first those whose addresses came with their names. Their state
// is empty where they may be asked. Which ones are chosen of too many doesn't depend on which are fast, so that two checks
// show the same servers.
func (t *Tree) candidates(ctx context.Context, c *cut, needs *need) <-chan Server {
	out := make(chan Server, c.room()) // a sender never waits
	if c.parent == nil {
		for _, server := range c.fixed {
			out <- server
		}
		close(out)
		return out
	}
	go func() {
		defer close(out)
		t.named(ctx, c, needs, out)
	}()
	if c.held {
		return t.withParents(ctx, c, needs, out)
	}
	return out
}

// withParents adds the servers of the parent, of which at least one holds the zone too: resolvers that come from above get
// their answers there.
func (t *Tree) withParents(ctx context.Context, c *cut, needs *need, own <-chan Server) <-chan Server {
	above := t.candidates(ctx, c.parent, needs)
	out := make(chan Server, cap(own)+cap(above))
	go func() {
		defer close(out)
		sent := map[netip.AddrPort]bool{}
		for server := range own {
			sent[server.Address] = true
			out <- server
		}
		for server := range above {
			if server.State == "" && !sent[server.Address] {
				out <- server
			}
		}
	}()
	return out
}

// room is how many servers there can be.
func (c *cut) room() int {
	n := len(c.fixed)
	for _, name := range c.ns {
		if known := len(c.glue[name]); known > 0 {
			n += known
		} else {
			n += maxAddresses
		}
	}
	return n
}

// named sends the servers that NS records name.
func (t *Tree) named(ctx context.Context, c *cut, needs *need, out chan<- Server) {
	names := slices.Clone(c.ns)
	if c.registry {
		rotate(names, t.seed)
	}
	names, unused := names[:min(len(names), t.config.MaxServers)], names[min(len(names), t.config.MaxServers):]
	for _, name := range unused {
		out <- Server{Name: name, State: NotAsked, Detail: "enough other servers are asked"}
	}
	each := t.config.MaxServers / max(1, len(names))
	var lookups sync.WaitGroup
	for _, name := range names {
		if glue := c.glue[name]; len(glue) > 0 {
			t.offer(out, name, glue, each)
			continue
		}
		lookups.Go(func() {
			h := t.host(ctx, name, needs)
			if h.err == nil && len(h.addresses) > 0 {
				t.offer(out, name, h.addresses, each)
				return
			}
			out <- withoutAddress(name, h.err)
		})
	}
	lookups.Wait()
}

// offer chooses among the addresses of a name server.
func (t *Tree) offer(out chan<- Server, name string, addresses []netip.Addr, most int) {
	addresses = slices.Clone(addresses)
	slices.SortFunc(addresses, netip.Addr.Compare) // IPv4 first
	chosen := 0
	for _, address := range addresses {
		server := Server{Name: name, Address: netip.AddrPortFrom(address, t.config.Port)}
		switch {
		case !t.config.Allow(address):
			server.State, server.Detail = Forbidden, "its address is not one of the public internet"
		case chosen >= most:
			server.State, server.Detail = NotAsked, "enough other addresses are asked"
		default:
			chosen++
		}
		out <- server
	}
}

// withoutAddress is a name server that has no address, or whose address could not be found out: its state says which.
func withoutAddress(name string, err error) Server {
	server := Server{Name: name, State: NoAddress, cause: err}
	if _, ok := errors.AsType[*NoDomainError](err); err == nil {
		server.Detail = "it has neither an A nor an AAAA record"
	} else if ok {
		server.Detail = err.Error()
	} else if errors.Is(err, errNeedsItself) {
		server.Detail = errNeedsItself.Error()
	} else if ours(err) {
		server.State, server.Detail = NotAsked, "its address could not be looked up in time"
	} else {
		server.State, server.Detail = Unreachable, "its address can't be looked up: "+err.Error()
	}
	return server
}

// host looks for the addresses of a name server that came without glue, from the root down.
func (t *Tree) host(ctx context.Context, name string, needs *need) host {
	if known, ok := recall(t, t.hosts, name); ok {
		return known
	}
	deeper := &need{host: name, of: needs}
	if needs != nil {
		deeper.depth = needs.depth + 1
	}
	switch {
	case needs.includes(name):
		return host{err: errNeedsItself}
	case deeper.depth >= maxDepth || t.hosted.Add(1) > 4*int64(t.config.MaxQueries):
		return host{err: ErrTooManyQueries}
	}
	h := t.resolve(ctx, name, deeper)
	if h.err == nil || needs == nil && !ours(h.err) { // on the way to another server a failure may be of that way only
		return remember(t, t.hosts, name, h)
	}
	return h
}

// resolve asks for a name's addresses of both kinds, following aliases.
func (t *Tree) resolve(ctx context.Context, name string, needs *need) host {
	for range maxAliases {
		at, err := t.find(ctx, above(name), needs)
		if err == nil {
			err = at.stuck
		}
		if err != nil {
			return host{err: err}
		}
		var v4, v6 found
		var both sync.WaitGroup
		both.Go(func() { v4 = t.addresses(ctx, at.cut, inquiry{name: name, qtype: dns.TypeA, needs: needs}) })
		both.Go(func() { v6 = t.addresses(ctx, at.cut, inquiry{name: name, qtype: dns.TypeAAAA, needs: needs}) })
		both.Wait()
		if addresses := append(v4.addresses, v6.addresses...); len(addresses) > 0 {
			return host{addresses: addresses}
		}
		if err := first(v4.err, v6.err); err != nil {
			return host{err: err}
		}
		if name = first(v4.alias, v6.alias); name == "" {
			return host{}
		}
	}
	return host{err: errors.New("its name leads through too many CNAME records")}
}

// found is what a zone has for a name: addresses, or another name to ask about.
type found struct {
	addresses []netip.Addr
	alias     string
	err       error
}

func (t *Tree) addresses(ctx context.Context, at *cut, q inquiry) found {
	for {
		m, err := t.query(ctx, at, q)
		if err != nil {
			return found{err: err}
		}
		if got := understand(m, at.name, q.name); got.kind == referral {
			at = t.referred(m, at, got.cut)
			continue
		}
		var f found
		for _, rr := range recordsAt(m.Answer, q.name, q.qtype) {
			if address := AddressOf(rr); address.IsValid() && len(f.addresses) < maxAddresses {
				f.addresses = append(f.addresses, address)
			}
		}
		for _, rr := range recordsAt(m.Answer, q.name, dns.TypeCNAME) {
			if cname, ok := rr.(*dns.CNAME); ok {
				f.alias = dns.CanonicalName(cname.Target)
			}
		}
		return f
	}
}

// first is the first value that isn't empty.
func first[T comparable](values ...T) T {
	var none T
	for _, value := range values {
		if value != none {
			return value
		}
	}
	return none
}
