package authority_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// healthy is a world of a root (1), a registry for test. (2), one for other. (3), and example.test. on two servers (4, 5).
func healthy(t testing.TB, more int) *world {
	w := newWorld(t, 5+more)
	w.zone(".", `
		. NS ns.
		ns. A $1
		test. NS ns.test.
		ns.test. A $2
		other. NS ns.other.
		ns.other. A $3`, 1)
	w.zone("test.", `
		test. NS ns.test.
		ns.test. A $2
		example.test. NS ns1.example.test.
		example.test. NS ns2.example.test.
		ns1.example.test. A $4
		ns2.example.test. A $5`, 2)
	w.zone("other.", "other. NS ns.other.\nns.other. A $3", 3)
	w.zone("example.test.", exampleZone, 4, 5)
	return w
}

const exampleZone = `
	example.test. NS ns1.example.test.
	example.test. NS ns2.example.test.
	ns1.example.test. A $4
	ns2.example.test. A $5
	example.test. A 192.0.2.1
	www.example.test. CNAME shop.elsewhere.example.
	_acme-challenge.www.example.test. CNAME x.dcv.example.
	*.wild.example.test. TXT "wild"
	b.ent.example.test. TXT "below a name without records"`

func states(z *authority.Zone) map[string]authority.State {
	all := map[string]authority.State{}
	for _, server := range z.Servers {
		key := server.Name
		if server.Address.IsValid() {
			key += " " + server.Address.Addr().String()
		}
		all[key] = server.State
	}
	return all
}

func kinds(z *authority.Zone) []authority.FaultKind {
	var all []authority.FaultKind
	for _, fault := range z.Faults() {
		all = append(all, fault.Kind)
	}
	return all
}

func TestZone_Healthy(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	tree := w.tree()
	z, err := tree.Zone(w.context(), "Example.test")
	require.NoError(t, err)
	require.Equal(t, "example.test.", z.Name)
	require.Equal(t, "test.", z.Parent)
	require.False(t, z.Registry)
	require.Equal(t, []string{"ns1.example.test.", "ns2.example.test."}, z.ParentNS)
	require.Equal(t, z.ParentNS, z.ChildNS)
	require.Equal(t, map[string]authority.State{
		w.fill("ns1.example.test. $4"): authority.Answers, w.fill("ns2.example.test. $5"): authority.Answers,
	}, states(z))
	require.Equal(t, []int{0, 1}, z.Answering())
	require.Empty(t, z.Faults())
	require.EqualValues(t, 1, z.Servers[0].SOA.Serial)
	require.Equal(t, 5, tree.Queries(), "root, registry, SOA of two servers, NS of one")

	m, err := tree.Ask(w.context(), z, 0, "example.test", dns.TypeA)
	require.NoError(t, err)
	require.Len(t, m.Answer, 1)
	_, err = tree.Ask(w.context(), z, 0, "EXAMPLE.test.", dns.TypeA)
	require.NoError(t, err)
	require.Equal(t, 1, w.asked(4, "example.test. A"), "one question is sent once")
}

func TestZone_NamesInOneZone(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	tree := w.tree()
	for name, absent := range map[string]bool{
		"www.example.test": false, "_acme-challenge.www.example.test": false, "x.wild.example.test": false,
		"ent.example.test": false, "b.ent.example.test": false, "nothing.example.test": true, "_acme-challenge.nothing.example.test": true,
		strings.Repeat("a.", 60) + "example.test": true,
	} {
		z, err := tree.Zone(w.context(), name)
		require.NoError(t, err)
		require.Equal(t, "example.test.", z.Name, name)
		require.Equal(t, absent, z.NXDomain, name)
	}
	require.Equal(t, 1, w.asked(1), "the root is asked once for all names")
	require.Equal(t, 1, w.asked(2), "and so is the registry")
	require.Equal(t, 2+1+9, w.asked(4)+w.asked(5), "SOA, NS and one question for each name and each label between")
}

