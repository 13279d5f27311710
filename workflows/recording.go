package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
)

// record writes what people read, in one place: the projection, the search attributes and the story in the Temporal Web UI.
func (d *domain) record(ctx workflow.Context) error {
	for d.changed { // again, if a message came while it was written
		d.state.Seq++
		snap := d.snapshot(workflow.Now(ctx))
		d.changed, d.events, d.diagnosis = false, nil, nil
		if err := workflow.ExecuteLocalActivity(local(ctx, recordOptions, string(snap.Status.Headline())), records.RecordStatus, snap).Get(ctx, nil); err != nil {
			return fmt.Errorf("record status: %w", err)
		}
		workflow.SetCurrentDetails(ctx, d.story())
		if err := d.showAttributes(ctx, snap); err != nil {
			return err
		}
	}
	return nil
}

// snapshot is what people read about the domain at this moment.
func (d *domain) snapshot(now time.Time) cert.Snapshot {
	s := &d.state
	snap := cert.Snapshot{
		Domain: s.Domain, Seq: s.Seq, Status: s.status(), Failures: s.Failures, Paused: s.Paused,
		Problems: s.Problems, Diagnosis: d.diagnosis, HTTPSRedirect: s.HTTPSRedirect, Events: d.events, At: now,
	}
	snap.NextAction, snap.NextActionAt, snap.Deadline = s.next()
	if l := s.Live; l != nil {
		snap.Serial, snap.Issuer, snap.NotAfter, snap.RenewAt = l.Serial, l.Issuer, l.NotAfter, l.RenewAt
	}
	return snap
}

// next names what happens next, when, and the moment at which people are given the case if nothing changes. A live certificate's own
// end is told beside it (Snapshot.NotAfter).
func (s *State) next() (action string, at, deadline time.Time) {
	switch {
	case s.Removed:
		return "", time.Time{}, time.Time{}
	case s.Paused:
		return "somebody resumes the domain (paused by " + s.PausedBy + ")", time.Time{}, time.Time{}
	}
	if s.Escalation == "" && s.Live == nil {
		deadline = s.deadline()
	}
	switch s.Phase {
	case AwaitingDNS:
		action = "DNS is checked again"
		if s.Late {
			action = "the DNS records are late; DNS is checked again"
		}
		return action, s.NextCheckAt, deadline
	case Issuing:
		return "the CA validates the names and issues the certificate", time.Time{}, deadline
	case Installing:
		return "the certificate is installed and looked for on every edge", time.Time{}, deadline
	case AwaitingRetry:
		return "the next attempt begins", s.NextAttemptAt, deadline
	case RenewalDue:
		return "DNS is checked again, then the certificate is renewed", s.NextCheckAt, time.Time{}
	case AwaitingHandBack:
		return "support looks at the case and hands the domain back", cert.NextBusinessDay(s.EscalatedAt), time.Time{}
	default:
		return "the certificate is renewed", s.Live.RenewAt, time.Time{}
	}
}

// deadline is when a wait for DNS, or for a CA that keeps us waiting, becomes a case.
func (s *State) deadline() time.Time {
	begin := s.WaitingSince
	if s.Phase != AwaitingDNS && !s.Attempting.IsZero() {
		begin = s.Attempting
	}
	if begin.IsZero() { // handed back a moment ago
		return time.Time{}
	}
	return begin.Add(s.Policy.EscalateDNSAfter)
}

// lateAt is when records that are waited for are late; never, while they are not waited for.
func (s *State) lateAt() time.Time {
	if s.WaitingSince.IsZero() || s.Policy.LateAfter <= 0 {
		return time.Time{}
	}
	return s.WaitingSince.Add(s.Policy.LateAfter)
}

// milestones are the moments of a wait for DNS that no sleep goes past.
func (s *State) milestones() []time.Time {
	if s.Escalation != "" {
		return nil
	}
	return []time.Time{s.lateAt(), s.deadline()}
}

// story is what the Temporal Web UI shows at the top of the domain: what was done, what is awaited, by whom, until when (row E2).
func (d *domain) story() string {
	s := &d.state
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** — %s of tenant %s\n\n", s.status().Headline(), strings.Join(s.Names, ", "), s.Tenant)
	if action, at, deadline := s.next(); action != "" {
		fmt.Fprintf(&b, "Next: %s%s%s.\n", action, moment(" at ", at), moment("; support gets the case at ", deadline))
	}
	if l := s.Live; l != nil {
		fmt.Fprintf(&b, "\nServed: serial `%s` by %s, %s – %s.\n", l.Serial, l.Issuer, l.NotBefore.UTC().Format(time.RFC3339), l.NotAfter.UTC().Format(time.RFC3339))
	}
	if s.Late {
		fmt.Fprintf(&b, "\nLate: the DNS records are awaited since %s, longer than %s.\n", s.WaitingSince.UTC().Format(time.RFC3339), span(s.Policy.LateAfter))
	}
	if s.Failures > 0 {
		fmt.Fprintf(&b, "\nFailed attempts in a row: %d of %d.\n", s.Failures, s.Policy.MaxFailures)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "\n- `%s` (%s acts): %s. %s", p.Code, p.WhoActs, p.Message, p.Remediation)
	}
	return b.String()
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

func moment(word string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return word + t.UTC().Format("2006-01-02 15:04:05 UTC")
}
