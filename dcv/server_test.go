package dcv_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/dcv"
)

// dig asks a server as the tool dig does. Options are "+tcp", "+noedns", "+dnssec", "+bufsize=N", "+chaos".
func dig(t testing.TB, server, qname string, qtype uint16, options ...string) *dns.Msg {
	t.Helper()
	req := new(dns.Msg).SetQuestion(dns.Fqdn(qname), qtype)
	size, edns, dnssec, network := uint16(1232), true, false, "udp"
	for _, option := range options {
		switch option {
		case "+tcp":
			network = "tcp"
		case "+udp":
		case "+noedns":
			edns = false
		case "+dnssec":
			dnssec = true
		case "+chaos":
			req.Question[0].Qclass = dns.ClassCHAOS
		default:
			_, err := fmt.Sscanf(option, "+bufsize=%d", &size)
			require.NoError(t, err)
		}
	}
	if edns {
		req.SetEdns0(size, dnssec)
	}
	client := &dns.Client{Net: network, Timeout: 5 * time.Second}
	reply, _, err := client.ExchangeContext(t.Context(), req, server)
	require.NoError(t, err)
	return reply
}

func texts(m *dns.Msg) []string {
	var values []string
	for _, rr := range m.Answer {
		values = append(values, strings.Join(rr.(*dns.TXT).Txt, ""))
	}
	return values
}

// requireNegative checks NODATA or NXDOMAIN, and the SOA that limits how long resolvers cache it (RFC 2308).
func requireNegative(t *testing.T, rcode int, m *dns.Msg) {
	t.Helper()
	require.Equal(t, dns.RcodeToString[rcode], dns.RcodeToString[m.Rcode])
	require.True(t, m.Authoritative)
	require.Empty(t, m.Answer)
	require.Len(t, m.Ns, 1)
	soa := m.Ns[0].(*dns.SOA)
	require.Equal(t, apex+".", soa.Hdr.Name)
	require.EqualValues(t, 1, min(soa.Hdr.Ttl, soa.Minttl), "seconds for which a missing value is remembered")
}

func TestD2_ValuesAreAnsweredOverUDPAndTCP(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.txt[name] = []string{"first", "second"}
	s := start(t, m)
	for _, options := range [][]string{{}, {"+tcp"}, {"+noedns"}, {"+dnssec"}} {
		reply := dig(t, s.Addr(), name, dns.TypeTXT, options...)
		require.Equal(t, dns.RcodeSuccess, reply.Rcode)
		require.True(t, reply.Authoritative)
		require.False(t, reply.RecursionAvailable)
		require.Equal(t, []string{"first", "second"}, texts(reply))
		require.EqualValues(t, 1, reply.Answer[0].Header().Ttl)
	}
	require.True(t, dig(t, s.Addr(), name, dns.TypeTXT, "+dnssec").IsEdns0().Do(), "RFC 3225 §3")
	require.Nil(t, dig(t, s.Addr(), name, dns.TypeTXT, "+noedns").IsEdns0(), "RFC 6891 §7")
}

func TestServer_KeepsTheSpellingOfTheQuestion(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.txt[name] = []string{"value"}
	spelled := strings.ToUpper(label) + ".DcV.eXample.net."
	reply := dig(t, start(t, m).Addr(), spelled, dns.TypeTXT)
	require.Equal(t, spelled, reply.Question[0].Name)
	require.Equal(t, spelled, reply.Answer[0].Header().Name)
}

func TestServer_NegativeAnswers(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.txt[name] = []string{"value"}
	s := start(t, m)
	empty := strings.Repeat("a", 26) + "." + apex
	for _, c := range []struct {
		name  string
		qtype uint16
		rcode int
	}{
		{empty, dns.TypeTXT, dns.RcodeSuccess},
		{name, dns.TypeA, dns.RcodeSuccess},
		{name, dns.TypeCAA, dns.RcodeSuccess},
		{apex, dns.TypeTXT, dns.RcodeSuccess},
		{apex, dns.TypeA, dns.RcodeSuccess},
		{apex, dns.TypeDNSKEY, dns.RcodeSuccess},
		{"ns1." + apex, dns.TypeTXT, dns.RcodeSuccess},
		{"www." + apex, dns.TypeA, dns.RcodeNameError},
		{label + "3." + apex, dns.TypeTXT, dns.RcodeNameError},
		{strings.Repeat("1", 26) + "." + apex, dns.TypeTXT, dns.RcodeNameError},
		{"_acme-challenge." + name, dns.TypeTXT, dns.RcodeNameError},
		{"www." + apex, dns.TypeANY, dns.RcodeNameError},
	} {
		t.Run(c.name+" "+dns.TypeToString[c.qtype], func(t *testing.T) {
			requireNegative(t, c.rcode, dig(t, s.Addr(), c.name, c.qtype))
		})
	}
}

