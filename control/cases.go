package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// Cases is where the cases wait whose workflow is owed; *store.Store is one. A domain opens and closes its case with its records; the
// workflow of the case, on which people work, follows.
type Cases interface {
	TakeOwedCases(ctx context.Context, lease time.Duration, limit int) ([]cert.Case, error)
	EndCase(ctx context.Context, id string) error
}

// seeToCases starts the workflows of open cases that have none yet, and signals those of closed cases. What fails is tried again when its
// lease is over.
func (s Starting) seeToCases(ctx context.Context) error {
	for {
		owed, err := s.Cases.TakeOwedCases(ctx, startLease, startBatch)
		if err != nil {
			return fmt.Errorf("take the cases without a workflow: %w", err)
		}
		var g errgroup.Group
		g.SetLimit(startWorkers)
		for _, c := range owed {
			g.Go(func() error { return s.seeTo(ctx, c) })
		}
		if err := g.Wait(); err != nil || len(owed) < startBatch {
			return err
		}
	}
}

func (s Starting) seeTo(ctx context.Context, c cert.Case) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if c.ClosedAt.IsZero() {
		if err := s.Workflows.StartCase(ctx, c); err != nil {
			return fmt.Errorf("start the workflow of case %s: %w", c.ID, err)
		}
		return nil
	}
	err := s.Workflows.ResolveCase(ctx, c.ID)
	if errors.Is(err, ErrNotRunning) { // it has ended, or was never started
		err = s.Cases.EndCase(ctx, c.ID)
	}
	if err != nil {
		return fmt.Errorf("signal the workflow of case %s that it is closed: %w", c.ID, err)
	}
	return nil
}

// HandBackAll hands back every open case that a filter lets through, and returns how many; it goes on after a domain that can't be reached,
// and returns what went wrong together. kind is that of the case, or the code of its first problem; empty is every case.
func (c *Control) HandBackAll(
	ctx context.Context,
	kind string,
	r Request,
	report func(hostname string, err error),
) (handedBack int, err error) {
	cases, err := c.openCases(ctx)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, each := range cases {
		if each.DomainID == "" || kind != "" && !isOf(each, kind) {
			continue
		}
		_, err := c.HandBack(ctx, Request{Name: each.Hostname, By: r.By, Reason: r.Reason})
		if report != nil {
			report(each.Hostname, err)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", each.Hostname, err))
			continue
		}
		handedBack++
	}
	return handedBack, errors.Join(failed...)
}

// openCases returns all open cases.
func (c *Control) openCases(ctx context.Context) ([]cert.Case, error) {
	var all []cert.Case
	for filter := (store.CaseFilter{OpenOnly: true, Limit: MaxPage}); ; {
		page, err := c.store.Cases(ctx, filter)
		if err != nil {
			return nil, fmt.Errorf("list open cases: %w", err)
		}
		all = append(all, page...)
		if len(page) < filter.Limit {
			return all, nil
		}
		last := page[len(page)-1]
		filter.After = store.CasePlace{OpenedAt: last.OpenedAt, ID: last.ID}
	}
}

// isOf reports whether a case is of a kind, or is about a problem of that code.
func isOf(c cert.Case, kind string) bool {
	if string(c.Kind) == kind {
		return true
	}
	for _, p := range c.Problems {
		if string(p.Code) == kind {
			return true
		}
	}
	return false
}
