package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// watchPace is the pause between two reads; each reads one indexed row. watchPatience is how long it waits for a database that does not
// answer.
const (
	watchPace     = 500 * time.Millisecond
	watchPatience = 3 * time.Minute
)

func (a *app) watchCommand() *cobra.Command {
	var timeout time.Duration
	cmd := a.command(
		"watch NAME",
		"Follow a domain until its certificate is installed",
		cobra.ExactArgs(1),
		func(ctx context.Context, c *control.Control, args []string) error {
			return a.watch(ctx, c, args[0], timeout)
		},
	)
	cmd.Long = `Follow a domain: a line for each change, until its certificate is installed (exit code 0), until it needs a person or the
time is over (exit code 3). With --json, each change is one line of JSON.`
	cmd.Flags().DurationVar(&timeout, "timeout", 15*time.Minute, "stop after this time; 0 is never")
	return cmd
}

func (a *app) watch(ctx context.Context, c *control.Control, name string, timeout time.Duration) error {
	if timeout < 0 {
		return control.Malformed(fmt.Sprintf("--timeout is %s", timeout), "give a time such as 10m, or 0 to wait without end")
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	ticker := time.NewTicker(watchPace)
	defer ticker.Stop()
	var last control.Domain
	for answered := time.Now(); ; {
		d, err := c.Status(ctx, name)
		switch {
		case err == nil:
			answered = time.Now()
			if last.Hostname == "" || differs(last, d) {
				a.showChange(d)
			}
			last = d
		case ctx.Err() != nil: // the time is over, or somebody pressed Ctrl-C; reported below
		case !control.IsFault(err) || time.Since(answered) > watchPatience:
			return err
		}
		if done, err := settled(last); done {
			return err
		}
		select {
		case <-ctx.Done():
			return a.stopped(ctx, last, name)
		case <-ticker.C:
		}
	}
}

// settled reports whether there is nothing more to wait for without a person.
func settled(d control.Domain) (bool, error) {
	switch d.Headline {
	case cert.InstallationComplete:
		return true, nil
	case cert.ContactSupport, cert.InvalidSignature, cert.RenewalHeld, cert.Expired, cert.Removed:
		return true, incomplete{fmt.Sprintf("%s goes no further by itself: %s", d.UnicodeName, d.Headline)}
	default:
		return false, nil
	}
}

func (a *app) stopped(ctx context.Context, last control.Domain, name string) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return incomplete{"stopped watching " + name}
	}
	if last.Hostname == "" {
		return incomplete{"the time is over, and nothing was seen of " + name}
	}
	return incomplete{fmt.Sprintf("the time is over; %s is still %s", last.UnicodeName, last.Headline)}
}

// differs reports changes that a person wants to see, which the time of the next check is not.
func differs(a, b control.Domain) bool {
	return a.Headline != b.Headline || a.Status != b.Status || a.Paused != b.Paused || a.Failures != b.Failures ||
		!sameProblems(a.Problems, b.Problems)
}

func sameProblems(a, b []cert.Problem) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Code != b[i].Code || a[i].Message != b[i].Message {
			return false
		}
	}
	return true
}

func (a *app) showChange(d control.Domain) {
	if a.json {
		a.encode(a.out, d, "")
		return
	}
	line := a.now().In(a.local).Format("15:04:05") + "  " + string(d.Headline)
	if d.NextAction != "" && d.Headline != cert.InstallationComplete {
		line += " – next: " + a.action(d.NextAction, d.NextActionAt)
	}
	fmt.Fprintln(a.out, line)
	for _, p := range d.Problems {
		fmt.Fprintf(a.out, "          %s\n", p.OneLine())
	}
}
