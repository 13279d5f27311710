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

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

var friday = time.Date(2026, 1, 9, 15, 0, 0, 0, time.UTC)

var opened = cert.Case{
	ID:       shop.ID + "/7",
	DomainID: shop.ID,
	Hostname: shop.Hostname,
	Tenant:   shop.Tenant,
	Reason:   "3 attempts failed",
	Failures: 3,
	OpenedAt: friday,
	Problems: []cert.Problem{
		{Code: cert.CAAForbids, Message: "a CAA record forbids it", Remediation: "allow ca.example", WhoActs: cert.TenantActs},
	},
}

// caseWorld is the world of one case, in virtual time: the store's row, each time it is written, and the domain's workflow.
type caseWorld struct {
	t        *testing.T
	env      *testsuite.TestWorkflowEnvironment
	domain   error     // what a signal to the domain meets
	closed   cert.Case // what the row says of the end
	recorded []cert.Case
	database func() error // if set: what the database says to each record
	signals  []signalled
}

type signalled struct {
	workflow, name string
	request        workflows.HandBackRequest
}

func newCase(t *testing.T) *caseWorld {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	w := &caseWorld{t: t, env: suite.NewTestWorkflowEnvironment()}
	w.env.SetStartTime(friday)
	w.env.SetTestTimeout(10 * time.Second)
	workflows.Register(w.env)
	w.env.RegisterActivityWithOptions(func(_ context.Context, c cert.Case) (cert.Case, error) {
		if w.database != nil {
			if err := w.database(); err != nil {
				return cert.Case{}, err
			}
		}
		w.recorded = append(w.recorded, c)
		c.ClosedAt, c.Resolution = w.closed.ClosedAt, w.closed.Resolution
		return c, nil
	}, activity.RegisterOptions{Name: activities.RecordCaseName})
	w.env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, workflowID, _, name string, arg any) error {
			w.signals = append(w.signals, signalled{workflowID, name, arg.(workflows.HandBackRequest)})
			return w.domain
		}).Maybe()
	return w
}

// at sends a signal at an age of the case.
func (w *caseWorld) at(age time.Duration, signal string, arg any) {
	w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(signal, arg) }, age)
}

// closes lets the domain close the case at an age.
func (w *caseWorld) closes(age time.Duration, how string) {
	w.env.RegisterDelayedCallback(func() {
		w.closed.ClosedAt, w.closed.Resolution = w.env.Now(), how
		w.env.SignalWorkflow(workflows.Resolved, nil)
	}, age)
}

// live runs the case to its end.
func (w *caseWorld) live(c cert.Case) error {
	w.t.Helper()
	require.NotPanics(w.t, func() { w.env.ExecuteWorkflow(workflows.EscalationWorkflow, workflows.CaseState{Case: c}) }, "the case is stuck")
	return w.env.GetWorkflowError()
}

func (w *caseWorld) last() cert.Case { return w.recorded[len(w.recorded)-1] }

// reminders returns the times at which people were reminded.
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
	w.closes(hour, "the certificate is installed")
	require.NoError(t, w.live(opened))
	require.Equal(t, opened, w.recorded[0])
	require.Equal(t, []cert.Case{opened, opened}, w.recorded, "once more, to see that it is closed")
	require.Empty(t, w.signals, "the domain closed it")
}

func TestD6_TheCaseShowsItsRecordsInTheWebUI(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	c := opened
	c.Records = []cert.RecordState{
		{
			Record:  cert.Record{Name: "_acme-challenge.shop.example.com", Type: "CNAME", Value: "x.dcv.example.net"},
			Verdict: cert.Wrong,
			Found:   []string{"CNAME elsewhere.example"},
		},
		{
			Record:  cert.Record{Name: "shop.example.com", Type: "CNAME", Value: "edge.example.net"},
			Verdict: cert.OK,
			Found:   []string{"CNAME edge.example.net"},
		},
	}
	var told string
	w.env.RegisterDelayedCallback(func() { told = details(t, w.env) }, time.Minute)
	w.closes(hour, "the certificate is installed")
	require.NoError(t, w.live(c))
	require.Contains(
		t, told,
		cert.Markdown(
			"_acme-challenge.shop.example.com",
		)+" CNAME should be "+cert.Markdown(
			"x.dcv.example.net",
		)+": wrong, found "+cert.Markdown(
			"CNAME elsewhere.example",
		)+"\n",
	)
	require.Contains(t, told, cert.Markdown("shop.example.com")+" CNAME should be "+cert.Markdown("edge.example.net")+": ok")
	require.Equal(t, c.Records, w.last().Records, "the evidence stays")
}