func TestZone_BadName(t *testing.T) {
	t.Parallel()
	tree := authority.NewTree(authority.Config{})
	for _, name := range []string{"", "a..b", strings.Repeat("a", 64) + ".test", strings.Repeat("abcdefg.", 40)} {
		_, err := tree.Zone(t.Context(), name)
		require.ErrorContains(t, err, "no domain name", name)
	}
	_, err := tree.Zone(t.Context(), "example.test")
	unreachable := new(authority.UnreachableError)
	require.ErrorAs(t, err, &unreachable, "there are no roots")
	require.Equal(t, ".", unreachable.Zone)
	require.ErrorContains(t, authority.Config{Roots: []string{"a.example:53"}}.Validate(), "a.example:53")
	require.Error(t, authority.Config{}.Validate())
}

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
		{"fails", serve(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeServerFailure, nil }), authority.Lame, "SERVFAIL"},
		{"a resolver", serve(func(m *dns.Msg) { m.Authoritative = false }), authority.Lame, "without authority"},
		{"points up", serve(func(m *dns.Msg) { m.Authoritative, m.Answer, m.Ns = false, nil, []dns.RR{ns(".")} }), authority.Lame, "points to other servers"},
		{"points to itself", serve(func(m *dns.Msg) { m.Authoritative, m.Answer, m.Ns = false, nil, []dns.RR{ns("example.test.")} }), authority.Lame, "points to other servers"},
		{"has another zone", serve(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeNameError, nil }), authority.Lame, "doesn't exist"},
		{"empty", serve(func(m *dns.Msg) { m.Authoritative, m.Answer = false, nil }), authority.Lame, "without authority"},
		{"has no TCP, and answers that need it", func(m *dns.Msg, network string) *dns.Msg {
			if m.Truncated = true; network == "tcp" {
				return nil
			}
			return m
		}, authority.Unreachable, "over TCP"},
		{"a load balancer", serve(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeNotImplemented, nil }), authority.Answers, ""},
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
			}
			require.Equal(t, kind[c.state], kinds(z))
		})
	}
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
	require.Equal(t, 3, w.asked(5), "one question, sent three times")
	require.Equal(t, 3, w.asked(5, "example.test. SOA udp"))
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
	require.Equal(t, 3, w.asked(4))
}

func TestZone_NoDomain(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	for name, want := range map[string][2]string{
		"www.unregistered.test": {"unregistered.test.", "test."}, "unregistered.test": {"unregistered.test.", "test."}, "www.example.nosuch": {"nosuch.", "."},
	} {
		_, err := w.tree().Zone(w.context(), name)
		absent := new(authority.NoDomainError)
		require.ErrorAs(t, err, &absent)
		require.Equal(t, want, [2]string{absent.Name, absent.Zone})
		require.NotNil(t, absent.SOA)
		require.Equal(t, want[1], absent.SOA.Hdr.Name)
		require.Contains(t, err.Error(), "doesn't exist")
	}
}

func TestZone_DeadRegistry(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.twist(func(*dns.Msg, string) *dns.Msg { return nil }, 2)
	tree := w.tree(impatient)
	for range 2 {
		_, err := tree.Zone(w.context(), "www.example.test")
		unreachable := new(authority.UnreachableError)
		require.ErrorAs(t, err, &unreachable)
		require.Equal(t, "test.", unreachable.Zone)
		require.ErrorContains(t, err, "no answer in time")
	}
	require.Equal(t, 3, w.asked(2))
}

func TestZone_OneRegistryServerIsDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8)
	w.zone(".", "test. NS a.test.\ntest. NS b.test.\ntest. NS c.test.\na.test. A $2\nb.test. A $3\nc.test. A $4", 1)
	w.zone("test.", "example.test. NS ns.example.test.\nns.example.test. A $5", 3, 4)
	w.twist(func(*dns.Msg, string) *dns.Msg { return nil }, 2)
	w.zone("example.test.", "example.test. NS ns.example.test.\nns.example.test. A $5", 5)
	for range 6 { // each Tree begins elsewhere
		require.Len(t, w.find("example.test", impatient).Answering(), 1)
	}
}

