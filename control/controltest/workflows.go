package controltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/workflows"
)

// Workflows notes what it is asked. A domain's workflow runs from its Start on.
type Workflows struct {
	mu      sync.Mutex
	down    bool
	running []string
	stopped []string // by Stop
	asked   []string
	// Reply answers the verbs of running workflows; nil agrees to everything but a contest.
	Reply func(hostname, verb string, argument any) (cert.Answer, error)
	// Executions answers Describe by workflow id, in place of what was started.
	Executions map[string]control.Execution
}

// SetDown makes every call fail as if Temporal could not be reached.
func (w *Workflows) SetDown(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

// Running lists the hostnames whose workflows were started, sorted.
func (w *Workflows) Running() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(slices.Values(w.running))
}

// Asked lists the verbs that arrived, as "verb hostname argument".
func (w *Workflows) Asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

// Stop ends a workflow, as an operator or a removal does.
func (w *Workflows) Stop(hostname string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = slices.DeleteFunc(w.running, func(h string) bool { return h == hostname })
	w.stopped = append(w.stopped, hostname)
}

var errDown = errors.Join(cert.Problem{Code: cert.Unavailable, Message: "Temporal does not answer", WhoActs: cert.PlatformActs},
	errors.New("connection refused"))

// Ready fails while SetDown says so.
func (w *Workflows) Ready(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return errDown
	}
	return nil
}

// Start begins one workflow for each hostname.
func (w *Workflows) Start(ctx context.Context, d cert.Domain) error {
	if err := w.Ready(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.running, d.Hostname) {
		w.running = append(w.running, d.Hostname)
	}
	return nil
}

// Ask notes the verb and replies.
func (w *Workflows) Ask(ctx context.Context, hostname, verb string, argument any) (cert.Answer, error) {
	if err := w.Ready(ctx); err != nil {
		return cert.Answer{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.running, hostname) {
		return cert.Answer{}, control.ErrNotRunning
	}
	w.asked = append(w.asked, fmt.Sprintf("%s %s %+v", verb, hostname, argument))
	if w.Reply != nil {
		return w.Reply(hostname, verb, argument)
	}
	if verb == workflows.Contest {
		return cert.Answer{}, cert.Problem{
			Code: cert.RequestRefused, Message: "ownership records were looked for a moment ago",
			WhoActs: cert.TenantActs,
		}
	}
	return cert.Answer{Headline: cert.Pending, Message: "done"}, nil
}

// StartCase notes the case.
func (w *Workflows) StartCase(ctx context.Context, c cert.Case) error {
	return w.see(ctx, "start case "+c.ID)
}

// ResolveCase notes that the case is closed. A case runs from its StartCase on.
func (w *Workflows) ResolveCase(ctx context.Context, caseID string) error {
	if err := w.see(ctx, "resolve case "+caseID); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.asked, "start case "+caseID) {
		return control.ErrNotRunning
	}
	return nil
}

func (w *Workflows) see(ctx context.Context, what string) error {
	if err := w.Ready(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, what)
	return nil
}
