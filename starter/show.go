package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
)

func (a *app) statusCommand() *cobra.Command {
	return a.command(
		"status NAME",
		"Where a domain stands, and what comes next",
		cobra.ExactArgs(1),
		func(ctx context.Context, c *control.Control, args []string) error {
			d, err := c.Status(ctx, args[0])
			if err != nil {
				return err
			}
			if a.json {
				a.printJSON(a.out, d)
				return nil
			}
			a.showDomain(d)
			return nil
		},
	)
}

func (a *app) listCommand() *cobra.Command {
	var (
		filter   store.Filter
		headline string
	)
	cmd := a.command("list", "List domains", cobra.NoArgs, func(ctx context.Context, c *control.Control, _ []string) error {
		filter.Headline, filter.Limit = cert.Headline(headline), control.MaxPage
		for {
			page, err := c.List(ctx, filter)
			if err != nil {
				return err
			}
			if err := a.showPage(page, filter.After == ""); err != nil {
				return err
			}
			if filter.After = page.Next; page.Next == "" {
				return nil
			}
		}
	})
	cmd.Long = "List domains by hostname. With --json, each is one line of JSON."
	cmd.Flags().StringVar(&filter.Tenant, "tenant", "", "of this tenant")
	cmd.Flags().StringVar(&headline, "headline", "", `with this headline, such as "contact support"`)
	cmd.Flags().StringVar(&filter.Contains, "contains", "", "with this text in a name")
	return cmd
}

func (a *app) showPage(page control.Page, first bool) error {
	if a.json {
		for _, d := range page.Domains {
			a.encode(a.out, d, "")
		}
		return nil
	}
	if first && len(page.Domains) == 0 {
		fmt.Fprintln(a.out, "No domains.")
		return nil
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	if first {
		fmt.Fprintln(table, "NAME\tTENANT\tHEADLINE\tNEXT")
	}
	for _, d := range page.Domains {
		next := a.action(d.NextAction, d.NextActionAt)
		if d.WorkflowMissing() {
			next = "its workflow is not running: evercert audit"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", d.UnicodeName, d.Tenant, d.Headline, next)
	}
	return table.Flush()
}

func (a *app) timelineCommand() *cobra.Command {
	return a.command(
		"timeline NAME",
		"What happened to a domain, newest first",
		cobra.ExactArgs(1),
		func(ctx context.Context, c *control.Control, args []string) error {
			events, err := c.Timeline(ctx, args[0])
			if err != nil {
				return err
			}
			if a.json {
				a.printJSON(a.out, map[string]any{"events": events})
				return nil
			}
			table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, e := range events {
				fmt.Fprintf(table, "%s\t%s\t%s\n", a.clock(e.At), e.Type, e.Detail)
			}
			return table.Flush()
		},
	)
}

func (a *app) casesCommand() *cobra.Command {
	var all bool
	cmd := a.command(
		"cases [NAME]",
		"Domains that were handed to support",
		cobra.MaximumNArgs(1),
		func(ctx context.Context, c *control.Control, args []string) error {
			cases, err := allCases(ctx, c, control.CaseFilter{Closed: all, Name: strings.Join(args, ""), Limit: control.MaxPage})
			if err != nil {
				return err
			}
			if a.json {
				a.printJSON(a.out, map[string]any{"cases": cases})
				return nil
			}
			if len(cases) == 0 {
				fmt.Fprintln(a.out, "No cases.")
			}
			for _, each := range cases {
				a.showCase(each)
			}
			return nil
		},
	)
	cmd.Flags().BoolVar(&all, "all", false, "closed ones too")
	return cmd
}

// allCases reads the list of cases page by page.
func allCases(ctx context.Context, c *control.Control, filter control.CaseFilter) ([]cert.Case, error) {
	cases := []cert.Case{}
	for {
		page, err := c.Cases(ctx, filter)
		if err != nil {
			return nil, err
		}
		cases = append(cases, page.Cases...)
		if filter.After = page.Next; page.Next == "" {
			return cases, nil
		}
	}
}

// fileCommand makes a command that prints a PEM file as it is; with --json, as a JSON string.
func (a *app) fileCommand(verb, short string, read func(*control.Control, context.Context, string) ([]byte, error)) *cobra.Command {
	return a.command(verb+" NAME", short, cobra.ExactArgs(1), func(ctx context.Context, c *control.Control, args []string) error {
		file, err := read(c, ctx, args[0])
		if err != nil {
			return err
		}
		if a.json {
			a.printJSON(a.out, map[string]string{"pem": string(file)})
			return nil
		}
		_, err = a.out.Write(file)
		return err
	})
}
