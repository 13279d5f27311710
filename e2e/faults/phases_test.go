package faults

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

// outage is how long the database is away, and lockTime how long its tables are held.
var (
	outage   = long(90*time.Second, 10*time.Minute)
	lockTime = long(60*time.Second, 5*time.Minute)
)

// TestF22_DatabaseGoneEndsNoDomain: evercert's database alone refuses connections while Temporal goes on; a domain in every phase, and
// every case, goes on by itself afterwards (figure 1).
func TestF22_DatabaseGoneEndsNoDomain(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.must(f.dbFault(0, "refuse"))
	f.during(outage)
	f.must(f.dbFault(0, "none"))
	f.after()
}

// TestF22_LockedTablesEndNoDomain: the same with an exclusive lock on each table, as a migration or a forgotten session would hold it.
func TestF22_LockedTablesEndNoDomain(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var locked []string
	f.must(f.send("POST", f.info.DBControl+"/lock", map[string]any{"table": "all", "seconds": lockTime.Seconds()}, &locked))
	require.Contains(t, locked, "domains")
	f.during(lockTime)
	f.must(f.send("POST", f.info.DBControl+"/reset", struct{}{}, nil))
	f.after()
}

// fleet has a domain in every phase.
type fleet struct {
	*world
	waiting, escalated, connecting, issuing, installing *domain
	active, held, paused, removing                      *domain
	retry, requested, support                           *domain
	serials                                             map[*domain]string
}

const (
	refusal = "problem:caa"
	goesOn  = "goes on"
	newNote = "a note that was written during the fault"
)

// newFleet brings the domains into their phases, those first whose phase takes the longest, and those last that would leave it soon.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	w := newWorld(t, stack.Options{CA: []string{"minutes=1m", "retry-after=0"}, Env: hasty(map[string]string{
		"DNS_LATE_AFTER": "4s", "DNS_ESCALATE_AFTER": "8s", "RETRY_AFTER_FAILURES": "50s",
	})})
	f := &fleet{world: w, serials: map[*domain]string{}}
	f.escalated = w.connect("escalated.empty.test")
	f.held = w.connect("held.empty.test")
	f.must(f.held.point())
	f.removing = w.connect("removing.ready.test")
	f.paused = w.connect("paused.ready.test")
	for _, name := range []string{"retry.ready.test", "requested.ready.test"} {
		w.must(w.caFault("finalize", refusal, 1, name))
	}
	w.must(w.caFault("finalize", refusal, 3, "support.ready.test"))
	f.support = w.connect("support.ready.test")
	f.held.awaits(cert.InstallationComplete)
	f.must(f.held.withdraw())
	f.refuseThrice()
	f.paused.awaits(cert.InstallationComplete)
	w.insist("pause", func() error { return f.paused.verb(workflows.Pause) })
	f.removing.awaits(cert.InstallationComplete)
	f.held.awaits(cert.RenewalHeld)
	f.escalated.awaits(cert.ContactSupport)
	f.stopEdgeWhileInstalling()
	f.retry, f.requested = w.connect("retry.ready.test"), w.connect("requested.ready.test")
	f.active = w.connect("active.ready.test")
	f.active.awaits(cert.InstallationComplete)
	f.retry.awaits(cert.RequestCertificate)
	f.requested.awaits(cert.RequestCertificate)
	for _, d := range []*domain{f.held, f.active, f.paused} {
		serial, err := d.serial()
		w.must(err)
		f.serials[d] = serial
	}
	for _, d := range []*domain{f.escalated, f.support} {
		w.insist("the case of "+d.name, d.openCase)
	}
	f.waiting = w.connect("waiting.empty.test")
	const slow = "delay:6s"
	w.must(w.caFault("newOrder", slow, 1, "issuing.ready.test"))
	f.issuing = w.connect("issuing.ready.test")
	w.insist("an order that the CA is slow with", func() error { return w.caMet("newOrder", slow, f.issuing.name) })
	f.connecting = w.connect("connecting.ready.test")
	return f
}

// refuseThrice asks by hand after each refusal, until people have the case.
func (f *fleet) refuseThrice() {
	f.t.Helper()
	for failures := 1; failures <= 2; failures++ {
		f.insist("refusal", func() error {
			return f.support.is("refused", func(v control.Domain) bool { return v.Failures == failures })
		})
		f.insist("request", func() error { return f.support.verb("request") })
	}
	f.support.awaits(cert.ContactSupport)
}

