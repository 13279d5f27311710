package workflows_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// oneRun is a single run of a domain.
type oneRun struct {
	*world
	timers []time.Duration
	next   *workflows.State // what the run passed to the next one
}

func newRun(t *testing.T, now time.Time) *oneRun {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	v := &oneRun{world: newWorld(t)}
	v.env = suite.NewTestWorkflowEnvironment()
	v.env.SetStartTime(now)
	v.env.SetTestTimeout(10 * time.Second)
	v.register(v.env)
	v.env.SetOnTimerScheduledListener(func(_ string, d time.Duration) { v.timers = append(v.timers, d) })
	return v
}

// asked is an update and its result.
type asked struct {
	answer cert.Answer
	err    error
}

// ask sends an update now.
func (v *oneRun) ask(verb string, arg any) *asked {
	a := &asked{}
	v.env.UpdateWorkflow(verb, fmt.Sprintf("%s at %s", verb, v.env.Now()), &testsuite.TestUpdateCallback{
		OnAccept: func() {}, OnReject: func(err error) { a.err = err },
		OnComplete: func(answer any, err error) {
			a.err = err
			if err == nil {
				a.answer = answer.(cert.Answer)
			}
		},
	}, arg)
	return a
}

// later calls do at an age of the run; an hour after it, the domain is removed, which ends the run.
func (v *oneRun) later(age time.Duration, do func()) {
	v.env.RegisterDelayedCallback(do, age)
	v.env.RegisterDelayedCallback(func() { v.env.SignalWorkflow(workflows.Remove, workflows.Request{By: "the test"}) }, age+hour)
}

func (v *oneRun) run(s workflows.State) {
	v.t.Helper()
	v.env.ExecuteWorkflow(workflows.DomainWorkflow, s)
	require.True(v.t, v.env.IsWorkflowCompleted())
	err := v.env.GetWorkflowError()
	if err == nil {
		return
	}
	var next *workflow.ContinueAsNewError
	require.ErrorAs(v.t, err, &next)
	v.next = &workflows.State{}
	require.NoError(v.t, converter.GetDefaultDataConverter().FromPayloads(next.Input, v.next))
}

// active is the state of a domain whose certificate was just installed.
func active(t *testing.T, d cert.Domain) workflows.State {
	t.Helper()
	v := newRun(t, start)
	v.env.RegisterDelayedCallback(func() { v.env.SignalWorkflow(workflows.MoveOn, nil) }, time.Minute)
	v.run(workflows.NewState(d))
	require.NotNil(t, v.next)
	require.Equal(t, workflows.Active, v.next.Phase)
	return *v.next
}

func TestAnActiveDomainAtRestIsOneTimer(t *testing.T) {
	t.Parallel()
	state := active(t, shop)
	v := newRun(t, start)
	v.later(day, func() {})
	v.run(state)
	require.Equal(t, []time.Duration{state.Serving.Live.RenewAt.Sub(start)}, v.timers)
	require.Equal(t, []string{"01-06 10:00 event domain.removed"}, v.effects, "nothing else was done")
}

func TestADomainThatWaitsForPeopleIsNoTimer(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*workflows.State){
		"paused": func(s *workflows.State) {
			s.Serving, s.Phase, s.Pause = workflows.Serving{}, workflows.AwaitingDNS, &workflows.PauseState{By: "kim", Since: start}
		},
		"with support": func(s *workflows.State) {
			s.Serving, s.Phase, s.Case = workflows.Serving{}, workflows.AwaitingHandBack, &cert.Case{ID: "7", Kind: cert.TooManyFailures}
		},
	} {
		state := active(t, shop)
		change(&state)
		v := newRun(t, start)
		v.later(30*day, func() {})
		v.run(state)
		require.Empty(t, v.timers, what)
	}
}

