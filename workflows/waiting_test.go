package workflows_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/testsuite"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// between returns the times of an effect from one age of the domain to another.
func between(t *testing.T, w *world, effect string, from, to time.Duration) (at []string) {
	for _, m := range moments(t, w, effect) {
		if age := m.Sub(start); age >= from && age <= to {
			at = append(at, m.Format("01-02 15:04"))
		}
	}
	return at
}

// actions returns the next actions that were recorded, without repetitions.
func actions(w *world) (all []string) {
	for _, s := range w.snapshots {
		if s.NextAction != "" && (len(all) == 0 || all[len(all)-1] != s.NextAction) {
			all = append(all, s.NextAction)
		}
	}
	return all
}

func never(int) cert.Diagnosis { return missing(cert.DelegationMissing) }

func TestB7_RecordsAreCalledLateAfter48HoursAndOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = never
	w.live(60 * hour)
	require.Equal(t, []string{"01-07 09:00 event domain.late"}, events(w, cert.DomainLate))
	require.Equal(
		t, []string{"01-07 08:21", "01-07 09:00", "01-07 11:00"}, between(t, w, "check", 47*hour, 50*hour), "no sleep goes past the moment",
	)
	require.Equal(t, []string{"DNS is checked again", "the DNS records are late; DNS is checked again"}, actions(w))
	require.Equal(t, []cert.Headline{cert.Pending, cert.Removed}, w.headlines(), "late is shown beside the headline")
	require.Empty(t, w.cases, "people get the case a day later")
}

// details returns what the Temporal Web UI shows at the top of the workflow.
func details(t *testing.T, env *testsuite.TestWorkflowEnvironment) string {
	t.Helper()
	value, err := env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(t, err)
	var metadata sdk.WorkflowMetadata
	require.NoError(t, value.Get(&metadata))
	return metadata.GetCurrentDetails()
}

func TestB7_TheStoryInTheWebUISaysLate(t *testing.T) {
	t.Parallel()
	for age, late := range map[time.Duration]bool{47 * hour: false, 48 * hour: true} {
		v := newRun(t, start.Add(age))
		v.check = never
		var told string
		v.later(time.Second, func() { told = details(t, v.env) })
		s := workflows.NewState(shop)
		s.ConnectedAt, s.Records.Since, s.Records.Checks = start, start, 30
		v.run(s)
		require.Contains(t, told, "DNS is checked again at")
		require.Equal(t, late, strings.Contains(told, "Late: the DNS records are awaited since 2026-01-05T09:00:00Z, longer than 48h."), told)
	}
}

func TestB7_AZoneThatDoesNotAnswerIsNotLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(int) cert.Diagnosis {
		if w.env.Now().Before(start.Add(55 * hour)) {
			return cert.Diagnosis{Verdict: cert.Unknown, Problems: []cert.Problem{{Code: cert.DNSLookupFailed}}}
		}
		return missing(cert.DelegationMissing)
	}
	w.live(60 * hour)
	require.Equal(t, []string{"01-07 17:00 event domain.late"}, events(w, cert.DomainLate), "once it answers, and the records are not there")
}

func TestB7_AHandBackBeginsTheWaitAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = never
	w.live(7*day-hour, message{at: 4 * day, verb: workflows.HandedBack, arg: workflows.Request{By: "support"}})
	require.Equal(t, []string{"01-07 09:00 event domain.late", "01-11 09:00 event domain.late"}, events(w, cert.DomainLate))
	require.Equal(t, []string{
		"DNS is checked again", "the DNS records are late; DNS is checked again", "DNS is checked again",
		"the DNS records are late; DNS is checked again",
	}, actions(w))
}

// TestB7_RecordsThatWereThereAreNotLate: the wait counts from the check that did not see them any more, not from connecting.
func TestB7_RecordsThatWereThereAreNotLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n == 1 {
			return ready
		}
		return missing(cert.DelegationMissing)
	}
	w.order = func(int) (cert.Certificate, error) {
		return cert.Certificate{}, verdict(cert.Wait, cert.RateLimited, 60*hour)
	}
	w.live(110 * hour)
	require.Len(t, times(w, "order"), 1)
	require.Equal(t, []string{"01-09 21:00 event domain.late"}, events(w, cert.DomainLate), "48 hours after the second check")
	require.Empty(t, w.cases)
}

// TestF21_ACAThatSaysASecondEachTimeIsAskedMoreAndMoreSeldom: "Retry-After: 0", or a date in the past, must not lead to 600 orders in ten
// minutes.
func TestF21_ACAThatSaysASecondEachTimeIsAskedMoreAndMoreSeldom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(int) (cert.Certificate, error) {
		return cert.Certificate{}, verdict(cert.Wait, cert.RateLimited, time.Second)
	}
	w.live(8 * hour)
	require.Equal(t, []string{
		"01-05 09:00", "01-05 09:01", "01-05 09:03", "01-05 09:07", "01-05 09:15", "01-05 09:31", "01-05 10:03", "01-05 11:07", "01-05 13:07",
		"01-05 15:07",
	}, times(w, "order"))
	require.Empty(t, events(w, cert.IssuanceFailed))
}

// TestF21_ATimeThatTheCASaysIsObeyed: and a place in the queue is exact to the minute, however often there was none.
func TestF21_ATimeThatTheCASaysIsObeyed(t *testing.T) {
	t.Parallel()
	for code, want := range map[cert.Code][]string{
		cert.RateLimited:      {"01-05 09:00", "01-05 12:00", "01-05 15:00"},
		cert.WaitingForBudget: {"01-05 09:00", "01-05 12:00", "01-05 12:00", "01-05 12:01"},
	} {
		w := newWorld(t)
		w.order = func(n int) (cert.Certificate, error) {
			waits := []time.Duration{3 * hour, 3 * hour, day}
			if code == cert.WaitingForBudget {
				waits = []time.Duration{3 * hour, 10 * time.Second, 80 * time.Second, day}
			}
			return cert.Certificate{}, verdict(cert.Wait, code, waits[n-1])
		}
		w.live(8 * hour)
		require.Equal(t, want, times(w, "order"), code)
	}
}

