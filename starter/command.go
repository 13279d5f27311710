package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// The exit codes, as the help says them.
const (
	exitOK         = 0
	exitFault      = 1
	exitRefused    = 2
	exitIncomplete = 3
	exitWrong      = 4
	exitUnknown    = 5
)

const about = `evercert connects your customers' domains and keeps them on HTTPS.

It finds evercert by the environment (DATABASE_URL, TEMPORAL_ADDRESS, VALIDATION_ZONE …), or by .dev/stack.json
in this folder or one above it if the environment names neither database nor Temporal.

Exit codes: 0 done · 1 a fault of evercert or of what it needs, or certificates expire (simulate) · 2 refused, or the request was wrong ·
3 not complete (watch, check, deploy drain) · 4 something is wrong with the domain, or audit could not repair it · 5 not known, because
answers did not come (both: doctor, check)`

// incomplete is what watch returns when it stops before the certificate is installed.
type incomplete struct{ message string }

func (i incomplete) Error() string { return i.message }

// carriedOut is an error of a command that was understood; cobra's own errors are those of requests that were not.
type carriedOut struct{ error }

func (c carriedOut) Unwrap() error { return c.error }

// run executes a command line and returns the exit code.
func (a *app) run(ctx context.Context, arguments []string) int {
	if _, done := a.err.(*terminal); !done {
		a.bar = a.err // its cursor movements are our own
		a.out, a.err = &terminal{to: a.out}, &terminal{to: a.err}
	}
	root := &cobra.Command{
		Use: "evercert", Short: "Connect domains and keep them on HTTPS", Long: about, Version: "of this program", SilenceErrors: true,
		SilenceUsage: true,
	}
	if slices.Contains(arguments, "--version") { // it may read the program file
		root.Version = version()
	}
	root.SetVersionTemplate("evercert {{.Version}}\n")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "answer in JSON")
	root.PersistentFlags().StringVar(&a.stackFile, "stack", "", "the stack.json of a development stack to talk to")
	root.AddCommand(
		a.connectCommand(), a.statusCommand(), a.watchCommand(), a.listCommand(), a.recordsCommand(), a.doctorCommand(),
		a.checkCommand(), a.changesCommand(),
		a.verbCommand("request", "Request a certificate now", (*control.Control).RequestCertificate),
		a.verbCommand("pause", "Stop checks, orders and renewals until resumed", (*control.Control).Pause),
		a.verbCommand("resume", "End a pause", (*control.Control).Resume),
		a.removeCommand(), a.handBackCommand(), a.redirectCommand(), a.casesCommand(), a.timelineCommand(),
		a.fileCommand("csr", "Print the CSR of the live certificate", (*control.Control).CSR),
		a.fileCommand("certificate", "Print the live certificate and its chain", (*control.Control).Chain),
		a.auditCommand(), a.quarantineCommand(), a.deployCommand(), a.keyringCommand(), a.rulesCommand(), a.simulateCommand(), a.caCommand(),
	)
	root.SetArgs(arguments)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := plainArguments(arguments)
	if err == nil {
		err = root.ExecuteContext(ctx)
	} else {
		a.json = slices.Contains(arguments, "--json") // nothing is parsed yet
	}
	if said := new(judged); err != nil && !errors.As(err, said) {
		a.explain(err)
	}
	if out, is := a.out.(*terminal); is && out.failed != nil { // what was not read may not pass for done
		fmt.Fprintln(a.err, "evercert: the output could not be written:", out.failed)
		return exitFault
	}
	return exitCode(err)
}

// plainArguments refuses arguments with characters that no name, text or file name here needs, before anything repeats them.
func plainArguments(arguments []string) error {
	for i, argument := range arguments {
		if !cert.IsLine(argument) {
			return carriedOut{control.Malformed(
				fmt.Sprintf(
					"argument %d has a line break, a control character or is not UTF-8: %q",
					i+1,
					cert.Line(argument, cert.MaxBy),
				),
				"write it in one line, as plain text",
			)}
		}
	}
	return nil
}

// command makes a subcommand that talks to evercert.
func (a *app) command(
	use, short string,
	arguments cobra.PositionalArgs,
	do func(ctx context.Context, c *control.Control, args []string) error,
) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: arguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, closeAll, err := a.open(cmd.Context())
			if err != nil {
				return carriedOut{err}
			}
			defer closeAll()
			if err := do(cmd.Context(), c, args); err != nil {
				return carriedOut{err}
			}
			return nil
		},
	}
}

func exitCode(err error) int {
	var (
		understood carriedOut
		unfinished incomplete
		diagnosis  judged
		left       unrepaired
		expire     wouldExpire
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &unfinished):
		return exitIncomplete
	case errors.As(err, &left):
		return exitWrong
	case errors.As(err, &expire):
		return exitFault
	case errors.As(err, &diagnosis):
		return map[cert.Verdict]int{cert.Wrong: exitWrong, cert.Unknown: exitUnknown, "": exitIncomplete}[diagnosis.verdict]
	case errors.As(err, &understood) && control.IsFault(err):
		return exitFault
	default:
		return exitRefused
	}
}

// explain says what went wrong and what fixes it, on the error output.
func (a *app) explain(err error) {
	var (
		problem    cert.Problem
		understood carriedOut
	)
	isProblem := errors.As(err, &problem)
	problem = problem.Clean()
	if a.json && isProblem {
		a.printJSON(a.err, problem)
		return
	}
	message := err.Error()
	if isProblem {
		message = problem.Message
	}
	fmt.Fprintln(a.err, "evercert:", message)
	switch {
	case isProblem && problem.Remediation != "":
		fmt.Fprintln(a.err, sentence(problem.Remediation))
	case !errors.As(err, &understood):
		fmt.Fprintln(a.err, "See evercert --help.")
	}
	if isProblem && control.IsFault(err) {
		fmt.Fprintln(a.err, "Cause:", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}
