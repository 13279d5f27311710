package workflows

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// rules are what must hold at every record of a random walk. They know the domain from its records, and the world from what it did.
type rules struct {
	w     *walk
	wrong []broken

	runs, records, orders, served, kills, resets, largest int
	events                                                map[cert.EventType]int
	phases                                                map[Phase]int
	kinds                                                 map[cert.CaseKind]int

	kept   json.RawMessage // the newest recorded state
	last   State
	seen   cert.Snapshot
	seenAt time.Time
	reset  bool // after a reset, ids are used again: the world remembers more than the workflow does

	issued      map[string]cert.Certificate // by issuance
	closed      map[string]bool             // ids of cases
	opened      int                         // opened cases less closed ones, by the timeline
	requests    map[string]int
	handedBack  time.Time
	disturbed   time.Time // the clock jumped, the database did not answer, or a run was lost: no deadline holds just after it
	stopped     time.Time // the newest time at which nothing could continue: paused, with support, waiting for a place, faulty
	waitsSince  time.Time // without a certificate and without a case
	instant     time.Time
	inInstant   int
	served_     map[string]bool // serials served by an edge
	removedSeen bool
}

func (r *rules) begin(w *walk) {
	r.w = w
	r.events, r.phases, r.kinds = map[cert.EventType]int{}, map[Phase]int{}, map[cert.CaseKind]int{}
	r.issued, r.closed, r.requests, r.served_ = map[string]cert.Certificate{}, map[string]bool{}, map[string]int{}, map[string]bool{}
	r.waitsSince, r.disturbed, r.stopped = w.begun, w.begun, w.begun
}

func (r *rules) breaks(rule, format string, args ...any) {
	r.wrong = append(r.wrong, broken{rule, fmt.Sprintf(format, args...)})
	r.w.say(r.seenAt, "BROKEN: %s: %s", rule, fmt.Sprintf(format, args...))
}

// slack is how late something may be: a step tries for a quarter of an hour.
const slack = 2 * time.Hour

func (r *rules) jumped(now time.Time) { r.disturbed, r.stopped, r.waitsSince = now, now, now }

// forgets is called after a termination or a reset: what happened since the newest record, or since the point of the reset, is lost.
func (r *rules) forgets(now time.Time) {
	r.jumped(now)
	r.seen = cert.Snapshot{}
	r.last = State{}
	r.opened = 0
	r.handedBack = time.Time{}
}

func (r *rules) starts(s State, now time.Time) {
	if s.Case != nil {
		r.opened = 1
		if r.last.Case == nil { // a reset forgot it: people have the case all the same
			r.last.Case = s.Case
		}
	}
	_ = now
}

// does is called before every activity.
func (r *rules) does(what string, first bool, now time.Time, sky weather) {
	if sky.databaseAway(now) {
		r.disturbed = now
	}
	if !sky.healthy() {
		r.stopped = now
	}
	if now.Sub(r.instant) > time.Hour {
		r.instant, r.inInstant = now, 0
	}
	if first && (what == activities.CheckDNSName || what == activities.OrderCertificateName) {
		if r.inInstant++; r.inInstant == 40 {
			r.breaks("pauses between tries", "40 checks and orders in an hour, %s, phase %s", now, r.last.Phase)
		}
	}
	if at := r.seen.NextActionAt; what != activities.RecordStatusName && !at.IsZero() && r.last.Pause == nil {
		due := at
		if due.Before(r.seenAt) {
			due = r.seenAt
		}
		if now.Sub(due) > slack && now.Sub(r.disturbed) > slack {
			r.breaks("does in time what it says", "%s at %s, promised for %s at %s in phase %s", what, now, at, r.seenAt, r.last.Phase)
		}
	}
}

func (r *rules) beginsIssuance(id string, now time.Time) {
	if r.reset {
		return
	}
	if c := r.last.Serving.Issued; c != nil && now.Before(c.RenewAt) {
		r.breaks("no new issuance while a certificate is at hand", "%s at %s while %s is young", id, now, c.Serial)
	}
}

func (r *rules) beginsOrder(id string, now time.Time) {
	if c, ok := r.issued[id]; ok && !r.reset && r.w.kills == 0 {
		r.breaks("one order per issuance", "%s again at %s, which brought %s", id, now, c.Serial)
	}
}

func (r *rules) waitsFor(kind int, now time.Time) {
	if kind == 6 || kind == 7 { // a place in the queue, the account: counts for no deadline
		r.waitsSince = now
	}
}

func (r *rules) serves(_, serial string) { r.served_[serial] = true }

func (r *rules) answered(now time.Time, m *letter, a cert.Answer) {
	if m.verb == HandedBack && a.Message == "attempts go on" && strings.Contains(a.NextAction, "support") {
		r.breaks("an answer says what is next", "%s: %+v", now, a)
	}
}

