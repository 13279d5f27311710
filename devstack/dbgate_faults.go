package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// gateKind is what is wrong with the database for everybody.
type gateKind string

const (
	noFault       gateKind = "none"
	refuseFault   gateKind = "refuse"   // new connections are closed at once, open ones are cut
	hangFault     gateKind = "hang"     // connections are accepted, and nothing moves on any
	slowFault     gateKind = "slow"     // each packet waits for a while, in both directions
	readOnlyFault gateKind = "readonly" // every write is refused (25006), as on a standby after a fail-over; open connections are cut
)

type gateFault struct {
	kind  gateKind
	delay time.Duration // of slow
}

// parseGateFault reads refuse, hang, slow MILLISECONDS, readonly or none. In one word it is slow:MILLISECONDS.
func parseGateFault(words ...string) (gateFault, error) {
	if len(words) == 1 {
		words = strings.SplitN(words[0], ":", 2)
	}
	f := gateFault{kind: gateKind(words[0])}
	switch f.kind {
	case slowFault:
		if len(words) != 2 {
			return f, errors.New("slow: for how many milliseconds shall each packet wait?")
		}
		ms, err := strconv.ParseUint(words[1], 10, 20)
		if err != nil {
			return f, fmt.Errorf("slow: milliseconds: %w", err)
		}
		f.delay = time.Duration(ms) * time.Millisecond
		return f, nil
	case noFault, refuseFault, hangFault, readOnlyFault:
		if len(words) == 1 {
			return f, nil
		}
	}
	return f, fmt.Errorf("fault %q: want refuse, hang, slow MILLISECONDS, readonly or none", strings.Join(words, " "))
}

// set puts a fault in place of the one before; with a time it ends by itself.
func (g *dbGate) set(ctx context.Context, f gateFault, length time.Duration) error {
	g.setting.Lock()
	defer g.setting.Unlock()
	return g.replace(ctx, f, length)
}

// replace is set for one who holds the lock of setting.
func (g *dbGate) replace(ctx context.Context, f gateFault, length time.Duration) error {
	g.mu.Lock()
	before := g.fault.kind
	if g.undo != nil {
		g.undo()
		g.undo = nil
	}
	g.fault = f
	close(g.changed)
	g.changed = make(chan struct{})
	if length > 0 && f.kind != noFault {
		var over context.Context
		over, g.undo = context.WithCancel(context.Background())
		go g.endAfter(over, length)
	}
	g.mu.Unlock()
	if f.kind == refuseFault {
		g.cutAll()
	}
	if f.kind != readOnlyFault && before != readOnlyFault && f.kind != noFault {
		return nil
	}
	// none undoes it always: this gate may have been killed since it was set.
	if err := g.database.setReadOnly(ctx, f.kind == readOnlyFault); err != nil {
		return err
	}
	if f.kind == readOnlyFault || before == readOnlyFault {
		g.cutAll() // a session keeps the setting that it began with
	}
	return nil
}

func (g *dbGate) endAfter(over context.Context, length time.Duration) {
	select {
	case <-over.Done():
		return
	case <-time.After(length):
	}
	g.setting.Lock()
	defer g.setting.Unlock()
	if over.Err() != nil { // another fault has come in between
		return
	}
	if err := g.replace(context.Background(), gateFault{kind: noFault}, 0); err != nil {
		slog.Error("end the fault", "err", err)
	}
}

func (g *dbGate) cutAll() {
	g.mu.Lock()
	conns := make([]*gateConn, 0, len(g.conns))
	for c := range g.conns {
		conns = append(conns, c)
	}
	g.counts.Cut += len(conns)
	g.mu.Unlock()
	for _, c := range conns {
		c.cut()
	}
}

// lock holds tables for a while, or until the next reset. It returns when it has them.
func (g *dbGate) lock(table string, length time.Duration) ([]string, error) {
	if length <= 0 {
		return nil, errors.New("for how many seconds?")
	}
	ctx, end := context.WithTimeout(context.Background(), length)
	tables, err := g.database.lock(ctx, table)
	if err != nil {
		end()
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unlock != nil {
		g.unlock()
	}
	g.unlock = end
	return tables, nil
}

// reset makes everything healthy: no fault, no trigger, no lock. The counts stay.
func (g *dbGate) reset(ctx context.Context) error {
	g.mu.Lock()
	if g.unlock != nil {
		g.unlock()
		g.unlock = nil
	}
	for _, t := range g.triggers {
		t.release()
	}
	g.triggers = nil
	g.mu.Unlock()
	return g.set(ctx, gateFault{kind: noFault}, 0)
}

// databaseAdmin is what the gate needs of the database past itself.
type databaseAdmin interface {
	setReadOnly(ctx context.Context, on bool) error
	// lock takes a table, or all, for as long as ctx lasts.
	lock(ctx context.Context, table string) ([]string, error)
}

// postgresAdmin reaches the product's database directly.
type postgresAdmin struct{ url string }

func (p postgresAdmin) setReadOnly(ctx context.Context, on bool) error {
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // each statement has answered
	statement := "RESET default_transaction_read_only"
	if on {
		statement = "SET default_transaction_read_only = on"
	}
	// This session may have begun read-only; it must be able to change that.
	if _, err := conn.Exec(ctx, "SET default_transaction_read_only = off"); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+pgx.Identifier{productDatabase}.Sanitize()+" "+statement)
	return err
}

const (
	allTables  = "all"
	lockTries  = 3                // a lock of all tables may meet transactions that want them in another order
	lockWithin = 30 * time.Second // for transactions that have them to end
)

func (p postgresAdmin) lock(ctx context.Context, table string) ([]string, error) {
	var failed error
	for range lockTries {
		tables, err := p.tryLock(ctx, table)
		if err == nil {
			return tables, nil
		}
		failed = err
	}
	return nil, failed
}

func (p postgresAdmin) tryLock(ctx context.Context, table string) ([]string, error) {
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return nil, err
	}
	tables, err := lockIn(ctx, conn, table)
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	context.AfterFunc(ctx, func() {
		if err := conn.Close(context.Background()); err != nil { // ends the transaction, and the locks with it
			slog.Error("end the lock", "err", err)
		}
	})
	return tables, nil
}

// lockIn begins a transaction that holds the tables.
func lockIn(ctx context.Context, conn *pgx.Conn, table string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lockWithin)
	defer cancel()
	rows, err := conn.Query(
		ctx,
		`SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND $1::text IN (tablename::text, 'all') ORDER BY tablename`,
		table,
	)
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("the product's database has no table %q; %s means every table", table, allTables)
	}
	quoted := make([]string, len(tables))
	for i, name := range tables {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LOCK TABLE "+strings.Join(quoted, ", ")+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		return nil, fmt.Errorf("lock %s: %w", table, err)
	}
	return tables, nil
}
