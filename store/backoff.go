package store

import (
	"context"
	"math/rand/v2"
	"time"
)

// The pauses between two attempts to reach the server.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// backoff is a pause that doubles each time. The zero value is ready to use.
type backoff struct{ next time.Duration }

// wait returns nil after the pause, or the context's error if that comes first. Half of the pause is random, so that many processes do not
// reconnect to a restarted server at the same time.
func (b *backoff) wait(ctx context.Context) error {
	b.next = min(max(2*b.next, firstPause), maxPause)
	timer := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
