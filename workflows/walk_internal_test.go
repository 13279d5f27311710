package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

var (
	walkSeed  = flag.Uint64("walk.seed", 0, "run this seed only, and print what happens")
	walkSeeds = flag.Int("walk.seeds", walksByDefault, "how many seeds are walked")
)

// TestRandomWalks runs the months of a domain, again and again, each time with another seed, and checks every record. A seed that fails is
// repeated with `go test ./workflows -run TestRandomWalks -walk.seed N`.
func TestRandomWalks(t *testing.T) {
	t.Parallel()
	if *walkSeed != 0 {
		w := newWalk(*walkSeed)
		w.live()
		for _, line := range w.lines {
			t.Log(line)
		}
		for _, wrong := range w.wrong {
			t.Error(wrong)
		}
		return
	}
	var all tally
	var group sync.WaitGroup
	seeds := make(chan uint64)
	for range 2 {
		group.Go(func() {
			for seed := range seeds {
				w := newWalk(seed)
				w.live()
				all.add(t, w)
			}
		})
	}
	for seed := range *walkSeeds {
		seeds <- uint64(seed) + 1
	}
	close(seeds)
	group.Wait()
	all.check(t)
}

// tally sums up walks, so that walks in which nothing happens do not pass.
type tally struct {
	mu                                    sync.Mutex
	walks, runs, records, orders, largest int
	certificates, kills, resets           int
	events                                map[cert.EventType]int
	phases                                map[Phase]int
	kinds                                 map[cert.CaseKind]int
	failed                                map[string]int
}

func (a *tally) add(t *testing.T, w *walk) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.events == nil {
		a.events, a.phases, a.kinds, a.failed = map[cert.EventType]int{}, map[Phase]int{}, map[cert.CaseKind]int{}, map[string]int{}
	}
	a.walks, a.runs, a.records, a.orders = a.walks+1, a.runs+w.runs, a.records+w.records, a.orders+w.orders
	a.certificates, a.kills, a.resets = a.certificates+w.served, a.kills+w.kills, a.resets+w.resets
	a.largest = max(a.largest, w.largest)
	for e, n := range w.events {
		a.events[e] += n
	}
	for p, n := range w.phases {
		a.phases[p] += n
	}
	for k, n := range w.kinds {
		a.kinds[k] += n
	}
	for _, wrong := range w.wrong {
		if a.failed[wrong.rule]++; a.failed[wrong.rule] <= 3 {
			t.Errorf("seed %d: %s", w.seed, wrong)
		}
	}
}

func (a *tally) check(t *testing.T) {
	t.Helper()
	t.Logf("%d walks: %d runs, %d records, %d orders, %d certificates live, %d terminated, %d reset, largest state %d bytes",
		a.walks, a.runs, a.records, a.orders, a.certificates, a.kills, a.resets, a.largest)
	t.Logf("phases %v", a.phases)
	t.Logf("events %v", a.events)
	t.Logf("cases %v", a.kinds)
	if len(a.failed) > 0 {
		t.Errorf("failed rules: %v", a.failed)
	}
	if a.walks < 500 {
		return
	}
	for _, p := range Phases {
		require.NotZero(t, a.phases[p], "no walk came to %s", p)
	}
	for _, e := range []cert.EventType{
		cert.DomainConnected, cert.DomainVerified, cert.DomainLate, cert.DomainRemovedEvent, cert.IssuanceSucceeded, cert.IssuanceFailed,
		cert.InstallationSucceeded, cert.InstallationFailed, cert.RenewalSucceeded, cert.RenewalFailed, cert.CertificateExpiring,
		cert.CertificateExpiredEvent, cert.RenewalOnHoldEvent, cert.RenewalResumed, cert.EscalationOpened, cert.EscalationClosed,
		cert.RequestMade,
		cert.RequestIgnored, cert.DomainRepaired, cert.DomainClaimEnding, cert.DomainClaimEnded, cert.DomainMoveAnnounced,
		cert.DomainMoveCancelled,
	} {
		require.NotZero(t, a.events[e], "no walk saw %s", e)
	}
	for _, k := range []cert.CaseKind{cert.NoRecords, cert.CannotFinish, cert.RenewalLate, cert.CAStopped, cert.TooManyFailures} {
		require.NotZero(t, a.kinds[k], "no walk opened a case of %s", k)
	}
}

