package control

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
)

const (
	// startTimeout is how long one start waits for a Temporal that is busy; the client asks again meanwhile.
	startTimeout = 30 * time.Second
	// startLease is how long a worker has the domains that it took. One that says nothing for as long is started once more. A busy
	// worker is the usual reason, and then the second start does nothing; the others are a worker that died, and a domain
	// that was connected at the very moment at which the workflow of its former life ended.
	startLease = time.Minute
	// startBatch bounds what one worker takes from the others at a time. It is through with them within the lease, even when each waits a
	// second for room.
	startBatch = 50
	// startWorkers is how many starts are under way at once. Temporal on a small machine starts about 100 in a second.
	startWorkers = 16
	// startInterval is how often a worker looks for unstarted domains when no notification comes.
	startInterval = 15 * time.Second
)

// Queue is where connected domains wait for their workflow; *store.Store is one.
type Queue interface {
	TakeUnstarted(ctx context.Context, lease time.Duration, limit int) ([]cert.Domain, error)
	ListenConnected(ctx context.Context, wake func()) error
}

// Starting starts the workflows of connected domains. A claim in the store is the record that a workflow is owed, whatever happened to
// the process that wrote it. The workers do this because Temporal hands the first task of a workflow to the worker that started it, in
// the same answer.
type Starting struct {
	Queue     Queue
	Cases     Cases
	Workflows Workflows
	Room      func(ctx context.Context) error // blocks until this process has room for the first task of one more workflow; nil is always
	// Allowed reports whether this process may start workflows, and returns a channel that is closed when that changes (Rollout.Starts); nil
	// is always. Domains that are connected meanwhile are left to processes that may.
	Allowed func() (allowed bool, changed <-chan struct{})
	Log     *slog.Logger
}

// Run starts workflows until ctx ends: at once when domains are connected, and at every startInterval those without a notification.
func (s Starting) Run(ctx context.Context) {
	woken := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() {
		_ = s.Queue.ListenConnected(ctx, func() { // its error is that ctx has ended
			select {
			case woken <- struct{}{}:
			default: // a pass is due already
			}
		})
	})
	ticker := time.NewTicker(startInterval)
	defer ticker.Stop()
	for {
		_, changed := s.allowed() // before the pass, so that no change is missed
		if err := s.startAll(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "connected domains wait for their workflows", "error", err)
		}
		if err := s.seeToCases(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "cases wait for their workflows", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-woken:
		case <-ticker.C:
		}
	}
}

func (s Starting) allowed() (bool, <-chan struct{}) {
	if s.Allowed == nil {
		return true, nil
	}
	return s.Allowed()
}

// startAll starts what waits, batch by batch, two workers never the same. It takes nothing while Temporal does not answer, and no more
// once this process may not start workflows.
func (s Starting) startAll(ctx context.Context) error {
	for {
		if allowed, _ := s.allowed(); !allowed {
			return nil
		}
		if err := s.Workflows.Ready(ctx); err != nil {
			return fmt.Errorf("reach Temporal: %w", err)
		}
		domains, err := s.Queue.TakeUnstarted(ctx, startLease, startBatch)
		if err != nil {
			return fmt.Errorf("take the domains without a workflow: %w", err)
		}
		var g errgroup.Group // without a context: the others go on when one fails
		g.SetLimit(startWorkers)
		for _, d := range domains {
			if s.Room != nil && s.Room(ctx) != nil {
				break // ctx has ended
			}
			g.Go(func() error { return start(ctx, s.Workflows, d) })
		}
		if err := g.Wait(); err != nil || len(domains) < startBatch {
			return err
		}
	}
}

// start begins a domain's workflow. It does nothing where one runs.
func start(ctx context.Context, w Workflows, d cert.Domain) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := w.Start(ctx, d); err != nil {
		return fmt.Errorf("start the workflow of %s: %w", d.Hostname, err)
	}
	return nil
}
