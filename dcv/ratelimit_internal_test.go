package dcv

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// limited is a rateLimit whose clock moves only when the test moves it.
type limited struct {
	*rateLimit
	clock time.Duration
	log   strings.Builder
}

func newLimited(perSecond int, exempt ...string) *limited {
	l := &limited{}
	l.rateLimit = newRateLimit(Config{RateLimit: perSecond, RateExempt: exempt}, slog.New(slog.NewTextHandler(&l.log, nil)))
	l.now = func() time.Duration { return l.clock }
	return l
}

func from(address string) net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 4711))
}

// ask asks for n answers and counts those that are sent whole.
func (l *limited) ask(t *testing.T, address string, n int) (whole int) {
	t.Helper()
	for range n {
		if l.take(t.Context(), from(address)) == sendWhole {
			whole++
		}
	}
	return whole
}

func TestRateLimit_CountsByNetwork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, same, other string }{
		{"192.0.2.1", "192.0.2.254", "192.0.3.1"},
		{"2001:db8:0:100::1", "2001:db8:0:1ff:ffff::1", "2001:db8:0:200::1"},
		{"::ffff:192.0.2.1", "192.0.2.2", "::192.0.2.1"},
	} {
		l := newLimited(10)
		require.Equal(t, 10, l.ask(t, c.first, 15), c.first)
		require.Zero(t, l.ask(t, c.same, 3), c.same)
		require.Equal(t, 10, l.ask(t, c.other, 10), c.other)
	}
}

func TestRateLimit_GrowsBackWithTime(t *testing.T) {
	t.Parallel()
	l := newLimited(10)
	const address = "192.0.2.1"
	l.ask(t, address, 100)
	l.clock += 300 * time.Millisecond
	whole := l.ask(t, address, 100)
	require.Equal(t, 3, whole)
	l.clock += time.Hour // no more than a second's answers are saved up
	whole = l.ask(t, address, 100)
	require.Equal(t, 10, whole)
}

// TestRateLimit_CAsAndResolversPass: the default allows the questions that public resolvers and CAs send to a platform that orders several
// certificates a second: from five places each, with varied case, and for NS and CAA too.
func TestRateLimit_CAsAndResolversPass(t *testing.T) {
	t.Parallel()
	l := newLimited(200)
	for range 600 { // a minute in steps of a tenth of a second
		for _, address := range []string{"192.0.2.1", "192.0.2.77", "198.51.100.9", "203.0.113.5", "2001:db8::53"} {
			whole := l.ask(t, address, 10) // the first two addresses belong to one network
			require.Equal(t, 10, whole, address)
		}
		l.clock += 100 * time.Millisecond
	}
}

func TestRateLimit_ExemptsNetworksAndTCP(t *testing.T) {
	t.Parallel()
	l := newLimited(1, "127.0.0.0/8", "192.0.2.128/25", "2001:db8::/32")
	for _, address := range []string{"127.0.0.1", "::ffff:127.0.0.1", "192.0.2.200", "2001:db8::1"} {
		whole := l.ask(t, address, 10)
		require.Equal(t, 10, whole, address)
	}
	whole := l.ask(t, "192.0.2.1", 10)
	require.Equal(t, 1, whole)
	for range 10 {
		require.Equal(t, sendWhole, l.take(t.Context(), &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711}))
	}
	require.Equal(t, sendWhole, (*rateLimit)(nil).take(t.Context(), from("192.0.2.1")), "0 is no limit")
}

// TestRateLimit_AFloodFromManyNetworksFreesNone: the table is full of the attacker's networks, and the network that was limited before
// still is. Networks that are new get an answer all the same.
func TestRateLimit_AFloodFromManyNetworksFreesNone(t *testing.T) {
	t.Parallel()
	l := newLimited(10)
	const victim = "192.0.2.1"
	l.ask(t, victim, 10)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same sequence in each run
	for range 20 * rateSets * rateWays {
		var octets [16]byte
		binary.BigEndian.PutUint64(octets[:], random.Uint64())
		l.takeFrom(network(netip.AddrFrom16(octets)))
	}
	whole := l.ask(t, victim, 10)
	require.Zero(t, whole)
	whole = l.ask(t, "198.51.100.1", 1)
	require.Equal(t, 1, whole)
	require.LessOrEqual(t, int(unsafe.Sizeof(rateSet{}))*len(l.sets), 2<<20, "octets of memory, whatever comes")
}

func TestRateLimit_TellsTheLogNowAndThen(t *testing.T) {
	t.Parallel()
	l := newLimited(1)
	l.ask(t, "192.0.2.1", 101)
	require.Equal(t, 1, strings.Count(l.log.String(), "DCV_RATE_LIMIT"))
	l.clock += rateLogEvery
	l.ask(t, "192.0.2.1", 3)
	require.Equal(t, 2, strings.Count(l.log.String(), "DCV_RATE_LIMIT"))
	require.Contains(t, l.log.String(), "limited_answers=100", "those since the line before")
	require.Contains(t, l.log.String(), "last_asker=192.0.2.1")
}

// written is a dns.ResponseWriter for UDP that keeps what is written.
type written struct {
	dns.ResponseWriter
	asker   net.Addr
	replies []*dns.Msg
}

func (w *written) RemoteAddr() net.Addr { return w.asker }
func (w *written) LocalAddr() net.Addr  { return from("192.0.2.53") }

func (w *written) WriteMsg(m *dns.Msg) error {
	w.replies = append(w.replies, m)
	return nil
}

// TestServer_LimitedAnswersDoNotAmplify: an answer to a forged address is not longer than the question, whatever is asked, and the store is
// not read for it.
func TestServer_LimitedAnswersDoNotAmplify(t *testing.T) {
	t.Parallel()
	l := newLimited(1)
	s := &Server{
		zone:   newZone(Config{Zone: "dcv.example.net"}),
		stored: nil, /* would panic */
		log:    slog.New(slog.DiscardHandler),
		rate:   l.rateLimit,
	}
	l.ask(t, "192.0.2.1", 1)
	for _, req := range []*dns.Msg{
		new(dns.Msg).SetQuestion("abcdefghijklmnopqrstuvwx23.dcv.example.net.", dns.TypeTXT),
		new(dns.Msg).SetQuestion("ABCDEFGHIJKLMNOPQRSTUVWX23.dcv.example.net.", dns.TypeTXT).SetEdns0(4096, true),
		new(dns.Msg).SetQuestion("dcv.example.net.", dns.TypeANY).SetEdns0(1232, false),
		new(dns.Msg).SetQuestion("example.org.", dns.TypeNS),
	} {
		w := &written{asker: from("192.0.2.99")}
		for range 10 {
			s.serve(t.Context(), w, req)
		}
		require.Len(t, w.replies, 10, "each question has an answer")
		for _, reply := range w.replies {
			require.True(t, reply.Truncated)
			require.True(t, reply.Response)
			require.Equal(t, req.Id, reply.Id)
			require.Equal(t, req.Question, reply.Question)
			require.Empty(t, reply.Answer)
			require.Empty(t, reply.Ns)
			require.LessOrEqual(t, reply.Len(), req.Len())
			require.Equal(t, req.IsEdns0() != nil, reply.IsEdns0() != nil)
		}
	}
}

func BenchmarkRateLimit(b *testing.B) {
	l := newRateLimit(Config{RateLimit: 200, RateExempt: []string{"127.0.0.0/8", "::1/128"}}, slog.New(slog.DiscardHandler))
	asker := from("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		l.take(b.Context(), asker)
	}
}
