package activities

import (
	"context"

	"github.com/evercert/evercert/cert"
)

// Records keeps what people read, and what the platform has chosen.
type Records struct {
	Store interface {
		RecordStatus(ctx context.Context, s cert.Snapshot) error
		SaveCase(ctx context.Context, c cert.Case, ended bool) (cert.Case, error)
	}
	Policy cert.Policy
}

// ReadPolicy returns the platform's times and counts as this worker is configured. It reads only.
func (a *Records) ReadPolicy(context.Context) (cert.Policy, error) { return a.Policy, nil }

// RecordStatus writes the projection of a domain and the events that came with it, in one transaction. Snapshots are
// numbered: writing one twice changes nothing, and one that comes late never overwrites a newer one.
func (a *Records) RecordStatus(ctx context.Context, s cert.Snapshot) error {
	return leave(a.Store.RecordStatus(ctx, s))
}

// RecordCase writes an escalation as its workflow knows it. The row is replaced whole, so writing it twice changes nothing.
func (a *Records) RecordCase(ctx context.Context, c cert.Case) error {
	_, err := a.Store.SaveCase(ctx, c, !c.ClosedAt.IsZero())
	return leave(err)
}
