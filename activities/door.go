package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/cert"
)

// FaultType is the type of an activity error that says nothing about the domain: a network error, or a fault of evercert or of another
// system. Temporal retries it.
const FaultType = "fault"

// Verdict is what a workflow reads from an activity that failed finally.
type Verdict struct {
	Outcome    cert.Outcome
	Problem    cert.Problem
	RetryAfter time.Duration
}

// leave converts an error at the end of every activity. A *cert.Failure is a verdict that the workflow decides by, and is not retried here.
// Every other error is a fault, which Temporal retries. The messages are visible in the Temporal Web UI.
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

// plainError is an error, with its causes, that Temporal can store. Errors quote text from outside, and a byte that is not UTF-8 would keep
// an activity's failure from ever being reported: gRPC refuses the message at every retry.
type plainError struct{ error }

// plain returns err as plain text; nil for nil.
func plain(err error) error {
	if err == nil {
		return nil
	}
	return plainError{err}
}

// maxFault limits the length of an error in a history.
const maxFault = 2000

func (p plainError) Error() string { return cert.Line(p.error.Error(), maxFault) }

func (p plainError) Unwrap() error { return plain(errors.Unwrap(p.error)) }

const (
	final     = true
	retryable = false
)

// verdict reports a failure to the workflow, either at once or after Temporal's retries.
func verdict(f *cert.Failure, nonRetryable bool) error {
	p := f.Problem.Clean()
	return temporal.NewApplicationErrorWithOptions(p.Message, string(f.Outcome), temporal.ApplicationErrorOptions{
		NonRetryable: nonRetryable, Cause: plain(f.Err), Details: []any{Verdict{Outcome: f.Outcome, Problem: p, RetryAfter: f.RetryAfter}},
	})
}

// ReadVerdict returns what a failed activity means to the workflow. A fault that lasted longer than its retries is a wait, never a failure
// of the tenant.
func ReadVerdict(err error) Verdict {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		var v Verdict
		if app.Details(&v) == nil && v.Outcome != "" {
			return v
		}
	}
	return Verdict{Outcome: cert.Wait, Problem: cert.Problem{
		Code:        cert.InternalError,
		WhoActs:     cert.PlatformActs,
		Message:     "a step failed on evercert's side and was retried without success: " + cert.Line(cause(err), cert.MaxDetail),
		Remediation: "evercert tries again by itself",
	}}
}

func cause(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}
