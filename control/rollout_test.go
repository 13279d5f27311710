package control_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercert/evercert/control"
)

// builds is a namespace's worker deployment: builds poll or don't, one of them may be current. It doesn't simulate that Temporal refuses
// a build that does not poll, nor the delay of its lists.
type builds struct {
	mu      sync.Mutex
	err     error
	routing control.Routing
	silent  map[string]time.Time // builds that do not poll, since when
	left    map[string]int64     // workflows on a build
}

func newBuilds() *builds {
	return &builds{routing: control.Routing{RegisteredAt: map[string]time.Time{}}, silent: map[string]time.Time{}, left: map[string]int64{}}
}

// change alters what is known, and lets everybody see it.
func (b *builds) change(do func()) {
	b.mu.Lock()
	do()
	b.mu.Unlock()
	time.Sleep(time.Minute) // of the bubble's own time
	synctest.Wait()
}

func (b *builds) current() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.routing.Current
}

// person makes a build current by hand.
func (b *builds) person(build string) func() {
	return func() { b.routing.Current, b.routing.ChangedAt, b.routing.ByWorker = build, time.Now(), false }
}

func (b *builds) Routing(context.Context) (control.Routing, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.routing
	r.RegisteredAt = map[string]time.Time{}
	for build, at := range b.routing.RegisteredAt {
		r.RegisteredAt[build] = at
		if build != r.Current && b.left[build] > 0 {
			r.Draining = append(r.Draining, build)
		}
	}
	slices.Sort(r.Draining)
	return r, b.err
}

func (b *builds) Polled(context.Context) (map[string]time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	polled := map[string]time.Time{}
	for build := range b.routing.RegisteredAt {
		polled[build] = time.Now()
		if since, silent := b.silent[build]; silent {
			polled[build] = since
		}
	}
	return polled, b.err
}

func (b *builds) TakeOver(_ context.Context, build string, _ control.Routing) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.routing.RegisteredAt[build]; !known {
		return errors.New("no workers poll")
	}
	b.routing.Current, b.routing.ChangedAt, b.routing.ByWorker = build, time.Now(), true
	return b.err
}

func (b *builds) RescueTo(_ context.Context, lost, current string) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	said := b.left[lost]
	b.left[current] += said
	b.left[lost] = 0
	return said, b.err
}

// start runs a worker process of a build; it polls from a moment later on.
func (b *builds) start(t *testing.T, build string, auto bool) *control.Rollout {
	t.Helper()
	r := &control.Rollout{Builds: b, Build: build, Auto: auto, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	synctest.Wait()
	b.change(func() {
		delete(b.silent, build)
		if _, known := b.routing.RegisteredAt[build]; !known {
			b.routing.RegisteredAt[build] = time.Now()
		}
	})
	return r
}

func requireCurrent(t *testing.T, b *builds, want string, why string) {
	t.Helper()
	if got := b.current(); got != want {
		t.Fatalf("current is %q, want %q: %s", got, want, why)
	}
}

func requireStarts(t *testing.T, r *control.Rollout, want bool, why string) {
	t.Helper()
	if got, _ := r.Starts(); got != want {
		t.Fatalf("build %s may start domains: %v, want %v: %s", r.Build, got, want, why)
	}
}

func bubble(t *testing.T, test func(t *testing.T, b *builds)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newBuilds()) })
}

func TestE1_TheFirstBuildOfANamespaceBecomesCurrent(t *testing.T) {
	for name, auto := range map[string]bool{"auto": true, "manual": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *builds) {
				a := b.start(t, "A", auto)
				requireCurrent(t, b, "A", "new domains would go nowhere")
				requireStarts(t, a, true, "it is current")
			})
		})
	}
}

func TestE1_ANewerBuildTakesOverAndAnOlderOneNever(t *testing.T) {
	bubble(t, func(t *testing.T, b *builds) {
		a := b.start(t, "A", true)
		next := b.start(t, "B", true)
		requireCurrent(t, b, "B", "it is newer")
		requireStarts(t, next, true, "it is current")
		requireStarts(t, a, false, "it is no longer current")
		again := b.start(t, "A", true)
		requireCurrent(t, b, "B", "an old build that is started once more is no newer")
		requireStarts(t, again, false, "another build is current")
	})
}

