package dcvchain

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/e2e/dnslab"
)

// patience bounds what takes a second, or a resolver's patience with a server that is down.
const patience = time.Minute

// parent is a zone whose name server delegates a validation zone, dcv below it, to us.
type parent struct {
	server  string // of dnslab
	zone    string
	network string // of our servers: .31 and .32
	half    bool   // the second one takes questions and never answers
}

var parents = []parent{
	{server: dnslab.BIND, zone: "bind.net", network: "127.0.62"},
	{server: dnslab.Knot, zone: "knot.net", network: "127.0.63"},
	{server: dnslab.NSD, zone: "nsd.net", network: "127.0.64"},
	{server: dnslab.Knot, zone: "half.net", network: "127.0.65", half: true},
}

// resolvers are the programs that chains has one each of. The first is Unbound as CAs harden theirs: it asks in random case
// (0x20), for no more of a name than needed (RFC 9156), and for nothing below an NXDOMAIN (RFC 8020).
var resolvers = []string{hardened, "unbound", "bind", "powerdns"}

const hardened = "unbound-hardened"

// chains is a DNS tree in which tenants' names lead to validation zones below each parent, and resolvers of each kind.
type chains struct {
	values  *values
	solvers map[string]*dcv.Solver // by zone of the parent
	at      map[string]string      // address of each resolver
}

// The names that each parent and tenants' zone has, by what they are for. changing is one for each resolver.
const (
	atOnce = iota
	many
	hundred
	transcribed
	valueless
	changing
	tenants = changing + 4
)

func tenant(n int, p parent, zone string) string {
	return fmt.Sprintf("tenant%d.%s.%s", n, p.zone, zone)
}

func target(n int, p parent) string { return label(n) + ".dcv." + p.zone }

func startChains(t *testing.T) *chains {
	t.Helper()
	const network = "127.0.61"
	c := &chains{values: &values{shown: map[string][]string{}}, solvers: map[string]*dcv.Solver{}, at: map[string]string{}}
	records := map[string]string{}
	var zones []dnslab.Zone
	for _, p := range parents {
		delegation := fmt.Sprintf("dcv NS ns1.dcv\ndcv NS ns2.dcv\nns1.dcv A %s.31\nns2.dcv A %[1]s.32\n", p.network)
		zones = append(zones, dnslab.Zone{ // signed, and the zone that it delegates to us is not
			Name: p.zone, Delegation: dnslab.NS(p.server), Signing: dnslab.Signed, On: dnslab.OnEach(dnslab.NS(p.server)+delegation, p.server),
		})
		delegated := delegations{}
		for n := range tenants {
			for _, zone := range []string{"plain.example", "signed.example"} {
				records[zone] += fmt.Sprintf("_acme-challenge.tenant%d.%s CNAME %s.\n", n, p.zone, target(n, p))
				delegated[tenant(n, p, zone)] = target(n, p)
			}
		}
		c.solvers[p.zone] = dcv.NewSolver(noOtherMethods{c.values}, delegated, dcv.SolverConfig{Instances: serveBoth(t, c.values, p)})
	}
	both := dnslab.NS(dnslab.BIND, dnslab.Knot)
	for zone, signing := range map[string]dnslab.Signing{"plain.example": dnslab.Unsigned, "signed.example": dnslab.Signed} {
		zones = append(
			zones, dnslab.Zone{Name: zone, Delegation: both, Signing: signing, On: dnslab.OnEach(both+records[zone], dnslab.BIND, dnslab.Knot)},
		)
	}
	lab := dnslab.Tree{Network: network, Zones: zones}.Start(t)
	c.at["unbound"] = lab.Resolver
	careful := lab.Recursion()
	careful.Options = []string{"use-caps-for-id: yes", "qname-minimisation-strict: yes", "harden-below-nxdomain: yes", "harden-glue: yes"}
	c.at[hardened] = dnslab.StartUnbound(t, network+".20", careful).Address
	c.at["bind"] = dnslab.StartBINDResolver(t, network+".21", lab.Recursion()).Address
	c.at["powerdns"] = dnslab.StartPowerDNSRecursor(t, network+".22", lab.Recursion()).Address
	return c
}

// serveBoth runs the servers of the validation zone below a parent, and returns where they are.
func serveBoth(t *testing.T, v *values, p parent) []string {
	t.Helper()
	running := []string{serve(t, v, "dcv."+p.zone, p.network+".31", p.network).Addr()}
	if p.half {
		dnslab.StartSilent(t, p.network+".32")
		return running
	}
	return append(running, serve(t, v, "dcv."+p.zone, p.network+".32", p.network).Addr())
}

// each runs a test for each parent and resolver, all at once.
//
// Without Unbound's use-caps-for-id over half.net: Unbound 1.17.1 with it asks every server of a zone for the same answer once
// one has not answered, and gives none for minutes, until it takes that server for dead. A name server of the validation
// zone that is silent holds up CAs that have it; hence DCV_INSTANCES.
func (c *chains) each(t *testing.T, test func(t *testing.T, p parent, program string)) {
	for _, p := range parents {
		for _, program := range resolvers {
			if p.half && program == hardened {
				continue
			}
			t.Run(p.zone+" "+program, func(t *testing.T) {
				t.Parallel()
				test(t, p, program)
			})
		}
	}
}

