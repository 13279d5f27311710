package authority_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

func TestZone_ServersThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	serve := func(change func(m *dns.Msg)) func(*dns.Msg, string) *dns.Msg {
		return func(m *dns.Msg, _ string) *dns.Msg { change(m); return m }
	}
	ns := func(owner string) dns.RR {
		return &dns.NS{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60}, Ns: "ns.elsewhere."}
	}
	for _, c := range []struct {
		name  string
		twist func(*dns.Msg, string) *dns.Msg
		state authority.State
		says  string
	}{
		{"silent", func(*dns.Msg, string) *dns.Msg { return nil }, authority.Unreachable, "no answer in time"},
		{"refuses", serve(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeRefused, nil }), authority.Lame, "REFUSED"},
		{"fails", serve(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeServerFailure, nil }), authority.Failing, "SERVFAIL"},
		{
			"a resolver", serve(func(m *dns.Msg) { m.Authoritative, m.RecursionAvailable = false, true }), authority.Lame,
			"from a cache, without authority",
		},
		{"leaves out the AA bit", serve(func(m *dns.Msg) { m.Authoritative = false }), authority.Answers, ""},
		{
			"points up", serve(func(m *dns.Msg) { m.Authoritative, m.Answer, m.Ns = false, nil, []dns.RR{ns(".")} }), authority.Lame,
			"points to other servers",
		},
		{
			"points to itself", serve(func(m *dns.Msg) { m.Authoritative, m.Answer, m.Ns = false, nil, []dns.RR{ns("example.test.")} }),
			authority.Lame, "points to other servers",
		},
		{"has another zone", serve(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeNameError, nil }), authority.Lame, "doesn't exist"},
		{"empty", serve(func(m *dns.Msg) { m.Authoritative, m.Answer = false, nil }), authority.Lame, "without authority"},
		{"has no TCP, and answers that need it", func(m *dns.Msg, network string) *dns.Msg {
			if m.Truncated = true; network == "tcp" {
				return nil
			}
			return m
		}, authority.Unreachable, "over TCP"},
		{"implements nothing", serve(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeNotImplemented, nil }), authority.Lame, "NOTIMP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := healthy(t, 0)
			w.twist(c.twist, 5)
			z := w.find("www.example.test", impatient)
			require.Equal(t, authority.Answers, z.Servers[0].State)
			require.Equal(t, c.state, z.Servers[1].State)
			require.Contains(t, z.Servers[1].Detail, c.says)
			require.NotContains(t, z.Servers[1].Detail, w.network, "no sockets in what tenants read")
			kind := map[authority.State][]authority.FaultKind{
				authority.Unreachable: {authority.UnreachableServer}, authority.Lame: {authority.LameServer},
				authority.Failing: {authority.FailingServer},
			}
			require.Equal(t, kind[c.state], kinds(z))
		})
	}
}

// TestF1_LoadBalancers that answer what a CA asks for, and not who holds the zone.
func TestF1_LoadBalancers(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func(m *dns.Msg) *dns.Msg{
		"REFUSED":  func(m *dns.Msg) *dns.Msg { m.Rcode = dns.RcodeRefused; return m },
		"SERVFAIL": func(m *dns.Msg) *dns.Msg { m.Rcode = dns.RcodeServerFailure; return m },
		"NOTIMP":   func(m *dns.Msg) *dns.Msg { m.Rcode = dns.RcodeNotImplemented; return m },
		"NXDOMAIN": func(m *dns.Msg) *dns.Msg { m.Rcode = dns.RcodeNameError; return m },
		"silent":   func(*dns.Msg) *dns.Msg { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := healthy(t, 1)
			w.zone("example.test.", exampleZone+"\nshop.example.test. NS ns.shop.example.test.\nns.shop.example.test. A $6", 4, 5)
			w.zone("shop.example.test.", "shop.example.test. A 192.0.2.1\n_acme-challenge.shop.example.test. TXT here", 6)
			w.twist(func(m *dns.Msg, _ string) *dns.Msg {
				if qtype := m.Question[0].Qtype; qtype == dns.TypeSOA || qtype == dns.TypeNS {
					m.Answer, m.Ns = nil, nil
					return fails(m)
				}
				return m
			}, 6)
			tree := w.tree(impatient)
			for _, name := range []string{"shop.example.test.", "_acme-challenge.shop.example.test."} {
				z, err := tree.Zone(w.context(), name)
				require.NoError(t, err)
				require.Equal(t, "shop.example.test.", z.Name)
				require.Len(t, z.Answering(), 1, "%v", z.Servers)
				require.Empty(t, z.Faults())
				m, err := tree.Ask(w.context(), z, 0, name, dns.TypeTXT)
				require.NoError(t, err)
				require.Equal(t, dns.RcodeSuccess, m.Rcode)
			}
		})
	}
}

