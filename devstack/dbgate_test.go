package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// gatedDatabase is a cluster with the gate before it, a table in it, and one who gives orders.
type gatedDatabase struct {
	t     *testing.T
	dir   string
	stack stackFile
}

func newGatedDatabase(t *testing.T) *gatedDatabase {
	t.Helper()
	dir := t.TempDir()
	s, _ := startStack(t, dir, "postgres,dbgate")
	g := &gatedDatabase{t, dir, s}
	if s.Env["DATABASE_URL"] == s.Postgres {
		t.Fatal("the product must be led through the gate, and tests past it")
	}
	if err := g.exec(s.Postgres, "CREATE TABLE things (id uuid, n int)"); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gatedDatabase) command(args ...string) string {
	g.t.Helper()
	var out bytes.Buffer
	if err := clientCommand(g.t.Context(), "db", append(args, "--dir="+g.dir), &out); err != nil {
		g.t.Fatal(err)
	}
	return out.String()
}

func (g *gatedDatabase) connect() *pgx.Conn {
	g.t.Helper()
	conn := must[*pgx.Conn](g.t)(pgx.Connect(g.t.Context(), g.stack.Env["DATABASE_URL"]))
	g.t.Cleanup(func() { _ = conn.Close(context.Background()) }) // most of them were cut
	return conn
}

// exec connects anew and runs one statement within a second.
func (g *gatedDatabase) exec(url, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement has answered
	_, err = conn.Exec(ctx, sql, args...)
	return err
}

func (g *gatedDatabase) through(sql string, args ...any) error {
	return g.exec(g.stack.Env["DATABASE_URL"], sql, args...)
}

func (g *gatedDatabase) count() (n int) {
	g.t.Helper()
	conn := must[*pgx.Conn](g.t)(pgx.Connect(g.t.Context(), g.stack.Postgres))
	defer conn.Close(g.t.Context()) //nolint:errcheck // the query has answered
	if err := conn.QueryRow(g.t.Context(), "SELECT count(*) FROM things").Scan(&n); err != nil {
		g.t.Fatal(err)
	}
	return n
}

func (g *gatedDatabase) requireHealthy() {
	g.t.Helper()
	eventually(g.t, 30*time.Second, func() error { return g.through("UPDATE things SET n = n") })
}

