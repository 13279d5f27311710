// Package walks lets domains live for a year on a real Temporal server that skips the time in which they sleep. The workflows are the
// product's; the world around them is made up, and has the workflows' clock.
package walks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

const (
	domains = 20
	queue   = "walks"
)

// years is one, and ten in `make soak`; each takes about a minute and a half.
var years = 1

func init() {
	if os.Getenv("EVERCERT_SOAK") == "1" {
		years = 10
	}
}

// TestE1_DomainsLiveForYearsOnARealServer, with answers that are bad at random and messages all the time: each is removed at last and ends
// by nothing else, its runs are short and its state is small.
func TestE1_DomainsLiveForYearsOnARealServer(t *testing.T) {
	s := stack.New(t, stack.Options{Parts: []string{"postgres", "temporal"}, TimeSkipping: true})
	info := s.Info()
	c, err := client.Dial(client.Options{HostPort: info.Temporal, Namespace: info.Namespace, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer c.Close()
	w := worker.New(c, queue, worker.Options{})
	world := &world{all: map[string]*walker{}}
	workflows.Register(w)
	for name, f := range map[string]any{
		activities.CheckDNSName: world.CheckDNS, activities.CreateCSRName: world.CreateCSR,
		activities.OrderCertificateName:   world.OrderCertificate,
		activities.InstallCertificateName: world.InstallCertificate, activities.VerifyEdgeName: world.VerifyEdge,
		activities.ReadPolicyName:   world.ReadPolicy,
		activities.RecordStatusName: world.RecordStatus,
	} {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	require.NoError(t, w.Start())
	defer w.Stop()

	var group sync.WaitGroup
	failed := make(chan error, domains)
	for seed := range domains {
		group.Go(func() {
			if err := world.walk(t.Context(), c, seed); err != nil {
				failed <- fmt.Errorf("seed %d: %w", seed, err)
			}
		})
	}
	group.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	certificates, largest, longest := 0, 0, 0
	for _, d := range world.all {
		certificates, largest, longest = certificates+d.live, max(largest, d.largest), max(longest, d.longest)
	}
	t.Logf(
		"%d domains for %d years, %d certificates, largest state %d bytes, longest history %d events", domains, years, certificates, largest,
		longest,
	)
	require.Greater(t, certificates, 2*domains)
	require.LessOrEqual(t, largest, 16<<10)
}

// world is all domains' surroundings.
type world struct {
	mu  sync.Mutex
	all map[string]*walker // by the domain's id
}

// walker is one domain as the world has seen it.
type walker struct {
	born, now        time.Time // by the workflow's clock
	last             cert.Snapshot
	asked, issued    int
	live             int
	serial           string
	largest, longest int
	issuances        map[string]bool
	wrong            []string
}

// of returns a domain's walker; at is the workflow's clock, if the caller knows it.
func (w *world) of(id string) *walker {
	d := w.all[id]
	if d == nil {
		d = &walker{issuances: map[string]bool{}}
		w.all[id] = d
	}
	d.asked++
	return d
}

// lot is a number in [0,1) for the nth question of a domain.
func lot(id, what string, n int) float64 {
	h := fnv.New64a()
	fmt.Fprint(h, id, "/", what, "/", n)
	return float64(h.Sum64()>>11) / (1 << 53)
}

func says(o cert.Outcome, code cert.Code, after time.Duration, final bool) error {
	p := cert.Problem{Code: code, Message: "it is " + string(code), WhoActs: cert.PlatformActs}
	return temporal.NewApplicationErrorWithOptions(p.Message, string(o), temporal.ApplicationErrorOptions{
		NonRetryable: final, Details: []any{activities.Verdict{Outcome: o, Problem: p, RetryAfter: after}},
	})
}

func (w *world) CheckDNS(_ context.Context, r activities.CheckRequest) (cert.Diagnosis, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.of(r.ID)
	answer := cert.Diagnosis{Verdict: cert.OK, Ownership: cert.OK, Pointed: cert.OK, CheckedAt: d.now}
	answer.Names = []cert.NameResult{{Name: r.Hostname, Method: cert.DNS01}}
	switch l := lot(r.ID, "look", d.asked); {
	case l < 0.1:
		answer.Verdict, answer.Problems = cert.Wrong, []cert.Problem{{Code: cert.DNSNoRecords, Message: "not there", WhoActs: cert.TenantActs}}
	case l < 0.2:
		answer.Verdict, answer.Problems = cert.Unknown, []cert.Problem{{Code: cert.NameserverUnreachable, Message: "no answer"}}
	}
	return answer, nil
}

func (w *world) CreateCSR(context.Context, activities.CSRRequest) (activities.CSRResult, error) {
	return activities.CSRResult{SHA256: "00"}, nil
}

func (w *world) OrderCertificate(ctx context.Context, r activities.OrderRequest) (cert.Certificate, error) {
	now := activity.GetInfo(ctx).ScheduledTime
	w.mu.Lock()
	defer w.mu.Unlock()
	id := r.IssuanceID[:36]
	d := w.of(id)
	switch l := lot(id, "order", d.asked); {
	case l < 0.08:
		return cert.Certificate{}, says(cert.Refused, cert.CAAForbids, 0, true)
	case l < 0.2:
		return cert.Certificate{}, says(cert.Wait, cert.CAUnavailable, 0, true)
	case l < 0.25:
		return cert.Certificate{}, says(cert.Wait, cert.WaitingForBudget, 20*time.Hour, true)
	case l < 0.28:
		return cert.Certificate{}, says(cert.OrderGone, cert.CAUnavailable, 0, true)
	}
	if d.issuances[r.IssuanceID] {
		d.wrong = append(d.wrong, "a second certificate for "+r.IssuanceID)
	}
	d.issuances[r.IssuanceID] = true
	d.issued++
	return cert.Certificate{
		Serial:    fmt.Sprintf("%04x", d.issued),
		Issuer:    "Test CA",
		NotBefore: now,
		NotAfter:  now.Add(90 * 24 * time.Hour),
	}, nil
}

func (w *world) InstallCertificate(context.Context, activities.InstallRequest) (activities.Installed, error) {
	return activities.Installed{Edges: []string{"edge-1:443", "edge-2:443"}}, nil
}

func (w *world) VerifyEdge(ctx context.Context, r activities.EdgeRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := activity.GetInfo(ctx).WorkflowExecution.ID
	d := w.of(id[len(id)-36:])
	switch l := lot(id, "edge", d.asked); {
	case l < 0.02:
		return says(cert.Refused, cert.ServedCertificateWrong, 0, true)
	case l < 0.05:
		return says(cert.Wait, cert.HTTPSUnreachable, 0, true)
	}
	return nil
}

func (w *world) ReadPolicy(context.Context) (cert.Policy, error) { return cert.DefaultPolicy(), nil }

func (w *world) RecordStatus(_ context.Context, s cert.Snapshot) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.of(s.ID)
	if lot(s.ID, "record", d.asked) < 0.05 {
		return errors.New("the database is away")
	}
	if d.born.IsZero() {
		d.born = s.At
	}
	if s.Seq > d.last.Seq+1 {
		d.wrong = append(d.wrong, fmt.Sprintf("snapshot %d follows %d", s.Seq, d.last.Seq))
	}
	var state workflows.State
	if err := json.Unmarshal(s.State, &state); err != nil {
		d.wrong = append(d.wrong, err.Error())
	}
	if (state.Case != nil) != s.Status.Escalated && s.Status.Domain != cert.DomainRemoved {
		d.wrong = append(d.wrong, "a status with a case, but no case")
	}
	if s.NextAction == "" && s.Status.Domain != cert.DomainRemoved {
		d.wrong = append(d.wrong, "a wait without cause in "+string(state.Phase))
	}
	if s.Serial != "" && s.Serial != d.serial {
		d.live, d.serial = d.live+1, s.Serial
	}
	d.largest = max(d.largest, len(s.State))
	d.last, d.now = s, s.At
	return nil
}

// walk lets one domain live for some years of its own, then removes it.
func (w *world) walk(ctx context.Context, c client.Client, seed int) error {
	id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", seed)
	d := cert.Domain{ID: id, Hostname: "walk." + id, Names: []string{"walk." + id}, Tenant: "acme"}
	key := workflows.DomainID(d.Hostname)
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: key, TaskQueue: queue}, workflows.DomainWorkflow, workflows.NewState(d))
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, time.Duration(years)*4*time.Minute)
	defer cancel()
	for n := 0; ; n++ {
		w.mu.Lock()
		seen := w.all[id]
		old := seen != nil && seen.now.Sub(seen.born) > time.Duration(years)*365*24*time.Hour
		stopped := seen != nil && seen.last.Status.Escalated && seen.last.NextActionAt.IsZero()
		w.mu.Unlock()
		if old {
			break
		}
		verb := workflows.CheckNow
		if stopped || n%4 == 3 {
			verb = workflows.HandedBack
		}
		if err := c.SignalWorkflow(limit, key, "", verb, workflows.Request{ID: fmt.Sprint(verb, n), By: "kim\x1b[2J"}); err != nil {
			return fmt.Errorf("%s after %d messages: %w", verb, n, err)
		}
		select {
		case <-limit.Done():
			return fmt.Errorf("is not %d years old: %s, %s", years, seen.now.Sub(seen.born), seen.last.NextAction)
		case <-time.After(time.Second):
		}
	}
	if err := c.SignalWorkflow(limit, key, "", workflows.Remove, workflows.Request{By: "the walk"}); err != nil {
		return err
	}
	if err := run.Get(limit, nil); err != nil { // follows the runs
		return fmt.Errorf("ends by removal only: %w", err)
	}
	return w.histories(limit, c, id, key)
}

// histories checks how long the runs of a domain were.
func (w *world) histories(ctx context.Context, c client.Client, id, key string) error {
	runID := ""
	for {
		events := c.GetWorkflowHistory(ctx, key, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		n, before, kinds := 0, "", map[string]int{}
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				return err
			}
			kinds[e.GetEventType().String()]++
			if n++; n == 1 {
				before = e.GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
			}
		}
		// Neither what the skipping itself notes nor a message and its workflow task, which may come while a step waits, is the domain's own.
		n -= kinds[enums.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED.String()] +
			4*kinds[enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED.String()]
		w.mu.Lock()
		d := w.all[id]
		d.longest = max(d.longest, n)
		wrong := d.wrong
		w.mu.Unlock()
		if n > 200 {
			return fmt.Errorf("a run of %d events: %v", n, kinds)
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%d broken rules, the first: %s", len(wrong), wrong[0])
		}
		if before == "" {
			return nil
		}
		runID = before
	}
}
