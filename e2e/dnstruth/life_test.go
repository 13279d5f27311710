package dnstruth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/ca"
	"github.com/evercert/evercert/ca/catest"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/resolver"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// parts are what a worker plugs into its activities: all real, except for the CA, which validates nothing and counts.
type parts struct {
	db     *store.Store
	server *catest.Server
	ca     *countedCA
	keys   *keyring.Keyring
}

// startParts starts them; they end with the test.
func startParts(t *testing.T) parts {
	t.Helper()
	var p parts
	var err error
	p.db, err = store.Open(t.Context(), stack.New(t, stack.Options{Parts: []string{"postgres"}}).Info().Postgres)
	require.NoError(t, err)
	t.Cleanup(p.db.Close)
	file := filepath.Join(t.TempDir(), "keyring")
	require.NoError(t, keyring.Generate(file))
	p.keys, err = keyring.Load(file)
	require.NoError(t, err)
	p.server = catest.New(t)
	config := ca.Config{Directory: p.server.DirectoryURL, RootPEM: p.server.RootPEM, Name: "Test CA", Timeout: 30 * time.Second}
	authority, err := ca.New(config, p.db, p.keys, noSolver{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	p.ca = &countedCA{Authority: authority, orders: map[string]int{}}
	return p
}

// connect enrolls the row's domain.
func (p parts) connect(t *testing.T, r row) cert.Domain {
	t.Helper()
	names := r.names()
	connected, err := p.db.Connect(t.Context(), cert.Domain{ID: uuid.NewString(), Hostname: names[0], Names: names, Tenant: "acme"})
	require.NoError(t, err)
	require.True(t, connected.Created)
	return connected.Domain
}

// story is what people read of a domain, newest first.
func (p parts) story(t *testing.T, d cert.Domain) string {
	t.Helper()
	entries, err := p.db.Timeline(t.Context(), d.ID, 100)
	require.NoError(t, err)
	var said strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&said, "%s %s\n", e.Type, e.Detail)
	}
	return said.String()
}

// countedCA is the client of the CA, and notes for which names an order is placed.
type countedCA struct {
	*ca.Authority
	mu     sync.Mutex
	orders map[string]int // by the first name
}

func (c *countedCA) NewOrder(ctx context.Context, names []string, replaces string) (string, error) {
	c.mu.Lock()
	c.orders[names[0]]++
	c.mu.Unlock()
	return c.Authority.NewOrder(ctx, names, replaces)
}

// Complete answers the one challenge that the test CA offers, and gives the certificate the life of a public CA's: those of the test CA
// end within the hour, and would be renewed.
func (c *countedCA) Complete(
	ctx context.Context, orderURL string, csr []byte, methods map[string]cert.Method, progress func(string),
) (cert.Certificate, error) {
	for name := range methods {
		methods[name] = cert.DNS01
	}
	done, err := c.Authority.Complete(ctx, orderURL, csr, methods, progress)
	done.NotAfter = done.NotBefore.AddDate(0, 0, 90)
	return done, err
}

// ordersFor is how often an order was asked for.
func (c *countedCA) ordersFor(d cert.Domain) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.orders[d.Names[0]]
}

// noSolver shows nothing: this CA doesn't look.
type noSolver struct{}

func (noSolver) Present(context.Context, cert.Challenge) error { return nil }
func (noSolver) CleanUp(context.Context, cert.Challenge) error { return nil }

func (noSolver) Shown(context.Context, cert.Challenge) (bool, error) { return true, nil }

// noBudget never holds an order back.
type noBudget struct{}

func (noBudget) Reserve(context.Context, cert.Reservation) (cert.Place, error) {
	return cert.Place{}, nil
}
func (noBudget) Settle(context.Context, string, bool) error { return nil }

// goodEdge serves whatever is installed.
type goodEdge struct{}

func (goodEdge) Install(context.Context, []string, string) error { return nil }
func (goodEdge) Edges() []string                                 { return []string{"edge:443"} }

func (goodEdge) Verify(context.Context, string, []string, string) error { return nil }

// life is a row's domain from connected to removed. It is also what its activities ask: the resolver, about the row's own
// question where that is not what follows from the domain; the tenant; and who the CA is, which CAA records name.
type life struct {
	row    row
	dns    *resolver.Resolver
	domain cert.Domain

	env      *testsuite.TestWorkflowEnvironment
	mu       sync.Mutex
	verdicts []cert.Verdict // of its looks
}