func TestGateFaultsKeepOnlyTheProductFromItsDatabase(t *testing.T) {
	t.Parallel()
	g := newGatedDatabase(t)
	for _, fault := range []string{"refuse", "hang", "slow 5000", "readonly"} {
		before := g.connect()
		g.command(append([]string{"fault"}, strings.Fields(fault)...)...)
		err := g.through("INSERT INTO things VALUES (NULL, $1)", 1)
		if err == nil {
			t.Errorf("%s: a write through the gate must fail", fault)
		}
		refused, isPostgres := errors.AsType[*pgconn.PgError](err)
		if fault == "readonly" && (!isPostgres || refused.Code != "25006") {
			t.Errorf("%s: got %v", fault, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := before.Exec(ctx, "INSERT INTO things VALUES (NULL, $1)", 1); err == nil {
			t.Errorf("%s: a write on a connection of before must fail", fault)
		}
		cancel()
		if n := g.count(); n != 0 { // later what hung or was slow may arrive, as on a network
			t.Errorf("%s: %d rows were written", fault, n)
		}
		if fault != "readonly" { // which is a setting of the database itself
			if err := g.exec(g.stack.Postgres, "UPDATE things SET n = n"); err != nil {
				t.Errorf("%s: past the gate: %v", fault, err)
			}
		}
		g.command("fault", "none")
		g.requireHealthy()
		if err := g.exec(g.stack.Postgres, "DELETE FROM things"); err != nil {
			t.Fatal(err)
		}
	}
	g.command("fault", "refuse", "--for", "0.2")
	g.requireHealthy() // by itself
	g.command("fault", "readonly", "--for=0.2")
	g.requireHealthy()
	var counts gateCounts
	if err := json.Unmarshal(
		[]byte(g.command("stats")), &counts,
	); err != nil || counts.Accepted == 0 || counts.Refused == 0 || counts.Cut == 0 ||
		counts.Statements == 0 {
		t.Errorf("stats: %+v, %v", counts, err)
	}
}

func TestGateTriggersActAtAStatementOfOneDomain(t *testing.T) {
	t.Parallel()
	g := newGatedDatabase(t)
	const mine, other = "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
	const insert = "INSERT INTO\n\t\tthings VALUES ($1, length($2::text))"
	trigger := func(action ...string) {
		t.Helper()
		args := append([]string{"trigger", "INSERT INTO things"}, action...)
		g.command(append(args, "--value", "nobody,"+mine, "--and", "note")...)
	}
	for _, c := range []struct {
		action []string
		stored int // rows of mine afterwards
		fails  bool
	}{
		{[]string{"cut"}, 0, true},
		{[]string{"lose"}, 1, true},
		{[]string{"refuse", "0.3"}, 0, true},
		{[]string{"readonly", "0.3"}, 0, true},
		{[]string{"slow:100", "0.5"}, 1, false},
		{[]string{"hold", "0.2"}, 1, false},
	} {
		if err := g.exec(g.stack.Postgres, "DELETE FROM things"); err != nil {
			t.Fatal(err)
		}
		trigger(c.action...)
		if err := g.through(insert, other, "note"); err != nil {
			t.Errorf("%v: a statement with another value: %v", c.action, err)
		}
		if err := g.through(insert, mine, "word"); err != nil {
			t.Errorf("%v: a statement without the other value: %v", c.action, err)
		}
		if err := g.through(insert, mine, "note"); (err != nil) != c.fails {
			t.Errorf("%v: %v", c.action, err)
		}
		eventually(t, 10*time.Second, func() error {
			if n := g.count(); n != 2+c.stored {
				return fmt.Errorf("%v: %d rows, want 2 and %d", c.action, n, c.stored)
			}
			return nil
		})
		g.requireHealthy()
		if err := g.through(insert, mine, "note"); err != nil {
			t.Errorf("%v: it must act once only: %v", c.action, err)
		}
		var list []gateTrigger
		if err := json.Unmarshal([]byte(g.command("triggers")), &list); err != nil || len(list) != 1 || list[0].Fired != 1 {
			t.Errorf("%v: triggers: %+v, %v", c.action, list, err)
		}
		g.command("reset")
	}
}

func TestGateHoldsAStatementUntilItIsReleased(t *testing.T) {
	t.Parallel()
	g := newGatedDatabase(t)
	out := g.command("trigger", "INSERT INTO things", "hold", "600")
	conn, done := g.connect(), make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "INSERT INTO things VALUES (NULL, 1)")
		done <- err
	}()
	eventually(t, 30*time.Second, func() error {
		var list []gateTrigger
		if err := json.Unmarshal([]byte(g.command("triggers")), &list); err != nil || len(list) != 1 || list[0].Fired != 1 {
			return fmt.Errorf("triggers: %+v, %w", list, err)
		}
		return nil
	})
	select {
	case err := <-done:
		t.Fatalf("the statement went on: %v", err)
	default:
	}
	g.command("release", strings.Fields(out)[1])
	if err := <-done; err != nil || g.count() != 1 {
		t.Errorf("%d rows, %v", g.count(), err)
	}
}

func TestGateLocksTables(t *testing.T) {
	t.Parallel()
	g := newGatedDatabase(t)
	for _, table := range []string{"things", "all"} {
		if out := g.command("lock", table, "600"); out != "locked things\n" {
			t.Errorf("lock printed %q", out)
		}
		if err := g.through("SELECT count(*) FROM things"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a read must wait for the lock: %v", err)
		}
		g.command("reset")
		g.requireHealthy()
	}
	err := clientCommand(t.Context(), "db", []string{"lock", "nothing", "1", "--dir", g.dir}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a table that does not exist: %v", err)
	}
}

func TestGateRefusesOrdersThatWouldDoNothing(t *testing.T) {
	t.Parallel()
	for _, o := range []triggerOrder{
		{Action: "cut"},
		{Text: "x", Action: "explode"},
		{Text: "x", Action: "none", For: 1},
		{Text: "x", Action: "hold"},
		{Text: "x", Action: "refuse"},
		{Text: "x", Action: "slow", For: 1},
	} {
		if _, err := newGateTrigger(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for _, words := range [][]string{{"slow"}, {"slow", "-1"}, {"refuse", "5"}, {""}} {
		if _, err := parseGateFault(words...); err == nil {
			t.Errorf("%q was taken", words)
		}
	}
}
