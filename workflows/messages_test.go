package workflows_test

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// story is a domain in which a verb makes a difference.
type story struct {
	verb   string
	arg    any
	at     time.Duration // when it is sent
	before []message     // what was sent earlier
	world  func(*world)
}

func stories() []story {
	kim := workflows.Request{By: "kim", Reason: "because"}
	return []story{
		{verb: workflows.RequestCertificate, arg: kim, at: 30 * time.Minute, world: refusedTimes(1)},
		{verb: workflows.CheckNow, arg: kim, at: 130 * time.Minute, world: readyAt(6)},
		{verb: workflows.Pause, arg: kim, at: 2 * time.Minute, world: readyAt(3)},
		{verb: workflows.Resume, arg: kim, at: 12 * hour, world: readyAt(3), before: []message{{at: 2 * time.Minute, verb: workflows.Pause}}},
		{verb: workflows.Remove, arg: kim, at: hour, world: readyAt(1)},
		{verb: workflows.HandedBack, arg: kim, at: 5 * day, world: refusedTimes(3)},
		{verb: workflows.SetRedirect, arg: workflows.RedirectRequest{On: true, Request: kim}, at: hour, world: readyAt(1)},
	}
}

// readyAt has the records in place from the nth check on.
func readyAt(n int) func(*world) {
	return func(w *world) {
		w.check = func(look int) cert.Diagnosis {
			if look < n {
				return missing(cert.DNSNoRecords)
			}
			return ready
		}
	}
}

// refusedTimes makes the CA refuse the first n orders.
func refusedTimes(n int) func(*world) {
	return func(w *world) {
		w.order = func(order int) (cert.Certificate, error) {
			if order <= n {
				return cert.Certificate{}, refusal(cert.CAAForbids)
			}
			return w.certificate(order, 90*day), nil
		}
	}
}

// run runs the story with these messages.
func (s story) run(t *testing.T, messages ...message) *world {
	t.Helper()
	w := newWorld(t)
	s.world(w)
	w.live(10*day, append(append([]message{}, s.before...), messages...)...)
	return w
}

func requireSameStory(t *testing.T, want, got *world, why string) {
	t.Helper()
	require.Equal(t, want.effects, got.effects, why)
	require.Equal(t, withoutFractions(t, want.snapshots), withoutFractions(t, got.snapshots), why)
	require.Equal(t, withoutFractions(t, want.cases), withoutFractions(t, got.cases), why)
}

var fraction = regexp.MustCompile(`(T\d\d:\d\d:\d\d)\.\d+`)

// withoutFractions returns JSON with times to the second: events after an update are a millisecond later than events after a signal.
func withoutFractions(t *testing.T, all any) string {
	t.Helper()
	raw, err := json.MarshalIndent(all, "", " ")
	require.NoError(t, err)
	return fraction.ReplaceAllString(string(raw), "$1")
}

func TestE3_AVerbDoesTheSameAsSignalAndAsUpdate(t *testing.T) {
	t.Parallel()
	for _, s := range stories() {
		t.Run(s.verb, func(t *testing.T) {
			t.Parallel()
			var answer error
			signalled := s.run(t, message{at: s.at, verb: s.verb, arg: s.arg})
			updated := s.run(t, message{at: s.at, verb: s.verb, arg: s.arg, err: &answer})
			require.NoError(t, answer)
			requireSameStory(t, signalled, updated, "signal and update")
			require.NotEqual(t, s.run(t).snapshots, signalled.snapshots, "the verb must make a difference, or this test shows nothing")
		})
	}
}

// TestA3_TheTimelineSaysWhichWayTheRedirectWent: both requests have the same verb.
func TestA3_TheTimelineSaysWhichWayTheRedirectWent(t *testing.T) {
	t.Parallel()
	kim := workflows.Request{By: "kim"}
	w := story{world: readyAt(1)}.run(t,
		message{at: hour, verb: workflows.SetRedirect, arg: workflows.RedirectRequest{On: true, Request: kim}},
		message{at: 2 * hour, verb: workflows.SetRedirect, arg: workflows.RedirectRequest{Request: kim}})
	var made []string
	for _, snap := range w.snapshots {
		for _, e := range snap.Events {
			if e.Type == cert.RequestMade {
				made = append(made, e.Detail)
			}
		}
	}
	require.Equal(t, []string{"https-redirect on by kim", "https-redirect off by kim"}, made)
}