// stopEdgeWhileInstalling leaves a domain with a certificate that no edge was seen to serve.
func (f *fleet) stopEdgeWhileInstalling() {
	f.t.Helper()
	const name = "installing.ready.test"
	held, err := f.trigger(order{Text: "INSERT INTO served_names", Action: "hold", For: 30, Values: []string{name}})
	f.must(err)
	f.installing = f.connect(name)
	f.insist("the installation", func() error { return f.fired(held) })
	_, err = f.Devstack("stop", "edge")
	f.must(err)
	f.must(f.release(held))
	f.insist("an installation that can't be verified", func() error {
		return f.installing.is("installing, with a problem", func(v control.Domain) bool { return len(v.Problems) > 0 })
	})
	_, err = f.Devstack("start", "edge")
	f.must(err)
	f.insist("the edge", func() error {
		return f.send("GET", "http://"+f.info.EdgeHTTP+"/.well-known/evercert/health", nil, nil)
	})
}

func (f *fleet) domains() []*domain {
	return []*domain{
		f.waiting, f.escalated, f.connecting, f.issuing, f.installing, f.active, f.held, f.paused, f.removing, f.retry, f.requested, f.support,
	}
}

// during sends signals and updates through Temporal while the fault lasts.
func (f *fleet) during(length time.Duration) {
	f.t.Helper()
	over := time.After(length)
	request := workflows.Request{By: "sue"}
	id := workflows.DomainID
	for _, message := range []struct{ id, verb string }{
		{id(f.waiting.name), workflows.CheckNow},
		{id(f.escalated.name), workflows.CheckNow},
		{id(f.requested.name), workflows.RequestCertificate},
		{id(f.removing.name), workflows.Remove},
		{id(f.held.name), workflows.CheckNow},
		{id(f.installing.name), workflows.Pause},
		{id(f.installing.name), workflows.Resume},
	} {
		f.must(f.signal(message.id, message.verb, request))
	}
	for _, d := range []*domain{f.escalated, f.support} {
		f.must(f.signal(d.caseID, workflows.AddNote, workflows.CaseRequest{By: "sue", Text: newNote}))
		f.must(f.signal(d.caseID, workflows.Acknowledge, workflows.CaseRequest{By: "sue"}))
	}
	for _, d := range []*domain{f.active, f.waiting, f.held} {
		f.ask(id(d.name), workflows.CheckNow)
	}
	<-over
}

// after requires that nothing has ended, and that each domain reaches by itself what its phase leads to.
func (f *fleet) after() {
	f.t.Helper()
	report := &table{}
	for _, d := range f.domains() {
		err := f.running(workflows.DomainID(d.name))
		if d == f.connecting || d == f.removing { // the one may not have begun, the other may have ended by now
			err = nil
			if f.failed(workflows.DomainID(d.name)) {
				err = errLost
			}
		}
		report.add(d.name, "workflow runs", err)
	}
	for _, d := range []*domain{f.escalated, f.support} {
		report.add(d.name, "case runs", f.running(d.caseID))
	}
	f.goals(report)
	failed, err := f.failedWorkflows()
	if failed > 0 {
		err = fmt.Errorf("%d workflows failed: %w", failed, errLost)
	}
	report.add("all", "workflow runs", err)
	report.add("all", "orders", await("orders", time.Minute, f.orders))
	f.t.Log(report)
	require.Empty(f.t, report.lost())
}

// goal is something that a domain must reach.
type goal struct {
	what string
	done func() error
}

// goals waits for each domain's own, for all of them at the same time.
func (f *fleet) goals(report *table) {
	isPaused := func() error { return f.paused.is("paused", func(v control.Domain) bool { return v.Paused }) }
	hasEnded := func() error { return f.ended(workflows.DomainID(f.removing.name)) }
	var all sync.WaitGroup
	for d, goals := range map[*domain][]goal{
		f.connecting: {complete(f.connecting)},
		f.issuing:    {complete(f.issuing)},
		f.installing: {complete(f.installing)},
		f.retry:      {complete(f.retry)},
		f.requested:  {complete(f.requested)},
		f.waiting:    {{"records added", f.waiting.point}, complete(f.waiting)},
		f.escalated:  {{"records added", f.escalated.point}, complete(f.escalated)},
		f.active:     {{"renewed", f.active.renewed(f.serials[f.active])}},
		f.held:       {{"records back", f.held.point}, {"renewed", f.held.renewed(f.serials[f.held])}},
		f.paused: {
			{"still paused", isPaused},
			{"resumed", func() error { return f.paused.verb(workflows.Resume) }},
			{"renewed", f.paused.renewed(f.serials[f.paused])},
		},
		f.removing: {{"removed", f.removing.shows(cert.Removed)}, {"workflow ended", hasEnded}},
		f.support: {
			{"still with support", f.support.shows(cert.ContactSupport)},
			{"handed back", f.support.handBack()},
			complete(f.support),
		},
	} {
		all.Go(func() {
			for _, g := range goals {
				if err := d.reach(g.done); err != nil {
					report.add(d.name, goesOn, fmt.Errorf("%s: %w", g.what, err))
					return
				}
			}
			report.add(d.name, goesOn, nil)
		})
	}
	all.Wait()
}

func complete(d *domain) goal {
	return goal{string(cert.InstallationComplete), d.shows(cert.InstallationComplete)}
}