// broken is a rule that did not hold.
type broken struct{ rule, what string }

func (b broken) String() string { return b.rule + ": " + b.what }

// walk is the random life of one domain, and the world around it.
type walk struct {
	seed  uint64
	plan  *rand.Rand // what is drawn between runs
	begun time.Time
	ends  time.Time
	sky   []weather
	names []string // of the edges

	mu     sync.Mutex
	env    *testsuite.TestWorkflowEnvironment
	luck   *rand.Rand // what activities draw, one after the other
	killed bool       // the run was terminated: what it still does has no effect
	asked  map[string]int
	mail   []*letter
	rules
	lines []string
}

// letter is a message and what became of it.
type letter struct {
	at      time.Time
	verb    string
	arg     any
	id      string
	update  bool
	sent    int
	settled bool
}

const walkStart = 1767603600 // 2026-01-05 09:00 UTC

func newWalk(seed uint64) *walk {
	r := rand.New(rand.NewPCG(seed, 1))    //nolint:gosec // no secret
	luck := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // no secret
	w := &walk{seed: seed, plan: r, luck: luck, begun: time.Unix(walkStart, 0).UTC(), asked: map[string]int{}}
	length := time.Duration(20+r.IntN(160)) * 24 * time.Hour
	w.ends = w.begun.Add(length)
	w.sky = forecast(r, w.begun, 3*length)
	for i := range 1 + r.IntN(3) {
		w.names = append(w.names, fmt.Sprintf("edge-%d:443", i+1))
	}
	w.mail = letters(r, w.begun, length)
	w.begin(w)
	return w
}

// live runs the domain to its removal, run after run.
func (w *walk) live() {
	d := tableShop
	now, state := w.begun, NewState(d)
	inputs := []State{}
	w.mail = append(w.mail, &letter{at: w.ends, verb: Remove, arg: Request{By: "the walk", ID: "end"}, id: "end"})
	for w.runs = 1; w.runs < 3000 && len(w.wrong) < 5; w.runs++ {
		inputs = append(inputs, state)
		err := w.run(now, state)
		now = w.env.Now()
		if err == nil && !w.killed {
			w.ended(now)
			return
		}
		var next *workflow.ContinueAsNewError
		if err == nil { // it was removed, and terminated before that was recorded
			now, state = w.between(now, state, inputs)
			continue
		}
		if !errors.As(err, &next) {
			w.breaks("ends by removal only", "%v", err)
			return
		}
		state = State{}
		if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &state); err != nil {
			w.breaks("state round-trips", "%v", err)
			return
		}
		if !w.killed {
			w.passesOn(state)
		}
		w.undelivered(&state, now)
		now, state = w.between(now, state, inputs)
	}
	if len(w.wrong) == 0 {
		w.breaks("comes to an end", "%d runs until %s, in phase %s", w.runs, now, state.Phase)
	}
}

// between decides what happens between two runs: mostly nothing.
func (w *walk) between(now time.Time, state State, inputs []State) (time.Time, State) {
	switch {
	case w.killed: // the caretaker finds it some hours later
		w.kills++
		now = now.Add(time.Duration(w.plan.Float64() * float64(6*time.Hour)))
		adopted, err := StateFrom(w.kept, tableShop, "its workflow did not run any more")
		if err != nil {
			w.breaks("is adopted", "%v", err)
		}
		w.forgets(now)
		return now, adopted
	case w.plan.IntN(80) == 0: // an operator resets the workflow
		w.resets++
		w.reset = true
		w.forgets(now)
		return now.Add(time.Minute), inputs[w.plan.IntN(len(inputs))]
	case w.plan.IntN(100) == 0: // all processes stood still
		now = now.Add(time.Duration(w.plan.ExpFloat64() * float64(10*24*time.Hour)))
		w.jumped(now)
	}
	return now, state
}

