package activities

import (
	"context"
	"log/slog"

	"go.temporal.io/sdk/activity"

	"github.com/evercert/evercert/cert"
)

// Records writes the projection that people read, and returns the platform's policy.
type Records struct {
	Store interface {
		// RecordStatus writes the projection and the new events in one transaction. A snapshot that is not newer than the stored one changes
		// nothing. Its error is a cert.Problem when the names belong to another domain.
		RecordStatus(ctx context.Context, s cert.Snapshot) error
		// SaveCase writes a case, and returns it as it is stored: it may have been closed by its domain.
		SaveCase(ctx context.Context, c cert.Case) (cert.Case, error)
		// IsPermanent reports whether the database refused a value and would refuse it again.
		IsPermanent(err error) bool
	}
	Policy cert.Policy
	Log    *slog.Logger
}

// ReadPolicy returns the platform's times and counts as configured for this worker. It may run twice: it only reads.
func (a *Records) ReadPolicy(context.Context) (cert.Policy, error) { return a.Policy, nil }

// RecordStatus writes the projection of a domain and its new events, in one transaction. It may run twice: snapshots are numbered within a
// run, writing one again changes nothing, and a late one never overwrites a newer one.
//
//	A value that the database always refuses must not stop a domain: the snapshot is then written without the texts from outside, and with a
//	problem that support sees.
func (a *Records) RecordStatus(ctx context.Context, s cert.Snapshot) error {
	s.Run = activity.GetInfo(ctx).WorkflowExecution.RunID
	err := a.Store.RecordStatus(ctx, s)
	if !a.Store.IsPermanent(err) {
		return leave(err)
	}
	a.Log.ErrorContext(
		ctx, "a snapshot is recorded without its texts: the database does not take them", "hostname", s.Hostname, "seq", s.Seq, "error", err,
	)
	return leave(a.Store.RecordStatus(ctx, withoutTexts(s)))
}

// withoutTexts returns a snapshot without the texts from outside.
func withoutTexts(s cert.Snapshot) cert.Snapshot {
	s.Problems = []cert.Problem{{
		Code: cert.InternalError, WhoActs: cert.PlatformActs, Message: "something about this domain could not be recorded",
		Remediation: "report the error in the worker's log to the makers of evercert; the domain itself continues",
	}}
	s.Diagnosis, s.State, s.NextAction, s.Resolution = nil, nil, "see the worker's log", ""
	events := make([]cert.Event, len(s.Events))
	for i, e := range s.Events {
		events[i] = cert.Event{Type: e.Type}
	}
	s.Events = events
	if s.Case != nil {
		c := *s.Case
		c.Problems, c.Records, c.Notes, c.Reason = s.Problems, nil, nil, string(c.Kind)
		s.Case = &c
	}
	return s
}

// RecordCase writes what people did with a case, as its workflow knows it, and returns the stored case: the domain's workflow closes it. It
// may run twice: the row is replaced as a whole.
func (a *Records) RecordCase(ctx context.Context, c cert.Case) (cert.Case, error) {
	saved, err := a.Store.SaveCase(ctx, c)
	if a.Store.IsPermanent(err) { // as in RecordStatus
		a.Log.ErrorContext(ctx, "a case is recorded without its notes: the database does not take them", "case", c.ID, "error", err)
		c.Notes, c.Assignee = nil, ""
		saved, err = a.Store.SaveCase(ctx, c)
	}
	return saved, leave(err)
}