// TestF1_OnlyServersThatAnswerFromACache: resolvers ask those, too, when there are no others.
func TestF1_OnlyServersThatAnswerFromACache(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	cached := func(m *dns.Msg, _ string) *dns.Msg { m.Authoritative, m.RecursionAvailable = false, true; return m }
	w.twist(cached, 4, 5)
	z := w.find("www.example.test")
	require.Len(t, z.Answering(), 2)
	w.twist(nil, 5)
	z = w.find("www.example.test")
	require.Equal(t, []int{1}, z.Answering())
	require.Equal(t, []authority.FaultKind{authority.LameServer}, kinds(z))
}

func TestZone_DeadServerIsAskedOnce(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.twist(func(*dns.Msg, string) *dns.Msg { return nil }, 5)
	tree := w.tree(impatient)
	for _, name := range []string{"www.example.test", "a.example.test", "b.a.example.test"} {
		z, err := tree.Zone(w.context(), name)
		require.NoError(t, err)
		_, err = tree.Ask(w.context(), z, 1, name, dns.TypeTXT)
		asked := new(authority.ServerError)
		require.ErrorAs(t, err, &asked)
		require.Equal(t, authority.Unreachable, asked.Server.State)
	}
	require.Equal(t, 3, w.asked(5, "example.test. SOA udp"), "one question, sent three times")
	require.Equal(t, w.asked(5), w.asked(5, "example.test. SOA udp", "example.test. A udp"),
		"and one beside it, in case it only doesn't answer the first")
}

func TestZone_AllServersFail(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.twist(func(*dns.Msg, string) *dns.Msg { return nil }, 4)
	w.twist(func(m *dns.Msg, _ string) *dns.Msg { m.Rcode = dns.RcodeRefused; return m }, 5)
	z := w.find("deep.www.example.test", impatient)
	require.Equal(t, "example.test.", z.Name)
	require.Empty(t, z.Answering())
	require.Nil(t, z.ChildNS)
	require.Equal(t, []authority.FaultKind{authority.UnreachableServer, authority.LameServer}, kinds(z))
	require.Equal(t, w.asked(4), w.asked(4, "example.test. SOA", "example.test. A"))
}

func TestZone_NameserversWithoutAddress(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.zone("test.", `
		example.test. NS ns1.example.test.
		example.test. NS noglue.example.test.
		example.test. NS ns.unregistered.test.
		example.test. NS nothing.example2.test.
		example2.test. NS ns1.example.test.
		ns1.example.test. A $4
		example.test. NS ns.dead.test.
		dead.test. NS ns1.dead.test.
		ns1.dead.test. A $5`, 2)
	w.zone("example2.test.", "a TXT a", 4)
	w.twist(func(*dns.Msg, string) *dns.Msg { return nil }, 5)
	z := w.find("example.test", impatient)
	details := map[string]string{}
	for _, server := range z.Servers {
		details[server.Name] = server.Detail
	}
	require.Equal(t, map[string]authority.State{
		w.fill("ns1.example.test. $4"): authority.Answers,
		"noglue.example.test.":         authority.NoAddress,
		"ns.unregistered.test.":        authority.NoAddress,
		"nothing.example2.test.":       authority.NoAddress,
		"ns.dead.test.":                authority.Unreachable,
	}, states(z))
	require.Contains(t, details["ns.unregistered.test."], "unregistered.test doesn't exist")
	require.Contains(t, details["ns.dead.test."], "no answer in time")
	require.Contains(t, details["nothing.example2.test."], "neither an A nor an AAAA record")
}

