package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

func (a *app) auditCommand() *cobra.Command {
	var options control.AuditOptions
	cmd := a.command(
		"audit",
		"Compare all domains with their workflows, certificates and cases, and repair what differs",
		cobra.NoArgs,
		func(ctx context.Context, c *control.Control, _ []string) error {
			return a.audit(ctx, c, options)
		},
	)
	cmd.Long = `Compare what the tables, Temporal and the edges' list of served names say about each domain, and repair what differs, as the
caretaker does by itself each day. What was repaired stands on the domain's timeline; what can't be repaired becomes a case of the
platform.

The exit code is 0 when nothing is left that differs, and 4 when something could not be repaired, or was found with --dry-run.
With --json, each finding is one line of JSON, and the last line is the sum.`
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "repair nothing")
	cmd.Flags().BoolVar(&options.Sure, "yes", false, "start workflows again even if most of them are gone")
	return cmd
}

// unrepaired is the error of an audit that leaves something to people.
type unrepaired struct{ message string }

func (u unrepaired) Error() string { return u.message }

func (a *app) audit(ctx context.Context, c *control.Control, o control.AuditOptions) error {
	p := a.newAuditProgress()
	o.Report, o.Paged = p.report, p.paged
	sum, err := c.Audit(ctx, o)
	p.finish()
	if err != nil {
		return err
	}
	total := sum.Total()
	if a.json {
		p.encode(struct {
			cert.Audit
			Total cert.AuditCount `json:"total"`
		}{sum, total})
	} else {
		a.showAudit(sum)
	}
	switch {
	case o.DryRun && total.Found > 0:
		return unrepaired{"nothing was repaired: this was a dry run"}
	case total.Unrepaired > 0:
		return unrepaired{fmt.Sprintf("%d of %d findings could not be repaired; see evercert cases", total.Unrepaired, total.Found)}
	}
	return nil
}

func (a *app) showAudit(sum cert.Audit) {
	total := sum.Total()
	if total.Found > 0 {
		t := a.newTable("FINDING", "FOUND", "REPAIRED", "NOT REPAIRED")
		for _, c := range sum.Counts {
			t.row(string(c.Kind), fmt.Sprint(c.Found), fmt.Sprint(c.Repaired), fmt.Sprint(c.Unrepaired))
		}
		t.show()
	}
	fmt.Fprintf(
		a.out,
		"%d domains compared; differences: %d found, %d repaired, %d not repaired\n",
		sum.Domains,
		total.Found,
		total.Repaired,
		total.Unrepaired,
	)
}

// auditProgress shows how far an audit is, and what it finds.
type auditProgress struct {
	app *app
	bar *progressbar.ProgressBar // nil without a terminal
}

func (a *app) newAuditProgress() *auditProgress {
	p := &auditProgress{app: a}
	if a.terminal {
		p.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription("domains compared"),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	}
	return p
}

// report shows a finding. Pages report one at a time.
func (p *auditProgress) report(f cert.Finding) {
	if p.app.json {
		p.encode(f)
		return
	}
	if p.bar != nil {
		p.note(p.bar.Clear())
	}
	fmt.Fprintln(p.app.out, printable(fmt.Sprintf("%s: %s: %s (%s)", cert.Unicode(f.Subject), f.Kind, f.Detail, f.Repair)))
}

func (p *auditProgress) paged(sum cert.Audit) {
	if p.bar != nil {
		p.note(p.bar.Set(sum.Domains))
	}
}

func (p *auditProgress) finish() {
	if p.bar != nil {
		p.note(p.bar.Finish())
	}
}

func (p *auditProgress) encode(v any) { p.note(json.NewEncoder(p.app.out).Encode(v)) }

// note reports an output that can't be written; the domains matter more.
func (p *auditProgress) note(err error) {
	if err != nil {
		fmt.Fprintln(p.app.err, "evercert:", err)
	}
}