func TestAnUpdateAnswersWithWhatHappensNext(t *testing.T) {
	t.Parallel()
	renewal := active(t, shop).Serving.Live.RenewAt
	for _, c := range []struct {
		verb  string
		arg   any
		state func(*workflows.State)
		want  cert.Answer
	}{
		{
			verb: workflows.CheckNow, arg: workflows.Request{},
			want: cert.Answer{
				Headline: cert.InstallationComplete, Message: "the records are checked now", NextAction: "the certificate is renewed",
				NextActionAt: renewal,
				Checking:     true, LastCheck: start,
			},
		},
		{
			verb: workflows.RequestCertificate, arg: workflows.Request{},
			want: cert.Answer{
				Headline: cert.InstallationComplete, Message: "the records are checked now; the certificate is ordered if they are right",
				NextAction: "the certificate is renewed", NextActionAt: renewal,
			},
		},
		{
			verb: workflows.Pause, arg: workflows.Request{By: "kim"},
			want: cert.Answer{
				Headline: cert.RenewalHeld, Message: "checks, orders and renewals wait until the domain is resumed; a certificate that is live stays",
				NextAction: "somebody resumes the domain (paused by kim)",
			},
		},
		{
			verb: workflows.Pause, arg: workflows.Request{By: "lee"},
			state: func(s *workflows.State) { s.Pause = &workflows.PauseState{By: "kim", Since: start} },
			want: cert.Answer{
				Headline: cert.RenewalHeld, Message: "it was paused already", NextAction: "somebody resumes the domain (paused by kim)",
			},
		},
		{
			verb: workflows.Resume, arg: workflows.Request{},
			state: func(s *workflows.State) { s.Pause = &workflows.PauseState{By: "kim", Since: start} },
			want: cert.Answer{
				Headline: cert.InstallationComplete, Message: "the domain goes on where it was", NextAction: "the certificate is renewed",
				NextActionAt: renewal,
			},
		},
		{
			verb: workflows.Resume, arg: workflows.Request{},
			want: cert.Answer{
				Headline: cert.InstallationComplete, Message: "it was not paused", NextAction: "the certificate is renewed", NextActionAt: renewal,
			},
		},
		{
			verb: workflows.SetRedirect, arg: workflows.RedirectRequest{On: true},
			want: cert.Answer{
				Headline: cert.InstallationComplete, Message: "visitors who come over HTTP are sent to HTTPS", NextAction: "the certificate is renewed",
				NextActionAt: renewal,
			},
		},
		{
			verb: workflows.HandedBack, arg: workflows.Request{},
			want: cert.Answer{
				Headline: cert.InstallationComplete, Message: "people did not have it", NextAction: "the certificate is renewed", NextActionAt: renewal,
			},
		},
		{
			verb: workflows.Remove, arg: workflows.Request{},
			want: cert.Answer{Headline: cert.Removed, Message: "the domain is removed: nothing is renewed any more, and the edge stops serving it"},
		},
	} {
		t.Run(c.verb+": "+c.want.Message, func(t *testing.T) {
			t.Parallel()
			state := active(t, shop)
			if c.state != nil {
				c.state(&state)
			}
			v := newRun(t, start)
			var got *asked
			v.later(day, func() { got = v.ask(c.verb, c.arg) })
			v.run(state)
			require.NoError(t, got.err)
			require.True(t, c.want.NextActionAt.Equal(got.answer.NextActionAt), got.answer.NextActionAt)
			got.answer.NextActionAt = c.want.NextActionAt // the same instant, in another zone
			require.Equal(t, c.want, got.answer)
		})
	}
}

func TestCheckNowOfAPausedDomainDoesNotPromiseACheckNow(t *testing.T) {
	t.Parallel()
	state := active(t, shop)
	state.Pause = &workflows.PauseState{By: "kim", Since: start}
	v := newRun(t, start)
	var got *asked
	v.later(day, func() { got = v.ask(workflows.CheckNow, workflows.Request{}) })
	v.run(state)
	require.Zero(t, v.checks, "paused is paused")
	require.NotEqual(t, "the records are checked now", got.answer.Message)
}

// TestWhatIsAskedWhileTheInstallationIsRecordedIsNotLost: a client that waits for "Installation complete" asks for the redirect at that
// moment, when the run ends.
func TestWhatIsAskedWhileTheInstallationIsRecordedIsNotLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verb string
		arg  any
		seen func(cert.Snapshot) bool
	}{
		{workflows.SetRedirect, workflows.RedirectRequest{On: true}, func(s cert.Snapshot) bool { return s.HTTPSRedirect }},
		{workflows.Pause, workflows.Request{By: "kim"}, func(s cert.Snapshot) bool {
			return s.Paused && len(s.Events) == 2 && s.Events[0].Type == cert.RenewalOnHoldEvent && s.Events[1].Type == cert.RequestMade
		}},
	} {
		t.Run(c.verb, func(t *testing.T) {
			t.Parallel()
			v := newRun(t, start)
			v.recorded = func(s cert.Snapshot) {
				if s.Status.Headline() == cert.InstallationComplete && !s.HTTPSRedirect {
					v.env.SignalWorkflow(c.verb, c.arg)
				}
			}
			v.later(day, func() {})
			v.run(workflows.NewState(shop))
			found := false
			for _, s := range v.snapshots {
				found = found || c.seen(s) && s.Status.Domain != cert.DomainRemoved
			}
			require.True(t, found, "it is written before anything else happens")
		})
	}
}
