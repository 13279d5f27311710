package control_test

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/control/controltest"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/store"
)

func TestMain(m *testing.M) { stack.Main(m) }

// onPostgres is a Control over a real database, with a stand-in for the workflows.
func onPostgres(t *testing.T) (*control.Control, *store.Store, *controltest.Workflows) {
	t.Helper()
	db, err := store.Open(t.Context(), stack.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := &controltest.Workflows{}
	return control.New(db, w, rules, platform, slog.New(slog.DiscardHandler)), db, w
}

func TestA1_ConnectingOnPostgres(t *testing.T) {
	t.Parallel()
	c, db, w := onPostgres(t)
	want := control.Connection{Hostname: "Bücher.example.com.", Also: []string{"bücher.example.org"}, Tenant: "acme"}
	first, err := c.Connect(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Created || first.Headline != cert.Pending || first.Status.Domain != cert.DomainPendingDNS || first.ConnectedAt.IsZero() ||
		len(first.Records) != 6 {
		t.Errorf("got %+v", first)
	}
	again, err := c.Connect(t.Context(), want)
	if err != nil || again.Created || again.Records[0].Value != first.Records[0].Value {
		t.Errorf("the second time: %+v, %v", again, err)
	}
	if d, err := c.Status(t.Context(), "BÜCHER.example.org"); err != nil || d.Hostname != "xn--bcher-kva.example.com" {
		t.Errorf("by a further name: %+v, %v", d, err)
	}
	running, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		control.Starting{Queue: db, Cases: db, Workflows: w, Log: slog.New(slog.DiscardHandler)}.Run(running)
	}()
	for deadline := time.Now().Add(10 * time.Second); len(w.Running()) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the workflow was not started")
		}
		runtime.Gosched()
	}
	stop()
	<-ended
	if got := w.Running(); !slices.Equal(got, []string{"xn--bcher-kva.example.com"}) {
		t.Errorf("running: %v", got)
	}
}

func TestBadInputCreatesNothingOnPostgres(t *testing.T) {
	t.Parallel()
	c, db, _ := onPostgres(t)
	if _, err := c.Connect(t.Context(), control.Connection{Hostname: "taken.example.com", Tenant: "other"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		control.Connection
		code cert.Code
	}{
		{control.Connection{Hostname: "10.0.0.1", Tenant: "acme"}, cert.NameInvalid},
		{control.Connection{Hostname: "taken.example.com", Tenant: "acme"}, cert.NameTaken},
		{
			control.Connection{Hostname: "new.example.com", Also: []string{"free.example.com", "Taken.example.com"}, Tenant: "acme"},
			cert.NameTaken,
		},
		{control.Connection{Hostname: "taken.example.com", Also: []string{"more.example.com"}, Tenant: "other"}, cert.RequestRefused},
	} {
		if _, err := c.Connect(t.Context(), want.Connection); code(t, err) != want.code {
			t.Errorf("%+v: %v", want.Connection, err)
		}
	}
	views, err := db.Domains(t.Context(), store.Filter{})
	if err != nil || len(views) != 1 {
		t.Errorf("half-created: %d domains, %v", len(views), err)
	}
	for _, name := range []string{"new.example.com", "free.example.com", "more.example.com"} {
		if r, err := c.Connect(t.Context(), control.Connection{Hostname: name, Tenant: "third"}); err != nil || !r.Created {
			t.Errorf("%s is not free: %v", name, err)
		}
	}
}

func TestOfManyWhoConnectOneNameAtOnceOneWins(t *testing.T) {
	t.Parallel()
	c, db, _ := onPostgres(t)
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		won  []string
		lost int
	)
	for _, tenant := range []string{"a", "b", "c", "d", "e", "f"} {
		all.Go(func() {
			_, err := c.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: tenant})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, tenant)
			} else if cert.AsProblem(err).Code == cert.NameTaken {
				lost++
			} else {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if waiting, err := db.TakeUnstarted(t.Context(), time.Minute, 10); err != nil || len(waiting) != 1 || len(won) != 1 || lost != 5 ||
		waiting[0].Tenant != won[0] {
		t.Errorf("won %v, %d lost, waiting %v, %v", won, lost, waiting, err)
	}
}
