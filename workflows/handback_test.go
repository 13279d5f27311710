package workflows_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// away returns the error for an edge that can't be reached.
func away() error {
	return temporal.NewApplicationErrorWithOptions("no answer", string(cert.Wait), temporal.ApplicationErrorOptions{
		Details: []any{activities.Verdict{Outcome: cert.Wait, Problem: cert.Problem{Code: cert.HTTPSUnreachable, Message: "no answer"}}},
	})
}

// TestB2_AHandBackWithACertificateAtHandBeginsItsWaitAnew: the edge stays unreachable, so a case is opened again, after 72 hours and not
// before.
func TestB2_AHandBackWithACertificateAtHandBeginsItsWaitAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verify = func(int, string) error { return away() }
	w.live(12*day, message{at: 5 * day, verb: workflows.HandedBack, arg: workflows.Request{By: "kim"}})
	opened := moments(t, w, "event escalation.opened")
	require.Len(t, opened, 2)
	require.Equal(t, start.Add(8*day), opened[1])
}

func TestB2_AHandBackDuringAPauseBeginsItsWaitWhenTheDomainIsResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = never
	w.live(40*day, message{at: 4 * day, verb: workflows.Pause, arg: workflows.Request{By: "kim"}},
		message{at: 14 * day, verb: workflows.HandedBack, arg: workflows.Request{By: "kim"}},
		message{at: 24 * day, verb: workflows.Resume, arg: workflows.Request{By: "kim"}})
	opened := moments(t, w, "event escalation.opened")
	require.Len(t, opened, 2)
	require.Equal(t, start.Add(27*day), opened[1])
}

// TestA5_AHandBackOfADomainWhoseCertificateEndsMeanwhileIsNotLost: both are seen in the same turn.
func TestA5_AHandBackOfADomainWhoseCertificateEndsMeanwhileIsNotLost(t *testing.T) {
	t.Parallel()
	state := active(t, shop)
	state.Phase, state.Attempt.Failures, state.Cases = workflows.AwaitingHandBack, 3, 1
	state.Case = &cert.Case{ID: shop.ID + "/1", Kind: cert.TooManyFailures}
	state.Serving.Endangered = true
	v := newRun(t, state.Serving.Live.NotAfter)
	v.env.RegisterDelayedCallback(func() { v.env.SignalWorkflow(workflows.HandedBack, workflows.Request{By: "kim"}) }, 0)
	v.later(day, func() {})
	v.run(state)
	require.Equal(t, 1, v.orders, "attempts went on")
	for _, s := range v.snapshots {
		require.False(t, s.Case == nil && strings.Contains(s.NextAction, "support settles"), "there is no case: %+v", s)
	}
}

// TestA5_AHandBackThatComesBeforeItsCaseIsNotLost: a record is written in a workflow task that is lost, people see its case and settle it,
// and the signal arrives before the task is repeated.
func TestA5_AHandBackThatComesBeforeItsCaseIsNotLost(t *testing.T) {
	t.Parallel()
	for id, orders := range map[string]int{
		shop.ID + "/1": 4,
		shop.ID + "/2": 3, // of no case that can be open
		"":             3,
	} {
		w := newWorld(t)
		w.order = func(n int) (cert.Certificate, error) {
			if n == 3 {
				w.env.SignalWorkflow(workflows.HandedBack, workflows.HandBackRequest{Case: id, Request: workflows.Request{By: "kim"}})
			}
			if n <= 3 {
				return cert.Certificate{}, refusal(cert.CAAForbids)
			}
			return w.certificate(n, 90*day), nil
		}
		w.live(day)
		require.Equal(t, orders, w.orders, "case %q", id)
		require.Len(t, events(w, cert.EscalationOpened), 1)
		require.Len(t, events(w, cert.EscalationClosed), 1, "by the hand-back, or by the removal")
	}
}

