package versions

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/control"
)

// TestE1_DrainMovesSleepersToTheNewBuild depends on the signal move-on, which domains' workflows take at their safe points
// (workflows.MoveOn).
func TestE1_DrainMovesSleepersToTheNewBuild(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a := connected(f)
	newer(f, a)
	out := f.do("deploy", "drain", "--rate", "5")
	require.Contains(t, out, fmt.Sprintf("A: %d of %d moved", sleepers, sleepers))
	require.NotContains(t, out, "still")
	f.await("B", "has all of them", func(b control.Version) bool { return b.Domains == sleepers })
	require.Contains(t, f.build("A").Next, "can be stopped")
	f.kill(a)
	for i := range sleepers {
		_, stderr, code := f.cli("check", fmt.Sprintf("s%d.empty.test", i))
		require.Equal(t, 4, code, "it needs no worker of A: %s", stderr)
	}
}