// TestD2_ResolversOfEveryKindSeeTheValidationZone: what a CA's resolver would see, through each kind of parent, by each kind of
// resolver. The parts share one tree, whose start takes longest.
func TestD2_ResolversOfEveryKindSeeTheValidationZone(t *testing.T) {
	t.Parallel()
	c := startChains(t)
	t.Run("AtTheFirstQuestion", c.testFirstQuestion)
	t.Run("AfterItWasNotThere", c.testAppearsAndGoes)
	t.Run("TwoHundredValues", c.testManyValues)
	t.Run("WhatIsNotThere", c.testNegative)
	t.Run("TheZonesOwnRecords", c.testOwnRecords)
	t.Run("Transcripts", c.testTranscripts)
}

// testFirstQuestion: when Present returns, a resolver that has not asked before gets the value at once.
func (c *chains) testFirstQuestion(t *testing.T) {
	for _, p := range parents {
		for _, zone := range []string{"plain.example", "signed.example"} {
			require.NoError(t, c.solvers[p.zone].Present(t.Context(), challenge(tenant(atOnce, p, zone), "of "+zone)))
		}
	}
	c.each(t, func(t *testing.T, p parent, program string) {
		for _, zone := range []string{"plain.example", "signed.example"} {
			reply := ask(t, c.at[program], "_acme-challenge."+tenant(atOnce, p, zone), dns.TypeTXT)
			require.Equal(t, dns.RcodeSuccess, reply.Rcode, reply)
			require.Len(t, texts(reply), 2, "both domains are delegated to one name")
			cname, ok := reply.Answer[0].(*dns.CNAME)
			require.True(t, ok, reply)
			require.Equal(t, target(atOnce, p)+".", cname.Target)
			require.False(t, reply.AuthenticatedData, "the zone is not signed, and its parent proves it")
		}
	})
}

// testAppearsAndGoes: a resolver that has cached "no value" sees it after the second for which it may cache that, and no longer
// than that after it was taken away.
func (c *chains) testAppearsAndGoes(t *testing.T) {
	c.each(t, func(t *testing.T, p parent, program string) {
		name := tenant(changing+slices.Index(resolvers, program), p, "signed.example")
		shows := func(values int) func() bool {
			return func() bool {
				reply, err := exchange(t.Context(), c.at[program], "_acme-challenge."+name, dns.TypeTXT)
				return err == nil && reply.Rcode == dns.RcodeSuccess && len(texts(reply)) == values
			}
		}
		require.True(t, shows(0)())
		require.NoError(t, c.solvers[p.zone].Present(t.Context(), challenge(name, "")))
		require.Eventually(t, shows(1), patience, 50*time.Millisecond)
		require.NoError(t, c.solvers[p.zone].CleanUp(t.Context(), challenge(name, "")))
		require.Eventually(t, shows(0), patience, 50*time.Millisecond)
	})
}

// testManyValues: what doesn't fit into a datagram goes by TCP, from us to the resolver and from there on. BIND takes 100
// records of one type and no more (max-records-per-type, since 9.18.28), which is SERVFAIL then: a limit of resolvers, not ours.
func (c *chains) testManyValues(t *testing.T) {
	c.fill(t, parents...)
	c.each(t, func(t *testing.T, p parent, program string) {
		n, values := many, 200
		if program == "bind" {
			n, values = hundred, 100
		}
		require.Len(t, texts(ask(t, c.at[program], "_acme-challenge."+tenant(n, p, "plain.example"), dns.TypeTXT)), values)
	})
}

// fill puts 200 and 100 values under the names for that.
func (c *chains) fill(t *testing.T, below ...parent) {
	t.Helper()
	for _, p := range below {
		for n := range 200 {
			require.NoError(t, c.values.PutTXT(t.Context(), target(many, p), fmt.Sprintf("%043d", n), time.Hour))
			if n < 100 {
				require.NoError(t, c.values.PutTXT(t.Context(), target(hundred, p), fmt.Sprintf("%043d", n), time.Hour))
			}
		}
	}
}

func (c *chains) testNegative(t *testing.T) {
	c.each(t, func(t *testing.T, p parent, program string) {
		for name, rcode := range map[string]int{
			"www.dcv." + p.zone: dns.RcodeNameError, "www.www.dcv." + p.zone: dns.RcodeNameError, target(valueless, p): dns.RcodeSuccess,
		} {
			reply := ask(t, c.at[program], name, dns.TypeTXT)
			require.Equal(t, rcode, reply.Rcode, reply)
			require.Empty(t, reply.Answer)
			require.NotEmpty(t, reply.Ns)
			soa, ok := reply.Ns[0].(*dns.SOA)
			require.True(t, ok, reply)
			require.LessOrEqual(t, soa.Hdr.Ttl, uint32(1), "seconds for which it is remembered")
		}
	})
}

// testOwnRecords: what a CA asks beside the value, CAA from the name up among it.
func (c *chains) testOwnRecords(t *testing.T) {
	c.each(t, func(t *testing.T, p parent, program string) {
		for _, q := range []struct {
			name    string
			qtype   uint16
			records int
		}{
			{"dcv." + p.zone, dns.TypeSOA, 1},
			{"dcv." + p.zone, dns.TypeNS, 2},
			{"dcv." + p.zone, dns.TypeCAA, 2},
			{"dcv." + p.zone, dns.TypeDNSKEY, 0},
			{"ns1.dcv." + p.zone, dns.TypeA, 1},
			{"ns1.dcv." + p.zone, dns.TypeAAAA, 0},
			{target(valueless, p), dns.TypeCAA, 0},
			{target(valueless, p), dns.TypeA, 0},
		} {
			reply := ask(t, c.at[program], q.name, q.qtype)
			require.Equal(t, dns.RcodeSuccess, reply.Rcode, reply)
			require.Len(t, reply.Answer, q.records, reply)
		}
	})
}
