package dnstruth

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// Records that are all right, for shop.
const (
	owned     = `_evercert.shop TXT "$OWNERSHIP"` + "\n"
	delegated = "_acme-challenge.shop CNAME $DELEGATION(shop).\n"
	pointed   = "shop CNAME $TARGET.\n"
	flat      = "shop A $EDGE4\nshop AAAA $EDGE6\n" // pointed, where a CNAME can't be
	elsewhere = "shop A " + hostOld + "\n"          // still at the old server
)

const network = "127.0.53" // of the name servers

var (
	dns01  = []cert.Method{cert.DNS01}
	http01 = []cert.Method{cert.HTTP01}
	alpn01 = []cert.Method{cert.TLSALPN01}
)

func codes(of ...cert.Code) []cert.Code { return of }

// brokenTable is every set-up of which something must be said.
func brokenTable() []row {
	var table []row
	for _, part := range [][]row{
		brokenRecords(), brokenAddresses(), brokenCAA(), brokenServers(), brokenSignatures(), brokenElsewhere(), brokenDenials(), brokenWeb(),
		brokenWildcards(), brokenFallbacks(), brokenChains(), brokenDelegations(), brokenSubzones(), brokenRedirects(),
	} {
		table = append(table, part...)
	}
	return table
}

// TestDNSTruth diagnoses all set-ups of both tables on one lab.
func TestDNSTruth(t *testing.T) {
	t.Parallel()
	broken, healthy := brokenTable(), healthyTable()
	require.GreaterOrEqual(t, len(broken), 60)
	require.GreaterOrEqual(t, len(healthy), 12)
	zones, labels := platformZones(), map[string]bool{}
	for _, r := range append(broken, healthy...) {
		require.False(t, labels[r.label()], "two set-ups are named %s", r.label())
		labels[r.label()] = true
		zones = append(zones, r.zones()...)
	}
	lab := dnslab.Tree{Network: network, Zones: zones}.Start(t)
	startWeb(t)
	dnslab.StartOdd(t, faultyResolver, lab.Resolver, dnslab.FailsToValidate)
	t.Run("broken", func(t *testing.T) {
		for _, r := range broken {
			t.Run(r.label(), func(t *testing.T) { r.run(t, lab) })
		}
	})
	t.Run("healthy", func(t *testing.T) {
		for _, r := range healthy {
			t.Run(r.label(), func(t *testing.T) { r.run(t, lab) })
		}
	})
}