func TestZone_ServersOutsideTheZone(t *testing.T) {
	t.Parallel()
	w := healthy(t, 2)
	w.zone("test.", "example.test. NS ns1.provider.other.\nexample.test. NS ns2.provider.other.\nns1.provider.other. A 192.0.2.66", 2) // not its to tell
	w.zone("other.", "provider.other. NS ns.provider.other.\nns.provider.other. A $6", 3)
	w.zone("provider.other.", `
		provider.other. NS ns.provider.other.
		ns.provider.other. A $6
		ns1.provider.other. A $4
		ns2.provider.other. CNAME alias.provider.other.
		alias.provider.other. A $5`, 6)
	w.zone("example.test.", "example.test. NS ns1.provider.other.\nexample.test. NS ns2.provider.other.", 4, 5)
	tree := w.tree()
	z, err := tree.Zone(w.context(), "example.test")
	require.NoError(t, err)
	require.Equal(t, map[string]authority.State{
		w.fill("ns1.provider.other. $4"): authority.Answers, w.fill("ns2.provider.other. $5"): authority.Answers,
	}, states(z))
	require.Empty(t, z.Faults())
	require.LessOrEqual(t, tree.Queries(), 5+2+6, "two to the provider's zone, two for each name and its alias")
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

func TestZone_ReferralsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	refer := func(owner string) func(*dns.Msg, string) *dns.Msg {
		return func(m *dns.Msg, _ string) *dns.Msg {
			rr, _ := dns.NewRR(owner + " 60 NS ns.test.")
			m.Authoritative, m.Rcode, m.Answer, m.Ns = false, dns.RcodeSuccess, nil, []dns.RR{rr}
			return m
		}
	}
	for _, owner := range []string{".", "test.", "elsewhere.test.", "other."} {
		t.Run("registry refers to "+owner, func(t *testing.T) {
			t.Parallel()
			w := healthy(t, 0)
			w.twist(refer(owner), 2)
			_, err := w.tree().Zone(w.context(), "www.example.test")
			unreachable := new(authority.UnreachableError)
			require.ErrorAs(t, err, &unreachable)
			require.Equal(t, "test.", unreachable.Zone)
			require.Equal(t, 1, w.asked(2))
		})
	}
}

func TestZone_ParentAndChildOnOneServer(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.zone("example.test.", exampleZone+"\nshop.example.test. NS ns1.example.test.", 4, 5)
	w.zone("shop.example.test.", "shop.example.test. NS ns1.example.test.\nwww.shop.example.test. A 192.0.2.1", 4, 5)
	z := w.find("_acme-challenge.www.shop.example.test")
	require.Equal(t, "shop.example.test.", z.Name)
	require.Equal(t, "example.test.", z.Parent)
	require.True(t, z.NXDomain)
	require.Nil(t, z.ParentNS)
	require.Equal(t, []string{"ns1.example.test."}, z.ChildNS)
	require.Len(t, z.Answering(), 2)
	require.Empty(t, z.Faults())

	// Where a server holds the parent only, it leaves the child to the others, as it should. Which way the walk learns of the
	// child depends on whom it asks first.
	w = healthy(t, 0)
	w.zone("example.test.", exampleZone+"\nshop.example.test. NS ns1.example.test.", 4, 5)
	w.zone("shop.example.test.", "shop.example.test. NS ns1.example.test.", 4)
	for range 5 {
		z = w.find("shop.example.test")
		require.Equal(t, "shop.example.test.", z.Name)
		require.Len(t, z.Answering(), 1)
		require.Empty(t, z.Faults())
	}
}

func TestZone_EverythingOnOneServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for _, zone := range []string{".", "test.", "example.test."} {
		w.zone(zone, "@ NS ns.example.test.\nns.example.test. A $1", 1)
	}
	z := w.find("www.example.test")
	require.Equal(t, "example.test.", z.Name)
	require.Equal(t, "test.", z.Parent)
	require.Len(t, z.Answering(), 1)
	_, err := w.tree().Zone(w.context(), "www.nothing.test")
	require.ErrorAs(t, err, new(*authority.NoDomainError))
}

