package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/control"
)

func (a *app) connectCommand() *cobra.Command {
	var (
		tenant, file string
		also         []string
		workers      int
	)
	names := func(cmd *cobra.Command, args []string) error {
		switch {
		case file == "" && len(args) != 1:
			return fmt.Errorf("connect expects one name, or --file; it was given %d names", len(args))
		case file != "" && (len(args) > 0 || len(also) > 0):
			return fmt.Errorf("connect expects names on the command line or in --file, not both")
		case workers < 1:
			return fmt.Errorf("--workers is %d; it expects at least 1", workers)
		}
		return nil
	}
	cmd := a.command(
		"connect NAME --tenant T",
		"Connect a domain, or a file of thousands",
		names,
		func(ctx context.Context, c *control.Control, args []string) error {
			if file != "" {
				return a.connectFile(ctx, c, file, tenant, workers)
			}
			result, err := c.Connect(ctx, control.Connection{Hostname: args[0], Also: also, Tenant: tenant})
			if err != nil {
				return err
			}
			a.showConnected(result)
			return nil
		},
	)
	cmd.Long = `Connect a domain: from then on its certificate is issued, installed and renewed with no further step.

With --file, connect the rows of a CSV file (- is the standard input): hostname,tenant,also. The tenant may be left out where --tenant
says it; further names on the same certificate stand in the third column, separated by semicolons or spaces. A first line that has
hostname, domain or name in it names the columns. Running the same file again is safe: it carries on where it stopped. Rows that are
refused are listed with their line numbers; the exit code is then 2.`
	cmd.Example = "  evercert connect shop.example.com --tenant acme --also www.example.com\n" +
		"  evercert connect --file domains.csv --tenant acme"
	cmd.Flags().StringVar(&tenant, "tenant", "", "whose domain it is")
	cmd.Flags().StringArrayVar(&also, "also", nil, "a further name on the same certificate; may be repeated")
	cmd.Flags().StringVar(&file, "file", "", "CSV file of domains; - for the standard input")
	cmd.Flags().IntVar(&workers, "workers", 8, "rows to connect at once, with --file")
	return cmd
}

func (a *app) showConnected(r control.Result) {
	if a.json {
		a.printJSON(a.out, r)
		return
	}
	word := "is connected"
	if !r.Created {
		word = "was connected before"
	}
	fmt.Fprintf(a.out, "%s: %s of tenant %s %s.\n", r.Headline, r.UnicodeName, r.Tenant, word)
	a.showNext(r.Domain)
	if r.Hint != "" {
		fmt.Fprintln(a.out, "Note:", r.Hint)
	}
	fmt.Fprint(a.out, "\nThe DNS needs these records; the certificate follows by itself:\n\n")
	a.showRecords(r.Records)
	fmt.Fprintf(a.out, "\nFollow it with: evercert watch %s\n", r.Hostname)
}