// record checks one snapshot.
func (r *rules) record(s cert.Snapshot, now time.Time) {
	var st State
	if err := json.Unmarshal(s.State, &st); err != nil {
		r.breaks("state round-trips", "%v", err)
		return
	}
	r.w.say(now, "record %d %s: %s, next %q %s, failures %d, case %v, %v",
		s.Seq, st.Phase, s.Status.Headline(), s.NextAction, s.NextActionAt, s.Failures, st.Case != nil, s.Events)
	if again, err := json.Marshal(st); err != nil || string(again) != string(s.State) {
		r.breaks("state round-trips", "%s\n%s", s.State, again)
	}
	r.records++
	r.phases[st.Phase]++
	r.largest = max(r.largest, len(s.State))
	if len(s.State) > 16<<10 {
		r.breaks("state is small", "%d bytes", len(s.State))
	}
	if len(s.Events) > 60 {
		r.breaks("events are bounded", "%d", len(s.Events))
	}
	if r.seen.Seq != 0 && s.Seq != r.seen.Seq+1 {
		r.breaks("snapshots are numbered", "%d after %d", s.Seq, r.seen.Seq)
	}
	if r.removedSeen && s.Status.Domain != cert.DomainRemoved && !r.reset {
		r.breaks("removed stays removed", "%s", st.Phase)
	}
	r.speaksClearly(s)
	r.projectionIsState(s, &st)
	r.waitsHaveCause(s, &st, now)
	r.countsEvents(s, now)
	r.caseIsOpen(s, &st, now)
	r.peopleHear(s, &st, now)
	if r.last.Serving.Live != nil && st.Serving.Live == nil {
		r.breaks("a live certificate is not forgotten", "serial %s at %s", r.last.Serving.Live.Serial, now)
	}
	if l := st.Serving.Live; l != nil && !r.served_[l.Serial] {
		r.breaks("live is what was seen", "serial %s", l.Serial)
	}
	if l := st.Serving.Live; l != nil && (r.last.Serving.Live == nil || r.last.Serving.Live.Serial != l.Serial) {
		r.served++
	}
	if most := st.Policy.MaxFailures; st.Attempt.Failures > most {
		r.breaks("failures are bounded", "%d", st.Attempt.Failures)
	}
	r.kept, r.last, r.seen, r.seenAt = s.State, st, s, now
	r.removedSeen = r.removedSeen || s.Status.Domain == cert.DomainRemoved
}

func (r *rules) speaksClearly(s cert.Snapshot) {
	v, err := anything(s)
	if err != nil {
		r.breaks("snapshot is JSON", "%v", err)
	}
	texts(v, func(text string) {
		if !cert.IsLine(text) {
			r.breaks("no control character", "%q", text)
		}
		if len(text) > 2500 {
			r.breaks("texts are bounded", "%d bytes", len(text))
		}
	})
}

func (r *rules) projectionIsState(s cert.Snapshot, st *State) {
	if got, want := s.Status, st.status(); got != want {
		r.breaks("projection is state", "%+v, %+v", got, want)
	}
	next := st.next()
	if s.NextAction != next.Action || !s.NextActionAt.Equal(next.At) || s.NextActor != next.Actor || !s.Deadline.Equal(next.Deadline) {
		r.breaks("projection is state", "%+v, %+v", s, next)
	}
	if s.Status.Domain == cert.DomainRemoved {
		if s.Status.HasLive || s.Serial != "" || s.Status.Renewal != cert.RenewalNone || s.NextAction != "" || !s.NextActionAt.IsZero() ||
			s.Case != nil || s.Status.Escalated {
			r.breaks("removed has nothing", "%+v", s)
		}
		return
	}
	if (s.Case != nil) != (st.Case != nil) || s.Status.Escalated != (st.Case != nil) || s.Paused != (st.Pause != nil) ||
		s.HTTPSRedirect != st.Serving.Redirect || s.Failures != st.Attempt.Failures {
		r.breaks("projection is state", "%+v, %+v", s, st)
	}
	if l := st.Serving.Live; l != nil && s.Serial != l.Serial || l == nil && s.Serial != "" {
		r.breaks("projection is state", "serial %s", s.Serial)
	}
}

func (r *rules) waitsHaveCause(s cert.Snapshot, st *State, now time.Time) {
	if s.Status.Domain == cert.DomainRemoved {
		return
	}
	person := st.Pause != nil || st.Phase == AwaitingHandBack && st.Case != nil
	work := st.Phase == Issuing || st.Phase == Installing
	if s.NextAction == "" || s.NextActor == "" || s.NextActionAt.IsZero() != (person || work) && st.Phase != AwaitingHandBack {
		r.breaks("a wait has cause, actor and time", "%s: %q by %q at %s", st.Phase, s.NextAction, s.NextActor, s.NextActionAt)
	}
	if st.Phase == AwaitingHandBack && st.Case != nil && !st.Case.Kind.Stops() {
		r.breaks("what stops is with support", "%+v", st.Case)
	}
	if strings.Contains(s.NextAction, "support settles") && st.Case == nil {
		r.breaks("a wait has cause, actor and time", "%q at %s, without a case", s.NextAction, now)
	}
	if (st.Phase == AwaitingRetry || st.Phase == AwaitingDNS && st.Records.CheckedAt.After(st.Records.Since)) && len(st.Problems) == 0 &&
		st.Attempt.NextAt.After(now) {
		r.breaks("a wait has its problem", "%s at %s until %s", st.Phase, now, s.NextActionAt)
	}
	switch st.Phase {
	case Active:
		if st.Serving.Live == nil || len(st.Serving.Lacking) > 0 || st.Serving.Issued != nil {
			r.breaks("active is served everywhere", "%+v", st.Serving)
		}
	case Installing:
		if st.Serving.candidate() == nil {
			r.breaks("there is something to install", "%+v", st.Serving)
		}
	}
}