func TestARepeatedRequestSucceedsAndDoesNothingMore(t *testing.T) {
	t.Parallel()
	for _, s := range stories() {
		t.Run(s.verb, func(t *testing.T) {
			t.Parallel()
			var first, second error
			once := s.run(t, message{at: s.at, verb: s.verb, arg: s.arg})
			twice := s.run(t, message{at: s.at, verb: s.verb, arg: s.arg, err: &first}, message{at: s.at, verb: s.verb, arg: s.arg, err: &second})
			require.NoError(t, first)
			require.NoError(t, second)
			requireSameStory(t, once, twice, "said twice at a time")
		})
	}
}

func TestAStandingWishIsGrantedAgainLater(t *testing.T) {
	t.Parallel()
	for _, s := range stories() {
		switch s.verb {
		case workflows.Pause, workflows.Resume, workflows.HandedBack, workflows.SetRedirect:
			var later error
			once := s.run(t, message{at: s.at, verb: s.verb, arg: s.arg})
			again := s.run(t, message{at: s.at, verb: s.verb, arg: s.arg}, message{at: s.at + hour, verb: s.verb, arg: s.arg, err: &later})
			require.NoError(t, later, s.verb)
			requireSameStory(t, once, again, s.verb)
		}
	}
}

func TestARefusedVerbChangesNothing(t *testing.T) {
	t.Parallel()
	for what, s := range map[string]story{
		"a request while paused": {
			verb: workflows.RequestCertificate, arg: workflows.Request{By: "kim"}, at: hour, world: readyAt(3),
			before: []message{{at: 2 * time.Minute, verb: workflows.Pause, arg: workflows.Request{By: "ops"}}},
		},
		"a request while support has the case": {
			verb: workflows.RequestCertificate, arg: workflows.Request{By: "kim"}, at: 5 * day, world: refusedTimes(3),
		},
		"a redirect without a certificate": {
			verb: workflows.SetRedirect, arg: workflows.RedirectRequest{On: true}, at: hour, world: readyAt(100),
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var answer error
			silent := s.run(t)
			requireSameStory(t, silent, s.run(t, message{at: s.at, verb: s.verb, arg: s.arg}), "as a signal")
			requireSameStory(t, silent, s.run(t, message{at: s.at, verb: s.verb, arg: s.arg, err: &answer}), "as an update")
			var app *temporal.ApplicationError
			require.ErrorAs(t, answer, &app)
			require.Equal(t, workflows.RefusedType, app.Type())
			var p cert.Problem
			require.NoError(t, app.Details(&p))
			require.Equal(t, cert.RequestRefused, p.Code)
			require.NotEmpty(t, p.Message)
			require.NotEmpty(t, p.Remediation)
			require.NotEmpty(t, p.WhoActs)
		})
	}
}

func TestE3_ASignalThatCannotBeReadLeavesTheDomainAsItIs(t *testing.T) {
	t.Parallel()
	for _, s := range stories() {
		requireSameStory(t, s.run(t), s.run(t, message{at: s.at, verb: s.verb, arg: "only words, no JSON object"}), s.verb)
	}
}

func TestE3_ASignalWithNothingInItIsEnough(t *testing.T) {
	t.Parallel()
	s := stories()[0]
	w := s.run(t, message{at: s.at, verb: s.verb, arg: nil})
	require.Equal(t, []string{"01-05 09:00", "01-05 09:30"}, times(w, "order"))
}

func TestA3_RedirectCanAlwaysBeSwitchedOff(t *testing.T) {
	t.Parallel()
	var off error
	w := story{
		world: readyAt(100),
	}.run(
		t, message{at: hour, verb: workflows.SetRedirect, arg: workflows.RedirectRequest{On: false}, err: &off},
	)
	require.NoError(t, off)
	require.False(t, w.last().HTTPSRedirect)
}

func TestARemovedDomainHasNoProblems(t *testing.T) {
	t.Parallel()
	w := story{world: refusedTimes(1)}.run(t, message{at: hour, verb: workflows.Remove})
	require.Len(t, events(w, cert.DomainRemovedEvent), 1)
	require.Empty(t, w.last().Problems)
}

func TestRemovingAnEscalatedDomainClosesTheCaseOnItsTimeline(t *testing.T) {
	t.Parallel()
	w := story{world: refusedTimes(3)}.run(t)
	require.Len(t, events(w, cert.EscalationOpened), 1)
	require.Len(t, events(w, cert.DomainRemovedEvent), 1)
	require.Len(t, events(w, cert.EscalationClosed), 1)
}
