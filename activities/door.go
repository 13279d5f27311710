package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/cert"
)

// FaultType is the type of an activity error that is nobody's verdict: a network, a fault of ours or of another machine. Temporal retries it.
const FaultType = "fault"

// Verdict is what a workflow reads from an activity that failed for good.
type Verdict struct {
	Outcome    cert.Outcome
	Problem    cert.Problem
	RetryAfter time.Duration
}

// leave turns an error into what Temporal acts on, at the end of every activity: a *cert.Failure is a verdict for the
// workflow to decide on and is not retried here; anything else is a fault and is. Messages reach the Temporal Web UI.
func leave(err error) error {
	var f *cert.Failure
	switch {
	case errors.As(err, &f):
		return verdict(f, final)
	case err == nil || errors.Is(err, context.Canceled):
		return err
	}
	options := temporal.ApplicationErrorOptions{Cause: plain(errors.Unwrap(err))}
	if fault, ok := errors.AsType[*cert.Fault](err); ok {
		options.Details = []any{Verdict{Outcome: cert.Wait, Problem: fault.Problem.Clean()}}
	}
	return temporal.NewApplicationErrorWithOptions(plain(err).Error(), FaultType, options)
}

// plainError is an error and its causes as Temporal can keep them. Errors quote other people's texts, and one byte that is not UTF-8 keeps an
// activity's failure from ever arriving: gRPC refuses the message, again at every retry.
type plainError struct{ error }

// plain returns err in plain text, and nil of nil.
func plain(err error) error {
	if err == nil {
		return nil
	}
	return plainError{err}
}

// maxFault bounds an error in a history.
const maxFault = 2000

func (p plainError) Error() string { return cert.Line(p.error.Error(), maxFault) }

func (p plainError) Unwrap() error { return plain(errors.Unwrap(p.error)) }

const (
	final     = true
	retryable = false
)

// verdict carries a failure to the workflow, at once or after Temporal's retries.
func verdict(f *cert.Failure, nonRetryable bool) error {
	p := f.Problem.Clean()
	return temporal.NewApplicationErrorWithOptions(p.Message, string(f.Outcome), temporal.ApplicationErrorOptions{
		NonRetryable: nonRetryable, Cause: plain(f.Err), Details: []any{Verdict{Outcome: f.Outcome, Problem: p, RetryAfter: f.RetryAfter}},
	})
}

// ReadVerdict is the other side of the door: what a failed activity means to the workflow. Faults that outlasted
// their retries are a wait, never a failure of the tenant's.
func ReadVerdict(err error) Verdict {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		var v Verdict
		if app.Details(&v) == nil && v.Outcome != "" {
			return v
		}
	}
	return Verdict{Outcome: cert.Wait, Problem: cert.Problem{
		Code: cert.InternalError, WhoActs: cert.PlatformActs, Message: "a step failed on evercert's side and was retried without success: " + cert.Line(cause(err), cert.MaxDetail),
		Remediation: "evercert tries again by itself",
	}}
}

func cause(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}
