package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// starting runs until the returned function is called, in a bubble of synctest. room may be nil.
func starting(t *testing.T, b bundle, room func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		control.Starting{Queue: b.store, Cases: b.store, Workflows: b.workflows, Room: room, Log: slog.New(slog.DiscardHandler)}.Run(ctx)
	}()
	synctest.Wait()
	return func() {
		cancel()
		<-ended
	}
}

func (b bundle) requireRunning(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := b.workflows.Running(); !slices.Equal(got, want) {
		t.Errorf("running: %v, want %v", got, want)
	}
}

func TestA1_AConnectedDomainIsStartedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		if _, err := b.Connect(t.Context(), control.Connection{Hostname: "before.example.com", Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		defer starting(t, b, nil)()
		b.requireRunning(t, "before.example.com")
		if _, err := b.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		b.requireRunning(t, "before.example.com", "shop.example.com")
	})
}

func TestADomainConnectedWhileTemporalIsDownIsStartedWhenItAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.workflows.SetDown(true)
		defer starting(t, b, nil)()
		r, err := b.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: "acme"})
		if err != nil || !r.Created || r.Headline != cert.Pending || len(r.Records) == 0 {
			t.Fatalf("got %+v, %v", r, err)
		}
		b.requireRunning(t)
		b.workflows.SetDown(false)
		time.Sleep(15 * time.Second) // of the bubble's own time
		b.requireRunning(t, "shop.example.com")
	})
}

func TestStartingGoesOnAfterAFaultOfTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		if _, err := b.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		b.store.Fail(errors.New("connection refused"))
		defer starting(t, b, nil)()
		b.requireRunning(t)
		b.store.Fail(nil)
		time.Sleep(15 * time.Second) // of the bubble's own time
		b.requireRunning(t, "shop.example.com")
	})
}

func TestADomainThatRecordsNothingIsStartedOnceMoreAfterAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		if _, err := b.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		defer starting(t, b, nil)()
		b.requireRunning(t, "shop.example.com")
		b.workflows.Stop("shop.example.com") // it was the workflow of the domain's former life, and ended

		time.Sleep(45 * time.Second) // of the bubble's own time
		b.requireRunning(t)
		time.Sleep(30 * time.Second) // of the bubble's own time
		b.requireRunning(t, "shop.example.com")
	})
}

func TestE4_NoMoreAreStartedThanTheWorkerHasRoomFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		for i := range 5 {
			if _, err := b.Connect(t.Context(), control.Connection{Hostname: fmt.Sprintf("s%d.example.com", i), Tenant: "acme"}); err != nil {
				t.Fatal(err)
			}
		}
		rooms := make(chan struct{})
		stop := starting(t, b, func(ctx context.Context) error {
			select {
			case <-rooms:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		b.requireRunning(t)
		rooms <- struct{}{}
		rooms <- struct{}{}
		synctest.Wait()
		if got := len(b.workflows.Running()); got != 2 {
			t.Errorf("%d run, want 2: there was room for two", got)
		}
		stop()
		if got := len(b.workflows.Running()); got != 2 {
			t.Errorf("%d run after the end, want 2", got)
		}
	})
}

func TestADomainClaimedByAProcessThatDiedIsStartedByTheNextRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.store.Connect(t.Context(), cert.Domain{
		ID: "1", Hostname: "shop.example.com", Names: []string{"shop.example.com"},
		Tenant: "acme",
	}); err != nil {
		t.Fatal(err) // the claim, and then nothing: as after a crash
	}
	if _, err := b.Check(t.Context(), control.Request{Name: "shop.example.com", By: "ann"}); err != nil {
		t.Fatal(err)
	}
	if got := b.workflows.Running(); !slices.Equal(got, []string{"shop.example.com"}) {
		t.Errorf("running: %v", got)
	}
}

func rows(n int) []control.Row {
	var all []control.Row
	for i := range n {
		all = append(all, control.Row{Line: i + 1, Connection: control.Connection{Hostname: fmt.Sprintf("s%d.example.com", i), Tenant: "acme"}})
	}
	return all
}

func TestE4_ManyRowsAreConnectedAndTheBadOnesReported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "s3.example.com")
	all := rows(40)
	all[7].Hostname, all[9].Tenant, all[11].Hostname = "10.0.0.1", "", "s3.example.com"
	var created, existing int
	refused := map[int]cert.Code{}
	err := b.ConnectAll(t.Context(), slices.Values(all), 8, func(r control.RowResult) {
		switch {
		case r.Problem != nil:
			refused[r.Line] = r.Problem.Code
		case r.Created:
			created++
		default:
			existing++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if created != 36 || existing != 2 || len(refused) != 2 || refused[8] != cert.NameInvalid || refused[10] != cert.RequestMalformed {
		t.Errorf("created %d, existing %d, refused %v", created, existing, refused)
	}
	if got := b.store.Len(); got != 37 {
		t.Errorf("%d domains", got)
	}
}

func TestRowsWaitForADatabaseThatRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.store.Fail(errors.New("connection refused"))
		done := make(chan error, 1)
		go func() {
			done <- b.ConnectAll(t.Context(), slices.Values(rows(3)), 2, func(r control.RowResult) {
				if r.Problem != nil {
					t.Errorf("line %d was refused: %v", r.Line, r.Problem)
				}
			})
		}()
		time.Sleep(90 * time.Second) // of the bubble's own time
		b.store.Fail(nil)
		if err := <-done; err != nil || b.store.Len() != 3 {
			t.Errorf("%d connected, %v", b.store.Len(), err)
		}
	})
}

func TestAFaultThatLastsStopsTheRowsAndNamesTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		fault := errors.New("connection refused")
		b.store.Fail(fault)
		err := b.ConnectAll(t.Context(), slices.Values(rows(1)), 2, func(r control.RowResult) { t.Errorf("reported %+v", r) })
		if !errors.Is(err, fault) || err.Error()[:8] != "line 1: " || !control.IsFault(err) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCancellingStopsTheRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	reported := 0
	err := b.ConnectAll(ctx, slices.Values(rows(1000)), 1, func(control.RowResult) {
		reported++
		cancel()
	})
	if !errors.Is(err, context.Canceled) || reported > 3 {
		t.Errorf("%d rows, %v", reported, err)
	}
}

// TestF22_TheWorkflowOfACaseIsStartedAndToldByAWorker: the domain's record is all that opens and closes a case.
func TestF22_TheWorkflowOfACaseIsStartedAndToldByAWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		defer starting(t, b, nil)()
		requireAsked := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if got := b.workflows.Asked(); !slices.Equal(got, want) {
				t.Errorf("asked %q, want %q", got, want)
			}
		}
		b.workflows.SetDown(true)
		b.store.Owe(cert.Case{ID: "1/1"}) // Temporal does not answer: nothing is lost
		requireAsked()
		b.workflows.SetDown(false)
		time.Sleep(90 * time.Second) // of the bubble's clock: the lease is over
		requireAsked("start case 1/1")
		b.store.Heard("1/1")
		b.store.Owe(cert.Case{ID: "1/1", ClosedAt: time.Now()})
		requireAsked("start case 1/1", "resolve case 1/1")
		b.store.Heard("1/1")
		b.store.Owe(cert.Case{ID: "2/1", ClosedAt: time.Now()}) // its workflow was ended by hand
		requireAsked("start case 1/1", "resolve case 1/1", "resolve case 2/1")
		if ended := b.store.Ended(); !slices.Equal(ended, []string{"2/1"}) {
			t.Errorf("ended %q", ended)
		}
	})
}
