package cert_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

var caa = cert.Problem{
	Code: cert.CAAForbids, Message: "a CAA record forbids it", Remediation: "allow letsencrypt.org", WhoActs: cert.TenantActs,
	Record: &cert.Record{Name: "example.com", Type: "CAA"}, Found: `0 issue "other.example"`,
}

func TestAProblemTravelsAsAnError(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("look at example.com: %w", fmt.Errorf("caa: %w", caa))
	require.Equal(t, caa, cert.AsProblem(wrapped))
	require.Equal(t, caa, cert.AsProblem(errors.Join(io.EOF, wrapped)))
	require.EqualError(t, caa, "caa_forbids: a CAA record forbids it")
}

func TestAFaultOfOursTellsNothingPrivate(t *testing.T) {
	t.Parallel()
	p := cert.AsProblem(errors.New("password=hunter2 refused by 10.0.0.5"))
	require.Equal(t, cert.InternalError, p.Code)
	require.Equal(t, cert.PlatformActs, p.WhoActs)
	require.NotEmpty(t, p.Remediation)
	require.NotContains(t, p.Message+p.Remediation+p.Found, "hunter2")
}

func TestAFailureCarriesItsProblemAndItsCause(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{nil, io.ErrUnexpectedEOF, fmt.Errorf("finalize: %w", io.ErrUnexpectedEOF)} {
		failure := &cert.Failure{Outcome: cert.Refused, Problem: caa, Err: cause}
		wrapped := fmt.Errorf("order: %w", failure)
		require.Equal(t, caa, cert.AsProblem(wrapped))
		var found *cert.Failure
		require.ErrorAs(t, wrapped, &found)
		require.Same(t, failure, found)
		require.Equal(t, cause != nil, errors.Is(wrapped, io.ErrUnexpectedEOF))
		require.ErrorContains(t, failure, "refused: a CAA record forbids it")
		if cause != nil {
			require.ErrorContains(t, failure, cause.Error(), "the log needs the cause")
		}
	}
}

func TestAFailuresOwnProblemComesBeforeThatOfItsCause(t *testing.T) {
	t.Parallel()
	cause := cert.Problem{Code: cert.CAUnavailable, Message: "busy"}
	failure := &cert.Failure{Outcome: cert.Refused, Problem: caa, Err: fmt.Errorf("order: %w", cause)}
	require.Equal(t, caa, cert.AsProblem(failure))
}
