package workflows_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

var friday = time.Date(2026, 1, 9, 15, 0, 0, 0, time.UTC)

var opened = cert.Case{
	ID: shop.ID + "/7", DomainID: shop.ID, Hostname: shop.Hostname, Tenant: shop.Tenant, Reason: "3 attempts failed", Failures: 3, OpenedAt: friday,
	Problems: []cert.Problem{{Code: cert.CAAForbids, Message: "a CAA record forbids it", Remediation: "allow ca.example", WhoActs: cert.TenantActs}},
}

// caseWorld is what surrounds one case, in virtual time: the store's row, as it is written each time, and the domain's workflow.
type caseWorld struct {
	t        *testing.T
	env      *testsuite.TestWorkflowEnvironment
	domain   error // what a signal to the domain meets
	recorded []cert.Case
	signals  []signalled
}

type signalled struct {
	workflow, name string
	request        workflows.Request
}

func newCase(t *testing.T) *caseWorld {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	w := &caseWorld{t: t, env: suite.NewTestWorkflowEnvironment()}
	w.env.SetStartTime(friday)
	w.env.SetTestTimeout(10 * time.Second)
	w.env.RegisterWorkflowWithOptions(workflows.Escalation, workflow.RegisterOptions{Name: workflows.EscalationWorkflow})
	w.env.RegisterActivityWithOptions(func(_ context.Context, c cert.Case) error {
		w.recorded = append(w.recorded, c)
		return nil
	}, activity.RegisterOptions{Name: "RecordCase"})
	w.env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, workflowID, _, name string, arg any) error {
			w.signals = append(w.signals, signalled{workflowID, name, arg.(workflows.Request)})
			return w.domain
		}).Maybe()
	return w
}

// at sends a signal when the case is that old.
func (w *caseWorld) at(age time.Duration, signal string, arg any) {
	w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(signal, arg) }, age)
}

// live runs the case to its end.
func (w *caseWorld) live(c cert.Case) error {
	w.t.Helper()
	require.NotPanics(w.t, func() { w.env.ExecuteWorkflow(workflows.EscalationWorkflow, c) }, "the case is stuck")
	return w.env.GetWorkflowError()
}

func (w *caseWorld) last() cert.Case { return w.recorded[len(w.recorded)-1] }

// reminders are the moments at which people were reminded.
func (w *caseWorld) reminders() (at []string) {
	seen := time.Time{}
	for _, c := range w.recorded {
		if c.RemindedAt.After(seen) {
			seen = c.RemindedAt
			at = append(at, seen.UTC().Format("Mon 01-02 15:04"))
		}
	}
	return at
}

func TestA5_ACaseOpensWithItsEvidenceAndStaysOpen(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(hour, workflows.Resolved, workflows.CaseRequest{By: "evercert", Text: "the certificate is installed"})
	require.NoError(t, w.live(opened))
	require.Equal(t, opened, w.recorded[0])
	require.Len(t, w.recorded, 2)
	want := opened
	want.ClosedAt, want.Resolution = friday.Add(hour), "the certificate is installed"
	require.Equal(t, want, w.last(), "resolved: closed, and nothing else changed")
	require.Empty(t, w.signals, "the domain knows: it said so")
}

func TestD6_TheCaseShowsItsRecordsInTheWebUI(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	c := opened
	c.Records = []cert.RecordState{
		{Record: cert.Record{Name: "_acme-challenge.shop.example.com", Type: "CNAME", Value: "x.dcv.example.net"}, Verdict: cert.Wrong, Found: []string{"CNAME elsewhere.example"}},
		{Record: cert.Record{Name: "shop.example.com", Type: "CNAME", Value: "edge.example.net"}, Verdict: cert.OK, Found: []string{"CNAME edge.example.net"}},
	}
	var told string
	w.env.RegisterDelayedCallback(func() { told = details(t, w.env) }, time.Minute)
	w.at(hour, workflows.Resolved, workflows.CaseRequest{})
	require.NoError(t, w.live(c))
	require.Contains(t, told, "- _acme-challenge.shop.example.com CNAME should be `x.dcv.example.net`: wrong, found CNAME elsewhere.example\n")
	require.Contains(t, told, "- shop.example.com CNAME should be `edge.example.net`: ok")
	require.Equal(t, c.Records, w.last().Records, "the evidence stays")
}

func TestA5_WhatPeopleSayOnACaseIsKeptWithAuthorAndTime(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(10*time.Minute, workflows.Acknowledge, workflows.CaseRequest{By: "kim"})
	w.at(20*time.Minute, workflows.AddNote, workflows.CaseRequest{By: "kim", Text: "asked the tenant"})
	w.at(30*time.Minute, workflows.AddNote, workflows.CaseRequest{Text: "from the Web UI"})
	w.at(40*time.Minute, workflows.Acknowledge, workflows.CaseRequest{By: "lee"})
	w.at(hour, workflows.Resolved, workflows.CaseRequest{})
	require.NoError(t, w.live(opened))
	require.Equal(t, []cert.Note{
		{Author: "kim", Text: "took the case", At: friday.Add(10 * time.Minute)},
		{Author: "kim", Text: "asked the tenant", At: friday.Add(20 * time.Minute)},
		{Author: "the Temporal Web UI", Text: "from the Web UI", At: friday.Add(30 * time.Minute)},
		{Author: "lee", Text: "took the case", At: friday.Add(40 * time.Minute)},
	}, w.last().Notes)
	require.Equal(t, "lee", w.last().Assignee)
	require.Equal(t, "kim", w.recorded[1].Assignee, "each step is recorded at once")
	require.Equal(t, opened.Problems, w.last().Problems, "the evidence stays")
}

