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

// next names what happens next, when, and the moment from which people take the wait over. Every wait has all that can be said of it.
func (s *State) next() (action string, at, deadline time.Time) {
	if s.Live != nil {
		deadline = s.Live.NotAfter
	}
	switch {
	case s.Removed:
		return "", time.Time{}, time.Time{}
	case s.Paused:
		return "somebody resumes the domain (paused by " + s.PausedBy + ")", time.Time{}, deadline
	}
	switch s.Phase {
	case AwaitingDNS:
		if s.Escalation == "" {
			deadline = s.WaitingSince.Add(s.Policy.EscalateDNSAfter)
		}
		return "DNS is checked again", s.NextCheckAt, deadline
	case Issuing:
		return "the CA validates the names and issues the certificate", time.Time{}, deadline
	case Installing:
		return "the certificate is installed and looked for on every edge", time.Time{}, deadline
	case AwaitingRetry:
		return "the next attempt begins", s.NextAttemptAt, deadline
	case RenewalDue:
		return "DNS is checked again, then the certificate is renewed", s.NextCheckAt, deadline
	case AwaitingHandBack:
		return "support looks at the case and hands the domain back", cert.NextBusinessDay(s.EscalatedAt), deadline
	default:
		return "the certificate is renewed", s.Live.RenewAt, deadline
	}
}

// story is what the Temporal Web UI shows at the top of the domain: what was done, what is awaited, by whom, until when (row E2).
func (d *domain) story() string {
	s := &d.state
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** — %s of tenant %s\n\n", s.status().Headline(), strings.Join(s.Names, ", "), s.Tenant)
	if action, at, deadline := s.next(); action != "" {
		fmt.Fprintf(&b, "Next: %s%s%s.\n", action, moment(" at ", at), moment("; at the latest ", deadline))
	}
	if l := s.Live; l != nil {
		fmt.Fprintf(&b, "\nServed: serial `%s` by %s, %s – %s.\n", l.Serial, l.Issuer, l.NotBefore.UTC().Format(time.RFC3339), l.NotAfter.UTC().Format(time.RFC3339))
	}
	if s.Failures > 0 {
		fmt.Fprintf(&b, "\nFailed attempts in a row: %d of %d.\n", s.Failures, s.Policy.MaxFailures)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "\n- `%s` (%s acts): %s. %s", p.Code, p.WhoActs, p.Message, p.Remediation)
	}
	return b.String()
}

func moment(word string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return word + t.UTC().Format("2006-01-02 15:04:05 UTC")
}
