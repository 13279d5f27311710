package dcv_test

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// send writes bytes to the server and returns its answer, or nil when there is none. It uses TCP, where questions are answered in order,
// and asks for the SOA afterwards. So it notices a missing answer without waiting.
func send(t testing.TB, server string, packet []byte) *dns.Msg {
	t.Helper()
	raw, err := net.Dial("tcp", server)
	require.NoError(t, err)
	conn := &dns.Conn{Conn: raw}
	defer func() { require.NoError(t, conn.Close()) }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
	_, err = conn.Write(packet)
	require.NoError(t, err)
	probe := new(dns.Msg).SetQuestion(apex+".", dns.TypeSOA)
	probe.Id = 4711
	require.NoError(t, conn.WriteMsg(probe))
	reply, err := conn.ReadMsg()
	require.NoError(t, err)
	if reply.Id == probe.Id {
		return nil
	}
	return reply
}

func TestServer_OddMessages(t *testing.T) {
	t.Parallel()
	s := start(t, newMemory())
	question := func(change func(*dns.Msg)) []byte {
		m := new(dns.Msg).SetQuestion(name+".", dns.TypeTXT)
		m.Id = 1
		change(m)
		packet, err := m.Pack()
		require.NoError(t, err)
		return packet
	}
	opt := func(version uint8) *dns.OPT {
		o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
		o.SetUDPSize(1232)
		o.SetVersion(version)
		return o
	}
	for _, c := range []struct {
		name   string
		packet []byte
		rcode  int // -1: no answer
	}{
		{"an answer", question(func(m *dns.Msg) { m.Response = true }), -1},
		{"a few bytes", []byte("abc"), -1},
		{"a header that promises a question", []byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, dns.RcodeFormatError},
		{"no question", question(func(m *dns.Msg) { m.Question = nil }), dns.RcodeFormatError},
		{"two questions", question(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError},
		{"an answer section", question(func(m *dns.Msg) {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeA, Class: 1}, A: net.IPv4zero}}
		}), dns.RcodeFormatError},
		{"NOTIFY", question(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented},
		{"UPDATE", question(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented},
		{"EDNS of the future", question(func(m *dns.Msg) { m.Extra = []dns.RR{opt(1)} }), dns.RcodeBadVers},
		{"EDNS twice", question(func(m *dns.Msg) { m.Extra = []dns.RR{opt(0), opt(0)} }), dns.RcodeFormatError},
		{"class ANY", question(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }), dns.RcodeRefused},
		{"IXFR", question(func(m *dns.Msg) { m.SetIxfr(apex+".", 1, "ns1."+apex+".", "x."+apex+"."); m.Id = 1 }), dns.RcodeRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reply := send(t, s.Addr(), c.packet)
			if c.rcode == -1 {
				require.Nil(t, reply)
				return
			}
			require.NotNil(t, reply)
			require.Equal(t, dns.RcodeToString[c.rcode], dns.RcodeToString[reply.Rcode])
			require.Empty(t, reply.Answer)
		})
	}
}
