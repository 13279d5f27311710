package dcv

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestD2_ConnectionsMakeRoomFairly(t *testing.T) {
	t.Parallel()
	// Each client opens connections in this order. The client given by asks was active last.
	for name, c := range map[string]struct {
		perClient int
		opens     []string
		asks      int // index of the connection that was active again; -1: none
		next      string
		closes    int // index; -1: none
	}{
		"there is room": {3, []string{"192.0.2.1", "192.0.2.1"}, -1, "192.0.2.1", -1},
		"a client has as many as one may": {
			3, []string{"192.0.2.9", "192.0.2.1", "192.0.2.1", "192.0.2.1"}, -1, "192.0.2.1", 1,
		},
		"its oldest is at work":             {3, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, 0, "192.0.2.1", 1},
		"others are not concerned":          {3, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, -1, "192.0.2.2", -1},
		"neighbours in IPv6 are one client": {2, []string{"2001:db8::1", "2001:db8:0:ff::1"}, -1, "2001:db8:0:1::2", 0},
		"other networks in IPv6 are not":    {2, []string{"2001:db8::1", "2001:db8::1"}, -1, "2001:db8:0:100::2", -1},
		"IPv4 in IPv6 is IPv4":              {2, []string{"192.0.2.1", "::ffff:192.0.2.1"}, -1, "192.0.2.1", 0},
		"an exempt client":                  {2, []string{"198.51.100.1", "198.51.100.1"}, -1, "198.51.100.1", -1},
		"no client is at its limit, and the server is full": {
			0, []string{"192.0.2.9", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"}, -1, "192.0.2.3", 1,
		},
		"full of clients with one each": {
			0, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"}, 0, "192.0.2.7", 1,
		},
		"full, and the newcomer's client is at limit": {
			2, []string{"192.0.2.9", "192.0.2.8", "192.0.2.7", "192.0.2.6", "192.0.2.1", "192.0.2.1"}, -1, "192.0.2.1", 4,
		},
		"full, and the exempt client has most of them": {
			2, []string{"192.0.2.9", "198.51.100.1", "198.51.100.1", "198.51.100.1", "198.51.100.1", "198.51.100.1"}, -1, "192.0.2.7", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newConnections(nil, Config{TCPPerClient: c.perClient, RateExempt: []string{"198.51.100.0/24"}})
			l.most = 6
			var clock int64
			open := func(address string) (*connection, *connection) {
				ip, _ := addressOf(&net.TCPAddr{IP: netip.MustParseAddr(address).AsSlice()})
				conn := &connection{listener: l, client: client(ip), exempt: l.exempt.contain(ip)}
				clock++
				conn.active.Store(clock)
				return conn, l.admit(conn)
			}
			var opened []*connection
			for _, address := range c.opens {
				conn, closed := open(address)
				require.Nil(t, closed, "%s is let in", address)
				opened = append(opened, conn)
			}
			if c.asks >= 0 {
				opened[c.asks].active.Store(clock + 1)
			}
			newcomer, closed := open(c.next)
			if c.closes < 0 {
				require.Nil(t, closed)
			} else {
				require.Same(t, opened[c.closes], closed)
			}
			require.Contains(t, l.open, newcomer)
			require.LessOrEqual(t, len(l.open), l.most)
			for conn := range l.open {
				l.remove(conn)
				l.remove(conn)
			}
			require.Empty(t, l.clients, "nothing is counted twice")
		})
	}
}
