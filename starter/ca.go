package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// caCommand is for the operator: which CAs are there, and from which one is ordered now.
func (a *app) caCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "ca",
		Short:             "Show the platform's CAs, and what keeps orders from them",
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	list := a.command(
		"list",
		"List the CAs in the order in which they are tried",
		cobra.NoArgs,
		func(ctx context.Context, c *control.Control, _ []string) error {
			cas, err := c.CAs(ctx)
			if err != nil {
				return err
			}
			a.showCAs(cas)
			return nil
		},
	)
	cmd.AddCommand(list)
	return cmd
}

func (a *app) showCAs(cas []cert.ConfiguredCA) {
	if a.json {
		a.printJSON(a.out, struct {
			CAs []cert.ConfiguredCA `json:"cas"`
		}{append([]cert.ConfiguredCA{}, cas...)})
		return
	}
	if len(cas) == 0 {
		fmt.Fprintln(a.out, "No worker has started yet: the workers publish their list of CAs.")
		return
	}
	t := a.newTable("", "CA", "STATE", "DIRECTORY", "PROFILE", "ACCOUNT")
	for _, ca := range cas {
		t.row(fmt.Sprint(ca.Position), ca.Name, a.stateOfCA(ca), ca.Directory, ca.Profile, ca.AccountURL)
	}
	t.show()
	for _, ca := range cas {
		for _, p := range []*cert.Problem{ca.Blocked, ca.Absence} {
			if p != nil {
				fmt.Fprintf(a.out, "\n%s: %s\n  To do: %s\n", printable(ca.Name), printable(p.Message), printable(p.Remediation))
			}
		}
	}
}

// stateOfCA says whether orders are placed at a CA now.
func (a *app) stateOfCA(ca cert.ConfiguredCA) string {
	switch {
	case ca.Blocked != nil:
		return "refuses the account"
	case ca.Absence != nil:
		return "cannot issue; no orders until " + a.clock(ca.AbsentUntil)
	case ca.AbsentFor > 0:
		return fmt.Sprintf("orders, but not for %d domains", ca.AbsentFor)
	default:
		return "orders"
	}
}