func TestA5_NobodyIsRemindedOnAWeekend(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(day, workflows.AddNote, workflows.CaseRequest{By: "kim", Text: "on Saturday"}) // does not put the reminder off
	w.at(5*day-hour, workflows.Resolved, workflows.CaseRequest{})
	require.NoError(t, w.live(opened))
	require.Equal(t, []string{"Mon 01-12 15:00", "Tue 01-13 15:00"}, w.reminders())
}

func TestA5_WhoTookTheCaseIsNotRemindedAnyMore(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(3*day+hour, workflows.Acknowledge, workflows.CaseRequest{By: "kim"}) // on Monday, after the first reminder
	w.at(10*day, workflows.Resolved, workflows.CaseRequest{})
	require.NoError(t, w.live(opened))
	require.Equal(t, []string{"Mon 01-12 15:00"}, w.reminders())
}

func TestA5_HandingBackTellsTheDomainAndClosesTheCase(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(2*hour, workflows.HandBack, workflows.CaseRequest{By: "kim", Text: "the CAA record is gone"})
	require.NoError(t, w.live(opened))
	require.Equal(t, []signalled{{workflows.DomainID(shop.Hostname), workflows.HandedBack, workflows.Request{By: "kim", Reason: "the CAA record is gone"}}}, w.signals)
	require.Equal(t, friday.Add(2*hour), w.last().ClosedAt.UTC())
	require.Equal(t, "handed back by kim: the CAA record is gone", w.last().Resolution)
	require.Empty(t, w.last().Notes)
}

func TestACaseOfADomainThatIsGoneClosesAllTheSame(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.domain = temporal.NewApplicationError("no such workflow", "gone")
	w.at(2*hour, workflows.HandBack, workflows.CaseRequest{By: "kim"})
	require.NoError(t, w.live(opened))
	require.Len(t, w.signals, 1)
	require.Len(t, w.last().Notes, 1)
	require.Equal(t, "evercert", w.last().Notes[0].Author)
	require.Contains(t, w.last().Notes[0].Text, "the domain could not be told")
	require.Contains(t, w.last().Notes[0].Text, "no such workflow")
	require.Equal(t, "handed back by kim", w.last().Resolution)
	require.False(t, w.last().ClosedAt.IsZero())
}

// TestE3_ASignalThatCannotBeReadIsPassedOver: people type them in the Temporal Web UI.
func TestE3_ASignalThatCannotBeReadIsPassedOver(t *testing.T) {
	t.Parallel()
	for _, signal := range []string{workflows.Acknowledge, workflows.AddNote, workflows.HandBack, workflows.Resolved} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			w := newCase(t)
			w.at(hour, signal, "only words, no JSON object")
			w.at(4*day-hour, workflows.HandBack, workflows.CaseRequest{By: "kim"})
			w.at(5*day, workflows.Resolved, workflows.CaseRequest{})
			require.NoError(t, w.live(opened))
			require.Equal(t, []string{"Mon 01-12 15:00"}, w.reminders(), "reminders go on")
			require.Equal(t, friday.Add(4*day-hour), w.last().ClosedAt.UTC(), "other signals are heard")
		})
	}
}

func TestE3_ASignalWithNothingInItIsSignedByTheWebUI(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(hour, workflows.Acknowledge, nil)
	w.at(2*hour, workflows.HandBack, nil)
	require.NoError(t, w.live(opened))
	require.Equal(t, "the Temporal Web UI", w.last().Assignee)
	require.Equal(t, "handed back by the Temporal Web UI", w.last().Resolution)
}

// TestACaseCanBeCancelled: by whoever tidies up in the Temporal Web UI. Nothing of it may hang.
func TestACaseCanBeCancelled(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		w := newCase(t)
		if taken {
			w.at(hour, workflows.Acknowledge, workflows.CaseRequest{By: "kim"})
		}
		var told bool
		w.env.RegisterDelayedCallback(func() { told = true; w.env.CancelWorkflow() }, 2*hour)
		err := w.live(opened)
		require.True(t, told)
		require.True(t, temporal.IsCanceledError(err), "taken %t: %v", taken, err)
		require.True(t, w.last().ClosedAt.IsZero())
	}
}

func TestACaseOutlivesItsRun(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.env.RegisterDelayedCallback(func() { w.env.SetContinueAsNewSuggested(true) }, hour)
	w.at(2*hour, workflows.Acknowledge, workflows.CaseRequest{By: "kim"})
	var next *workflow.ContinueAsNewError
	require.True(t, errors.As(w.live(opened), &next))
	require.Equal(t, workflows.EscalationWorkflow, next.WorkflowType.Name)
	var c cert.Case
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &c))
	require.Equal(t, w.last(), c)
	require.Equal(t, "kim", c.Assignee)
}