// Diagnose asks for the one token that the tests' web servers know. What a row says of names that nobody connected is judged by the
// web server alone, as the row does: nothing but its own fault keeps it from an order.
func (l *life) Diagnose(ctx context.Context, q cert.Question) (cert.Diagnosis, error) {
	wanted := l.row.question()
	q.CAs = wanted.CAs // the row may have several
	if q.Probe != nil || wanted.Probe != nil {
		q.Probe = &probe
	}
	if l.row.bare {
		q.Expected = nil
	}
	d, err := l.dns.Diagnose(ctx, q)
	if err != nil {
		return d, err
	}
	d.CheckedAt = l.env.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdicts = append(l.verdicts, d.Verdict)
	return d, nil
}

// TenantSecret is the one that the rows' values are made with.
func (l *life) TenantSecret(context.Context, string) ([]byte, error) { return secret, nil }

// rowsCA is the test CA under the name of the row's first CA.
type rowsCA struct {
	*countedCA
	l *life
}

// Identity is that of the row's first CA.
func (a rowsCA) Identity(ctx context.Context) (cert.CAIdentity, error) { return a.l.Identity(ctx) }

// Identity is that of the row's first CA.
func (l *life) Identity(context.Context) (cert.CAIdentity, error) {
	return l.row.question().CAs[0], nil
}

// PutHTTPToken and DeleteHTTPToken have nothing to do: the edge answers one token always.
func (l *life) PutHTTPToken(context.Context, string, string, time.Duration) error { return nil }

// DeleteHTTPToken does nothing.
func (l *life) DeleteHTTPToken(context.Context, string) error { return nil }

// live lets the domain live for a time, run after run, and removes it then.
func (l *life) live(ctx context.Context, p parts, d time.Duration) error {
	begin := time.Now()
	now, state := begin, workflows.NewState(l.domain)
	for range 10 {
		err := l.run(p, now, state, begin.Add(d))
		if err == nil {
			return nil
		}
		var next *workflow.ContinueAsNewError
		if !errors.As(err, &next) {
			return err
		}
		state, now = workflows.State{}, l.env.Now()
		if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &state); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.New("the domain never ended")
}

// namedRun is the store of one run: the test environment gives all runs the same id, which is no UUID.
type namedRun struct {
	*store.Store
	id string
}

func (n namedRun) RecordStatus(ctx context.Context, s cert.Snapshot) error {
	s.Run = n.id
	return n.Store.RecordStatus(ctx, s)
}

// run is one run of the workflow, until it ends or is removed at that moment.
func (l *life) run(p parts, now time.Time, state workflows.State, removed time.Time) error {
	quiet := slog.New(slog.DiscardHandler)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(quiet))
	env := suite.NewTestWorkflowEnvironment()
	l.env = env
	env.SetStartTime(now)
	env.SetTestTimeout(2 * time.Minute)
	workflows.Register(env)
	cas := &activities.CAs{List: []activities.CertificateAuthority{rowsCA{p.ca, l}}}
	activities.Set{
		DNS: &activities.DNS{
			Resolver: l, Tenants: l, CAs: cas, Checks: p.db, Probes: l, Platform: l.row.platform(), Methods: l.row.methods, Log: quiet,
		},
		Issuance:     &activities.Issuance{Store: p.db, CAs: cas, Budgets: noBudget{}, Keys: p.keys, Log: quiet},
		Installation: &activities.Installation{Edge: goodEdge{}, Prober: goodEdge{}},
		Records:      &activities.Records{Store: namedRun{p.db, uuid.NewString()}, Policy: cert.DefaultPolicy(), Log: quiet},
	}.Register(env)
	env.RegisterDelayedCallback(func() {
		if !env.IsWorkflowCompleted() {
			env.SignalWorkflow(workflows.Remove, workflows.Request{By: "the test"})
		}
	}, max(0, removed.Sub(now)))
	env.ExecuteWorkflow(workflows.DomainWorkflow, state)
	if !env.IsWorkflowCompleted() {
		return fmt.Errorf("the run did not end: %w", env.GetWorkflowError())
	}
	return env.GetWorkflowError()
}
