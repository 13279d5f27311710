package dcv

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercert/evercert/stall"
)

const (
	maxConnections = 1024             // TCP, at once, of all clients
	connectionAge  = 30 * time.Second // a connection closes after this time even when it is busy; the resolver opens a new one
	// A client is one IPv4 address, or one IPv6 /56, the smallest network that a site gets (RFC 6177 §2).
	clientPrefix4, clientPrefix6 = 32, 56
)

// connections is a listener that gives every client a connection, however many others are open: a CA that got a truncated answer by UDP
// must reach the server by TCP.
//
//	When no place is free, connections closes the connection that has been silent longest. It chooses among the connections of the same
//	client when that client has reached its limit, else among those of the clients with the most connections. So clients that hold
//	connections without using them lose them first (RFC 7766 §6.2.3).
type connections struct {
	net.Listener
	most      int // at once
	perClient int // 0: no limit
	age       time.Duration
	exempt    networks

	mu      sync.Mutex
	open    map[*connection]struct{}
	clients map[netip.Prefix]int // number of open connections
}

func newConnections(l net.Listener, c Config) *connections {
	return &connections{
		Listener: stall.Listener{Listener: l, Limit: writeTime},
		most:     maxConnections, perClient: c.TCPPerClient, age: connectionAge, exempt: c.rateExempt(),
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
		replaced.Close() //nolint:errcheck // no client waits for an answer on it
	}
	return c, nil
}

// admit returns the connection to close so that the new one has a place; nil when a place is free.
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

// remove removes c. The caller holds mu. Removing a connection twice has no effect.
func (l *connections) remove(c *connection) {
	if _, open := l.open[c]; !open {
		return
	}
	delete(l.open, c)
	if l.clients[c.client]--; l.clients[c.client] == 0 {
		delete(l.clients, c.client)
	}
}

// client returns the network that counts as one client for the limits.
func client(address netip.Addr) netip.Prefix {
	bits := clientPrefix4
	if address.Is6() {
		bits = clientPrefix6
	}
	return netip.PrefixFrom(address, bits).Masked()
}

// connection adds a limit that package dns does not set, for the whole life of a connection, and records when it was last used.
type connection struct {
	net.Conn
	listener *connections
	client   netip.Prefix
	exempt   bool
	end      time.Time
	active   atomic.Int64 // when data was last received or sent, in nanoseconds since 1970
}

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.active.Store(time.Now().UnixNano())
	return n, err
}

func (c *connection) Write(b []byte) (int, error) {
	c.active.Store(time.Now().UnixNano())
	return c.Conn.Write(b)
}

// SetReadDeadline limits the wait for a question to the end of the connection's life. A question that has been read is always answered.
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
