package dnstruth

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
	"github.com/evercert/evercert/resolver"
)

// faulty is a healthy domain on three servers and a resolver, each of which stands behind a switch.
type faulty struct {
	row      row
	config   resolver.Config
	servers  []*dnslab.Switch
	resolver *dnslab.Switch
}

// startFaulty starts it. third is what the third server has in place of the right zone; empty: the right zone, too.
func startFaulty(t *testing.T, network, third string) faulty {
	t.Helper()
	f := faulty{row: row{name: "faulty", servers: []string{a, b, c}, methods: dns01}}
	var ns string
	for i := range 3 {
		ns += fmt.Sprintf("@ NS ns%d\nns%[1]d A %s.%d\n", i+1, network, 21+i)
	}
	zone := dnslab.Zone{Name: f.row.domain(), Delegation: ns, On: dnslab.OnEach(ns+f.row.fill(owned+delegated+pointed), a, b, c)}
	if third != "" {
		zone.On[c] = ns + f.row.fill(third)
	}
	lab := dnslab.Tree{
		Network: network, Zones: append(platformZones(), zone),
		// A resolver that remembers nothing, neither answers nor that a server was down.
		Unbound: []string{"cache-max-ttl: 0", "cache-max-negative-ttl: 0", "infra-host-ttl: 1"},
	}.Start(t)
	for i, server := range []string{a, b, c} {
		f.servers = append(f.servers, dnslab.StartSwitch(t, fmt.Sprintf("%s.%d", network, 21+i), lab.Server(server).Address, dnslab.Healthy))
	}
	f.resolver = dnslab.StartSwitch(t, network+".24", lab.Resolver, dnslab.Healthy)
	f.config = configOf(lab)
	f.config.Resolvers = []string{f.resolver.Address}
	f.config.QueryTimeout = time.Second
	return f
}

func (f faulty) set(fault dnslab.Fault, servers ...int) {
	for _, i := range servers {
		f.servers[i].Set(fault)
	}
}

// diagnose requires that nothing that came of a fault is held against the tenant.
func (f faulty) diagnose(t *testing.T) cert.Diagnosis {
	t.Helper()
	d := diagnose(t, f.config, f.row.question())
	t.Logf("%s\n%s", d.Verdict, textOf(d.Problems))
	require.NotEqual(t, cert.Wrong, d.Verdict)
	require.NotEqual(t, cert.Wrong, d.Ownership)
	for _, state := range d.Records {
		require.NotEqual(t, cert.Wrong, state.Verdict, "%s %s", state.Name, state.Type)
	}
	for _, p := range d.Problems {
		requireFitForPeople(t, p)
		mild := []cert.Code{cert.DNSLookupFailed, cert.CAALookupFailed, cert.NameserverUnreachable, cert.NameserverLame}
		require.Contains(t, mild, p.Code)
		if p.WhoActs == cert.TenantActs {
			require.Equal(t, cert.Warns, p.Severity, "%s may not block", p.Code)
		}
	}
	return d
}

// requireHealthy heals everything and requires that the verdict is ok again without anybody's doing. Resolvers remember for some
// seconds that a server was down.
func (f faulty) requireHealthy(t *testing.T) {
	t.Helper()
	f.set(dnslab.Healthy, 0, 1, 2)
	f.resolver.Set(dnslab.Healthy)
	deadline := time.After(time.Minute)
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	for {
		d := f.diagnose(t)
		if d.Verdict == cert.OK && len(d.Problems) == 0 {
			return
		}
		select {
		case <-deadline:
			require.Fail(t, "not healthy again", "%s\n%s", d.Verdict, textOf(d.Problems))
		case <-again.C:
		}
	}
}

// TestD6_FaultsOfDNSAreNobodysFailure breaks name servers and resolvers in the ways that they break by themselves.
func TestD6_FaultsOfDNSAreNobodysFailure(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, "127.0.63", "")
	for kind, fault := range map[string]dnslab.Fault{"silent": dnslab.Silent, "SERVFAIL": dnslab.ServFail, "REFUSED": dnslab.Refuses} {
		for _, broken := range [][]int{{0}, {1}, {2}, {0, 1}, {0, 1, 2}} {
			if len(broken) == 3 && fault == dnslab.Refuses {
				continue // servers that all say that they don't have the zone are believed
			}
			t.Run(fmt.Sprintf("%s at %d of 3 from %d", kind, len(broken), broken[0]), func(t *testing.T) {
				f.requireHealthy(t)
				f.set(fault, broken...)
				d := f.diagnose(t)
				if len(broken) == 3 {
					require.Equal(t, cert.Unknown, d.Verdict)
				} else {
					require.Equal(t, cert.OK, d.Verdict, "the other servers answer")
					require.True(t, slices.ContainsFunc(d.Problems, func(p cert.Problem) bool {
						return p.Code == cert.NameserverUnreachable || p.Code == cert.NameserverLame
					}), "the broken server is named")
				}
			})
		}
		t.Run(kind+" resolver", func(t *testing.T) {
			f.requireHealthy(t)
			f.resolver.Set(fault)
			f.diagnose(t)
		})
	}
	f.requireHealthy(t)
}
