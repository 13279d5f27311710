package authority_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// crowd is a world of that many domains d0.test. and so on. Every tenth is on a server that never answers (6).
func crowd(t testing.TB, size int) *world {
	w := healthy(t, 1)
	var registry strings.Builder
	for i := range size {
		host := 4
		if dead(i) {
			host = 6
		}
		fmt.Fprintf(&registry, "d%d.test. NS ns.d%d.test.\nns.d%d.test. A $%d\n", i, i, i, host)
		w.zone(fmt.Sprintf("d%d.test.", i), fmt.Sprintf("@ NS ns.d%d.test.\nns.d%d.test. A $%d", i, i, host), host)
	}
	w.zone("test.", registry.String(), 2)
	w.twist(func(*dns.Msg, string) *dns.Msg { return nil }, 6)
	return w
}

func dead(i int) bool { return i%10 == 0 }

func TestCrowd_AllEnd(t *testing.T) {
	t.Parallel()
	const size = 100
	w := crowd(t, size)
	zones, errs, sent := make([]*authority.Zone, size), make([]error, size), make([]int, size)
	var all sync.WaitGroup
	ctx := w.context()
	for i := range size {
		all.Go(func() {
			tree := w.tree(func(c *authority.Config) { c.QueryTimeout = 4 * time.Second })
			zones[i], errs[i] = tree.Zone(ctx, fmt.Sprintf("www.d%d.test", i))
			sent[i] = tree.Queries()
		})
	}
	all.Wait()
	for i, z := range zones {
		require.NoError(t, errs[i])
		require.Equal(t, fmt.Sprintf("d%d.test.", i), z.Name)
		if dead(i) {
			require.Equal(t, []authority.FaultKind{authority.UnreachableServer}, kinds(z))
			require.Equal(t, 4, sent[i], "root, registry and the two questions that were not answered")
			require.Equal(t, 3, w.asked(6, z.Name+" SOA udp"), "which was sent three times")
			continue
		}
		require.Empty(t, z.Faults())
		require.Equal(t, 5, sent[i], "root, registry, SOA, NS and the name")
	}
	require.LessOrEqual(t, w.asked(6), 6*size/10)
}

// TestCrowd_NobodyWaitsForTheDead: the healthy are done while the dead still have an hour to answer.
func TestCrowd_NobodyWaitsForTheDead(t *testing.T) {
	t.Parallel()
	const size = 40
	w := crowd(t, size)
	ctx, cancel := context.WithCancel(w.context())
	waiting, done := make(chan error, size), make(chan error, size)
	var healthy sync.WaitGroup
	for i := range size {
		look := func() error {
			tree := w.tree(func(c *authority.Config) { c.QueryTimeout = time.Hour })
			_, err := tree.Zone(ctx, fmt.Sprintf("www.d%d.test", i))
			return err
		}
		if dead(i) {
			go func() { waiting <- look() }()
			continue
		}
		healthy.Go(func() { done <- look() })
	}
	healthy.Wait()
	require.Empty(t, waiting)
	require.Len(t, done, size*9/10)
	for range size * 9 / 10 {
		require.NoError(t, <-done)
	}
	cancel()
	for range size / 10 {
		require.ErrorIs(t, <-waiting, context.Canceled)
	}
}

// BenchmarkTree is the cost of one healthy zone, that of the servers in this process included.
func BenchmarkTree(b *testing.B) {
	w := healthy(b, 0)
	b.ReportAllocs()
	queries := 0
	for b.Loop() {
		tree := w.tree()
		if _, err := tree.Zone(b.Context(), "www.example.test"); err != nil {
			b.Fatal(err)
		}
		queries += tree.Queries()
	}
	b.ReportMetric(float64(queries)/float64(b.N), "questions/op")
}
