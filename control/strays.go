package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// inspectStrays looks for what no connected domain's row leads to: workflows, names that are served, cases.
func (p *page) inspectStrays(ctx context.Context) error {
	if err := p.Workflows.EachRunning(ctx, workflows.DomainWorkflow,
		func(ids []string) error { return p.inspectHostnames(ctx, ids) }); err != nil {
		return fmt.Errorf("look for domains without a row: %w", err)
	}
	if err := p.Workflows.EachRunning(ctx, workflows.EscalationWorkflow,
		func(ids []string) error { return p.inspectCases(ctx, ids) }); err != nil {
		return fmt.Errorf("look for cases without a row: %w", err)
	}
	if err := p.inspectServed(ctx); err != nil {
		return err
	}
	if p.DryRun {
		return nil
	}
	return p.Store.CloseOrphanedCases(ctx)
}

// inspectHostnames repairs workflows of domains that are not in the tables.
func (p *page) inspectHostnames(ctx context.Context, ids []string) error {
	unknown, err := p.Store.UnknownHostnames(ctx, without(workflows.DomainID(""), ids))
	if err != nil {
		return err
	}
	for _, u := range unknown {
		id := workflows.DomainID(u.Hostname)
		running, err := p.runs(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case !running:
		case u.RemovedAt.IsZero():
			f := diagnosis{cert.RowMissing, "it was not in the tables, and its workflow was running", wake}
			err = p.repairNow(f, u.Hostname, func() error { return p.Workflows.Wake(ctx, id, workflows.WakeRequest{Cause: f.detail}) })
		case p.now().Sub(u.RemovedAt) > settledAfter:
			f := diagnosis{
				cert.RemovedRuns,
				"it was removed at " + u.RemovedAt.Format("2006-01-02 15:04 MST") + ", and its workflow was running",
				wake,
			}
			err = p.repairNow(f, u.Hostname, func() error { return p.Workflows.Forget(ctx, u.Hostname, f.detail) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inspectCases repairs workflows of cases that are not in the tables, or stand there as ended.
func (p *page) inspectCases(ctx context.Context, ids []string) error {
	unheard, err := p.Store.UnheardCases(ctx, without(workflows.EscalationID(""), ids))
	if err != nil {
		return err
	}
	for _, c := range unheard {
		running, err := p.runs(ctx, workflows.EscalationID(c.ID))
		if err != nil {
			return err
		}
		if !running {
			continue
		}
		f := diagnosis{cert.CaseRowMissing, "the case was not in the tables, and its workflow was running", wake}
		repair := func() error { return p.Workflows.WakeCase(ctx, c.ID) }
		if c.Ended {
			f.detail = "the case was closed, and its workflow was running"
			repair = func() error { return p.Store.OweCase(ctx, c.ID) }
		}
		if err := p.repairNow(f, c.ID, repair); err != nil {
			return err
		}
	}
	return nil
}

// inspectServed takes names away that no connected domain has. Where the certificate's own domain is not in the tables, its workflow may
// bring it back; if there is none either, people have to say whose it is.
func (p *page) inspectServed(ctx context.Context) error {
	strays, err := p.Store.Strays(ctx, straysAtOnce)
	if err != nil {
		return err
	}
	for _, s := range strays {
		f := diagnosis{cert.ServedStray, "no connected domain has the name, and it was served with serial " + s.Serial, wake}
		if s.Hostname != "" {
			err = p.repairNow(f, s.Name, func() error { return p.Store.RetireStray(ctx, s.Name, s.Serial) })
		} else {
			err = p.orphan(ctx, f, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// orphan is a name that is served with the certificate of a domain that is not in the tables.
func (p *page) orphan(ctx context.Context, f diagnosis, s store.Stray) error {
	for _, name := range s.Names {
		domain, err := p.Workflows.Describe(ctx, workflows.DomainID(name))
		if err != nil {
			return fmt.Errorf("find whose name %s is: %w", s.Name, err)
		}
		if domain.Running {
			return nil // inspectHostnames has woken it
		}
	}
	f.detail = "it was served with serial " + s.Serial + ", and neither the tables nor Temporal know its domain"
	p.note(f, s.Name, cert.Unrepaired)
	return nil
}

// runs reports whether the workflow of an id runs. Lists lag behind, this does not.
func (p *page) runs(ctx context.Context, id string) (bool, error) {
	e, err := p.Workflows.Describe(ctx, id)
	if err != nil {
		return false, fmt.Errorf("describe %s: %w", id, err)
	}
	return e.Running, nil
}

// repairNow makes a repair of which nothing is kept for later: the next walk finds the difference again if it is still there.
func (p *page) repairNow(f diagnosis, subject string, repair func() error) error {
	if p.DryRun {
		p.note(f, subject, cert.NotTouched)
		return nil
	}
	if err := repair(); err != nil && !errors.Is(err, ErrNotRunning) {
		return fmt.Errorf("%s, %s: %w", f.kind, subject, err)
	}
	p.note(f, subject, cert.Repaired)
	return nil
}

// without takes a prefix off ids; those that don't begin with it are left out.
func without(prefix string, ids []string) []string {
	var rest []string
	for _, id := range ids {
		if name, ok := strings.CutPrefix(id, prefix); ok {
			rest = append(rest, name)
		}
	}
	return rest
}
