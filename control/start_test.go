package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

func TestADomainConnectedWhileTemporalIsDownIsStartedLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workflows.SetDown(true)
	r, err := b.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: "acme"})
	if err != nil || !r.Created || r.Headline != cert.Pending || len(r.Records) == 0 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if _, err := b.StartUnstarted(t.Context()); code(t, err) != control.Unavailable {
		t.Errorf("while Temporal is down: %v", err)
	}
	b.workflows.SetDown(false)
	if n, err := b.StartUnstarted(t.Context()); n != 1 || err != nil {
		t.Errorf("started %d, %v", n, err)
	}
	if got := b.workflows.Running(); !slices.Equal(got, []string{"shop.example.com"}) {
		t.Errorf("running: %v", got)
	}
}

func TestADomainClaimedByAProcessThatDiedIsStartedByTheNextRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.store.Connect(t.Context(), cert.Domain{ID: "1", Hostname: "shop.example.com", Names: []string{"shop.example.com"}, Tenant: "acme"}); err != nil {
		t.Fatal(err) // the claim, and then nothing: as after a crash
	}
	if _, err := b.Check(t.Context(), control.Request{Name: "shop.example.com", By: "ann"}); err != nil {
		t.Fatal(err)
	}
	if got := b.workflows.Running(); !slices.Equal(got, []string{"shop.example.com"}) {
		t.Errorf("running: %v", got)
	}
}

func TestKeepStartingGoesOnAfterAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.workflows.SetDown(true)
		if _, err := b.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go b.KeepStarting(ctx, 15*time.Second)
		synctest.Wait()
		b.workflows.SetDown(false)
		time.Sleep(15 * time.Second) // of the bubble's own time
		synctest.Wait()
		if got := b.workflows.Running(); len(got) != 1 {
			t.Errorf("running: %v", got)
		}
		cancel()
	})
}

func TestAStartedDomainThatRecordsNothingIsStartedOnceMoreAfterAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		if _, err := b.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		b.workflows.Stop("shop.example.com") // it was the workflow of the domain's former life, and ended
		if n, err := b.StartUnstarted(t.Context()); n != 0 || err != nil {
			t.Errorf("at once: started %d, %v", n, err)
		}
		time.Sleep(5 * time.Minute) // of the bubble's own time
		if n, err := b.StartUnstarted(t.Context()); n != 1 || err != nil || len(b.workflows.Running()) != 1 {
			t.Errorf("after five minutes: started %d, %v", n, err)
		}
	})
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
	if got := len(b.workflows.Running()); got != 37 {
		t.Errorf("%d workflows run", got)
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

func TestRowsAreClaimedWhileTemporalIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workflows.SetDown(true)
	if err := b.ConnectAll(t.Context(), slices.Values(rows(5)), 2, func(control.RowResult) {}); err != nil {
		t.Fatal(err)
	}
	b.workflows.SetDown(false)
	if n, err := b.StartUnstarted(t.Context()); n != 5 || err != nil || len(b.workflows.Running()) != 5 {
		t.Errorf("started %d, %v", n, err)
	}
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
