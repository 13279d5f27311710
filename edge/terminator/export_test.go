package terminator

import (
	"context"
	"time"
)

// NewWithStall is like New with another stallTimeout, for tests of clients that stall.
func NewWithStall(o Options, stall time.Duration) (*Terminator, error) {
	return newTerminator(o, stall)
}

// Cached returns how many certificates, and how many unknown names, are in memory.
func (t *Terminator) Cached() (certificates, unknown int) {
	return t.certificates.loaded.Len(), t.certificates.missing.Len()
}

// Warm loads a name's certificate into memory, as a handshake does.
func (t *Terminator) Warm(ctx context.Context, name string) error {
	_, err := t.certificates.get(ctx, name)
	return err
}

// SetNow stops the clock of a Terminator that does not serve.
func (t *Terminator) SetNow(now time.Time) { t.certificates.now = func() time.Time { return now } }

// ForgetFailures lets the next handshake for a name ask the source again, as it would some time after a failure.
func (t *Terminator) ForgetFailures(name string) {
	if e, ok := t.certificates.loaded.Peek(name); ok {
		e.retryAt.Store(0)
	}
}
