package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// describeTimeout is how long a page that people read waits for Temporal. What isn't known by then is not told.
const describeTimeout = time.Second

// workflowMissing is what people read about a connected domain whose workflow is not running.
func workflowMissing(hostname string) cert.Problem {
	return cert.Problem{
		Code: cert.WorkflowMissing, WhoActs: cert.PlatformActs,
		Message:     "the workflow " + workflows.DomainID(hostname) + " is not running, so nothing is checked, ordered or renewed",
		Remediation: "evercert starts it again by itself within the day; `evercert audit` does it now",
	}
}

// withoutWorkflow reports whether a connected domain that has recorded something has no running workflow. A Temporal that does not answer says
// nothing about the domain.
func (c *Control) withoutWorkflow(ctx context.Context, v store.View) bool {
	if v.Status.Domain == cert.DomainRemoved || v.Seq == 0 { // it needs none; or it is owed one (Starting)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	e, err := c.workflows.Describe(ctx, workflows.DomainID(v.Hostname))
	return err == nil && !e.Running
}

// markMissing adds the problem to those of a page of domains whose workflow is not running. To ask about each would be too much for Temporal: it
// looks at those that Temporal's list has as ended.
func (c *Control) markMissing(ctx context.Context, views []store.View, domains []Domain) {
	listing, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	ended, err := c.workflows.Ended(listing)
	if err != nil || len(ended) == 0 {
		return // not known, or none
	}
	var g errgroup.Group
	g.SetLimit(caretakerWorkers)
	for i := range domains {
		if !slices.Contains(ended, domains[i].Hostname) {
			continue
		}
		g.Go(func() error {
			if c.withoutWorkflow(ctx, views[i]) {
				domains[i].addMissing()
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}

func (d *Domain) addMissing() {
	d.Problems = append(listed([]cert.Problem{workflowMissing(d.Hostname)}, d.Status, d.Paused), d.Problems...)
}

// WorkflowMissing reports whether the domain's workflow is known not to run.
func (d Domain) WorkflowMissing() bool {
	return slices.ContainsFunc(d.Problems, func(p cert.Problem) bool { return p.Code == cert.WorkflowMissing })
}

// restart starts the workflow of a connected domain that is not running: from nothing if it never recorded anything, else from the state that it kept.
func (c *Control) restart(ctx context.Context, view store.View, cause string) error {
	if view.Seq == 0 {
		return start(ctx, c.workflows, view.Domain)
	}
	return resumeKept(ctx, c.store, c.workflows, view.ID, cause)
}

// AuditOptions say how an audit is made.
type AuditOptions struct {
	DryRun bool               // repair nothing
	Sure   bool               // start workflows again even if most seem to be gone
	Report func(cert.Finding) // is told each finding; nil: they are logged
	Paged  func(cert.Audit)   // is told the sum so far after each page; may be nil
}

// Audit walks over all domains as the caretaker does each day, in this process.
func (c *Control) Audit(ctx context.Context, o AuditOptions) (sum cert.Audit, err error) {
	if err := c.Ready(ctx); err != nil {
		return sum, err
	}
	caretaker := Caretaker{Store: c.store, Workflows: c.workflows, Report: o.Report, Log: c.log, DryRun: o.DryRun, Cautious: !o.Sure}
	after := ""
	for {
		next, page, err := caretaker.Page(ctx, after)
		sum.Add(page)
		if err != nil {
			return sum, fmt.Errorf("audit the domains after %q: %w", after, err)
		}
		if o.Paged != nil {
			o.Paged(sum)
		}
		if after = next; next == "" {
			return sum, nil
		}
	}
}
