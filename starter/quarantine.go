package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
)

// quarantineCommand is for the operator: it shows which names are kept for whom after their removal, and frees one before its time.
func (a *app) quarantineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "quarantine",
		Short:             "Show or free names that are kept for their former account after a removal",
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	var after string
	list := a.command(
		"list",
		"List the names in quarantine, for whom each is kept and until when",
		cobra.NoArgs,
		func(ctx context.Context, c *control.Control, _ []string) error {
			return a.listQuarantine(ctx, c, after)
		},
	)
	list.Flags().StringVar(&after, "after", "", "only names after this one, in alphabetical order")
	var reason string
	lift := a.command(
		"lift NAME --reason TEXT",
		"Let any account connect a name before its quarantine ends",
		cobra.ExactArgs(1),
		func(ctx context.Context, c *control.Control, args []string) error {
			lifted, err := c.LiftQuarantine(ctx, control.Request{Name: args[0], By: a.author(), Reason: reason})
			if err != nil {
				return err
			}
			if a.json {
				a.printJSON(a.out, lifted)
				return nil
			}
			fmt.Fprintf(
				a.out,
				"%s is free: any account may connect it. It was kept for %s until %s\n",
				cert.Unicode(lifted.Name),
				lifted.Tenant,
				a.clock(lifted.EndsAt),
			)
			return nil
		},
	)
	lift.Long = `Let any account connect a name before its quarantine ends. Who lifted it and why stands on the timeline of the domain that
had the name.

The quarantine protects a former owner whose DNS records may still lead here: lift it for somebody who has shown that the name is theirs.`
	lift.Flags().StringVar(&reason, "reason", "", "why; kept on the timeline (required)")
	cmd.AddCommand(list, lift)
	return cmd
}

func (a *app) listQuarantine(ctx context.Context, c *control.Control, after string) error {
	names := []store.Quarantined{}
	for {
		page, err := c.Quarantine(ctx, after, control.MaxPage)
		if err != nil {
			return err
		}
		names = append(names, page...)
		if len(page) < control.MaxPage {
			break
		}
		after = page[len(page)-1].Name
	}
	if a.json {
		a.printJSON(a.out, names)
		return nil
	}
	t := a.newTable("NAME", "KEPT FOR", "UNTIL")
	for _, q := range names {
		t.row(cert.Unicode(q.Name), q.Tenant, a.clock(q.EndsAt))
	}
	t.show()
	return nil
}
