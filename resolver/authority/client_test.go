package authority_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

func TestAsk_OddServers(t *testing.T) {
	t.Parallel()
	const question = "www.example.test. TXT"
	for _, c := range []struct {
		name  string
		twist func(m *dns.Msg, network string) *dns.Msg
		udp   int // packets of the question
		tcp   int
		fails string
		rcode int
	}{
		{name: "as it should be", udp: 1},
		{name: "repeats the question in lower case", udp: 1, tcp: 1, twist: func(m *dns.Msg, _ string) *dns.Msg {
			m.Question[0].Name = strings.ToLower(m.Question[0].Name)
			return m
		}},
		{name: "repeats it in lower case and has no TCP", udp: 2, tcp: 1, twist: func(m *dns.Msg, network string) *dns.Msg {
			if m.Question[0].Name = strings.ToLower(m.Question[0].Name); network == "tcp" {
				return nil
			}
			return m
		}},
		{name: "writes names as it likes", udp: 1, twist: func(m *dns.Msg, _ string) *dns.Msg {
			for i, rr := range m.Answer {
				m.Answer[i] = dns.Copy(rr)
				m.Answer[i].Header().Name = strings.ToUpper(rr.Header().Name)
			}
			return m
		}},
		{name: "FORMERR for EDNS", udp: 2, twist: withoutEDNS(dns.RcodeFormatError, false)},
		{name: "FORMERR for EDNS, without the question", udp: 2, twist: withoutEDNS(dns.RcodeFormatError, true)},
		{name: "NOTIMP for EDNS", udp: 2, twist: withoutEDNS(dns.RcodeNotImplemented, false)},
		{name: "BADVERS", udp: 2, twist: func(m *dns.Msg, _ string) *dns.Msg {
			if m.IsEdns0() != nil {
				m.Rcode, m.Answer = dns.RcodeBadVers, nil
			}
			return m
		}},
		{name: "FORMERR for everything", udp: 2, rcode: dns.RcodeFormatError, twist: func(m *dns.Msg, _ string) *dns.Msg {
			m.Rcode, m.Answer = dns.RcodeFormatError, nil
			return m
		}},
		{name: "TCP only", udp: 1, tcp: 1, twist: func(m *dns.Msg, network string) *dns.Msg {
			if network == "udp" {
				m.Truncated, m.Answer = true, nil
			}
			return m
		}},
		{name: "FORMERR for EDNS, then TCP", udp: 2, tcp: 1, twist: func(m *dns.Msg, network string) *dns.Msg {
			if m = withoutEDNS(dns.RcodeFormatError, false)(m, network); network == "udp" && m.Rcode == dns.RcodeSuccess {
				m.Truncated, m.Answer = true, nil
			}
			return m
		}},
		{name: "FORMERR for EDNS, and lower case without", udp: 2, tcp: 1, twist: func(m *dns.Msg, network string) *dns.Msg {
			if m.IsEdns0() == nil {
				m.Question[0].Name = strings.ToLower(m.Question[0].Name)
			}
			return withoutEDNS(dns.RcodeFormatError, true)(m, network)
		}},
		{name: "refuses without the question", udp: 1, rcode: dns.RcodeRefused, twist: func(m *dns.Msg, _ string) *dns.Msg {
			m.Rcode, m.Question, m.Answer = dns.RcodeRefused, nil, nil
			return m
		}},
		{name: "answers another type", udp: 3, fails: "no answer in time", twist: func(m *dns.Msg, _ string) *dns.Msg {
			m.Question[0].Qtype = dns.TypeA
			return m
		}},
		{name: "answers another name", udp: 3, fails: "no answer in time", twist: func(m *dns.Msg, _ string) *dns.Msg {
			m.Question[0].Name = "other.example.test."
			return m
		}},
		{name: "answers another id", udp: 3, fails: "no answer in time", twist: func(m *dns.Msg, _ string) *dns.Msg {
			m.Id++
			return m
		}},
		{name: "sends the question back", udp: 3, fails: "no answer in time", twist: func(m *dns.Msg, _ string) *dns.Msg {
			m.Response = false
			return m
		}},
		{name: "has nothing but a header", udp: 3, fails: "no answer in time", twist: func(m *dns.Msg, _ string) *dns.Msg {
			m.Question, m.Answer = nil, nil
			return m
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := healthy(t, 0)
			w.zone("example.test.", exampleZone+"\nwww.example.test. TXT yes", 4)
			if c.twist != nil { // but only where the tenant's record is concerned
				w.twist(func(m *dns.Msg, network string) *dns.Msg {
					if m.Question[0].Qtype != dns.TypeTXT {
						return m
					}
					return c.twist(m, network)
				}, 4)
			}
			tree := w.tree(func(config *authority.Config) {
				if c.fails != "" {
					impatient(config)
				}
			})
			z, err := tree.Zone(w.context(), "www.example.test")
			require.NoError(t, err)
			m, err := tree.Ask(w.context(), z, 0, "www.example.test", dns.TypeTXT)
			require.Equal(t, c.udp, w.asked(4, question+" udp"))
			require.Equal(t, c.tcp, w.asked(4, question+" tcp"))
			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
				require.NotContains(t, err.Error(), w.network)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.rcode, m.Rcode)
			if c.rcode == dns.RcodeSuccess {
				require.Equal(t, "www.example.test.", m.Question[0].Name)
				require.Len(t, m.Answer, 1)
				require.Equal(t, "www.example.test.", m.Answer[0].Header().Name)
			}
		})
	}
}

