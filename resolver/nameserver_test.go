package resolver_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

// nameserver is an authoritative server on loopback. It gives referrals to what its zones delegate. It knows neither wildcards nor
// DNSSEC: the world of package authority and package dnslab do.
type nameserver struct {
	text     map[string]string // zones by origin, in which names may be relative
	careless bool              // sets the AA bit on referrals too

	zones map[string][]dns.RR
}

// listenOn finds a port that is free for UDP and TCP on each of the addresses.
func listenOn(t testing.TB, addresses []string) ([]net.PacketConn, []net.Listener) {
	t.Helper()
	for range 20 {
		var packets []net.PacketConn
		var listeners []net.Listener
		port := "0"
		for _, address := range addresses {
			udp, err := net.ListenPacket("udp", net.JoinHostPort(address, port))
			if err != nil {
				break
			}
			packets = append(packets, udp)
			tcp, err := net.Listen("tcp", udp.LocalAddr().String())
			if err != nil {
				break
			}
			listeners = append(listeners, tcp)
			_, port, _ = net.SplitHostPort(udp.LocalAddr().String())
		}
		if len(listeners) == len(addresses) {
			return packets, listeners
		}
		for _, udp := range packets {
			require.NoError(t, udp.Close())
		}
		for _, tcp := range listeners {
			require.NoError(t, tcp.Close())
		}
	}
	t.Fatal("no port is free on all addresses")
	return nil, nil
}

// ask makes the diagnosis ask these servers, of which the first is the root and the nth has the nth of the loopbacks. They end with
// the test.
func (s *setup) ask(t testing.TB, servers ...*nameserver) {
	t.Helper()
	packets, listeners := listenOn(t, loopbacks[:len(servers)])
	for i, server := range servers {
		server.zones = map[string][]dns.RR{}
		for origin, text := range server.text {
			parser := dns.NewZoneParser(strings.NewReader(s.fill("$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n"+text+"\n")), origin, "")
			for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
				server.zones[origin] = append(server.zones[origin], rr)
			}
			require.NoError(t, parser.Err())
		}
		serve(t, packets[i], listeners[i], server)
	}
	root := netip.MustParseAddrPort(packets[0].LocalAddr().String())
	s.config = func(c *resolver.Config) {
		c.RootHints, c.AuthorityPort = []string{root.String()}, root.Port()
		c.TrustAnchors, c.ProbeAllow = []string{"none"}, []string{"127.0.0.0/8"}
	}
}

var loopbacks = []string{"127.0.0.11", "127.0.0.12", "127.0.0.13"}

// rootZone holds the platform's names, and leaves example.com to the servers at the given places in loopbacks.
func rootZone(places ...int) string {
	text := "@ NS ns\nns A " + loopbacks[0] + "\nshops.platform.net A 192.0.2.10\n" +
		"shops.platform.net AAAA 2001:db8::10\n$DELEGATION. HINFO here there\n"
	for _, place := range places {
		text += fmt.Sprintf("example.com NS ns%d.example.com\nns%d.example.com A %s\n", place, place, loopbacks[place])
	}
	return text
}

// inZone begins the text of example.com, with all its records but the ownership's.
const inZone = "@ NS ns1\nns1 A 127.0.0.12\n_acme-challenge.shop CNAME $DELEGATION.\nshop CNAME shops.platform.net.\n"

// ServeDNS answers as RFC 1034 §4.3.2 has it.
func (n *nameserver) ServeDNS(rw dns.ResponseWriter, req *dns.Msg) {
	m, q := new(dns.Msg).SetReply(req), req.Question[0]
	n.answer(m, dns.CanonicalName(q.Name), q.Qtype)
	rw.WriteMsg(m) //nolint:errcheck // a client that left shows in the test
}

func (n *nameserver) answer(m *dns.Msg, name string, qtype uint16) {
	origin := ""
	for held := range n.zones {
		if dns.IsSubDomain(held, name) && len(held) > len(origin) {
			origin = held
		}
	}
	if origin == "" {
		m.Rcode = dns.RcodeRefused
		return
	}
	exists := false
	var soa, glue []dns.RR
	for _, rr := range n.zones[origin] {
		h := rr.Header()
		exists = exists || dns.IsSubDomain(name, h.Name)
		switch {
		case h.Rrtype == dns.TypeNS && h.Name != origin && dns.IsSubDomain(h.Name, name):
			m.Ns = append(m.Ns, rr)
		case h.Name == name && (h.Rrtype == qtype || h.Rrtype == dns.TypeCNAME):
			m.Answer = append(m.Answer, rr)
		case h.Rrtype == dns.TypeSOA:
			soa = append(soa, rr)
		case h.Rrtype == dns.TypeA:
			glue = append(glue, rr)
		}
	}
	if len(m.Ns) > 0 {
		m.Authoritative, m.Answer, m.Extra = n.careless, nil, glue
		return
	}
	if m.Authoritative = true; len(m.Answer) == 0 {
		m.Ns = soa
	}
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
}

// TestD4_AReferralWithTheAABitIsFollowed: some servers set the bit by mistake. The tenant's record is in the zone that they refer to.
func TestD4_AReferralWithTheAABitIsFollowed(t *testing.T) {
	t.Parallel()
	for _, careless := range []bool{false, true} {
		t.Run(fmt.Sprintf("AA is %t", careless), func(t *testing.T) {
			t.Parallel()
			s := setup{}
			s.ask(t, &nameserver{text: map[string]string{".": rootZone(1)}},
				&nameserver{
					careless: careless,
					text:     map[string]string{"example.com.": inZone + "_evercert.shop NS ns._evercert.shop\nns._evercert.shop A " + loopbacks[2]},
				},
				&nameserver{text: map[string]string{"_evercert.shop.example.com.": "@ NS ns\nns A " + loopbacks[2] + "\n@ TXT $OWNERSHIP"}})
			d := s.diagnose(t)
			require.Empty(t, d.Problems)
			require.Equal(t, cert.OK, d.Verdict)
			require.Equal(t, []string{s.fill(`TXT "$OWNERSHIP"`)}, d.Records[0].Found)
		})
	}
}

// TestD5_ServersThatDifferOverOwnershipAreAWarning: what blocks is the record that one of them lacks.
func TestD5_ServersThatDifferOverOwnershipAreAWarning(t *testing.T) {
	t.Parallel()
	s := setup{}
	zone := inZone + "@ NS ns2\nns2 A " + loopbacks[2] + "\n"
	s.ask(t, &nameserver{text: map[string]string{".": rootZone(1, 2)}},
		&nameserver{text: map[string]string{"example.com.": zone + "_evercert.shop TXT $OWNERSHIP"}},
		&nameserver{text: map[string]string{"example.com.": zone}})
	d := s.diagnose(t)
	require.Equal(t, cert.Wrong, d.Verdict)
	require.Equal(t, []cert.Code{cert.OwnershipMissing}, blocking(d))
	require.Len(t, d.Problems, 2)
	require.Equal(t, cert.AnswersDiffer, d.Problems[1].Code)
	require.Equal(t, cert.Warns, d.Problems[1].Severity)
}
