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

// record writes everything that people read, in one place: the projection, the search attributes and the story in the Temporal Web UI. It
// waits for the database without a limit.
func (d *domain) record(ctx workflow.Context) {
	for d.changed { // again, if a message arrived meanwhile
		d.keepUpdates(ctx)
		d.state.Seq++
		snap := d.snapshot(workflow.Now(ctx))
		d.changed, d.events, d.omitted, d.diagnosis, d.resolution = false, nil, 0, nil, ""
		workflow.SetCurrentDetails(ctx, d.story())
		must(step(ctx, recordOptions, string(snap.Status.Headline()), activities.RecordStatusName, snap, nil))
		d.showAttributes(ctx, snap)
	}
}

// keepUpdates returns when Temporal has stored the accepted updates. Until a workflow task is completed, an update exists only in
// Temporal's memory. A snapshot written in the same task could therefore report a hand-back that is then lost: when Temporal crashes before
// the task is completed, the update does not arrive again. A timer completes the task; it costs one action for each update.
func (d *domain) keepUpdates(ctx workflow.Context) {
	for d.updated {
		d.updated = false
		must(workflow.NewTimerWithOptions(ctx, time.Millisecond, workflow.TimerOptions{Summary: "the request is stored first"}).Get(ctx, nil))
	}
}

// snapshot returns what people read about the domain at this moment, and what a new workflow needs to continue from it.
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

// Next is what a domain waits for: the action, its time, who has to act, and when a case is opened if nothing changes.
type Next struct {
	Action   string
	At       time.Time // zero: when a person acts
	Actor    cert.Actor
	Deadline time.Time
}

// next returns what happens next. The end of the served certificate is reported separately (Snapshot.NotAfter).
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
		n.Action = "the certificate is installed and verified on every edge"
	case AwaitingRetry:
		n.Action, n.At, n.Actor = "the next attempt begins", s.Attempt.NextAt, s.actor(cert.PlatformActs)
	case RenewalDue:
		n.Action, n.At, n.Actor = "DNS is checked again, then the certificate is renewed", s.Records.NextCheckAt, s.actor(cert.PlatformActs)
		n.Deadline = s.Serving.nearlyExpiredAt()
	case AwaitingHandBack:
		n.Action = "support settles the case and hands the domain back"
	default:
		n.Action, n.At = "the certificate is renewed", s.Serving.Live.RenewAt
	}
	return n
}

// actor returns who has to act, by the first blocking problem.
func (s *State) actor(otherwise cert.Actor) cert.Actor {
	for _, p := range blocking(s.Problems) {
		if p.WhoActs != "" {
			return p.WhoActs
		}
	}
	return otherwise
}

// deadline returns when a wait for DNS, or for a CA that does not issue, becomes a case.
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

// attemptDeadline returns when a waiting attempt takes too long; never, when there is a case or the wait counts for no deadline.
func (s *State) attemptDeadline() time.Time {
	if s.Phase != AwaitingRetry || s.Case != nil || s.Pause != nil || s.Attempt.Since.IsZero() || !s.Attempt.Excused.IsZero() {
		return time.Time{}
	}
	return s.Attempt.Since.Add(s.Policy.EscalateDNSAfter)
}

// nearlyExpiredAt returns when it is reported that a renewal is not done, unless that was reported.
func (s *Serving) nearlyExpiredAt() time.Time {
	if s.Live == nil || s.Endangered || s.Expired {
		return time.Time{}
	}
	return s.Live.endangeredAt()
}

// lateAt returns when awaited records are late; never, while none are awaited.
func (s *State) lateAt() time.Time {
	if s.Records.Since.IsZero() || s.Policy.LateAfter <= 0 {
		return time.Time{}
	}
	return s.Records.Since.Add(s.Policy.LateAfter)
}

// milestones are the times of a wait for DNS that no sleep goes past.
func (s *State) milestones() []time.Time {
	claim := []time.Time{s.claimWarnedAt(), s.claimEndsAt()}
	if s.Case != nil {
		return claim
	}
	return append(claim, s.lateAt(), s.deadline())
}

// moment is a time that a domain must not sleep past, and the reason.
type moment struct {
	at   time.Time
	what string
}

// moments are the times that noteTime has to see, whatever the domain waits for.
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

// story returns what the Temporal Web UI shows at the top of the domain, in Markdown: what was done, what is awaited, from whom, until when
// (row E2).
func (d *domain) story() string {
	s := &d.state
	var b strings.Builder
	// Temporal shows the summary only for the first run: a run that continues one has none, whatever the SDK sends (server 1.32,
	// history_builder.go).
	fmt.Fprintf(&b, "**%s** — %s\n\n", s.status().Headline(), cert.Markdown(StaticSummary(s.Domain)))
	if len(s.Names) > 1 {
		fmt.Fprintf(&b, "Also: %s.\n\n", cert.Markdown(strings.Join(s.Names[1:], ", ")))
	}
	if n := s.next(); n.Action != "" {
		fmt.Fprintf(&b, "Next: %s%s%s.\n", cert.Markdown(n.Action), clock(" at ", n.At), clock("; support gets the case at ", n.Deadline))
	}
	if l := s.Serving.Live; l != nil {
		fmt.Fprintf(
			&b,
			"\nServed: serial `%s` by %s, %s – %s.\n",
			l.Serial,
			cert.Markdown(l.Issuer),
			l.NotBefore.UTC().Format(time.RFC3339),
			l.NotAfter.UTC().Format(time.RFC3339),
		)
	}
	if s.Records.Late {
		fmt.Fprintf(
			&b, "\nLate: the DNS records are awaited since %s, longer than %s.\n", s.Records.Since.UTC().Format(time.RFC3339),
			span(s.Policy.LateAfter),
		)
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

// span formats a duration as people write it: "48h" for 48h0m0s.
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
