package authority_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// TestCrowd runs many diagnoses at once, a tenth of them on zones whose servers are all silent.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const crowd = 100
	w := healthy(t, 1)
	var registry strings.Builder
	dead := func(i int) bool { return i%10 == 0 }
	for i := range crowd {
		host := map[bool]int{false: 4, true: 6}[dead(i)]
		fmt.Fprintf(&registry, "d%d.test. NS ns.d%d.test.\nns.d%d.test. A $%d\n", i, i, i, host)
		w.zone(fmt.Sprintf("d%d.test.", i), fmt.Sprintf("@ NS ns.d%d.test.\nns.d%d.test. A $%d", i, i, host), host)
	}
	w.zone("test.", registry.String(), 2)
	w.twist(func(*dns.Msg, string) *dns.Msg { return nil }, 6)

	surveys := make([]*authority.Zone, crowd)
	errs := make([]error, crowd)
	sent := make([]int, crowd)
	var wg sync.WaitGroup
	ctx := w.context()
	for i := range crowd {
		wg.Go(func() {
			tree := w.tree(func(c *authority.Config) { c.QueryTimeout = 4 * time.Second })
			surveys[i], errs[i] = tree.Zone(ctx, fmt.Sprintf("www.d%d.test", i))
			sent[i] = tree.Queries()
		})
	}
	wg.Wait()
	for i, z := range surveys {
		require.NoError(t, errs[i])
		require.Equal(t, fmt.Sprintf("d%d.test.", i), z.Name)
		if dead(i) {
			require.Equal(t, []authority.FaultKind{authority.UnreachableServer}, kinds(z))
			require.Equal(t, 3, sent[i], "root, registry and the question that was not answered")
			require.Equal(t, 3, w.asked(6, z.Name+" SOA udp"), "which was sent three times")
			continue
		}
		require.Empty(t, z.Faults())
		require.Equal(t, 5, sent[i], "root, registry, SOA, NS and the name")
	}
	require.Equal(t, 3*crowd/10, w.asked(6))
}