func TestB7_WithoutTheSettingNothingIsEverLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy.LateAfter = 0 // a worker of an older version
	w.check = never
	w.live(60 * hour)
	require.Empty(t, events(w, cert.DomainLate))
}

func TestD6_TheCaseCarriesTheRecordsAsTheyWereSeen(t *testing.T) {
	t.Parallel()
	seen := []cert.RecordState{{
		Record:  cert.Record{Name: "_acme-challenge.shop.example.com", Type: "CNAME", Value: "x.dcv.example.net", Purpose: cert.ForDelegation},
		Verdict: cert.Wrong, Found: []string{"CNAME elsewhere.example"},
	}}
	w := newWorld(t)
	w.check = func(int) cert.Diagnosis {
		d := missing(cert.DelegationWrongTarget)
		d.Records = seen
		return d
	}
	w.live(73 * hour)
	require.Len(t, w.cases, 1)
	require.Equal(t, seen, w.cases[0].Records)
	require.Equal(t, cert.DelegationWrongTarget, w.cases[0].Problems[0].Code)
	require.Equal(t, "72h without the DNS records that are needed", w.cases[0].Reason)
}

func TestAProblemThatOnlyWarnsHoldsNoOrder(t *testing.T) {
	t.Parallel()
	warning := cert.Problem{Code: cert.IPv6Unreachable, Message: "visitors over IPv6 wait", WhoActs: cert.TenantActs, Severity: cert.Warns}
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		d := ready
		if n == 1 {
			d = missing(cert.OwnershipMissing)
		}
		d.Problems = append([]cert.Problem{warning}, d.Problems...)
		return d
	}
	w.live(day)
	require.Equal(t, cert.DomainPendingOwnership, w.snapshots[0].Status.Domain, "the ownership record is all that holds it")
	require.Equal(t, []string{"01-05 09:01"}, times(w, "order"))
	require.Equal(t, []cert.Problem{warning}, w.snapshots[1].Diagnosis.Problems, "the warning is recorded all the same")
}

func TestB3_WhatHoldsARenewalIsToldBeforeWhatWarns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n == 1 {
			return ready
		}
		d := missing(cert.DomainExpired)
		d.Problems[0].Message = "the registration has expired"
		d.Problems = append([]cert.Problem{{Code: cert.IPv6Unreachable, Message: "visitors over IPv6 wait", Severity: cert.Warns}}, d.Problems...)
		return d
	}
	w.live(61 * day)
	var told []string
	for _, s := range w.snapshots {
		for _, e := range s.Events {
			if e.Type == cert.RenewalOnHoldEvent {
				told = append(told, e.Detail)
			}
		}
	}
	require.Equal(t, []string{"the registration has expired"}, told)
}

func TestB3_TheRegistryIsAskedForRenewalsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live(61 * day)
	require.Len(t, w.checked, 2)
	require.False(t, w.checked[0].Registration, "a domain that is being connected is registered: its DNS answers")
	require.True(t, w.checked[1].Registration)
}

// TestACheckThatIsAskedForDuringACheckIsMadeAfterwards: the check in progress may have asked before the tenant changed anything.
func TestACheckThatIsAskedForDuringACheckIsMadeAfterwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n == 1 {
			w.env.SignalWorkflow(workflows.CheckNow, workflows.Request{By: "kim"})
		}
		return missing(cert.DelegationMissing)
	}
	w.live(30 * time.Second)
	require.Equal(t, []string{"01-05 09:00", "01-05 09:00"}, times(w, "check"))
}

// TestTheAnswerToACheckNamesTheCheckBefore: a client that waits for the new check recognises it by that.
func TestTheAnswerToACheckNamesTheCheckBefore(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{false, true} {
		v := newRun(t, start)
		v.check = never
		var got *asked
		v.later(30*time.Second, func() {
			if paused {
				v.ask(workflows.Pause, workflows.Request{By: "kim"})
			}
			got = v.ask(workflows.CheckNow, workflows.Request{By: "kim"})
		})
		v.run(workflows.NewState(shop))
		require.NoError(t, got.err)
		require.Equal(t, !paused, got.answer.Checking, "a check of a paused domain waits until it is resumed")
		require.Equal(t, paused, got.answer.LastCheck.IsZero())
		if !paused {
			require.True(t, got.answer.LastCheck.Equal(start))
		}
	}
}

// TestF9_AWakeThatAsksForACheckIsOneCheck: at once while the records are awaited, and nothing at all later.
func TestF9_AWakeThatAsksForACheckIsOneCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := false
	w.check = func(int) cert.Diagnosis {
		if there {
			return ready
		}
		return missing(cert.OwnershipMissing)
	}
	wake := workflows.WakeRequest{Cause: "the name servers show the records", Check: true}
	w.live(10*day,
		message{at: 20 * time.Minute, verb: workflows.Wake, arg: wake, do: func() { there = true }},
		message{at: 5 * day, verb: workflows.Wake, arg: wake})
	require.Equal(t, []string{"01-05 09:20"}, times(w, "order"), "not at the next check, which is an hour after connecting")
	require.Empty(t, events(w, cert.DomainRepaired), "it is no news")
	looks := 0
	for _, at := range moments(t, w, "check") {
		if at.After(start.Add(day)) {
			looks++
		}
	}
	require.Zero(t, looks, "a domain with a certificate does not wait for records")
}