// undelivered returns the messages that arrived after the run had ended, to send them again.
func (w *walk) undelivered(state *State, now time.Time) {
	for _, m := range w.mail {
		if m.sent == 0 || m.settled || m.id == "" {
			continue
		}
		if m.settled = state.Asked.did(m.id) || m.sent > 2 && m.id != "end"; m.settled {
			continue
		}
		m.at, m.sent = now.Add(time.Second), m.sent+1
	}
}

func (w *walk) run(now time.Time, state State) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	w.mu.Lock()
	w.env, w.killed = env, false
	w.mu.Unlock()
	env.SetStartTime(now)
	env.SetTestTimeout(5 * time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // machines are busy
	w.register(env)
	for _, m := range w.mail {
		if m.sent > 0 && m.at.Before(now) || m.settled {
			continue
		}
		env.RegisterDelayedCallback(func() { w.send(env, m) }, max(0, m.at.Sub(now)))
	}
	w.say(now, "run %d in %s", w.runs, state.Phase)
	w.starts(state, now)
	env.ExecuteWorkflow(DomainWorkflow, state)
	if !env.IsWorkflowCompleted() {
		return errors.New("stuck")
	}
	return env.GetWorkflowError()
}

func (w *walk) register(env *testsuite.TestWorkflowEnvironment) {
	Register(env)
	for name, f := range map[string]any{
		activities.CheckDNSName: w.CheckDNS, activities.CreateCSRName: w.CreateCSR, activities.OrderCertificateName: w.OrderCertificate,
		activities.InstallCertificateName: w.InstallCertificate, activities.VerifyEdgeName: w.VerifyEdge, activities.ReadPolicyName: w.ReadPolicy,
		activities.RecordStatusName: w.RecordStatus,
	} {
		env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	// An order takes minutes, in which messages arrive.
	env.OnActivity(activities.OrderCertificateName, mock.Anything, mock.Anything).Return(w.OrderCertificate).
		AfterFn(func() time.Duration {
			w.mu.Lock()
			defer w.mu.Unlock()
			return time.Duration(w.luck.IntN(120)) * time.Second
		})
}

// send delivers a message. One that arrives after the run has ended is sent again to the next run.
func (w *walk) send(env *testsuite.TestWorkflowEnvironment, m *letter) {
	if env.IsWorkflowCompleted() {
		return
	}
	m.sent, m.settled = m.sent+1, m.id == ""
	w.say(env.Now(), "%s %v", m.verb, m.arg)
	if m.verb == cancel {
		env.CancelWorkflow()
		return
	}
	if !m.update {
		env.SignalWorkflow(m.verb, m.arg)
		return
	}
	env.UpdateWorkflow(m.verb, m.id, &testsuite.TestUpdateCallback{
		OnAccept: func() {},
		OnReject: func(error) { m.settled = true },
		OnComplete: func(answer any, err error) {
			m.settled = true
			if a, ok := answer.(cert.Answer); ok && err == nil {
				w.answered(env.Now(), m, a)
			}
		},
	}, m.arg)
}

// begins is called at the start of every activity: it returns the time, the weather, and whether its result is lost.
func (w *walk) begins(ctx context.Context, what string) (now time.Time, sky weather, dead bool) {
	now = w.env.Now().UTC()
	for _, sky = range w.sky {
		if now.Before(sky.until) {
			break
		}
	}
	w.asked[what]++
	if !w.killed && w.luck.IntN(60) == 0 {
		w.env.SetContinueAsNewSuggested(true)
	}
	if !w.killed && w.luck.IntN(700) == 0 && what != activities.VerifyEdgeName {
		w.killed = true
		w.say(now, "terminated in %s", what)
		w.env.SetContinueAsNewSuggested(true)
	}
	if !w.killed {
		w.does(what, activity.GetInfo(ctx).Attempt == 1, now, sky)
	}
	return now, sky, w.killed
}

var errDatabase = errors.New("the database is away")

func (w *walk) CheckDNS(ctx context.Context, r activities.CheckRequest) (cert.Diagnosis, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, sky, dead := w.begins(ctx, activities.CheckDNSName)
	d := cert.Diagnosis{
		Verdict:   cert.OK,
		Ownership: cert.OK,
		Pointed:   cert.OK,
		Names:     []cert.NameResult{{Name: r.Hostname, Method: cert.DNS01}},
	}
	var err error
	switch {
	case dead:
	case sky.databaseAway(now):
		err = errDatabase
	case r.OwnershipOnly:
		verdicts := []cert.Verdict{cert.OK, cert.OK, cert.Wrong, cert.Wrong, cert.Unknown}
		d = cert.Diagnosis{Ownership: verdicts[w.luck.IntN(len(verdicts))]}
	case w.luck.Float64() < sky.checks:
		d, err = badCheck(kindOf(sky.check, badChecks, w.luck))
	}
	d.CheckedAt = now
	w.say(now, "check: %s %v", d.Verdict, err)
	return d, err
}

func (w *walk) CreateCSR(ctx context.Context, r activities.CSRRequest) (activities.CSRResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, sky, dead := w.begins(ctx, activities.CreateCSRName)
	if !dead && sky.databaseAway(now) {
		return activities.CSRResult{}, errDatabase
	}
	if !dead {
		w.beginsIssuance(r.IssuanceID, now)
	}
	return activities.CSRResult{SHA256: "00"}, nil
}

func (w *walk) OrderCertificate(ctx context.Context, r activities.OrderRequest) (cert.Certificate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, sky, dead := w.begins(ctx, activities.OrderCertificateName)
	if dead {
		return cert.Certificate{}, says(cert.Wait, problem(cert.CAUnavailable, cert.CAActs), time.Hour, true)
	}
	w.beginsOrder(r.IssuanceID, now)
	if c, ok := w.issued[r.IssuanceID]; ok { // a second run returns what is stored
		return c, nil
	}
	if w.luck.Float64() < sky.orders {
		kind := kindOf(sky.order, badOrders, w.luck)
		err := badOrder(kind, 12*w.luck.Float64())
		w.say(now, "order %s: %v", r.IssuanceID, err)
		w.waitsFor(kind, now)
		return cert.Certificate{}, err
	}
	begun := now.Add(-time.Minute)
	if w.luck.Float64() < sky.stale {
		begun = now.Add(-sky.life * 3 / 4)
	}
	w.orders++
	c := cert.Certificate{
		Serial: fmt.Sprintf("%04x", w.orders), Issuer: "Test \u202eCA", IssuanceID: r.IssuanceID, NotBefore: begun, NotAfter: begun.Add(sky.life),
	}
	w.issued[r.IssuanceID] = c
	w.say(now, "order %s: serial %s until %s", r.IssuanceID, c.Serial, c.NotAfter)
	return c, nil
}

func (w *walk) InstallCertificate(ctx context.Context, _ activities.InstallRequest) (activities.Installed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, sky, dead := w.begins(ctx, activities.InstallCertificateName)
	if !dead && sky.databaseAway(now) {
		return activities.Installed{}, errDatabase
	}
	return activities.Installed{Edges: w.names}, nil
}

func (w *walk) VerifyEdge(ctx context.Context, r activities.EdgeRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, sky, dead := w.begins(ctx, activities.VerifyEdgeName)
	if dead {
		return nil
	}
	w.asked[r.Edge]++
	if lot := chance(w.seed, r.Edge, w.asked[r.Edge]); lot < sky.edges {
		kind := sky.edge
		if kind < 0 {
			kind = int(1000*lot) % badEdges
		}
		w.say(now, "%s does not serve %s: %d", r.Edge, r.Serial, kind)
		return badEdge(kind)
	}
	w.serves(r.Edge, r.Serial)
	return nil
}

func (w *walk) ReadPolicy(context.Context) (cert.Policy, error) { return cert.DefaultPolicy(), nil }

func (w *walk) RecordStatus(ctx context.Context, s cert.Snapshot) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, sky, dead := w.begins(ctx, activities.RecordStatusName)
	switch {
	case dead:
		return nil
	case sky.databaseAway(now):
		return errDatabase
	}
	w.record(s, now)
	return nil
}

