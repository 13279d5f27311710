package activities

import (
	"context"
	"log/slog"

	"go.temporal.io/sdk/activity"

	"github.com/evercert/evercert/cert"
)

// Records keeps what people read, and what the platform has chosen.
type Records struct {
	Store interface {
		RecordStatus(ctx context.Context, s cert.Snapshot) error
		SaveCase(ctx context.Context, c cert.Case) (cert.Case, error)
		// IsPermanent reports whether the database refused a value, and would refuse it again.
		IsPermanent(err error) bool
	}
	Policy cert.Policy
	Log    *slog.Logger
}

// ReadPolicy returns the platform's times and counts as this worker is configured. It reads only.
func (a *Records) ReadPolicy(context.Context) (cert.Policy, error) { return a.Policy, nil }

// RecordStatus writes the projection of a domain and the events that came with it, in one transaction. Snapshots are
// numbered within a run: writing one twice changes nothing, and one that comes late never overwrites a newer one.
//
// A value that the database will never take must not keep a domain from going on: the snapshot is then written without the texts that come from
// outside, with a problem that support sees.
func (a *Records) RecordStatus(ctx context.Context, s cert.Snapshot) error {
	s.Run = activity.GetInfo(ctx).WorkflowExecution.RunID
	err := a.Store.RecordStatus(ctx, s)
	if !a.Store.IsPermanent(err) {
		return leave(err)
	}
	a.Log.ErrorContext(ctx, "a snapshot is recorded without its texts: the database does not take them", "hostname", s.Hostname, "seq", s.Seq, "error", err)
	return leave(a.Store.RecordStatus(ctx, withoutTexts(s)))
}

// withoutTexts is a snapshot without what strangers wrote.
func withoutTexts(s cert.Snapshot) cert.Snapshot {
	s.Problems = []cert.Problem{{
		Code: cert.InternalError, WhoActs: cert.PlatformActs, Message: "something about this domain could not be recorded",
		Remediation: "tell evercert's makers what the worker's log says about it; the domain itself goes on",
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

// RecordCase writes what people did with a case as its workflow knows it, and returns the case as it stands: the domain closes it. The row is
// replaced whole, so writing it twice changes nothing.
func (a *Records) RecordCase(ctx context.Context, c cert.Case) (cert.Case, error) {
	saved, err := a.Store.SaveCase(ctx, c)
	if a.Store.IsPermanent(err) { // as in RecordStatus
		a.Log.ErrorContext(ctx, "a case is recorded without its notes: the database does not take them", "case", c.ID, "error", err)
		c.Notes, c.Assignee = nil, ""
		saved, err = a.Store.SaveCase(ctx, c)
	}
	return saved, leave(err)
}
