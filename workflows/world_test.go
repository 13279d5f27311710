package workflows_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// world is everything outside a domain's workflow, in virtual time. It does not simulate activities that run twice, lost answers or dead
// workers: the end-to-end tests do that on real parts.
type world struct {
	t       *testing.T
	env     *testsuite.TestWorkflowEnvironment
	cadence int // ContinueAsNew is suggested after this number of activities; 0: never
	turns   int

	checks, orders, installs int
	check                    func(n int) cert.Diagnosis
	order                    func(n int) (cert.Certificate, error)
	verify                   func(n int, edge string) error
	edges                    []string
	policy                   cert.Policy

	recorded  func(cert.Snapshot) // if set: called while a snapshot is written
	database  func() error        // if set: its error is that of each activity that needs the database
	mu        sync.Mutex          // of effects
	effects   []string            // what the outside saw, with the time
	checked   []activities.CheckRequest
	snapshots []cert.Snapshot
	cases     []cert.Case
	runs      int
}

var start = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC) // a Monday

var shop = cert.Domain{
	ID:       "11111111-1111-1111-1111-111111111111",
	Hostname: "shop.example.com",
	Names:    []string{"shop.example.com"},
	Tenant:   "acme",
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, policy: cert.DefaultPolicy(), edges: []string{"edge-1:443"}}
	w.check = func(int) cert.Diagnosis { return ready }
	w.order = func(n int) (cert.Certificate, error) { return w.certificate(n, 90*24*time.Hour), nil }
	w.verify = func(int, string) error { return nil }
	return w
}

var ready = cert.Diagnosis{
	Verdict:   cert.OK,
	Ownership: cert.OK,
	Pointed:   cert.OK,
	Names:     []cert.NameResult{{Name: "shop.example.com", Method: cert.DNS01}},
}

func missing(code cert.Code) cert.Diagnosis {
	return cert.Diagnosis{Verdict: cert.Wrong, Problems: []cert.Problem{{Code: code, WhoActs: cert.TenantActs, Message: "not there"}}}
}

func (w *world) certificate(n int, life time.Duration) cert.Certificate {
	return cert.Certificate{Serial: fmt.Sprintf("0%d", n), Issuer: "Test CA", NotBefore: w.env.Now(), NotAfter: w.env.Now().Add(life)}
}

func (w *world) saw(format string, args ...any) {
	w.mu.Lock() // edges are verified at the same time
	defer w.mu.Unlock()
	w.effects = append(w.effects, w.env.Now().UTC().Format("01-02 15:04 ")+fmt.Sprintf(format, args...))
}

// step counts what was done, so that a new run begins after every n steps.
func (w *world) step() {
	w.turns++
	if w.cadence > 0 && w.turns%w.cadence == 0 {
		w.env.SetContinueAsNewSuggested(true)
	}
}

// stored returns the database's error for an activity.
func (w *world) stored() error {
	if w.database == nil {
		return nil
	}
	return w.database()
}

func (w *world) CheckDNS(_ context.Context, r activities.CheckRequest) (cert.Diagnosis, error) {
	if err := w.stored(); err != nil {
		return cert.Diagnosis{}, err
	}
	w.step()
	w.checks++
	w.saw("check")
	w.checked = append(w.checked, r)
	d := w.check(w.checks)
	d.CheckedAt = w.env.Now()
	return d, nil
}

func (w *world) CreateCSR(_ context.Context, r activities.CSRRequest) (activities.CSRResult, error) {
	if err := w.stored(); err != nil {
		return activities.CSRResult{}, err
	}
	w.step()
	w.saw("csr %s", r.IssuanceID[len(shop.ID):])
	return activities.CSRResult{SHA256: "00"}, nil
}

func (w *world) OrderCertificate(_ context.Context, r activities.OrderRequest) (cert.Certificate, error) {
	w.step()
	w.orders++
	at := ""
	if r.Directory != "" {
		at = " at " + r.Directory
	}
	w.saw("order %s%s renewal=%t", r.IssuanceID[len(shop.ID):], at, r.Renewal)
	return w.order(w.orders)
}

func (w *world) InstallCertificate(_ context.Context, r activities.InstallRequest) (activities.Installed, error) {
	if err := w.stored(); err != nil {
		return activities.Installed{}, err
	}
	w.step()
	w.installs++
	w.saw("install %s", r.Serial)
	return activities.Installed{Edges: w.edges}, nil
}

