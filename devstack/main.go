// Command devstack runs everything evercert needs on one machine: a private
// PostgreSQL cluster, a real Temporal server with its Web UI, a test DNS, a
// test CA, and the product's own binaries. It supervises them as child
// processes, so that any of them can be killed and comes back.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const usage = `usage: devstack COMMAND

  up [--dir .dev] [--parts LIST] [--sample NAME] [--demo] [--env KEY=VALUE]
     [--bin DIR] [--ca OPTION=VALUE] [--free-ports] [--quiet]
     [--temporal-faults RATE] [--time-skipping]
                                   start the stack and keep it running
  status [--json]                  show the parts of the running stack
  kill PART                        kill -9 a part; the supervisor restarts it
  stop PART                        kill -9 a part and keep it down
  start PART                       start a part that was stopped
  dns set NAME TYPE VALUE          add a record (a CNAME replaces the old one)
  dns del NAME TYPE [VALUE]        remove a record, or all of that type
  dns fault NAME KIND              servfail | timeout | refused | lame | none,
                                   for the name and everything below it
  dns list                         show the records and faults
  db fault KIND [--for SECONDS]    refuse | hang | slow MS | readonly | none, for
                                   the product; Temporal goes past the gate
  db lock TABLE|all SECONDS        hold ACCESS EXCLUSIVE on a table, or on all
  db trigger TEXT ACTION [SECONDS] [--value V,V...] [--and V] [--times N]
                                   when a statement with TEXT passes, and one of
                                   the values V,V (and the other V) in it: cut | lose | hold, for its
                                   connection; refuse | hang | slow:MS |
                                   readonly, for all
  db triggers                      show the triggers and how often they fired
  db release ID                    let go what a trigger holds
  db stats                         connections and statements
  db reset                         forget faults, locks and triggers
  temporal faults RATE             restart Temporal with this share of its own
                                   database calls failing (0: none)
  ca stats                         what the CA has accepted and refused
  ca orders                        newOrder requests that it accepted, by names
  ca fault PATH ACTION [N] [--name HOST]
                                   order a fault, N times (1; 0 = until reset),
                                   for one host's orders only; none takes back
                                   what was ordered for PATH and HOST
  ca faults                        show the faults ordered and how often each
                                   was done
  ca reset                         forget all faults, set the counts to zero
  ca2 …                            the same for the second CA, where one runs

All but up talk to the stack that runs in --dir DIR (default .dev).
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "devstack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no command given")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	command, rest := args[0], args[1:]
	switch command {
	case "up":
		return up(ctx, rest)
	case "part":
		return runPart(ctx, rest)
	case "status", "kill", "stop", "start", "dns", "db", "temporal", "ca", "ca2":
		return clientCommand(ctx, command, rest, os.Stdout)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("there is no command %q", command)
}

// runPart is the entry point of the parts that live in this binary. The
// supervisor runs them as processes of their own, so that each can be killed.
func runPart(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("part: want one of temporal, dns, ca, dbgate")
	}
	switch args[0] {
	case "temporal":
		return runTemporal(ctx, args[1:])
	case "dns":
		return runDNS(ctx, args[1:])
	case "ca":
		return runCA(ctx, args[1:])
	case "dbgate":
		return runDBGate(ctx, args[1:])
	}
	return fmt.Errorf("part %q is not built in", args[0])
}

// listFlag collects a flag that may be given several times.
type listFlag []string

func (l *listFlag) String() string { return strings.Join(*l, ",") }

func (l *listFlag) Set(s string) error {
	*l = append(*l, s)
	return nil
}
