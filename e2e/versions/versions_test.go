package versions

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/workflows"
)

const sleepers = 6

// connected starts a worker of A, and domains that sleep there.
func connected(f *fleet) *process {
	f.t.Helper()
	a := f.worker("A")
	f.await(
		"A", "becomes current by itself: it is the first of the namespace",
		func(b control.Version) bool { return b.State == control.StateCurrent },
	)
	for i := range sleepers {
		f.connect(fmt.Sprintf("s%d.empty.test", i))
	}
	f.await("A", "has them", func(b control.Version) bool { return b.Domains == sleepers })
	return a
}

// newer starts a worker of B, which becomes current by itself, and waits until the worker of A knows.
func newer(f *fleet, a *process) *process {
	f.t.Helper()
	b := f.worker("B")
	f.await("B", "becomes current by itself: it is newer", func(b control.Version) bool { return b.State == control.StateCurrent })
	f.eventually("the worker of A knows that it is not current", func() bool { return strings.Contains(a.said(), "another build is current") },
		func() any { return a.said() })
	return b
}

func TestE1_NewDomainsGoToTheNewBuildAndSleepersStay(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a := connected(f)
	newer(f, a)

	f.connect("n0.ready.test", "n1.ready.test", "n2.ready.test", "n3.ready.test", "n4.ready.test", "n5.empty.test")
	f.do("watch", "n4.ready.test", "--timeout", patience.String())
	f.await("B", "has all new domains, though the worker of A heard of them too", func(b control.Version) bool { return b.Domains == 6 })
	require.EqualValues(t, sleepers, f.build("A").Domains, "sleepers stay where they began")
	require.Contains(t, f.build("A").Next, "deploy drain A")
	_, _, code := f.cli("check", "s0.empty.test")
	require.Equal(t, 4, code, "a sleeper answers on A, its records are missing; then it goes on with B")

	t.Run("an old build that is started once more changes nothing", func(t *testing.T) {
		f.kill(a)
		a = f.worker("A")
		f.eventually("it knows", func() bool { return strings.Contains(a.said(), "another build is current") }, func() any { return a.said() })
		require.Equal(t, control.StateCurrent, f.build("B").State)
		_, _, code := f.cli("check", "s1.empty.test")
		require.Equal(t, 4, code, "it answers with what is there, and goes on with B")
	})
	t.Run("a build whose workers are gone", func(t *testing.T) {
		f.kill(a)
		rescues(f)
	})
}

// rescues has A without workers, and one of its domains with something to do.
func rescues(f *fleet) {
	f.t.Helper()
	info := f.Info()
	c, err := control.TemporalConfig{Address: info.Temporal, Namespace: info.Namespace}.Dial(slog.New(slog.DiscardHandler))
	require.NoError(f.t, err)
	defer c.Close()
	require.NoError(
		f.t, c.SignalWorkflow(f.t.Context(), workflows.DomainID("s2.empty.test"), "", workflows.CheckNow, workflows.Request{By: "the test"}),
	)
	f.await("A", "shows the backlog and its age", func(b control.Version) bool { return b.Backlog > 0 && b.BacklogSeconds > 0 })
	_, stderr, code := f.cli("deploy", "rescue", "A")
	require.Equal(f.t, 2, code, "Temporal has seen its workers a moment ago")
	require.Contains(f.t, stderr, "--force")

	require.Contains(
		f.t, f.do("deploy", "rescue", "A", "--force"), fmt.Sprintf("A: %d of %d rescued", sleepers-2, sleepers-2),
		"two went to B when they were woken",
	)
	f.await("A", "has nothing left", func(b control.Version) bool { return b.Domains == 0 && b.Backlog == 0 })
	require.EqualValues(f.t, sleepers+6, f.build("B").Domains)
	f.eventually("what waited is done, by B", func() bool {
		d, err := c.DescribeWorkflowExecution(f.t.Context(), workflows.DomainID("s2.empty.test"), "")
		return err == nil && d.GetPendingWorkflowTask() == nil &&
			d.GetWorkflowExecutionInfo().GetVersioningInfo().GetDeploymentVersion().GetBuildId() == "B"
	}, func() any { return nil })
	for i := range sleepers {
		_, stderr, code := f.cli("check", fmt.Sprintf("s%d.empty.test", i))
		require.Equal(f.t, 4, code, "it answers on B: %s", stderr)
	}
}
