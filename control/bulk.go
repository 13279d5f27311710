package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
)

// Row is one wish of many.
type Row struct {
	Line int // where it stands in its file
	Connection
}

// RowResult is what became of a row.
type RowResult struct {
	Row
	Domain  cert.Domain   // the zero Domain if the row was refused
	Created bool          // false: connected before, by this tenant
	Problem *cert.Problem // why it was refused
}

// ConnectAll connects many domains, workers at once, and reports each row once, one at a time and in any order. Refused rows don't stop it.
// A fault that lasts does: the rows reported so far stand, and running the same rows again carries on where it stopped.
func (c *Control) ConnectAll(ctx context.Context, rows iter.Seq[Row], workers int, report func(RowResult)) error {
	run := bulk{Control: c, report: report}
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for row := range rows {
		if each.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := run.connect(each, row); err != nil {
				return fmt.Errorf("line %d: %w", row.Line, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// bulk is one run over many rows.
type bulk struct {
	*Control
	reporting sync.Mutex
	report    func(RowResult)
	waiting   atomic.Bool // for the database, and the log says so
}

func (b *bulk) connect(ctx context.Context, row Row) error {
	result, err := b.claimPatiently(ctx, row)
	if err != nil {
		return err
	}
	b.reporting.Lock()
	defer b.reporting.Unlock()
	b.report(result)
	return nil
}

// How long a row waits for a database that does not answer. PostgreSQL's recovery after a crash took a minute and a half on a slow disk.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
	rowPatience  = 3 * time.Minute
)

// claimPatiently claims the names of a row. Trying again is safe: a claim that was written before its answer was lost is found again.
func (b *bulk) claimPatiently(ctx context.Context, row Row) (RowResult, error) {
	begun, pause := time.Now(), firstPause
	for {
		d, err := b.claim(ctx, row.Connection, 0)
		var p cert.Problem
		switch {
		case err == nil:
			b.waiting.Store(false)
			return RowResult{Row: row, Domain: d.Domain, Created: d.Created}, nil
		case !IsFault(err) && errors.As(err, &p):
			return RowResult{Row: row, Problem: &p}, nil
		case time.Since(begun) >= rowPatience:
			return RowResult{}, err
		}
		if !b.waiting.Swap(true) {
			b.log.WarnContext(ctx, "a domain could not be written; trying again", "line", row.Line, "for", rowPatience, "error", err)
		}
		select {
		case <-ctx.Done():
			return RowResult{}, errors.Join(context.Cause(ctx), err)
		case <-time.After(pause):
			pause = min(2*pause, longestPause)
		}
	}
}