func TestZone_Delegated(t *testing.T) {
	t.Parallel()
	w := healthy(t, 1)
	w.zone("example.test.", exampleZone+"\nsub.dept.example.test. NS ns.sub.dept.example.test.\nns.sub.dept.example.test. A $6", 4, 5)
	w.zone("sub.dept.example.test.", "sub.dept.example.test. NS ns.sub.dept.example.test.\nns.sub.dept.example.test. A $6", 6)
	z := w.find("www.sub.dept.example.test")
	require.Equal(t, "sub.dept.example.test.", z.Name)
	require.Equal(t, "example.test.", z.Parent)
	require.Equal(t, []string{"ns.sub.dept.example.test."}, z.ParentNS)
	require.Empty(t, z.Faults())

	// The server that the delegation leads to doesn't know of it.
	w.zone("example.test.", exampleZone+"\nsub.example.test. NS ns2.example.test.", 4)
	z = w.find("www.sub.example.test")
	if z.Name == "sub.example.test." { // unless the other server, which has no such delegation, was asked
		require.Equal(t, []authority.FaultKind{authority.LameServer}, kinds(z))
		require.Contains(t, z.Servers[0].Detail, "holds the zone above")
	}
}

func TestZone_EmptyNonTerminalsDenied(t *testing.T) {
	t.Parallel()
	w := healthy(t, 1)
	w.zone("example.test.", exampleZone+"\nsub.dept.example.test. NS ns.sub.dept.example.test.\nns.sub.dept.example.test. A $6", 4, 5)
	w.zone("sub.dept.example.test.", "a TXT a", 6)
	w.twist(func(m *dns.Msg, _ string) *dns.Msg { // a server that doesn't know RFC 8020
		if m.Authoritative && m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		return m
	}, 4, 5)
	require.Equal(t, "sub.dept.example.test.", w.find("www.sub.dept.example.test").Name)
	require.True(t, w.find("ent.example.test").NXDomain)
	require.Equal(t, "example.test.", w.find("b.ent.example.test").Name)
}

func TestZone_PublicSuffixOfTwoLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.zone(".", "uk. NS ns.uk.\nns.uk. A $2", 1)
	w.zone("uk.", "co.uk. NS ns.uk.\nns.uk. A $2", 2)
	w.zone("co.uk.", "example.co.uk. NS ns.example.co.uk.\nns.example.co.uk. A $3", 2)
	w.zone("example.co.uk.", "example.co.uk. NS ns.example.co.uk.\nns.example.co.uk. A $3", 3)
	z := w.find("www.example.co.uk")
	require.Equal(t, "example.co.uk.", z.Name)
	require.Equal(t, "co.uk.", z.Parent)
	require.Empty(t, z.Faults())
	_, err := w.tree().Zone(w.context(), "www.nothing.co.uk")
	absent := new(authority.NoDomainError)
	require.ErrorAs(t, err, &absent)
	require.Equal(t, "nothing.co.uk.", absent.Name)
	require.Equal(t, "co.uk.", absent.Zone)
	z = w.find("co.uk")
	require.True(t, z.Registry)
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

func TestZone_TooManyQueries(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	_, err := w.tree(func(c *authority.Config) { c.MaxQueries = 3 }).Zone(w.context(), "www.example.test")
	require.ErrorIs(t, err, authority.ErrTooManyQueries)
}

func TestZone_ContextEnds(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	asked := make(chan struct{}, 100)
	w.twist(func(*dns.Msg, string) *dns.Msg { asked <- struct{}{}; return nil }, 4, 5)
	ctx, cancel := context.WithCancel(t.Context())
	tree := w.tree(func(c *authority.Config) { c.QueryTimeout = time.Hour })
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() { _, err := tree.Zone(ctx, "www.example.test"); ended <- err }()
	}
	<-asked
	cancel()
	for range cap(ended) {
		require.ErrorIs(t, <-ended, ctx.Err())
	}

	// What one caller gave up another may still ask.
	w.twist(nil, 4, 5)
	z, err := tree.Zone(w.context(), "www.example.test")
	require.NoError(t, err)
	require.Len(t, z.Answering(), 2)
}
