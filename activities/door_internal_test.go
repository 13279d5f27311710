package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"github.com/evercert/evercert/cert"
)

// arrive returns the error that a workflow gets for an activity's error, after the conversion to a protocol buffer and back.
func arrive(err error) error {
	converter := temporal.GetDefaultFailureConverter()
	return converter.FailureToError(converter.ErrorToFailure(err))
}

var caa = cert.Problem{
	Code: cert.CAAForbids, Message: "a CAA record forbids it", Remediation: "allow ca.example", WhoActs: cert.TenantActs,
	Record: &cert.Record{Name: "example.com", Type: "CAA", Value: `0 issue "ca.example"`}, Found: `0 issue "other.example"`,
}

func TestAVerdictArrivesWhole(t *testing.T) {
	t.Parallel()
	for _, outcome := range []cert.Outcome{cert.Refused, cert.Wait, cert.OrderGone, cert.Parked} {
		for what, cause := range map[string]error{
			"no cause":               nil,
			"a plain cause":          io.ErrUnexpectedEOF,
			"a wrapped cause":        fmt.Errorf("finalize: %w", fmt.Errorf("post: %w", io.ErrUnexpectedEOF)),
			"several causes":         errors.Join(io.EOF, io.ErrUnexpectedEOF),
			"another problem":        fmt.Errorf("check: %w", cert.Problem{Code: cert.DNSNoRecords, Message: "none"}),
			"another failure":        fmt.Errorf("order: %w", &cert.Failure{Outcome: cert.Wait, Problem: cert.Problem{Code: cert.RateLimited}}),
			"an error of Temporal's": temporal.NewApplicationError("inner", FaultType),
			"a deadline":             fmt.Errorf("post: %w", context.DeadlineExceeded),
		} {
			t.Run(string(outcome)+", "+what, func(t *testing.T) {
				t.Parallel()
				failure := &cert.Failure{Outcome: outcome, Problem: caa, RetryAfter: 90 * time.Minute, Err: cause}
				for _, err := range []error{failure, fmt.Errorf("complete: %w", failure), errors.Join(io.ErrClosedPipe, failure)} {
					arrived := arrive(leave(err))
					require.Equal(t, Verdict{Outcome: outcome, Problem: caa, RetryAfter: 90 * time.Minute}, ReadVerdict(arrived))
					var app *temporal.ApplicationError
					require.ErrorAs(t, arrived, &app)
					require.True(t, app.NonRetryable(), "the workflow decides on it, at once")
					require.Equal(t, caa.Message, app.Message(), "what the Temporal Web UI shows")
					if cause != nil {
						require.Error(t, app.Unwrap(), "the cause is kept")
					}
				}
			})
		}
	}
}

// TestAVerdictOutlivesACancelledCall: when several calls run at once, the first that fails cancels the others. Their errors must not hide
// the verdict of the CA.
func TestAVerdictOutlivesACancelledCall(t *testing.T) {
	t.Parallel()
	arrived := arrive(leave(&cert.Failure{Outcome: cert.Parked, Problem: caa, Err: fmt.Errorf("post: %w", context.Canceled)}))
	require.Equal(t, Verdict{Outcome: cert.Parked, Problem: caa}, ReadVerdict(arrived))
}

func TestAFaultIsRetriedAndThenAWait(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		io.ErrUnexpectedEOF,
		fmt.Errorf("store certificate 01: %w", fmt.Errorf("commit: %w", io.ErrUnexpectedEOF)),
		errors.Join(io.EOF, fmt.Errorf("commit: %w", io.ErrUnexpectedEOF)),
		// not a verdict: a Failure would be one
		fmt.Errorf("read tenant acme: %w", cert.Problem{Code: cert.DomainUnknown, Message: io.ErrUnexpectedEOF.Error()}),
	} {
		arrived := arrive(leave(err))
		var app *temporal.ApplicationError
		require.ErrorAs(t, arrived, &app)
		require.Equal(t, FaultType, app.Type())
		require.False(t, app.NonRetryable())
		require.Equal(t, strings.ReplaceAll(err.Error(), "\n", " "), app.Message())
		v := ReadVerdict(arrived)
		require.Equal(t, cert.Wait, v.Outcome, "never a failure of the tenant's")
		require.Zero(t, v.RetryAfter, "the workflow lets its waits grow")
		require.Equal(t, cert.InternalError, v.Problem.Code)
		require.Equal(t, cert.PlatformActs, v.Problem.WhoActs)
		require.NotEmpty(t, v.Problem.Remediation)
		require.Contains(t, v.Problem.Message, io.ErrUnexpectedEOF.Error(), "the innermost cause is named")
	}
}

