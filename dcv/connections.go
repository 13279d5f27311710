package dcv

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxConnections = 1024             // TCP, at once, of all clients
	connectionAge  = 30 * time.Second // however busy it is; a resolver has asked everything by then, and opens another one
	// A client is one IPv4 address, or the smallest network that a site gets of IPv6 (RFC 6177 §2).
	clientPrefix4, clientPrefix6 = 32, 56
)

// connections is a listener that keeps no client waiting for the connections of others: a CA that is told to come by TCP must be able to.
// When there is no room, the connection that has been silent longest makes some: among those of the same client when it has as many as one
// may have, else among those of the clients that have the most. What holds connections open without need loses them first (RFC 7766
// §6.2.3).
type connections struct {
	net.Listener
	most      int // at once
	perClient int // 0: no limit
	age       time.Duration
	exempt    networks

	mu      sync.Mutex
	open    map[*connection]struct{}
	clients map[netip.Prefix]int // how many are open
}

func newConnections(l net.Listener, c Config) *connections {
	return &connections{
		Listener: l, most: maxConnections, perClient: c.TCPPerClient, age: connectionAge, exempt: c.rateExempt(),
		open: map[*connection]struct{}{}, clients: map[netip.Prefix]int{},
	}
}

func (l *connections) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	c := &connection{Conn: conn, listener: l, end: now.Add(l.age)}
	address, _ := addressOf(conn.RemoteAddr())
	c.client, c.exempt = client(address), l.exempt.contain(address)
	c.active.Store(now.UnixNano())
	if replaced := l.admit(c); replaced != nil {
		replaced.Close() //nolint:errcheck // its client has nothing to lose
	}
	return c, nil
}

// admit returns the connection to close for the new one; nil when there is room.
func (l *connections) admit(c *connection) *connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	var replaced *connection
	switch {
	case l.perClient > 0 && l.clients[c.client] >= l.perClient && !c.exempt:
		replaced = l.mostSilent(func(other *connection) bool { return other.client == c.client })
	case len(l.open) >= l.most:
		largest := 0
		for _, n := range l.clients {
			largest = max(largest, n)
		}
		replaced = l.mostSilent(func(other *connection) bool { return l.clients[other.client] == largest })
	}
	if replaced != nil {
		l.remove(replaced)
	}
	l.open[c] = struct{}{}
	l.clients[c.client]++
	return replaced
}

func (l *connections) mostSilent(among func(*connection) bool) *connection {
	var found *connection
	for c := range l.open {
		if among(c) && (found == nil || c.active.Load() < found.active.Load()) {
			found = c
		}
	}
	return found
}

// remove is called with mu held, and may be called again.
func (l *connections) remove(c *connection) {
	if _, open := l.open[c]; !open {
		return
	}
	delete(l.open, c)
	if l.clients[c.client]--; l.clients[c.client] == 0 {
		delete(l.clients, c.client)
	}
}

// client is the network that a limit is for.
func client(address netip.Addr) netip.Prefix {
	bits := clientPrefix4
	if address.Is6() {
		bits = clientPrefix6
	}
	return netip.PrefixFrom(address, bits).Masked()
}

// connection has time limits that package dns does not set: for writing, and for its whole life.
type connection struct {
	net.Conn
	listener *connections
	client   netip.Prefix
	exempt   bool
	end      time.Time
	active   atomic.Int64 // when something last came or went, in nanoseconds since 1970
}

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.active.Store(time.Now().UnixNano())
	return n, err
}

func (c *connection) Write(b []byte) (int, error) {
	c.active.Store(time.Now().UnixNano())
	if err := c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// SetReadDeadline bounds the wait for a question by the connection's end. A question that has come is answered.
func (c *connection) SetReadDeadline(t time.Time) error {
	if t.After(c.end) {
		t = c.end
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *connection) Close() error {
	c.listener.mu.Lock()
	c.listener.remove(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
