package activities_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// edge answers with the error that it holds, and remembers what it was asked for.
type edge struct {
	err   error
	asked activities.InstallRequest
}

func (e *edge) Install(_ context.Context, names []string, serial string) error {
	e.asked = activities.InstallRequest{Names: names, Serial: serial}
	return e.err
}

func (e *edge) Verify(ctx context.Context, names []string, serial string) error {
	return e.Install(ctx, names, serial)
}

var request = activities.InstallRequest{Names: names, Serial: "01"}

func TestVerifyInstallationTellsAWrongEdgeFromAnAbsentOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		err     error
		outcome cert.Outcome
		code    cert.Code
		after   time.Duration
	}{
		{"another certificate", cert.Problem{Code: cert.ServedCertificateWrong, Message: "serves 02", Found: "02"}, cert.Refused, cert.ServedCertificateWrong, 0},
		{"wrapped", fmt.Errorf("verify: %w", cert.Problem{Code: cert.ServedCertificateWrong}), cert.Refused, cert.ServedCertificateWrong, 0},
		{"no answer", cert.Problem{Code: cert.HTTPSUnreachable, Message: "refused"}, cert.Wait, cert.HTTPSUnreachable, time.Minute},
		{"a fault of ours", errors.New("no such host"), cert.Wait, cert.InternalError, time.Minute},
		{"out of time", context.DeadlineExceeded, cert.Wait, cert.InternalError, time.Minute},
	} {
		e := &edge{err: c.err}
		err := (&activities.Installation{Prober: e}).VerifyInstallation(t.Context(), request)
		require.Equal(t, request, e.asked, c.what)
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app, c.what)
		require.False(t, app.NonRetryable(), "%s: the edge may need a moment", c.what)
		converter := temporal.GetDefaultFailureConverter()
		v := activities.ReadVerdict(converter.FailureToError(converter.ErrorToFailure(err)))
		require.Equal(t, activities.Verdict{Outcome: c.outcome, Problem: cert.AsProblem(c.err), RetryAfter: c.after}, v, c.what)
		require.Equal(t, c.code, v.Problem.Code, c.what)
	}
}

func TestAServedCertificateIsVerified(t *testing.T) {
	t.Parallel()
	e := &edge{}
	require.NoError(t, (&activities.Installation{Prober: e}).VerifyInstallation(t.Context(), request))
	require.Equal(t, request, e.asked)
}

func TestInstallCertificateIsRetriedAfterAFault(t *testing.T) {
	t.Parallel()
	e := &edge{}
	a := &activities.Installation{Edge: e}
	require.NoError(t, a.InstallCertificate(t.Context(), request))
	require.Equal(t, request, e.asked)
	e.err = errLost
	lost(t, a.InstallCertificate(t.Context(), request))
	e.err = refusal(cert.Refused, cert.InstallFailed)
	require.Equal(t, cert.InstallFailed, activities.ReadVerdict(a.InstallCertificate(t.Context(), request)).Problem.Code)
}