// TestF21_AFaultOfAnotherMachineIsRetriedAndThenToldAsItsOwn: it is not reported as a fault of evercert.
func TestF21_AFaultOfAnotherMachineIsRetriedAndThenToldAsItsOwn(t *testing.T) {
	t.Parallel()
	unreadable := cert.Problem{Code: cert.CAUnavailable, WhoActs: cert.CAActs, Message: "the CA answers a web page\x1b[31m"}
	arrived := arrive(leave(fmt.Errorf("order: %w", &cert.Fault{Problem: unreadable, Err: io.ErrUnexpectedEOF})))
	var app *temporal.ApplicationError
	require.ErrorAs(t, arrived, &app)
	require.Equal(t, FaultType, app.Type())
	require.False(t, app.NonRetryable())
	require.Equal(t, Verdict{Outcome: cert.Wait, Problem: unreadable.Clean()}, ReadVerdict(arrived))
}

// TestF24_AFaultWithBytesThatAreNoTextArrives: gRPC refuses a message with a byte that is not UTF-8, so the activity would never end.
func TestF24_AFaultWithBytesThatAreNoTextArrives(t *testing.T) {
	t.Parallel()
	bad := errors.New("x\x00\x1b[31m\u202e\xff\n" + strings.Repeat("y", 1<<20))
	p := cert.Problem{Code: cert.CARejected, Message: bad.Error(), Remediation: bad.Error(), Found: bad.Error()}
	for _, err := range []error{
		bad, fmt.Errorf("a: %w", fmt.Errorf("b: %w", bad)), &cert.Failure{Outcome: cert.Refused, Problem: p, Err: fmt.Errorf("a: %w", bad)},
	} {
		failure := temporal.GetDefaultFailureConverter().ErrorToFailure(leave(err))
		encoded, marshalling := proto.Marshal(failure)
		require.NoError(t, marshalling)
		require.Less(t, len(encoded), 20_000)
		for f := failure; f != nil; f = f.GetCause() {
			require.True(t, cert.IsLine(f.GetMessage()), "%.100q", f.GetMessage())
		}
		v := ReadVerdict(arrive(leave(err)))
		require.Equal(t, v.Problem.Clean(), v.Problem)
		require.Contains(t, v.Problem.Message, "x[31m")
	}
}

func TestWhatIsNoVerdictIsAWait(t *testing.T) {
	t.Parallel()
	for what, err := range map[string]error{
		"a time-out":                  temporal.NewTimeoutError(0, nil),
		"a cancellation":              temporal.NewCanceledError(),
		"a panic's error":             temporal.NewApplicationError("boom", "PanicError"),
		"a verdict without details":   temporal.NewApplicationError("no", string(cert.Refused)),
		"details of another kind":     temporal.NewApplicationError("no", string(cert.Refused), "text"),
		"details without an outcome":  temporal.NewApplicationError("no", string(cert.Refused), Verdict{Problem: caa}),
		"an error that never arrived": io.ErrUnexpectedEOF,
	} {
		v := ReadVerdict(arrive(err))
		require.Equal(t, cert.Wait, v.Outcome, what)
		require.Equal(t, cert.InternalError, v.Problem.Code, what)
		require.Zero(t, v.RetryAfter, what)
	}
}

func TestSuccessAndCancellationLeaveAsTheyAre(t *testing.T) {
	t.Parallel()
	require.NoError(t, leave(nil))
	cancelled := fmt.Errorf("wait for the order: %w", context.Canceled)
	require.Equal(t, cancelled, leave(cancelled), "Temporal knows a cancelled activity by it")
}
