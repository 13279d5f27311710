package workflows

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// record writes what people read, in one place: the projection, the search attributes and the story in the Temporal Web UI. It waits for the
// database as long as that takes.
func (d *domain) record(ctx workflow.Context) {
	for d.changed { // again, if a message came while it was written
		d.keepUpdates(ctx)
		d.state.Seq++
		snap := d.snapshot(workflow.Now(ctx))
		d.changed, d.events, d.omitted, d.diagnosis, d.resolution = false, nil, 0, nil, ""
		workflow.SetCurrentDetails(ctx, d.story())
		must(step(ctx, recordOptions, string(snap.Status.Headline()), activities.RecordStatusName, snap, nil))
		d.showAttributes(ctx, snap)
	}
}

// keepUpdates returns when Temporal has stored the updates that were accepted. Until a workflow task is completed, an update is in the
// memory of Temporal alone. A snapshot that is written in the same task can therefore tell of a hand-back that never was: when Temporal
// dies before the task is completed, nothing brings the update again. A timer ends the task; it costs one action for each update.
func (d *domain) keepUpdates(ctx workflow.Context) {
	for d.updated {
		d.updated = false
		must(workflow.NewTimerWithOptions(ctx, time.Millisecond, workflow.TimerOptions{Summary: "the request is stored first"}).Get(ctx, nil))
	}
}

// snapshot is what people read about the domain at this moment, and what a workflow needs to go on from it.
func (d *domain) snapshot(now time.Time) cert.Snapshot {
	s := &d.state
	state, err := json.Marshal(s)
	must(err)
	snap := cert.Snapshot{
		Domain: s.Domain, Seq: s.Seq, Status: s.status(), Failures: s.Attempt.Failures, Paused: s.Pause != nil,
		Problems: s.Problems, Diagnosis: d.diagnosis, HTTPSRedirect: s.Serving.Redirect, Resolution: d.resolution, Events: d.events,
		At: now, State: state, Verified: s.Records.Verified,
	}
	if v := s.Rival; v != nil && v.Gets {
		snap.Heir = &cert.Heir{Tenant: v.Tenant, Names: v.Names}
		if s.Records.Verified {
			snap.Heir.Names = s.Names
		}
	}
	if d.omitted > 0 {
		snap.Events = append(snap.Events, cert.Event{Type: cert.RequestMade, Detail: fmt.Sprintf("%d more requests at the same time", d.omitted)})
	}
	next := s.next()
	snap.NextAction, snap.NextActionAt, snap.NextActor, snap.Deadline = next.Action, next.At, next.Actor, next.Deadline
	if snap.Status.Domain == cert.DomainRemoved {
		return snap
	}
	if s.Case != nil {
		c := *s.Case
		c.Records = d.seen
		snap.Case = &c
	}
	if l := s.Serving.Live; l != nil {
		snap.Serial, snap.Issuer, snap.NotAfter, snap.RenewAt = l.Serial, l.Issuer, l.NotAfter, l.RenewAt
	}
	return snap
}

// Next is what a domain waits for: the action, its time, whose turn it is, and when people get the case if nothing changes.
type Next struct {
	Action   string
	At       time.Time // zero: when somebody acts
	Actor    cert.Actor
	Deadline time.Time
}

// next names what happens next. A live certificate's own end is told beside it (Snapshot.NotAfter).
func (s *State) next() Next {
	switch {
	case s.status().Domain == cert.DomainRemoved:
		return Next{}
	case s.Pause != nil:
		return Next{Action: "somebody resumes the domain (paused by " + s.Pause.By + ")", Actor: cert.PlatformActs}
	}
	n := Next{Actor: cert.PlatformActs}
	if s.Case == nil && s.Serving.Live == nil {
		n.Deadline = s.deadline()
	}
	switch s.Phase {
	case AwaitingDNS:
		n.Action, n.At, n.Actor = "DNS is checked again", s.Records.NextCheckAt, s.actor(cert.TenantActs)
		if s.Records.Late {
			n.Action = "the DNS records are late; DNS is checked again"
		}
		if s.Records.ClaimWarned {
			n.Action += clock("; without any record seen, the domain is removed at ", s.claimEndsAt())
		}
	case Issuing:
		n.Action, n.Actor = "the CA validates the names and issues the certificate", cert.CAActs
	case Installing:
		n.Action = "the certificate is installed and looked for on every edge"
	case AwaitingRetry:
		n.Action, n.At, n.Actor = "the next attempt begins", s.Attempt.NextAt, s.actor(cert.PlatformActs)
	case RenewalDue:
		n.Action, n.At, n.Actor = "DNS is checked again, then the certificate is renewed", s.Records.NextCheckAt, s.actor(cert.PlatformActs)
		n.Deadline = s.Serving.nearlyExpiredAt()
	case AwaitingHandBack:
		n.Action = "support looks at the case and hands the domain back"
	default:
		n.Action, n.At = "the certificate is renewed", s.Serving.Live.RenewAt
	}
	return n
}

// actor is whose turn it is by the first problem that blocks.
func (s *State) actor(otherwise cert.Actor) cert.Actor {
	for _, p := range blocking(s.Problems) {
		if p.WhoActs != "" {
			return p.WhoActs
		}
	}
	return otherwise
}

