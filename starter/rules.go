package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/control"
)

// rulesCommand shows the calendar of rule changes. The dates need no database, the numbers of domains do.
func (a *app) rulesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rules", Short: "Show the dated rule changes of CAs and the root zone, and how many domains each touches",
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rules, err := a.countedRules(cmd.Context())
			if errors.As(err, new(noDatabase)) {
				fmt.Fprintln(a.err, "evercert: the numbers of domains need a database; set DATABASE_URL, or use --stack")
				rules, err = control.Calendar(a.now()), nil
			}
			if err != nil {
				return carriedOut{err}
			}
			a.showRules(rules)
			return nil
		},
	}
}

func (a *app) countedRules(ctx context.Context) ([]control.Rule, error) {
	c, closeAll, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	defer a.whileWaiting("counting the domains …")()
	return c.Rules(ctx)
}

func (a *app) showRules(rules []control.Rule) {
	if a.json {
		a.printJSON(a.out, struct {
			Rules []control.Rule `json:"rules"`
		}{rules})
		return
	}
	for i, r := range rules {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		state, by := "in "+span(r.Date.Sub(a.now())), " by "+r.DoBy.String()
		if r.InForce {
			state, by = "in force", ""
		}
		domains := "unknown"
		if r.Domains != nil {
			domains = fmt.Sprint(*r.Domains)
		}
		fmt.Fprintf(a.out, "%s (%s)  %s: %s\n", r.Date, state, r.Who, r.Change)
		fmt.Fprintf(a.out, "  Domains: %s – %s\n  To do%s: %s\n  Source: %s\n", domains, r.Counted, by, r.Do, r.Source)
	}
}
