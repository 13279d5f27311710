package dcv_test

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/dcv"
)

// TestServer_LimitedResolversComeByTCP: a real resolver in a network whose answers are limited still gets its answer, by TCP.
func TestServer_LimitedResolversComeByTCP(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.txt[name] = []string{"value"}
	s := start(t, m, func(c *dcv.Config) { c.RateLimit = 1 })
	conn, err := net.Dial("udp", s.Addr())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	packet, err := new(dns.Msg).SetQuestion(name+".", dns.TypeTXT).Pack()
	require.NoError(t, err)
	truncated := make(chan struct{})
	go func() { // ends when the connection is closed
		for answers := (&dns.Conn{Conn: conn}); ; {
			reply, err := answers.ReadMsg()
			if err != nil {
				return
			}
			if reply.Truncated {
				close(truncated)
				return
			}
		}
	}()
	flood := time.NewTicker(time.Millisecond)
	defer flood.Stop()
	for end, limited := time.After(30*time.Second), false; !limited; {
		select {
		case <-flood.C:
			_, err := conn.Write(packet)
			require.NoError(t, err)
		case <-truncated:
			limited = true
		case <-end:
			t.Fatal("no answer was truncated")
		}
	}
	for range 10 {
		require.Equal(t, []string{"value"}, texts(dig(t, s.Addr(), name, dns.TypeTXT, "+tcp")))
	}
}