func TestA5_WhatPeopleSayOnACaseIsKeptWithAuthorAndTime(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(10*time.Minute, workflows.Acknowledge, workflows.CaseRequest{By: "kim"})
	w.at(20*time.Minute, workflows.AddNote, workflows.CaseRequest{By: "kim", Text: "asked the tenant"})
	w.at(30*time.Minute, workflows.AddNote, workflows.CaseRequest{Text: "from the Web UI"})
	w.at(40*time.Minute, workflows.Acknowledge, workflows.CaseRequest{By: "lee"})
	w.closes(hour, "the certificate is installed")
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
	w.closes(5*day-hour, "the certificate is installed")
	require.NoError(t, w.live(opened))
	require.Equal(t, []string{"Mon 01-12 15:00", "Tue 01-13 15:00"}, w.reminders())
}

func TestA5_WhoTookTheCaseIsNotRemindedAnyMore(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(3*day+hour, workflows.Acknowledge, workflows.CaseRequest{By: "kim"}) // on Monday, after the first reminder
	w.closes(10*day, "the certificate is installed")
	require.NoError(t, w.live(opened))
	require.Equal(t, []string{"Mon 01-12 15:00"}, w.reminders())
}

func TestA5_HandingBackTellsTheDomainWhichClosesTheCase(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(2*hour, workflows.HandBack, workflows.CaseRequest{By: "kim", Text: "the CAA record is gone"})
	w.closes(2*hour+time.Minute, "handed back by kim")
	require.NoError(t, w.live(opened))
	require.Equal(t, []signalled{{workflows.DomainID(shop.Hostname), workflows.HandedBack, workflows.HandBackRequest{
		Request: workflows.Request{ID: "hand-back:" + opened.ID, By: "kim", Reason: "the CAA record is gone"}, Case: opened.ID,
	}}}, w.signals)
	require.Equal(
		t, []cert.Note{{Author: "kim", Text: "handed the domain back: the CAA record is gone", At: friday.Add(2 * hour)}}, w.last().Notes,
	)
}

// TestF22_ADomainThatIsAwayIsToldAgain: its workflow may be missing until the caretaker has started it again. The hand-back is not lost.
func TestF22_ADomainThatIsAwayIsToldAgain(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.domain = temporal.NewApplicationError("no such workflow", "gone")
	w.at(2*hour, workflows.HandBack, workflows.CaseRequest{By: "kim"})
	w.env.RegisterDelayedCallback(func() { w.domain = nil }, 3*hour-time.Minute)
	w.closes(4*hour, "handed back by kim")
	require.NoError(t, w.live(opened))
	require.Len(t, w.signals, 7, "every ten minutes, and no more once it has heard")
	require.Len(t, w.last().Notes, 2)
	require.Equal(t, "evercert", w.last().Notes[0].Author)
	require.Contains(t, w.last().Notes[0].Text, "the hand-back did not reach the domain yet")
	require.Contains(t, w.last().Notes[0].Text, "no such workflow")
	require.Equal(t, "handed the domain back", w.last().Notes[1].Text)
}

// TestE3_ASignalThatCannotBeReadIsPassedOver: people type them in the Temporal Web UI.
func TestE3_ASignalThatCannotBeReadIsPassedOver(t *testing.T) {
	t.Parallel()
	for _, signal := range []string{workflows.Acknowledge, workflows.AddNote, workflows.HandBack} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			w := newCase(t)
			w.at(hour, signal, "only words, no JSON object")
			w.at(4*day-hour, workflows.HandBack, workflows.CaseRequest{By: "kim"})
			w.closes(4*day-time.Minute, "handed back by kim")
			require.NoError(t, w.live(opened))
			require.Equal(t, []string{"Mon 01-12 15:00"}, w.reminders(), "reminders go on")
			require.Len(t, w.signals, 1, "other signals are heard")
		})
	}
}

func TestE3_ASignalWithNothingInItIsSignedByTheWebUI(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.at(hour, workflows.Acknowledge, nil)
	w.at(2*hour, workflows.HandBack, nil)
	w.closes(3*hour, "handed back")
	require.NoError(t, w.live(opened))
	require.Equal(t, "the Temporal Web UI", w.last().Assignee)
	require.Equal(t, "the Temporal Web UI", w.signals[0].request.By)
}

// TestF22_ACancellationFromOutsideEndsNoCase: a person may cancel it in the Temporal Web UI. The notes say so.
func TestF22_ACancellationFromOutsideEndsNoCase(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		w := newCase(t)
		if taken {
			w.at(hour, workflows.Acknowledge, workflows.CaseRequest{By: "kim"})
		}
		w.env.RegisterDelayedCallback(w.env.CancelWorkflow, 2*hour)
		w.at(3*hour, workflows.AddNote, workflows.CaseRequest{By: "lee", Text: "still here"})
		w.closes(4*day, "the certificate is installed")
		require.NoError(t, w.live(opened))
		notes := w.last().Notes
		require.Contains(t, notes[len(notes)-2].Text, "only its closing ends a case")
		require.Equal(t, "still here", notes[len(notes)-1].Text)
		require.Equal(t, !taken, len(w.reminders()) > 0, "reminders go on")
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
	var c workflows.CaseState
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &c))
	require.Equal(t, w.last(), c.Case)
	require.Equal(t, "kim", c.Assignee)
}