// TestA5_AHandBackOfACaseThatIsNotOpenedAfterAllTouchesNoLaterOne: the repeated task may get other results than the one that was lost.
func TestA5_AHandBackOfACaseThatIsNotOpenedAfterAllTouchesNoLaterOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(n int) (cert.Certificate, error) {
		if n == 1 {
			w.env.SignalWorkflow(workflows.HandedBack, workflows.HandBackRequest{Case: shop.ID + "/1", Request: workflows.Request{By: "kim"}})
		}
		return cert.Certificate{}, refusal(cert.CAAForbids)
	}
	w.live(day)
	require.Equal(t, 3, w.orders)
	require.Equal(t, cert.ContactSupport, w.snapshots[len(w.snapshots)-2].Status.Headline())
}

func TestA5_TheAnswerToAHandBackSaysThatTheNextAttemptBegins(t *testing.T) {
	t.Parallel()
	state := active(t, shop)
	state.Serving, state.Phase = workflows.Serving{}, workflows.AwaitingHandBack
	state.Case = &cert.Case{ID: shop.ID + "/1", Kind: cert.TooManyFailures}
	v := newRun(t, start)
	var got *asked
	v.later(day, func() { got = v.ask(workflows.HandedBack, workflows.Request{By: "kim"}) })
	v.run(state)
	require.NoError(t, got.err)
	require.Equal(t, "the next attempt begins", got.answer.NextAction)
	require.True(t, start.Add(day).Equal(got.answer.NextActionAt))
}

// TestB3_ACertificateThatSomeEdgesServeIsRenewedWithPausesBetweenTheTries: its renewal was due long ago, and the CA does not answer.
func TestB3_ACertificateThatSomeEdgesServeIsRenewedWithPausesBetweenTheTries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edges = []string{"edge-1:443", "edge-2:443"}
	w.verify = func(_ int, edge string) error {
		if edge == "edge-2:443" {
			return away()
		}
		return nil
	}
	w.order = func(n int) (cert.Certificate, error) {
		if n == 1 {
			return w.certificate(n, 6*day), nil
		}
		return cert.Certificate{}, verdict(cert.Wait, cert.CAUnavailable, 0)
	}
	w.live(4 * day)
	require.Greater(t, w.orders, 5)
	require.Less(t, w.orders, 30, "10 minutes at first, then up to two hours")
}

// TestA4_ACAWhoseCertificatesAreDueWhenTheyComeIsAskedWithPauses: an order may have waited for long; the next certificate follows at once.
func TestA4_ACAWhoseCertificatesAreDueWhenTheyComeIsAskedWithPauses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(n int) (cert.Certificate, error) {
		c := w.certificate(n, 6*day)
		c.NotBefore, c.NotAfter = c.NotBefore.Add(-4*day), c.NotAfter.Add(-4*day)
		return c, nil
	}
	w.live(day)
	require.Greater(t, w.orders, 5)
	require.Less(t, w.orders, 25)
	require.Zero(t, w.installs)
}

// TestE1_AFloodOfRequestsMakesNoRecordThatTemporalRefuses: the events of a record are limited, also while the database does not answer.
func TestE1_AFloodOfRequestsMakesNoRecordThatTemporalRefuses(t *testing.T) {
	t.Parallel()
	state := active(t, shop)
	v := newRun(t, start)
	v.later(day, func() {
		for i := range 500 {
			verb := []string{workflows.Pause, workflows.Resume, workflows.Wake}[i%3]
			v.env.SignalWorkflow(verb, workflows.Request{By: "kim", Reason: fmt.Sprint(i)})
		}
	})
	v.run(state)
	for _, s := range v.snapshots {
		require.LessOrEqual(t, len(s.Events), 60)
	}
}