func (w *walk) say(now time.Time, format string, args ...any) {
	if *walkSeed != 0 {
		w.lines = append(w.lines, now.UTC().Format("2006-01-02 15:04:05 ")+fmt.Sprintf(format, args...))
	}
}

// cancel is not a verb, but the button of the Temporal Web UI.
const cancel = "cancel"

// hostile are texts that people may send.
var hostile = []string{
	"", "kim", "\x00", "\x1b[2Jkim", "\u202ekim", "a\nb", "<img src=x>[click](http://x)", string([]byte{0xff, 0xfe}), "\u2066x",
	"long " + fmt.Sprintf("%0600d", 7),
}

// letters draws the messages of a walk.
func letters(r *rand.Rand, from time.Time, length time.Duration) (all []*letter) {
	verbs := []string{
		RequestCertificate, CheckNow, Pause, Resume, Resume, HandedBack, HandedBack, HandedBack, SetRedirect, Wake, MoveOn, cancel, Contest,
	}
	n := r.IntN(60)
	for i := range n {
		m := &letter{at: from.Add(time.Duration(r.Float64() * float64(length))), verb: verbs[r.IntN(len(verbs))], update: r.IntN(2) == 0}
		m.id = fmt.Sprintf("m%d", i)
		request := Request{ID: m.id, By: hostile[r.IntN(len(hostile))], Reason: fmt.Sprintf("(m%d) ", i) + hostile[r.IntN(len(hostile))]}
		switch m.verb {
		case SetRedirect:
			m.arg = RedirectRequest{Request: request, On: r.IntN(3) > 0}
		case Contest:
			m.arg = ContestRequest{Request: request, Tenant: []string{"beta", "gamma", "acme"}[r.IntN(3)], Names: tableShop.Names}
		case Wake:
			wake := WakeRequest{
				Cause: "the caretaker found something", Reinstall: r.IntN(2) == 0, Renew: r.IntN(2) == 0, Check: r.IntN(3) == 0,
			}
			m.arg, m.id, m.update = wake, "", false
		case HandedBack: // some name a case: an open one, a closed one, or one that does not exist yet
			handed := HandBackRequest{Request: request}
			if r.IntN(2) == 0 {
				handed.Case = fmt.Sprintf("%s/%d", tableShop.ID, 1+r.IntN(4))
			}
			m.arg = handed
		case MoveOn, cancel:
			m.arg, m.id, m.update = nil, "", false
		default:
			m.arg = request
		}
		if r.IntN(20) == 0 && m.id != "" {
			m.arg, m.id, m.settled = []any{"what", 7}, fmt.Sprintf("malformed %d", i), false
		}
		all = append(all, m)
		if r.IntN(5) == 0 { // a client that repeats itself
			again := *m
			again.at = m.at.Add(time.Duration(r.ExpFloat64() * float64(6*time.Hour)))
			all = append(all, &again)
		}
		if m.verb == Pause && r.IntN(3) > 0 { // most are resumed
			id := fmt.Sprintf("m%d-r", i)
			later := m.at.Add(time.Duration(r.ExpFloat64() * float64(5*24*time.Hour)))
			all = append(all, &letter{at: later, verb: Resume, id: id, arg: Request{ID: id, By: "kim", Reason: "(" + id + ")"}})
		}
	}
	return all
}

// texts calls each with all strings in a value.
func texts(v any, each func(string)) {
	switch v := v.(type) {
	case string:
		each(v)
	case []any:
		for _, e := range v {
			texts(e, each)
		}
	case map[string]any:
		for k, e := range v {
			each(k)
			texts(e, each)
		}
	}
}

func anything(v any) (out any, err error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(text, &out)
}
