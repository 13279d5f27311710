package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

func TestE1_ACancellationFromOutsideIsToldOnceAndIgnored(t *testing.T) {
	t.Parallel()
	state := active(t, shop)
	v := newRun(t, start)
	v.env.RegisterDelayedCallback(func() { v.env.CancelWorkflow() }, hour)
	v.env.RegisterDelayedCallback(func() { v.env.CancelWorkflow() }, 2*hour)
	v.later(day, func() {})
	v.run(state)
	require.Len(t, events(v.world, cert.RequestIgnored), 1)
	require.Equal(t, cert.Removed, v.last().Status.Headline())
	require.Contains(t, v.effects[len(v.effects)-1], "01-06 10:00 event domain.removed", "and by nothing else")
}

// TestD3_AWaitForAPlaceOpensNoCase: it also does not count when the CA does not issue afterwards.
func TestD3_AWaitForAPlaceOpensNoCase(t *testing.T) {
	t.Parallel()
	for _, place := range []time.Duration{20 * hour, 100 * hour} {
		w := newWorld(t)
		w.order = func(int) (cert.Certificate, error) {
			if w.env.Now().Sub(start) < 10*day {
				return cert.Certificate{}, verdict(cert.Wait, cert.WaitingForBudget, place)
			}
			return cert.Certificate{}, verdict(cert.Wait, cert.CAUnavailable, hour)
		}
		w.live(20 * day)
		opened := moments(t, w, "event escalation.opened")
		require.Len(t, opened, 1)
		require.GreaterOrEqual(t, opened[0].Sub(start), 13*day, "not before the CA has kept us waiting for 72 hours")
		require.Less(t, opened[0].Sub(start), 16*day)
	}
}

func TestB2_PausedTimeIsNoWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = never
	w.live(20*day, message{at: day, verb: workflows.Pause, arg: workflows.Request{By: "kim"}},
		message{at: 11 * day, verb: workflows.Resume, arg: workflows.Request{By: "kim"}})
	opened := moments(t, w, "event escalation.opened")
	require.Len(t, opened, 1)
	require.Equal(t, start.Add(13*day), opened[0])
}

// TestB2_AShortCertificateThatNoEdgeServesIsGivenUpWhenItIsDue: an edge is unreachable for weeks.
func TestB2_AShortCertificateThatNoEdgeServesIsGivenUpWhenItIsDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(n int) (cert.Certificate, error) { return w.certificate(n, 6*day), nil }
	w.verify = func(int, string) error {
		if w.env.Now().Sub(start) < 20*day {
			return away()
		}
		return nil
	}
	w.live(22 * day)
	require.GreaterOrEqual(t, w.orders, 7, "each is due after three days")
	require.LessOrEqual(t, w.orders, 9)
	require.Contains(t, w.headlines(), cert.InstallationComplete, "by itself, when the edge is back")
}

// TestA3_CompleteIsWhatEveryEdgeServes: with one of two edges the installation is not complete.
func TestA3_CompleteIsWhatEveryEdgeServes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edges = []string{"edge-1:443", "edge-2:443"}
	w.verify = func(_ int, edge string) error {
		if edge == "edge-2:443" && w.env.Now().Sub(start) < day {
			return away()
		}
		return nil
	}
	w.live(2 * day)
	for _, s := range w.snapshots {
		if s.At.Sub(start) < day {
			require.False(t, s.Status.HasLive)
		}
	}
	require.Contains(t, w.headlines(), cert.InstallationComplete)
	require.Equal(t, 1, w.orders)
}

// TestE1_AWaitingDomainComesToNewCodeEachWeek: its run ends after a week.
func TestE1_AWaitingDomainComesToNewCodeEachWeek(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = never
	w.policy.ClaimLifetime = 0
	w.live(29 * day)
	require.Equal(t, 5, w.runs)
}
