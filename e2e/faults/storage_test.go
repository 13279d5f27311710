package faults

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

// TestF22_FiftyDomainsWhileTemporalsStorageFails: 5 % of Temporal's own database calls fail, half of the writes among them carried out but
// reported as timed out (figure 2, second half).
func TestF22_FiftyDomainsWhileTemporalsStorageFails(t *testing.T) {
	t.Parallel()
	const domains, share = 50, 0.05
	env := hasty(map[string]string{"ACME_PROFILE": "default"})
	w := newWorld(t, stack.Options{CA: []string{"retry-after=0"}, Env: env, TemporalFaults: share})
	report := &table{}
	var all sync.WaitGroup
	for i := range domains {
		d := &domain{world: w, name: fmt.Sprintf("storage%02d.ready.test", i)}
		all.Go(func() {
			err := await("connect", patience, d.tryConnect)
			if err == nil {
				err = d.reach(d.shows(cert.InstallationComplete))
			}
			if err == nil {
				err = await(d.name, patience, func() error { return w.running(workflows.DomainID(d.name)) })
			}
			report.add(d.name, "complete", err)
		})
	}
	all.Wait()
	require.Empty(t, report.lost())
	require.NoError(t, await("orders", time.Minute, w.orders))
	made, err := w.ordersAtCA()
	require.NoError(t, err)
	require.Len(t, made, domains)
	for name, n := range made {
		require.Equal(t, 1, n, "orders for %s", name)
	}
	failed, err := w.failedWorkflows()
	require.NoError(t, err)
	require.Zero(t, failed, "workflows that ended")
	faults, err := w.storageFaults()
	require.NoError(t, err)
	t.Logf("%d domains, %.0f of Temporal's database calls failed", domains, faults)
	require.Positive(t, faults, "Temporal's database calls must have failed")
}
