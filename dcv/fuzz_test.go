package dcv

import (
	"context"
	"encoding/binary"
	"log/slog"
	"testing"

	"github.com/miekg/dns"
)

type fixed []string

func (f fixed) TXT(context.Context, string) ([]string, error) { return f, nil }

// FuzzServer sends arbitrary packets to the server. Each must get either no answer, or an answer that has the QR bit and fits its
// transport. A truncated answer must hold no values.
func FuzzServer(f *testing.F) {
	const name = "abcdefghijklmnopqrstuvwx23.dcv.example.net."
	for _, m := range []*dns.Msg{
		new(dns.Msg).SetQuestion(name, dns.TypeTXT),
		new(dns.Msg).SetQuestion(name, dns.TypeANY).SetEdns0(4096, true),
		new(dns.Msg).SetQuestion("dcv.example.net.", dns.TypeNS),
		new(dns.Msg).SetQuestion("WWW.dcv.Example.net.", dns.TypeA).SetEdns0(0, false),
		new(dns.Msg).SetQuestion(".", dns.TypeAXFR),
		new(dns.Msg).SetNotify("dcv.example.net."),
	} {
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	f.Add([]byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x10\x00\x01"))
	values := make(fixed, 40)
	for i := range values {
		values[i] = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
	}
	s := &Server{
		zone: newZone(Config{Zone: "dcv.example.net", Addresses: []string{"ns1.dcv.example.net=192.0.2.53"}}), stored: values,
		log: slog.New(slog.DiscardHandler), lookups: newLookups(),
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) < 12 || accept(headerOf(packet)) != dns.MsgAccept {
			return
		}
		req := new(dns.Msg)
		if err := req.Unpack(packet); err != nil {
			return
		}
		for _, network := range []string{"udp", "tcp"} {
			m := s.reply(context.Background(), req, network)
			fit(m, req, network)
			reply, err := m.Pack()
			if err != nil {
				t.Fatalf("the answer to %v can't be sent: %v", req, err)
			}
			if !m.Response || m.Id != req.Id || len(req.Question) == 1 && m.Question[0] != req.Question[0] {
				t.Errorf("%v answers %v", m, req)
			}
			limit := map[string]int{"udp": dns.MinMsgSize, "tcp": dns.MaxMsgSize}[network]
			if network == "udp" && req.IsEdns0() != nil {
				limit = ednsSize
			}
			if len(reply) > limit {
				t.Errorf("%d bytes by %s", len(reply), network)
			}
			if m.Truncated && len(m.Answer) > 0 {
				t.Error("a truncated answer has a part of the values")
			}
		}
	})
}

func headerOf(packet []byte) dns.Header {
	field := func(i int) uint16 { return binary.BigEndian.Uint16(packet[2*i:]) }
	return dns.Header{Id: field(0), Bits: field(1), Qdcount: field(2), Ancount: field(3), Nscount: field(4), Arcount: field(5)}
}