func (r *rules) countsEvents(s cert.Snapshot, now time.Time) {
	for _, e := range s.Events {
		r.events[e.Type]++
		switch e.Type {
		case cert.EscalationOpened:
			r.opened++
		case cert.EscalationClosed:
			r.opened--
			if strings.HasPrefix(e.Detail, "handed back") {
				r.handedBack = now
			}
			if e.Detail == "" {
				r.breaks("a closed case says why", "%+v", s.Events)
			}
		case cert.RequestMade:
			if _, id, ok := strings.Cut(e.Detail, "(m"); ok {
				id, _, _ = strings.Cut(id, ")")
				if r.requests[id]++; r.requests[id] > 1 && !r.reset {
					r.breaks("a verb acts once", "%s", e.Detail)
				}
			}
		}
	}
}

func (r *rules) caseIsOpen(s cert.Snapshot, st *State, now time.Time) {
	if s.Status.Domain == cert.DomainRemoved {
		return
	}
	open := 0
	if st.Case != nil {
		open = 1
	}
	if r.opened != open {
		r.breaks("the timeline has the case", "%d open by the timeline, %d by the state, in %s: %v", r.opened, open, st.Phase, s.Events)
		r.opened = open
	}
	var before string
	if r.last.Case != nil {
		before = r.last.Case.ID
	}
	switch {
	case st.Case == nil:
		if before != "" {
			r.closed[before] = true
			r.waitsSince = now
		}
	case st.Case.ID != before:
		if r.closed[st.Case.ID] && !r.reset && r.w.kills == 0 {
			r.breaks("an id of a case is used once", "%s", st.Case.ID)
		}
		if before != "" {
			r.closed[before] = true
		}
		r.kinds[st.Case.Kind]++
		late := st.Case.Kind == cert.NoRecords || st.Case.Kind == cert.CannotFinish
		// A hand-back that arrives during a step is recorded when the step ends.
		if late && !r.handedBack.IsZero() && now.Sub(r.handedBack) < st.Policy.EscalateDNSAfter-slack {
			r.breaks("a hand-back begins waits anew", "%s at %s, handed back %s", st.Case.Kind, now, r.handedBack)
		}
	}
}

// peopleHear checks that nothing waits for long without a case or a report.
func (r *rules) peopleHear(s cert.Snapshot, st *State, now time.Time) {
	if s.Status.Domain == cert.DomainRemoved {
		return
	}
	settled := now.Sub(r.disturbed) > slack
	l := st.Serving.Live
	if l != nil && !st.Serving.Endangered && !st.Serving.Expired && now.After(l.endangeredAt().Add(slack)) && settled {
		r.breaks("people hear before a quarter is left", "serial %s at %s", l.Serial, now)
	}
	served := l != nil && !st.Serving.Expired && now.Before(l.endangeredAt()) && len(st.Serving.Lacking) == 0
	if st.Case != nil || st.Pause != nil || r.last.Pause != nil || served || st.Serving.Held {
		r.waitsSince = now
	}
	if st.Pause != nil || st.Phase == AwaitingHandBack {
		r.stopped = now
	}
	if now.Sub(r.waitsSince) > 10*24*time.Hour && settled {
		r.breaks("people hear of a long wait", "%s since %s in %s: %s", now, r.waitsSince, st.Phase, s.Status.Headline())
		r.waitsSince = now
	}
	ended := st.Serving.Expired && !r.last.Serving.Expired && r.last.Serving.Live != nil
	if ended && r.stopped.Before(l.RenewAt) && r.disturbed.Before(l.RenewAt) {
		r.breaks(
			"a healthy domain is renewed in time", "serial %s ended at %s, due at %s, disturbed %s", l.Serial, l.NotAfter, l.RenewAt, r.stopped,
		)
	}
}

// passesOn checks the state that a run passes to the next one: nothing that people read may differ from what was recorded.
func (r *rules) passesOn(next State) {
	if r.seen.Seq == 0 {
		return
	}
	want, got := r.last, next
	if want.Seq != got.Seq || !reflect.DeepEqual(want.Serving, got.Serving) || !reflect.DeepEqual(want.Case, got.Case) ||
		!reflect.DeepEqual(want.Pause, got.Pause) ||
		want.Attempt.Failures != got.Attempt.Failures || want.RemovedBy != got.RemovedBy || want.Cases != got.Cases {
		r.breaks("projection is what goes on", "%+v\n%+v", want, got)
	}
}

// ended is called after the last run.
func (r *rules) ended(now time.Time) {
	if r.seen.Status.Domain != cert.DomainRemoved || r.last.RemovedBy == "" {
		r.breaks("ends by removal only", "at %s in %s", now, r.last.Phase)
	}
}
