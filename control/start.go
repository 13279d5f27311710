package control

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
)

const (
	// startTimeout is how long a request waits for Temporal before it leaves the start to StartUnstarted.
	startTimeout = 3 * time.Second
	// startAgain is when a started workflow that has recorded nothing is started once more. A busy worker is the usual reason, and then the
	// second start does nothing; the other is a domain connected at the very moment at which the workflow of its former life ended.
	startAgain = 5 * time.Minute
	// startBatch bounds the memory of one StartUnstarted; the rest is there at its next call.
	startBatch = 10_000
	// startWorkers is how many starts are under way at once. Temporal on a small machine starts about 100 in a second.
	startWorkers = 8
)

func (c *Control) start(ctx context.Context, d cert.Domain) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.workflows.Start(ctx, d); err != nil {
		return fmt.Errorf("start the workflow of %s: %w", d.Hostname, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun[d.ID] = time.Now()
	return nil
}

// StartUnstarted starts the workflows of connected domains that have none yet, because Temporal could not be reached
// or the process died after the claim. It returns how many it started. Two processes may do it at once: starting twice starts one.
func (c *Control) StartUnstarted(ctx context.Context) (int, error) {
	domains, err := c.store.Unstarted(ctx, 0, startBatch)
	if err != nil {
		return 0, fmt.Errorf("list the domains without a workflow: %w", err)
	}
	var started atomic.Int64
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(startWorkers)
	for _, d := range c.notBegun(domains) {
		g.Go(func() error {
			if err := c.start(each, d); err != nil {
				return err
			}
			started.Add(1)
			return nil
		})
	}
	err = g.Wait()
	return int(started.Load()), err
}

// notBegun leaves out the domains whose workflows this process started a short time ago, and forgets those that have recorded something since.
func (c *Control) notBegun(domains []cert.Domain) []cert.Domain {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := c.begun
	c.begun = map[string]time.Time{}
	var left []cert.Domain
	for _, d := range domains {
		if at, ok := begun[d.ID]; ok && time.Since(at) < startAgain {
			c.begun[d.ID] = at
			continue
		}
		left = append(left, d)
	}
	return left
}

// KeepStarting calls StartUnstarted at once and then at every interval, until ctx ends.
func (c *Control) KeepStarting(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if _, err := c.StartUnstarted(ctx); err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "connected domains wait for their workflows", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