func TestServer_TheZoneItself(t *testing.T) {
	t.Parallel()
	s := start(t, newMemory(), func(c *dcv.Config) {
		c.Nameservers = []string{"ns.a." + apex, "NS.other.example."}
		c.Addresses = []string{"ns.a." + apex + "=192.0.2.53", "ns.a." + apex + "=2001:db8::53"}
	})
	reply := dig(t, s.Addr(), apex, dns.TypeNS)
	require.Len(t, reply.Answer, 2)
	require.Equal(t, "ns.a."+apex+".", reply.Answer[0].(*dns.NS).Ns)
	require.Equal(t, "ns.other.example.", reply.Answer[1].(*dns.NS).Ns)
	require.Len(t, reply.Extra, 3, "both addresses and OPT")

	reply = dig(t, s.Addr(), apex, dns.TypeSOA)
	require.Equal(t, "ns.a."+apex+".", reply.Answer[0].(*dns.SOA).Ns)
	require.Equal(t, "192.0.2.53", dig(t, s.Addr(), "ns.a."+apex, dns.TypeA).Answer[0].(*dns.A).A.String())
	require.Equal(t, "2001:db8::53", dig(t, s.Addr(), "ns.a."+apex, dns.TypeAAAA).Answer[0].(*dns.AAAA).AAAA.String())
	requireNegative(t, dns.RcodeSuccess, dig(t, s.Addr(), "a."+apex, dns.TypeA)) // an empty non-terminal exists (RFC 8020)

	reply = dig(t, s.Addr(), name, dns.TypeANY)
	require.Len(t, reply.Answer, 1)
	require.Equal(t, "RFC8482", reply.Answer[0].(*dns.HINFO).Cpu)
}

func TestServer_RefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	s := start(t, newMemory())
	for _, reply := range []*dns.Msg{
		dig(t, s.Addr(), "example.net", dns.TypeSOA),
		dig(t, s.Addr(), "x"+apex, dns.TypeTXT),
		dig(t, s.Addr(), ".", dns.TypeNS),
		dig(t, s.Addr(), "version.bind", dns.TypeTXT, "+chaos"),
		dig(t, s.Addr(), apex, dns.TypeSOA, "+chaos"),
		dig(t, s.Addr(), apex, dns.TypeAXFR, "+tcp"),
	} {
		require.Equal(t, dns.RcodeRefused, reply.Rcode, reply.Question)
		require.Empty(t, reply.Answer)
		require.Empty(t, reply.Ns)
		require.False(t, reply.Authoritative)
	}
}

// TestServer_AnyNumberOfValues: values that don't fit into a datagram are answered by TCP, as many as fit into a message.
func TestServer_AnyNumberOfValues(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for i := range 900 {
		m.txt[name] = append(m.txt[name], fmt.Sprintf("%043d", i))
	}
	s := start(t, m)
	for _, options := range [][]string{{}, {"+noedns"}, {"+bufsize=4096"}} {
		reply := dig(t, s.Addr(), name, dns.TypeTXT, options...)
		require.True(t, reply.Truncated)
		require.Empty(t, reply.Answer, "a part would be of no use and amplify")
	}
	reply := dig(t, s.Addr(), name, dns.TypeTXT, "+tcp")
	require.False(t, reply.Truncated)
	require.Equal(t, m.txt[name], texts(reply))
}

func TestServer_ValuesOfAnyContent(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.txt[name] = []string{strings.Repeat("x", 300), `back\slash "quoted" \065`}
	reply := dig(t, start(t, m).Addr(), name, dns.TypeTXT)
	require.Len(t, reply.Answer, 2)
	require.Len(t, reply.Answer[0].(*dns.TXT).Txt, 2, "255 octets each (RFC 1035 §3.3.14)")
	require.Equal(t, m.txt[name][0], texts(reply)[0])
	require.Equal(t, `back\\slash \"quoted\" \\065`, texts(reply)[1], "escaped by package dns")
}

func TestServer_AStoreThatFailsIsSERVFAIL(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.err = errors.New("connection refused")
	s := start(t, m)
	reply := dig(t, s.Addr(), name, dns.TypeTXT)
	require.Equal(t, dns.RcodeServerFailure, reply.Rcode)
	require.Empty(t, reply.Ns, "a resolver must not cache 'no value'")
	require.Equal(t, dns.RcodeSuccess, dig(t, s.Addr(), apex, dns.TypeSOA).Rcode, "what needs no store is still answered")
}

