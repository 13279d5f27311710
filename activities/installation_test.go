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

// edge returns the error that it holds, and records the calls.
type edge struct {
	err   error
	asked activities.InstallRequest

	address string // the one that was verified
}

func (e *edge) Install(_ context.Context, names []string, serial string) error {
	e.asked = activities.InstallRequest{Names: names, Serial: serial}
	return e.err
}

func (e *edge) Edges() []string { return []string{"edge-1:443", "edge-2:443"} }

func (e *edge) Verify(ctx context.Context, address string, names []string, serial string) error {
	e.address = address
	return e.Install(ctx, names, serial)
}

var (
	request     = activities.InstallRequest{Names: names, Serial: "01"}
	edgeRequest = activities.EdgeRequest{Names: names, Serial: "01", Edge: "edge-2:443"}
)

func TestF21_VerifyEdgeDistinguishesAWrongEdgeFromAnAbsentOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		err     error
		outcome cert.Outcome
		code    cert.Code
		after   time.Duration
	}{
		{
			"another certificate",
			cert.Problem{Code: cert.ServedCertificateWrong, Message: "serves 02", Found: "02"},
			cert.Refused,
			cert.ServedCertificateWrong, 0,
		},
		{"wrapped", fmt.Errorf("verify: %w", cert.Problem{Code: cert.ServedCertificateWrong}), cert.Refused, cert.ServedCertificateWrong, 0},
		{"no answer", cert.Problem{Code: cert.HTTPSUnreachable, Message: "refused"}, cert.Wait, cert.HTTPSUnreachable, time.Minute},
		{"without its database", cert.Problem{Code: cert.InstallFailed, Message: "cannot load it"}, cert.Wait, cert.InstallFailed, time.Minute},
		{"a fault of ours", errors.New("no such host"), cert.Wait, cert.InternalError, time.Minute},
		{"out of time", context.DeadlineExceeded, cert.Wait, cert.InternalError, time.Minute},
	} {
		e := &edge{err: c.err}
		err := (&activities.Installation{Prober: e}).VerifyEdge(t.Context(), edgeRequest)
		require.Equal(t, request, e.asked, c.what)
		require.Equal(t, edgeRequest.Edge, e.address, c.what)
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
	require.NoError(t, (&activities.Installation{Prober: e}).VerifyEdge(t.Context(), edgeRequest))
	require.Equal(t, request, e.asked)
}

func TestInstallCertificateIsRetriedAfterAFault(t *testing.T) {
	t.Parallel()
	e := &edge{}
	a := &activities.Installation{Edge: e, Prober: e}
	installed, err := a.InstallCertificate(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, e.Edges(), installed.Edges)
	require.Equal(t, request, e.asked)
	e.err = errLost
	_, err = a.InstallCertificate(t.Context(), request)
	lost(t, err)
	e.err = refusal(cert.Refused, cert.InstallFailed)
	_, err = a.InstallCertificate(t.Context(), request)
	require.Equal(t, cert.InstallFailed, activities.ReadVerdict(err).Problem.Code)
}