// TestE1_ARefusedRequestIsNoDoneOne: when it is sent again later and is possible then, it is carried out.
func TestE1_ARefusedRequestIsNoDoneOne(t *testing.T) {
	t.Parallel()
	pause := workflows.Request{ID: "p", By: "kim"}
	wish := message{verb: workflows.RequestCertificate, arg: workflows.Request{ID: "w", By: "kim"}}
	first, again := wish, wish
	first.at, again.at = 2*day, 4*day
	w := newWorld(t)
	w.live(6*day, message{at: day, verb: workflows.Pause, arg: pause}, first,
		message{at: 3 * day, verb: workflows.Resume, arg: workflows.Request{By: "kim"}}, again)
	require.Equal(t, 2, w.orders, "the first was refused: the domain was paused")
}

// TestE1_LongRequestIDsThatBeginAlikeAreTwo: and the same id sent twice is one request.
func TestE1_LongRequestIDsThatBeginAlikeAreTwo(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	wish := func(at time.Duration, id string) message {
		return message{at: at, verb: workflows.RequestCertificate, arg: workflows.Request{ID: id, By: "kim"}}
	}
	w := newWorld(t)
	w.live(6*day, wish(day, long+"1"), wish(2*day, long+"2"), wish(3*day, long+"1"))
	require.Equal(t, 3, w.orders, "the first certificate and two renewals")
}

func TestF24_AnIssuerIsOneLineInTheState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(n int) (cert.Certificate, error) {
		c := w.certificate(n, 90*day)
		c.Issuer = "Test \x1b[2J\u202eCA"
		return c, nil
	}
	w.live(hour)
	for _, s := range w.snapshots {
		require.True(t, cert.IsLine(s.Issuer), "%q", s.Issuer)
	}
}

// TestF22_AHandBackThatCouldNotBeToldGoesOnInTheNextRun: in the next run of the case.
func TestF22_AHandBackThatCouldNotBeToldGoesOnInTheNextRun(t *testing.T) {
	t.Parallel()
	w := newCase(t)
	w.closes(hour, "handed back by kim")
	state := workflows.CaseState{Case: opened, HandBack: &workflows.CaseRequest{By: "kim"}}
	w.env.RegisterDelayedCallback(func() { require.Len(t, w.signals, 1, "before anybody says anything") }, time.Minute)
	require.NotPanics(t, func() { w.env.ExecuteWorkflow(workflows.EscalationWorkflow, state) })
	require.NoError(t, w.env.GetWorkflowError())
	require.Len(t, w.signals, 1)
}

// TestB2_RecordsThatComeAndGoHideNoWaitForTheCA: every second check is unknown, and the CA does not answer.
func TestB2_RecordsThatComeAndGoHideNoWaitForTheCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n%2 == 0 {
			return cert.Diagnosis{Verdict: cert.Unknown, Problems: []cert.Problem{{Code: cert.NameserverUnreachable, Message: "no answer"}}}
		}
		return ready
	}
	w.order = func(int) (cert.Certificate, error) {
		return cert.Certificate{}, verdict(cert.Wait, cert.CAUnavailable, 0)
	}
	w.live(5 * day)
	require.Len(t, w.cases, 1)
	require.Equal(t, cert.CannotFinish, w.cases[0].Kind)
}

// TestB2_ALateRenewalThatIsHandedBackAndGetsNoBetterGoesToPeopleAgain: after 72 hours without a check that has a result.
func TestB2_ALateRenewalThatIsHandedBackAndGetsNoBetterGoesToPeopleAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n == 1 {
			return ready
		}
		return cert.Diagnosis{Verdict: cert.Unknown, Problems: []cert.Problem{{Code: cert.NameserverUnreachable, Message: "no answer"}}}
	}
	w.live(100*day, message{at: 95 * day, verb: workflows.HandedBack, arg: workflows.Request{By: "kim"}})
	opened := moments(t, w, "event escalation.opened")
	require.Len(t, opened, 2, "when a quarter is left, and then")
	require.Equal(t, start.Add(98*day), opened[1])
}
