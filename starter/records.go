package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/resolver"
)

func (a *app) recordsCommand() *cobra.Command {
	var servers bool
	cmd := a.command(
		"records NAME",
		"The DNS records to add, and what the newest check saw of each",
		cobra.ExactArgs(1),
		func(ctx context.Context, c *control.Control, args []string) error {
			d, err := c.Diagnosis(ctx, args[0])
			if err != nil {
				return err
			}
			if a.json {
				a.printJSON(a.out, d)
				return nil
			}
			a.showRecords(d.Records)
			if servers {
				a.showServers(d)
			}
			return nil
		},
	)
	cmd.Long = `The DNS records to add, as a table to copy, and where each stands: found, missing, wrong, not yet propagated (some servers
show it, others don't), or unknown (no answer came).

With --servers, what every name server of the domain and every resolver shows, since when, and when last.`
	cmd.Flags().BoolVar(&servers, "servers", false, "each record at each name server and resolver, with since when it is there")
	return cmd
}

// showServers is what each server shows.
func (a *app) showServers(d cert.Diagnosis) {
	if d.CheckedAt.IsZero() {
		fmt.Fprintln(a.out, "\nNo server was asked yet.")
		return
	}
	fmt.Fprintf(a.out, "\nChecked: %s\n", a.moment(d.CheckedAt))
	a.showSightings(d.Records)
	a.showNameservers(d.Servers)
}

func (a *app) changesCommand() *cobra.Command {
	cmd := a.command(
		"changes NAME",
		"What changed in a domain's DNS records, newest first",
		cobra.ExactArgs(1),
		func(ctx context.Context, c *control.Control, args []string) error {
			changes, err := c.Changes(ctx, args[0])
			if err != nil {
				return err
			}
			if a.json {
				a.printJSON(a.out, map[string]any{"changes": changes})
				return nil
			}
			if len(changes) == 0 {
				fmt.Fprintln(a.out, "No changes.")
				return nil
			}
			t := a.newTable("SEEN AT", "RECORD", "TYPE", "SERVER", "CHANGE", "SHOWS")
			for _, c := range changes {
				shown := cert.Sighting{Found: c.Found, Verdict: c.To}.Shows()
				t.row(a.clock(c.At), c.Record.Name, c.Record.Type, c.Role.From(c.Server), c.Words(), shown)
			}
			t.show()
			return nil
		},
	)
	cmd.Long = `What name servers and resolvers showed otherwise than at the check before, record by record. A server that gave no answer for
a while and then shows the same as before has changed nothing.`
	return cmd
}

func (a *app) checkCommand() *cobra.Command {
	var reason string
	cmd := a.command(
		"check NAME",
		"Check a domain now and show what is wrong",
		cobra.ExactArgs(1),
		func(ctx context.Context, c *control.Control, args []string) error {
			said := a.whileWaiting("waiting for the check of " + args[0])
			answer, err := c.Check(ctx, control.Request{Name: args[0], By: a.author(), Reason: reason})
			var (
				visits   []resolver.Visit
				visiting error
			)
			if err == nil {
				visits, visiting = a.visitLive(ctx, c, args[0])
			}
			said()
			if err != nil {
				return err
			}
			a.showChecked(answer, visits)
			switch {
			case visiting != nil:
				return visiting
			case answer.Diagnosis == nil:
				return judged{}
			case answer.Held:
				return judged{cert.Wrong}
			default:
				return judge(answer.Diagnosis.Verdict)
			}
		},
	)
	cmd.Long = `Check a domain's DNS now, as a CA would, and show what is wrong, who acts and how it is fixed. A domain that has a live
certificate is then visited over HTTPS, at each address of its names, as a browser on this machine would; the exit code says nothing of
that.

Exit codes: 0 a certificate can be ordered, or is there · 3 the check is not finished: it goes on by itself, so ask again · 4 something is
wrong, or support has the domain after attempts that failed · 5 not known, because answers did not come.`
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept on the timeline")
	return cmd
}

// showChecked prints what check found.
func (a *app) showChecked(answer cert.Answer, visits []resolver.Visit) {
	if a.json {
		a.printJSON(a.out, struct {
			cert.Answer
			HTTPS []resolver.Visit `json:"https,omitempty"`
		}{answer, visits})
		return
	}
	a.tellAnswer(answer)
	if d := answer.Diagnosis; d != nil {
		fmt.Fprintln(a.out)
		a.showDiagnosis(namesOf(answer.Hostname, *d), answer)
	}
	a.showVisits(visits)
}

// namesOf lists the names that a diagnosis is about. One that could not be made has none: then it is the domain's hostname.
func namesOf(hostname string, d cert.Diagnosis) []string {
	if len(d.Names) == 0 {
		return []string{hostname}
	}
	names := make([]string, len(d.Names))
	for i, n := range d.Names {
		names[i] = n.Name
	}
	return names
}