func TestE1_ANewBuildIsCurrentAMomentAfterItPolls(t *testing.T) {
	bubble(t, func(t *testing.T, b *builds) {
		b.start(t, "A", true)
		r := &control.Rollout{Builds: b, Build: "B", Auto: true, Log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		defer running.Wait()
		defer cancel()
		synctest.Wait() // it has asked, and Temporal did not know it yet
		b.mu.Lock()
		b.routing.RegisteredAt["B"] = time.Now()
		b.mu.Unlock()
		time.Sleep(time.Second) // of the bubble's own time
		synctest.Wait()
		requireCurrent(t, b, "B", "new domains would begin on the old build meanwhile")
		requireStarts(t, r, true, "it is current")
	})
}

func TestE1_WhatAPersonMadeCurrentStaysSo(t *testing.T) {
	bubble(t, func(t *testing.T, b *builds) {
		a, next := b.start(t, "A", true), b.start(t, "B", true)
		b.change(b.person("A"))
		requireCurrent(t, b, "A", "a person went back to it")
		requireStarts(t, a, true, "it is current again")
		requireStarts(t, next, false, "it was taken back")
		b.start(t, "B", true)
		requireCurrent(t, b, "A", "a restart of B is no new build")
		b.start(t, "C", true)
		requireCurrent(t, b, "C", "it was not there when the person chose")
	})
}

func TestE1_ManualWaitsForAPerson(t *testing.T) {
	bubble(t, func(t *testing.T, b *builds) {
		b.start(t, "A", false)
		next := b.start(t, "B", false)
		requireCurrent(t, b, "A", "nobody asked for B")
		requireStarts(t, next, false, "A takes new domains")
		b.change(b.person("B"))
		requireStarts(t, next, true, "it is current")
	})
}

func TestE1_ABuildWithoutWorkersIsReplaced(t *testing.T) {
	for name, auto := range map[string]bool{"auto": true, "manual": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *builds) {
				old := b.start(t, "A", auto)
				b.start(t, "B", auto)
				b.change(b.person("B"))
				b.change(func() { b.silent["B"] = time.Now() })
				requireCurrent(t, b, "B", "its workers may be starting again")
				requireStarts(t, old, false, "its workers may be starting again")
				b.change(func() {})
				requireStarts(t, old, true, "domains must not wait for a build that nobody runs")
				requireCurrent(t, b, map[bool]string{true: "A", false: "B"}[auto], "with manual, a person decides")
			})
		})
	}
}

func TestE1_NoAnswerLetsDomainsBeginAsBefore(t *testing.T) {
	bubble(t, func(t *testing.T, b *builds) {
		b.err = errors.New("unavailable")
		a := b.start(t, "A", true)
		requireStarts(t, a, true, "nobody knows better")
		b.change(func() { b.err = nil })
		b.start(t, "B", true)
		requireStarts(t, a, false, "B is current")
		b.change(func() { b.err = errors.New("unavailable") })
		b.change(func() {})
		requireStarts(t, a, false, "as before")
		requireCurrent(t, b, "B", "")
		b.mu.Lock()
		b.silent["B"] = time.Now().Add(-time.Hour) // a server that was restarted has forgotten who polled
		b.mu.Unlock()
		b.change(func() { b.err = nil })
		requireStarts(t, a, false, "it has not looked for long enough to know that B is gone")
	})
}

func TestE1_WhatALostBuildLeftBehindIsMoved(t *testing.T) {
	bubble(t, func(t *testing.T, b *builds) {
		b.start(t, "A", true)
		b.start(t, "B", true)
		b.change(func() { b.left["A"] = 7 })
		b.change(func() {})
		if b.left["A"] != 7 {
			t.Fatal("A has workers: what runs there stays")
		}
		b.change(func() { b.silent["A"] = time.Now() })
		b.change(func() {})
		if b.left["A"] != 0 || b.left["B"] != 7 {
			t.Fatalf("left: %v, want all on B", b.left)
		}
	})
}

func TestE1_AProcessThatIsNoLongerCurrentStartsNoDomain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		var mu sync.Mutex
		allowed, changed := false, make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			control.Starting{
				Queue:     b.store,
				Cases:     b.store,
				Workflows: b.workflows,
				Log:       slog.New(slog.DiscardHandler),
				Allowed: func() (bool, <-chan struct{}) {
					mu.Lock()
					defer mu.Unlock()
					return allowed, changed
				},
			}.Run(
				ctx,
			)
		})
		defer running.Wait()
		defer cancel()
		if _, err := b.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // of the bubble's own time
		b.requireRunning(t)
		mu.Lock()
		allowed = true
		close(changed)
		changed = make(chan struct{})
		mu.Unlock()
		b.requireRunning(t, "shop.example.com") // at once, not at the next look
	})
}
