package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// outage is a database that does not answer for an hour from its nth use on.
type outage struct {
	from, uses int
	until      time.Time
}

func (o *outage) at(now time.Time) error {
	if o.uses++; o.uses == o.from {
		o.until = now.Add(hour)
	}
	if now.Before(o.until) {
		return errors.New("connection refused")
	}
	return nil
}

// troubled is a domain that passes through every phase: no records, three refusals, a hand-back, a late edge, a renewal on hold.
func troubled(t *testing.T, from int) (*world, *outage) {
	t.Helper()
	w, o := newWorld(t), &outage{from: from}
	w.database = func() error { return o.at(w.env.Now()) }
	since := func() time.Duration { return w.env.Now().Sub(start) }
	w.check = func(int) cert.Diagnosis {
		if age := since(); age < 3*hour || age > 68*day && age < 72*day {
			return missing(cert.DelegationMissing)
		}
		return ready
	}
	w.order = func(n int) (cert.Certificate, error) {
		if since() < 10*day {
			return cert.Certificate{}, refusal(cert.CAAForbids)
		}
		return w.certificate(n, 90*day), nil
	}
	w.verify = func(int, string) error {
		if since() < 10*day+5*hour {
			return away()
		}
		return nil
	}
	w.live(90*day, message{at: 10 * day, verb: workflows.HandedBack, arg: workflows.Request{By: "kim"}})
	return w, o
}

// eventsOfAll returns the events without their times.
func eventsOfAll(w *world) (all []string) {
	for _, e := range w.effects {
		if _, event, ok := strings.Cut(e, " event "); ok {
			all = append(all, event)
		}
	}
	return all
}

// TestE1_AnHourWithoutTheDatabaseLosesNothing: an outage at each use of the database, in every phase. The domain continues by itself,
// orders no more than otherwise, and has the same timeline.
func TestE1_AnHourWithoutTheDatabaseLosesNothing(t *testing.T) {
	t.Parallel()
	healthy, uses := troubled(t, 0)
	want := eventsOfAll(healthy)
	for _, event := range []cert.EventType{
		cert.IssuanceFailed, cert.EscalationOpened, cert.RenewalOnHoldEvent, cert.RenewalSucceeded, cert.DomainRemovedEvent,
	} {
		require.Contains(t, want, string(event), "the life is as it is meant to be")
	}
	phases := map[cert.Headline]bool{}
	for _, s := range healthy.snapshots {
		phases[s.Status.Headline()] = true
	}
	require.Len(t, phases, 8, "%v", phases)
	require.Greater(t, uses.uses, 40)
	for from := 1; from <= uses.uses; from++ {
		w, o := troubled(t, from)
		require.False(t, o.until.IsZero(), "the database was away")
		require.Equal(t, want, eventsOfAll(w), "away from use %d on", from)
		require.Equal(t, healthy.orders, w.orders, "away from use %d on", from)
		require.Equal(t, len(healthy.cases), len(w.cases))
		require.Equal(t, cert.Removed, w.last().Status.Headline())
	}
}

func TestE1_AnHourWithoutTheDatabaseLosesNothingOfACase(t *testing.T) {
	t.Parallel()
	life := func(from int) (*caseWorld, *outage) {
		w, o := newCase(t), &outage{from: from}
		w.database = func() error { return o.at(w.env.Now()) }
		w.at(day, workflows.AddNote, workflows.CaseRequest{By: "kim", Text: "I look"})
		w.at(5*day, workflows.Acknowledge, workflows.CaseRequest{By: "kim"})
		w.at(6*day, workflows.HandBack, workflows.CaseRequest{By: "kim", Text: "fixed"})
		w.closes(6*day+3*hour, "handed back by kim")
		require.NoError(t, w.live(opened), "away from use %d on", from)
		return w, o
	}
	healthy, uses := life(0)
	require.Greater(t, uses.uses, 6)
	for from := 1; from <= uses.uses; from++ {
		w, _ := life(from)
		require.Len(t, w.signals, 1, "away from use %d on", from)
		require.Len(t, w.last().Notes, len(healthy.last().Notes), "away from use %d on", from)
		require.Equal(t, "kim", w.last().Assignee)
	}
}