func TestZone_NameserversNeedEachOther(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.zone("test.", "example.test. NS ns.example.other.", 2)
	w.zone("other.", "example.other. NS ns.example.test.", 3)
	tree := w.tree()
	z, err := tree.Zone(w.context(), "www.example.test")
	require.NoError(t, err)
	require.Equal(t, map[string]authority.State{"ns.example.other.": authority.NoAddress}, states(z))
	require.Contains(t, z.Servers[0].Detail, "depend on it")
	require.Equal(t, []authority.FaultKind{authority.ServerNoAddress}, kinds(z))
	require.Less(t, tree.Queries(), 10)

	// One server with glue is a way out for all.
	w.zone("other.", "example.other. NS ns.example.test.\nexample.other. NS glued.example.other.\nglued.example.other. A $4", 3)
	w.zone("example.other.", "ns.example.other. A $5", 4)
	w.zone("example.test.", "ns.example.test. A $4", 4, 5)
	require.Equal(t, map[string]authority.State{w.fill("ns.example.other. $5"): authority.Answers}, states(w.find("example.test")))
	require.Equal(t, map[string]authority.State{
		w.fill("glued.example.other. $4"): authority.Answers, w.fill("ns.example.test. $4"): authority.Answers,
	}, states(w.find("example.other")))
}

func TestZone_EndlessNameservers(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	// Every domain of a hostile registry is served by eight servers in eight other such domains.
	w.twist(func(m *dns.Msg, _ string) *dns.Msg {
		name := dns.CanonicalName(m.Question[0].Name)
		if labels := dns.SplitDomainName(name); len(labels) > 1 {
			m.Authoritative, m.Rcode, m.Answer, m.Ns = false, dns.RcodeSuccess, nil, nil
			owner := strings.Join(labels[len(labels)-2:], ".") + "."
			for i := range 8 {
				rr, err := dns.NewRR(fmt.Sprintf("%s 60 NS ns.%s-%d.other.", owner, labels[len(labels)-2], i))
				require.NoError(w.t, err)
				m.Ns = append(m.Ns, rr)
			}
		}
		return m
	}, 3)
	tree := w.tree()
	z, err := tree.Zone(w.context(), "example.other")
	if err == nil {
		require.Empty(t, z.Answering())
	}
	require.LessOrEqual(t, tree.Queries(), 200)
	require.LessOrEqual(t, w.asked(3), 200)
}

func TestZone_ParentAndChildDiffer(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.zone("example.test.", strings.ReplaceAll(exampleZone, "example.test. NS ns2", "example.test. NS ns3"), 4)
	w.zone("example.test.", strings.ReplaceAll(exampleZone, "example.test. NS ns2", "example.test. NS ns3")+
		"\nexample.test. SOA ns1.example.test. hostmaster.example.test. 2 60 60 60 60", 5)
	faults := w.find("example.test").Faults()
	require.Len(t, faults, 2)
	require.Equal(t, authority.NameserversDiffer, faults[0].Kind)
	require.Equal(t, []string{"ns2.example.test."}, faults[0].AtParent)
	require.Equal(t, []string{"ns3.example.test."}, faults[0].InZone)
	require.Equal(t, authority.SerialsDiffer, faults[1].Kind)
	require.Len(t, faults[1].Serials, 2)
	require.EqualValues(t, 1, faults[1].Serials[0].Serial)
	require.EqualValues(t, 2, faults[1].Serials[1].Serial)
}

func TestZone_ForbiddenAddresses(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	forbidden := netip.MustParseAddr(w.fill("$5"))
	z := w.find("www.example.test", func(c *authority.Config) {
		c.Allow = func(a netip.Addr) bool { return a != forbidden }
	})
	require.Equal(t, authority.Forbidden, z.Servers[1].State)
	require.Equal(t, []authority.FaultKind{authority.ForbiddenServer}, kinds(z))
	require.Zero(t, w.asked(5))
}

func TestZone_ManyServers(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, "example.test. NS n%02d.example.test.\nn%02d.example.test. A $%d\n", i, i, 4+i%2)
	}
	w.zone("test.", text.String(), 2)
	for range 3 {
		z := w.find("example.test")
		require.Len(t, z.Answering(), 8)
		require.Equal(t, "n00.example.test.", z.Servers[0].Name, "the same ones each time")
		require.Equal(t, authority.NotAsked, z.Servers[8].State)
		require.Len(t, z.Servers, 32)
	}
	z := w.find("example.test", func(c *authority.Config) { c.MaxServers = 2 })
	require.Len(t, z.Answering(), 2)
}