func (w *world) VerifyEdge(_ context.Context, r activities.EdgeRequest) error {
	w.saw("verify %s", r.Serial)
	return w.verify(w.installs, r.Edge)
}

func (w *world) ReadPolicy(context.Context) (cert.Policy, error) { return w.policy, nil }

func (w *world) record(_ context.Context, s cert.Snapshot) error {
	if err := w.stored(); err != nil {
		return err
	}
	if w.recorded != nil {
		w.recorded(s)
	}
	require.NotEmpty(w.t, s.State)
	s.State = nil // it also depends on how the domain came here: ids of requests
	w.snapshots = append(w.snapshots, s)
	if c := s.Case; c != nil && (len(w.cases) == 0 || w.cases[len(w.cases)-1].ID != c.ID) {
		w.cases = append(w.cases, *c)
	}
	for _, e := range s.Events {
		w.saw("event %s", e.Type)
	}
	return nil
}

func (w *world) last() cert.Snapshot { return w.snapshots[len(w.snapshots)-1] }

func (w *world) headlines() (all []cert.Headline) {
	for _, s := range w.snapshots {
		if h := s.Status.Headline(); len(all) == 0 || all[len(all)-1] != h {
			all = append(all, h)
		}
	}
	return all
}

// message is something that reaches the domain at a moment of the story.
type message struct {
	at   time.Duration // since the start
	verb string
	arg  any
	sent bool
	do   func() // if set: what happens in the world just before
	err  *error // if set: sent as an update, and its refusal is stored here
}

// live runs the domain for a time, run after run, as the server would, then ends it by removing it.
func (w *world) live(d time.Duration, messages ...message) {
	messages = append(messages, message{at: d, verb: workflows.Remove, arg: workflows.Request{By: "the test"}})
	now, state := start, workflows.NewState(shop)
	for w.runs = 1; w.runs < 2000; w.runs++ {
		err := w.run(now, state, messages)
		ended := w.env.Now()
		if err == nil {
			return
		}
		var next *workflow.ContinueAsNewError
		require.ErrorAs(w.t, err, &next)
		state = workflows.State{} // what is not in the payload must not survive here
		require.NoError(w.t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &state))
		now = ended
	}
	w.t.Fatalf("the domain never ended (cadence %d): %v", w.cadence, w.effects[max(0, len(w.effects)-12):])
}

func (w *world) run(now time.Time, state workflows.State, messages []message) error {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	w.env = env
	env.SetStartTime(now)
	env.SetTestTimeout(time.Minute)
	w.register(env)
	for i := range messages {
		if m := &messages[i]; !m.sent {
			env.RegisterDelayedCallback(func() { w.send(m) }, max(0, start.Add(m.at).Sub(now)))
		}
	}
	env.ExecuteWorkflow(workflows.DomainWorkflow, state)
	require.True(w.t, env.IsWorkflowCompleted())
	return env.GetWorkflowError()
}

// register makes the world's activities those of the workflow.
func (w *world) register(env *testsuite.TestWorkflowEnvironment) {
	workflows.Register(env)
	for name, f := range map[string]any{
		activities.CheckDNSName: w.CheckDNS, activities.CreateCSRName: w.CreateCSR, activities.OrderCertificateName: w.OrderCertificate,
		activities.InstallCertificateName: w.InstallCertificate, activities.VerifyEdgeName: w.VerifyEdge, activities.ReadPolicyName: w.ReadPolicy,
		activities.RecordStatusName: w.record,
	} {
		env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

// send delivers a message once. One that arrives after a run has ended reaches the next run, as on a real server.
func (w *world) send(m *message) {
	if w.env.IsWorkflowCompleted() {
		return
	}
	m.sent = true
	if m.do != nil {
		m.do()
	}
	if m.err == nil {
		w.env.SignalWorkflow(m.verb, m.arg)
		return
	}
	w.env.UpdateWorkflow(m.verb, fmt.Sprint(m.at), &testsuite.TestUpdateCallback{
		OnAccept: func() {}, OnReject: func(err error) { *m.err = err }, OnComplete: func(_ any, err error) { *m.err = err },
	}, m.arg)
}