// withoutEDNS is a server that has never heard of it.
func withoutEDNS(rcode int, headerOnly bool) func(*dns.Msg, string) *dns.Msg {
	return func(m *dns.Msg, _ string) *dns.Msg {
		if m.IsEdns0() != nil {
			m.Rcode, m.Answer, m.Extra = rcode, nil, nil
			if headerOnly {
				m.Question = nil
			}
		}
		return m
	}
}

func TestAsk_LostAndForgedPackets(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	seen := 0
	w.twist(func(m *dns.Msg, _ string) *dns.Msg {
		if seen++; seen%2 == 1 { // every question is lost the first time
			return nil
		}
		return m
	}, 4)
	require.Len(t, w.find("example.test", impatient).Answering(), 2)
}

func TestAsk_BigAnswers(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	big := exampleZone
	for i := range 200 {
		big += fmt.Sprintf("\nbig.example.test. TXT %q", strings.Repeat(fmt.Sprint(i%10), 200)+fmt.Sprint(i))
	}
	w.zone("example.test.", big, 4)
	tree := w.tree()
	z, err := tree.Zone(w.context(), "example.test")
	require.NoError(t, err)
	m, err := tree.Ask(w.context(), z, 0, "big.example.test", dns.TypeTXT)
	require.NoError(t, err)
	require.Len(t, m.Answer, 200)
}

func TestAsk_ClosedServer(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.zone("test.", "example.test. NS ns1.example.test.\nexample.test. NS closed.example.test.\nns1.example.test. A "+
		"$4\nclosed.example.test. A "+w.network+"250", 2)
	z := w.find("example.test")
	require.Equal(t, authority.Unreachable, z.Servers[0].State)
	require.Equal(t, "it refuses connections", z.Servers[0].Detail)
	require.Equal(t, authority.Answers, z.Servers[1].State)
}

func TestAsk_NoWayToServer(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	// No machine has a way to a link-local address without its link: what isn't reached from here is nobody's fault.
	w.zone("test.", "example.test. NS ns1.example.test.\nexample.test. NS ns6.example.test.\nns1.example.test. A $4\nns6.example.test. "+
		"AAAA fe80::1", 2)
	z := w.find("example.test")
	require.Equal(t, authority.NotAsked, z.Servers[1].State)
	require.NotContains(t, kinds(z), authority.UnreachableServer)
}

func TestAsk_SlotsBoundSockets(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	slots := make(chan struct{}, 1)
	bounded := func(c *authority.Config) { c.Slots = slots }
	require.Len(t, w.find("www.example.test", bounded).Answering(), 2)
	require.Empty(t, slots, "all slots are given back")

	slots <- struct{}{} // somebody else's question is under way
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, err := w.tree(bounded).Zone(ctx, "www.example.test"); ended <- err }()
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