// deadline is when a wait for DNS, or for a CA that keeps us waiting, becomes a case.
func (s *State) deadline() time.Time {
	begin := s.Records.Since
	if s.Phase != AwaitingDNS && !s.Attempt.Since.IsZero() {
		begin = s.Attempt.Since
	}
	if begin.IsZero() || !s.Attempt.Excused.IsZero() {
		return time.Time{}
	}
	return begin.Add(s.Policy.EscalateDNSAfter)
}

// attemptDeadline is when an attempt that waits takes too long; never, where people have the case or the wait is nobody's.
func (s *State) attemptDeadline() time.Time {
	if s.Phase != AwaitingRetry || s.Case != nil || s.Pause != nil || s.Attempt.Since.IsZero() || !s.Attempt.Excused.IsZero() {
		return time.Time{}
	}
	return s.Attempt.Since.Add(s.Policy.EscalateDNSAfter)
}

// nearlyExpiredAt is when people hear that a renewal is not done, unless they have heard already.
func (s *Serving) nearlyExpiredAt() time.Time {
	if s.Live == nil || s.Endangered || s.Expired {
		return time.Time{}
	}
	return s.Live.endangeredAt()
}

// lateAt is when records that are waited for are late; never, while they are not waited for.
func (s *State) lateAt() time.Time {
	if s.Records.Since.IsZero() || s.Policy.LateAfter <= 0 {
		return time.Time{}
	}
	return s.Records.Since.Add(s.Policy.LateAfter)
}

// milestones are the moments of a wait for DNS that no sleep goes past.
func (s *State) milestones() []time.Time {
	claim := []time.Time{s.claimWarnedAt(), s.claimEndsAt()}
	if s.Case != nil {
		return claim
	}
	return append(claim, s.lateAt(), s.deadline())
}

// moment is a time that a domain must not sleep past, and why.
type moment struct {
	at   time.Time
	what string
}

// moments are what noteTime has to see, whatever the domain waits for.
func (s *State) moments() []moment {
	all := []moment{
		{s.Serving.nearlyExpiredAt(), "a quarter of the certificate's lifetime is left"},
		{s.attemptDeadline(), "the attempt takes too long"},
	}
	if l := s.Serving.Live; l != nil && !s.Serving.Expired {
		all = append(all, moment{l.NotAfter, "the certificate expires"})
	}
	if v := s.Rival; v != nil && !v.MovesAt.IsZero() {
		all = append(all, moment{v.MovesAt, "the notice ends"})
	}
	if b := s.Serving.Before; b != nil {
		all = append(all, moment{b.NotAfter, "the older certificate expires"})
	}
	return all
}

// story is what the Temporal Web UI shows at the top of the domain, in Markdown: what was done, what is awaited, by whom, until when (row E2).
func (d *domain) story() string {
	s := &d.state
	var b strings.Builder
	// The summary is Temporal's for the first run only: a run that continues one has none, whatever an SDK does (server 1.32, history_builder.go).
	fmt.Fprintf(&b, "**%s** — %s\n\n", s.status().Headline(), cert.Markdown(StaticSummary(s.Domain)))
	if len(s.Names) > 1 {
		fmt.Fprintf(&b, "Also: %s.\n\n", cert.Markdown(strings.Join(s.Names[1:], ", ")))
	}
	if n := s.next(); n.Action != "" {
		fmt.Fprintf(&b, "Next: %s%s%s.\n", cert.Markdown(n.Action), clock(" at ", n.At), clock("; support gets the case at ", n.Deadline))
	}
	if l := s.Serving.Live; l != nil {
		fmt.Fprintf(&b, "\nServed: serial `%s` by %s, %s – %s.\n", l.Serial, cert.Markdown(l.Issuer), l.NotBefore.UTC().Format(time.RFC3339), l.NotAfter.UTC().Format(time.RFC3339))
	}
	if s.Records.Late {
		fmt.Fprintf(&b, "\nLate: the DNS records are awaited since %s, longer than %s.\n", s.Records.Since.UTC().Format(time.RFC3339), span(s.Policy.LateAfter))
	}
	if s.Attempt.Failures > 0 {
		fmt.Fprintf(&b, "\nFailed attempts in a row: %d of %d.\n", s.Attempt.Failures, s.Policy.MaxFailures)
	}
	if s.Case != nil {
		fmt.Fprintf(&b, "\nCase `%s`: %s.\n", EscalationID(s.Case.ID), cert.Markdown(s.Case.Reason))
	}
	writeProblems(&b, s.Problems)
	return b.String()
}

func writeProblems(b *strings.Builder, problems []cert.Problem) {
	for _, p := range problems {
		fmt.Fprintf(b, "\n- `%s` (%s acts): %s. %s", p.Code, p.WhoActs, cert.Markdown(p.Message), cert.Markdown(p.Remediation))
	}
}

// span is a duration as people say it: "48h" for 48h0m0s.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func clock(word string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return word + t.UTC().Format("2006-01-02 15:04:05 UTC")
}
