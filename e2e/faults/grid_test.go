package faults

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

// lifetime is that of certificates. They are due for renewal after two thirds of it. An order that is under way must come well before,
// although the faults of other domains' steps hold it up, for ten seconds each time that the worker is killed.
var lifetime = long(90*time.Second, 10*time.Minute)

// faultTime is how long a fault lasts at each step.
var faultTime = long(2*time.Second, 30*time.Second)

// column is a kind of fault. Its domains have a stack of their own, so that what goes wrong there is the work of this fault.
type column struct {
	name string
	// database is the fault of the gate that the trigger orders itself.
	database string
	// strike makes another fault happen. The statement is held until it returns.
	strike func(w *world) error
	// odd columns have the CA's own faults, at the steps at which it is asked.
	odd bool
	// share of Temporal's own database calls that fail, at every step.
	share float64
	// apart is the time between the connecting of two domains; zero connects all at once.
	apart time.Duration
	env   map[string]string // on top of hasty's
}

func columns() []column {
	return []column{
		{name: "database refuses", database: "refuse"},
		{name: "database slow", database: "slow:400"},
		{name: "database read-only", database: "readonly"},
		{name: "Temporal killed", strike: kills("temporal")},
		{name: "Temporal's storage", share: 0.05},
		{name: "worker killed", strike: kills("worker")},
		// The edge answers for the validation zone as well. A CA that asks while it is away refuses the order, which counts as a failure of the
		// domain (docs/failure.md), and after three in a row a case is opened. The edge is away again and again in the first 80 seconds, while
		// the domains come to their steps; a third attempt begins well after that.
		{name: "edge stopped", strike: stops("edge", long(time.Second, 30*time.Second)), apart: 3 * time.Second, env: map[string]string{
			"RETRY_AFTER_FAILURES": long(time.Minute, 3*time.Minute).String(),
		}},
		{name: "odd CA", odd: true},
	}
}

// TestF22_FaultsAtEachStep is the grid of figure 2: a fault of each kind at each step of a domain's life. Each domain reaches its goal by
// itself afterwards, and the CA has made no order that the product does not know. `make test` runs all cells, `make soak` with longer
// faults.
func TestF22_FaultsAtEachStep(t *testing.T) {
	t.Parallel()
	grid := &table{}
	for _, s := range steps() { // the rows in the order of a life, whatever ends first
		grid.row(s.name)
	}
	for _, c := range columns() {
		grid.column(c.name)
	}
	t.Run("columns", func(t *testing.T) {
		for _, c := range columns() {
			t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
				t.Parallel()
				c.run(t, grid)
			})
		}
	})
	t.Log(grid)
	require.Empty(t, grid.lost())
}

// run lives all stories of one column at the same time.
func (c column) run(t *testing.T, grid *table) {
	options := stack.Options{CA: []string{"minutes=" + lifetime.String(), "retry-after=0"}, Env: hasty(c.env), TemporalFaults: c.share}
	w := newWorld(t, options)
	s := &striker{world: w, column: c}
	var all sync.WaitGroup
	for _, row := range slices.Backward(steps()) { // those that take long first
		if c.odd && row.odd == "" {
			continue
		}
		<-time.After(c.apart)
		d := &domain{world: w, name: strings.ReplaceAll(strings.ToLower(row.name), " ", "-") + ".empty.test"}
		all.Go(func() {
			err := s.live(row, d)
			if err == nil {
				err = d.alive()
			}
			grid.add(row.name, c.name, err)
			if err != nil {
				t.Logf("%s: %v\n%s", row.name, err, w.tail(workflows.DomainID(d.name))) // at once: others may take minutes more
			}
		})
	}
	all.Wait()
	grid.add("orders", c.name, await("orders", time.Minute, w.orders))
	require.Empty(t, grid.lostIn(c.name))
}

// alive returns nil if the domain's workflow runs, or ended because the domain was removed.
func (d *domain) alive() error {
	var view control.Domain
	return await(d.name, patience, func() error {
		if err := d.api("GET", "/v1/domains/"+d.name, nil, &view); err != nil {
			return err
		}
		if view.Headline == cert.Removed {
			return d.ended(workflows.DomainID(d.name))
		}
		return d.running(workflows.DomainID(d.name))
	})
}

// striker makes the fault of a column happen at a step.
type striker struct {
	*world
	column column
	one    sync.Mutex // held during a strike
}

// live connects a domain, sees that the fault happens at its step, and returns what it did not reach.
func (s *striker) live(row step, d *domain) error {
	var at int
	var err error
	if row.early {
		at, err = s.arm(row, d)
	}
	if err == nil {
		err = d.reach(d.tryConnect)
	}
	if err == nil && !row.early {
		at, err = s.arm(row, d)
	}
	if err != nil {
		return err
	}
	struck := make(chan error, 1)
	go func() { struck <- s.atStep(row, d, at) }()
	return errors.Join(row.story(d), <-struck)
}

// arm puts the trigger of a step into its place, and returns its number; steps at the CA have faults of the CA.
func (s *striker) arm(row step, d *domain) (int, error) {
	switch {
	case s.column.odd:
		return 0, d.caFault(cmp.Or(row.ca, "newOrder"), row.odd, 1, d.name)
	case s.column.share > 0:
		return 0, nil
	case row.ca != "":
		return 0, d.caFault(row.ca, caPause, 1, d.name)
	}
	o := row.at
	o.Action, o.For = s.column.database, faultTime.Seconds()
	if o.Action == "" {
		o.Action, o.For = "hold", heldFor.Seconds()
	}
	o.Values = nil
	for _, value := range row.at.Values {
		o.Values = append(o.Values, strings.NewReplacer("$id", d.id, "$name", d.name, "$label", d.delegation()).Replace(value))
	}
	return s.trigger(o)
}

// heldFor is how long a step waits at most for its fault to begin. It is shorter than the time limits of the product's steps.
const heldFor = 2 * time.Second

// caPause is how the CA holds a request until the fault has begun.
const caPause = "delay:1500ms"

// atStep waits until the domain is at the step, and strikes unless the trigger has done so.
func (s *striker) atStep(row step, d *domain, at int) error {
	switch {
	case s.column.odd || s.column.share > 0:
		return nil
	case row.ca != "":
		if err := d.reach(func() error { return s.caMet(row.ca, caPause, d.name) }); err != nil {
			return err
		}
		if s.column.database != "" {
			return s.dbFault(faultTime.Seconds(), s.column.database)
		}
	default:
		if err := d.reach(func() error { return s.fired(at) }); err != nil {
			return err
		}
		if s.column.database != "" {
			return nil
		}
		defer func() {
			if err := s.release(at); err != nil {
				s.t.Errorf("release %s: %v", d.name, err)
			}
		}()
	}
	if !s.one.TryLock() {
		return nil // the part is away already, because of another domain's step
	}
	defer s.one.Unlock()
	return s.column.strike(s.world)
}

// kills is kill -9 of a part that comes back. One that is being started is down already.
func kills(part string) func(*world) error {
	return func(w *world) error {
		if _, err := w.Devstack("kill", part); err != nil && !strings.Contains(err.Error(), "isn't running now") {
			return err
		}
		return nil
	}
}

// stops keeps a part away for a time.
func stops(part string, away time.Duration) func(*world) error {
	return func(w *world) error {
		if _, err := w.Devstack("stop", part); err != nil {
			return fmt.Errorf("stop %s: %w", part, err)
		}
		<-time.After(away)
		_, err := w.Devstack("start", part)
		return err
	}
}
