package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

type ask func(*control.Control, context.Context, control.Request) (cert.Answer, error)

// verbCommand makes a command that puts a verb to a domain.
func (a *app) verbCommand(verb, short string, put ask) *cobra.Command {
	var reason string
	cmd := a.command(verb+" NAME", short, cobra.ExactArgs(1), func(ctx context.Context, c *control.Control, args []string) error {
		answer, err := put(c, ctx, control.Request{Name: args[0], By: a.author(), Reason: reason})
		return a.showAnswer(answer, err)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept on the timeline")
	return cmd
}

func (a *app) removeCommand() *cobra.Command {
	var yes bool
	cmd := a.verbCommand(
		"remove",
		"End evercert's care for a domain; it is no longer served",
		func(c *control.Control, ctx context.Context, r control.Request) (cert.Answer, error) {
			if !yes {
				return cert.Answer{}, cert.Problem{
					Code: cert.RequestRefused, WhoActs: cert.TenantActs,
					Message:     fmt.Sprintf("removing %s ends HTTPS for all its names at once; nothing was done", cert.Line(r.Name, cert.MaxHostname)),
					Remediation: "repeat the command with --yes if that is what you want",
				}
			}
			return c.Remove(ctx, r)
		},
	)
	cmd.Flags().BoolVar(&yes, "yes", false, "really")
	return cmd
}

// handBackCommand closes the case of one domain, or the cases of all that wait for the same reason, once the cause is fixed.
func (a *app) handBackCommand() *cobra.Command {
	var (
		note, reason string
		all          bool
	)
	arguments := func(_ *cobra.Command, args []string) error {
		switch {
		case !all && len(args) != 1:
			return errors.New("hand-back expects the name of a domain, or --all")
		case all && len(args) > 0:
			return errors.New("hand-back takes a name or --all, not both")
		case !all && reason != "":
			return errors.New("--reason chooses among all cases: say --all, too")
		}
		return nil
	}
	cmd := a.command("hand-back NAME | --all [--reason CODE]", "Close a domain's case, or many; automatic attempts begin again", arguments,
		func(ctx context.Context, c *control.Control, args []string) error {
			if all {
				return a.handBackAll(ctx, c, reason, note)
			}
			answer, err := c.HandBack(ctx, control.Request{Name: args[0], By: a.author(), Reason: note})
			return a.showAnswer(answer, err)
		})
	cmd.Flags().StringVar(&note, "note", "", "what was done; kept with the case")
	cmd.Flags().BoolVar(&all, "all", false, "every open case of a domain")
	cmd.Flags().
		StringVar(&reason, "reason", "", "only cases of this kind (such as too-many-failures), or about a problem of this code (such as "+
			"caa_forbids)")
	return cmd
}

func (a *app) handBackAll(ctx context.Context, c *control.Control, reason, note string) error {
	type outcome struct {
		Hostname string `json:"hostname"`
		Error    string `json:"error,omitempty"`
	}
	outcomes := []outcome{}
	n, err := c.HandBackAll(ctx, reason, control.Request{By: a.author(), Reason: note}, func(hostname string, err error) {
		o := outcome{Hostname: hostname}
		if err != nil {
			o.Error = cert.AsProblem(err).Message
		}
		outcomes = append(outcomes, o)
		if !a.json {
			fmt.Fprintf(a.out, "%s: %s\n", cert.Unicode(hostname), cmp.Or(o.Error, "handed back"))
		}
	})
	if a.json {
		a.printJSON(a.out, outcomes)
	} else {
		fmt.Fprintf(a.out, "%d of %d cases handed back\n", n, len(outcomes))
	}
	return err
}

func (a *app) redirectCommand() *cobra.Command {
	arguments := func(_ *cobra.Command, args []string) error {
		if len(args) != 2 || (args[1] != "on" && args[1] != "off") {
			return fmt.Errorf("redirect expects a name and on or off")
		}
		return nil
	}
	return a.command(
		"redirect NAME on|off",
		"Send visitors from HTTP to HTTPS, once the installation is complete",
		arguments,
		func(ctx context.Context, c *control.Control, args []string) error {
			answer, err := c.SetRedirect(ctx, control.Request{Name: args[0], By: a.author()}, args[1] == "on")
			return a.showAnswer(answer, err)
		},
	)
}

func (a *app) showAnswer(answer cert.Answer, err error) error {
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(a.out, answer)
		return nil
	}
	a.tellAnswer(answer)
	return nil
}

func (a *app) tellAnswer(answer cert.Answer) {
	fmt.Fprintf(a.out, "%s: %s – %s\n", answer.Headline, cert.Unicode(answer.Hostname), answer.Message)
	if answer.NextAction != "" {
		fmt.Fprintf(a.out, "Next: %s\n", a.action(answer.NextAction, answer.NextActionAt))
	}
}
