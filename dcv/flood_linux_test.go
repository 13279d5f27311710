package dcv_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/dcv"
)

// On Linux every address in 127.0.0.0/8 belongs to this machine, so one test can act as many clients.
const (
	attacker = "127.0.1.1"
	ca       = "127.0.2.1" // one of the CA's resolvers
	forged   = "127.0.2.9" // an address in the CA's network, as an attacker would forge it
)

// sameValue is a store that returns one value for every name.
type sameValue struct{}

func (sameValue) TXT(context.Context, string) ([]string, error) { return []string{"value"}, nil }

// limits sets the default limits for loopback addresses too.
func limits(c *dcv.Config) {
	c.RateLimit, c.TCPPerClient, c.RateExempt = 200, 64, nil
}

// TestD2_ACAIsAnsweredWhateverOthersHoldOpenOrForge: one client opens 2,000 idle TCP connections, or as many as the server accepts. An
// attacker sends questions by UDP with forged addresses in the CA's network, so the CA's own questions by UDP are limited. The CA then asks
// by TCP, and is answered every time.
func TestD2_ACAIsAnsweredWhateverOthersHoldOpenOrForge(t *testing.T) {
	t.Parallel()
	const rounds, idle, flood = 100, 2000, 100 // 100 datagrams fit into a socket's buffer
	s := startOver(t, sameValue{}, limits)
	closed := hold(t, s, idle, func(int) string { return attacker })
	eventually(t, "the attacker has what one client gets", func() bool { return closed.Load() >= idle-64 })
	require.LessOrEqual(t, s.Connections(), 64)

	packet, err := new(dns.Msg).SetQuestion(name+".", dns.TypeTXT).Pack()
	require.NoError(t, err)
	forger := dialFrom(t, "udp", forged, s.Addr())
	go io.Copy(io.Discard, forger) //nolint:errcheck // ends with the test; the answers to forged questions are discarded
	var answered, truncated, repeated int
	for range rounds {
		for range flood {
			_, err := forger.Write(packet)
			require.NoError(t, err)
		}
		reply, again := resolve(t, s.Addr())
		repeated += again
		if reply.Truncated {
			truncated++
			reply = exchangeFrom(t, "tcp", s.Addr())
		}
		require.Equal(t, []string{"value"}, texts(reply))
		answered++
	}
	require.NotZero(t, truncated, "the flood caused no limited answer")
	t.Logf(
		"%d idle connections of one client, %d of them closed by the server; %d forged questions; "+
			"a CA in their network asked %d times and was answered %d times, %d of them by TCP; %d questions by UDP were repeated",
		idle,
		closed.Load(),
		rounds*flood,
		rounds,
		answered,
		truncated,
		repeated,
	)
}

// TestD2_ManyClientsWithAConnectionEachKeepNobodyOut: when no client has more than one connection, the one that has been silent longest is
// closed.
func TestD2_ManyClientsWithAConnectionEachKeepNobodyOut(t *testing.T) {
	t.Parallel()
	const most = 100
	s := listening(t, func(s *dcv.Server) { s.SetConnections(most, time.Minute) })
	hold(t, s, 3*most, func(n int) string { return fmt.Sprintf("127.1.%d.%d", n/200, 1+n%200) })
	eventually(t, "the server has as many as it takes", func() bool { return s.Connections() == most })
	for range 20 {
		require.Equal(t, []string{"value"}, texts(exchangeFrom(t, "tcp", s.Addr())))
	}
	require.LessOrEqual(t, s.Connections(), most)
}

// TestD2_AConnectionEndsHoweverBusyItIs: a connection ends even while questions keep coming. Each question that was read is answered.
func TestD2_AConnectionEndsHoweverBusyItIs(t *testing.T) {
	t.Parallel()
	s := listening(t, func(s *dcv.Server) { s.SetConnections(10, 100*time.Millisecond) })
	conn := &dns.Conn{Conn: dialFrom(t, "tcp", ca, s.Addr())}
	now := time.NewTicker(2 * time.Millisecond)
	defer now.Stop()
	answered := 0
	for ; ; answered++ {
		<-now.C
		if conn.WriteMsg(new(dns.Msg).SetQuestion(apex+".", dns.TypeSOA)) != nil {
			break
		}
		if _, err := conn.ReadMsg(); err != nil {
			break
		}
	}
	require.NotZero(t, answered)
	require.Less(t, answered, 128, "package dns ends a connection after 128 questions by itself")
	eventually(t, "the server has closed it", func() bool { return s.Connections() == 0 })
}

func listening(t *testing.T, change func(*dcv.Server)) *dcv.Server {
	t.Helper()
	config := dcv.Config{Zone: apex, Listen: "127.0.0.1:0", TTL: time.Second}
	limits(&config)
	s, err := dcv.Listen(t.Context(), config, sameValue{}, quiet())
	require.NoError(t, err)
	change(s)
	serve(t, s)
	return s
}

// hold opens n TCP connections until the test ends, each idle after one question. It counts those that the server closes.
func hold(t *testing.T, s *dcv.Server, n int, from func(n int) string) *atomic.Int64 {
	t.Helper()
	closed := &atomic.Int64{}
	for i := range n {
		conn := dialFrom(t, "tcp", from(i), s.Addr())
		require.NoError(t, (&dns.Conn{Conn: conn}).WriteMsg(new(dns.Msg).SetQuestion(apex+".", dns.TypeSOA)))
		go func() {
			io.Copy(io.Discard, conn) //nolint:errcheck // the server's close ends it
			closed.Add(1)
		}()
	}
	return closed
}

func dialFrom(t *testing.T, network, from, to string) net.Conn {
	t.Helper()
	local := netip.AddrPortFrom(netip.MustParseAddr(from), 0)
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(local)}
	if network == "udp" {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(local)
	}
	conn, err := dialer.DialContext(t.Context(), network, to)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // the test's end
	return conn
}

// resolve asks by UDP as the CA's resolver does, and repeats a question that was lost: the flood also fills the socket's buffer.
func resolve(t *testing.T, server string) (reply *dns.Msg, repeated int) {
	t.Helper()
	conn := &dns.Conn{Conn: dialFrom(t, "udp", ca, server)}
	for ; repeated < 20; repeated++ {
		require.NoError(t, conn.WriteMsg(new(dns.Msg).SetQuestion(name+".", dns.TypeTXT)))
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Second)))
		if reply, err := conn.ReadMsg(); err == nil {
			return reply, repeated
		}
	}
	t.Fatal("the CA got no answer by UDP")
	return nil, 0
}

func exchangeFrom(t *testing.T, network, server string) *dns.Msg {
	t.Helper()
	conn := &dns.Conn{Conn: dialFrom(t, network, ca, server)}
	defer conn.Close() //nolint:errcheck // the answer is read
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	require.NoError(t, conn.WriteMsg(new(dns.Msg).SetQuestion(name+".", dns.TypeTXT)))
	reply, err := conn.ReadMsg()
	require.NoError(t, err)
	return reply
}
