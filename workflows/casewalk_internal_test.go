package workflows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// caseWalk is one random case: people who write to it, and times at which the database and the domain do not answer.
type caseWalk struct {
	t                    *testing.T
	seed                 uint64
	luck                 *rand.Rand
	begun, ends          time.Time
	database, domain     [2]time.Time // do not answer from, until
	mail                 []*letter
	row                  cert.Case
	handBacks, heard     int
	firstAsked, toldLast time.Time
	runs                 int
}

// TestRandomWalksOfACase: a case ends when its row is closed and never before, signals each hand-back to the domain, and reminds people on
// business days.
func TestRandomWalksOfACase(t *testing.T) {
	t.Parallel()
	handBacks, runs, reminded := 0, 0, 0
	for seed := range uint64(200) {
		w := newCaseWalk(t, seed+1)
		w.live()
		handBacks, runs = handBacks+w.heard, runs+w.runs
		if !w.row.RemindedAt.IsZero() {
			reminded++
		}
	}
	require.Greater(t, handBacks, 50)
	require.Greater(t, runs, 300)
	require.Greater(t, reminded, 30)
}

func newCaseWalk(t *testing.T, seed uint64) *caseWalk {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // no secret
	w := &caseWalk{t: t, seed: seed, luck: r, begun: tableTime}
	length := time.Duration(1+r.IntN(40)) * 24 * time.Hour
	w.ends = w.begun.Add(length)
	moment := func() time.Time { return w.begun.Add(time.Duration(r.Float64() * float64(length))) }
	for _, away := range []*[2]time.Time{&w.database, &w.domain} {
		away[0] = moment()
		away[1] = away[0].Add(time.Duration(r.ExpFloat64() * float64(5*time.Hour)))
	}
	signals := []string{Acknowledge, AddNote, AddNote, HandBack, Resolved, MoveOn, cancel}
	for range r.IntN(25) {
		m := &letter{at: moment(), verb: signals[r.IntN(len(signals))]}
		if m.verb != Resolved && m.verb != MoveOn {
			m.arg = CaseRequest{By: hostile[r.IntN(len(hostile))], Text: hostile[r.IntN(len(hostile))]}
		}
		if r.IntN(10) == 0 {
			m.arg = []int{7}
		}
		w.mail = append(w.mail, m)
	}
	w.row = cert.Case{
		ID: tableShop.ID + "/1", DomainID: tableShop.ID, Hostname: tableShop.Hostname, Tenant: tableShop.Tenant,
		Kind: cert.TooManyFailures, OpenedAt: w.begun,
	}
	return w
}

func (w *caseWalk) live() {
	now, state := w.begun, CaseState{Case: w.row}
	for w.runs = 1; w.runs < 200; w.runs++ {
		env := quiet(w.t)
		env.SetStartTime(now)
		env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
		Register(env)
		record := func(_ context.Context, c cert.Case) (cert.Case, error) {
			return w.save(env.Now(), c)
		}
		env.RegisterActivityWithOptions(record, activity.RegisterOptions{Name: activities.RecordCaseName})
		env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
			func(string, string, string, string, any) error { return w.signal(env.Now()) }).Maybe()
		for _, m := range w.mail {
			if m.sent == 0 {
				env.RegisterDelayedCallback(func() {
					if env.IsWorkflowCompleted() {
						return
					}
					m.sent++
					if m.verb == cancel {
						env.CancelWorkflow()
						return
					}
					if _, ok := m.arg.(CaseRequest); ok && m.verb == HandBack {
						w.handBacks++
					}
					if w.luck.IntN(10) == 0 {
						env.SetContinueAsNewSuggested(true)
					}
					env.SignalWorkflow(m.verb, m.arg)
				}, max(0, m.at.Sub(now)))
			}
		}
		env.RegisterDelayedCallback(func() { // the domain closes it
			if w.row.ClosedAt.IsZero() {
				w.row.ClosedAt, w.row.Resolution = env.Now(), "the certificate is installed"
			}
			env.SignalWorkflow(Resolved, nil)
		}, max(time.Second, w.ends.Sub(now)))
		require.NotPanics(w.t, func() { env.ExecuteWorkflow(EscalationWorkflow, state) }, "seed %d", w.seed)
		require.True(w.t, env.IsWorkflowCompleted(), "seed %d", w.seed)
		now = env.Now()
		err := env.GetWorkflowError()
		if err == nil {
			break
		}
		var next *workflow.ContinueAsNewError
		require.ErrorAs(w.t, err, &next, "seed %d", w.seed)
		state = CaseState{}
		require.NoError(w.t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &state), "seed %d", w.seed)
	}
	require.False(w.t, w.row.ClosedAt.IsZero(), "seed %d: ended, and is not closed", w.seed)
	require.LessOrEqual(w.t, w.heard, w.handBacks, "seed %d", w.seed)
	if !w.firstAsked.IsZero() && w.domain[1].Add(time.Hour).Before(w.ends) && w.firstAsked.Add(time.Hour).Before(w.ends) {
		require.Positive(w.t, w.heard, "seed %d: no hand-back reached the domain", w.seed)
	}
}

// save writes the row. Only the domain closes it.
func (w *caseWalk) save(now time.Time, c cert.Case) (cert.Case, error) {
	if !now.Before(w.database[0]) && now.Before(w.database[1]) {
		return cert.Case{}, errors.New("the database is away")
	}
	require.LessOrEqual(w.t, len(c.Notes), notesKept)
	for _, n := range c.Notes {
		require.True(w.t, cert.IsLine(n.Text) && cert.IsLine(n.Author), "seed %d: %q", w.seed, n)
	}
	if at := c.RemindedAt; !at.Equal(w.row.RemindedAt) {
		weekday := at.UTC().Weekday()
		require.True(w.t, weekday != time.Saturday && weekday != time.Sunday, "seed %d: reminded on %s", w.seed, fmt.Sprint(at))
		require.Empty(w.t, w.row.Assignee, "seed %d: somebody has it", w.seed)
		require.True(w.t, w.row.RemindedAt.IsZero() || at.Sub(w.row.RemindedAt) >= 23*time.Hour, "seed %d", w.seed)
	}
	require.True(w.t, c.Assignee != "" || w.row.Assignee == "", "seed %d: who took it is forgotten", w.seed)
	require.GreaterOrEqual(w.t, len(c.Notes), len(w.row.Notes), "seed %d: a note is lost", w.seed)
	c.ClosedAt, c.Resolution = w.row.ClosedAt, w.row.Resolution
	w.row = c
	return c, nil
}

func (w *caseWalk) signal(now time.Time) error {
	if w.firstAsked.IsZero() {
		w.firstAsked = now
	}
	if !now.Before(w.domain[0]) && now.Before(w.domain[1]) {
		return errors.New("the domain's workflow does not run")
	}
	w.heard++
	w.toldLast = now
	return nil
}