func TestServer_AStoreThatHangsIsSERVFAIL(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.hang = true
	require.Equal(t, dns.RcodeServerFailure, dig(t, start(t, m).Addr(), name, dns.TypeTXT).Rcode)
}

// TestServer_AFloodDoesNotPileUp: with a store that hangs, questions by UDP beyond a limit get a truncated answer, TCP still has its own
// places, and questions that don't need the store are answered.
func TestServer_AFloodDoesNotPileUp(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.hold = make(chan struct{})
	release := sync.OnceFunc(func() { close(m.hold) })
	defer release()
	s := start(t, m)
	conn, err := net.Dial("udp", s.Addr())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	packet, err := new(dns.Msg).SetQuestion(name+".", dns.TypeTXT).Pack()
	require.NoError(t, err)
	for len(m.asked) < 256 {
		_, err = conn.Write(packet)
		require.NoError(t, err)
	}
	for range 1000 {
		_, err = conn.Write(packet)
		require.NoError(t, err)
	}
	// By TCP, because the flood may fill the buffer of the UDP socket.
	require.Equal(t, dns.RcodeSuccess, dig(t, s.Addr(), apex, dns.TypeSOA, "+tcp").Rcode)
	require.Len(t, m.asked, 256)

	byTCP, err := dns.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer func() { require.NoError(t, byTCP.Close()) }()
	require.NoError(t, byTCP.WriteMsg(new(dns.Msg).SetQuestion(name+".", dns.TypeTXT)))
	eventually(t, "the question by TCP reaches the store", func() bool { return len(m.asked) == 257 })
	require.NoError(t, (&dns.Conn{Conn: conn}).SetReadDeadline(time.Now().Add(10*time.Second)))
	reply, err := (&dns.Conn{Conn: conn}).ReadMsg()
	require.NoError(t, err)
	require.True(t, reply.Truncated, "the 257th by UDP")
	release()
	reply, err = byTCP.ReadMsg()
	require.NoError(t, err)
	require.False(t, reply.Truncated)
}

func TestServer_ManyAtOnce(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.txt[name] = []string{"value"}
	s := start(t, m)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			options := [][]string{{}, {"+tcp"}}[i%2]
			reply := dig(t, s.Addr(), name, dns.TypeTXT, options...)
			if len(reply.Answer) != 1 {
				t.Errorf("%v", reply)
			}
		})
	}
	wg.Wait()
}

func TestServer_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	m := newMemory()
	s, err := dcv.Listen(t.Context(), dcv.Config{Zone: apex, Listen: "127.0.0.1:0"}, m, quiet())
	require.NoError(t, err)
	idle, err := net.Dial("tcp", s.Addr()) // must not delay the shutdown
	require.NoError(t, err)
	defer func() { require.NoError(t, idle.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.Serve(ctx))

	again, err := dcv.Listen(t.Context(), dcv.Config{Zone: apex, Listen: s.Addr()}, m, quiet())
	require.NoError(t, err, "the port is free again")
	require.NoError(t, again.Serve(ctx))
}

func TestServer_CAAOfTheZoneItself(t *testing.T) {
	t.Parallel()
	s := start(t, newMemory(), func(c *dcv.Config) {
		c.CAA = `0 issue "letsencrypt.org; validationmethods=dns-01,http-01",128 issuewild ";", 0 iodef "mailto:security@example.net"`
	})
	reply := dig(t, s.Addr(), "DCV.example.net", dns.TypeCAA)
	require.True(t, reply.Authoritative)
	var records []string
	for _, rr := range reply.Answer {
		require.Equal(t, "DCV.example.net.", rr.Header().Name)
		caa := rr.(*dns.CAA)
		records = append(records, fmt.Sprintf("%d %s %q", caa.Flag, caa.Tag, caa.Value))
	}
	require.Equal(t, []string{
		`0 issue "letsencrypt.org; validationmethods=dns-01,http-01"`, `128 issuewild ";"`, `0 iodef "mailto:security@example.net"`,
	}, records)
	// Names below the apex have no CAA records of their own: a CA climbs from them to the apex (RFC 8659 §3).
	requireNegative(t, dns.RcodeSuccess, dig(t, s.Addr(), name, dns.TypeCAA))
	requireNegative(t, dns.RcodeSuccess, dig(t, start(t, newMemory()).Addr(), apex, dns.TypeCAA))
}
