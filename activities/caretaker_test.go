package activities_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// pages returns the next page for each hostname.
type pages struct{ err error }

func (p pages) Page(_ context.Context, after string) (next string, sum cert.Audit, err error) {
	return after + "+", cert.Audit{Domains: 500}, p.err
}

func TestF22_APageIsLookedAtAndAFaultIsTriedAgain(t *testing.T) {
	t.Parallel()
	inspect := func(p pages) (result activities.InspectResult, err error) {
		env := new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
		a := &activities.Caretaker{Inspector: p}
		env.RegisterActivity(a)
		value, err := env.ExecuteActivity(a.InspectDomains, activities.InspectRequest{After: "a"})
		if err == nil {
			err = value.Get(&result)
		}
		return result, err
	}
	result, err := inspect(pages{})
	require.NoError(t, err)
	require.Equal(t, activities.InspectResult{Next: "a+", Sum: cert.Audit{Domains: 500}}, result)

	_, err = inspect(pages{errors.New("connection refused")})
	var fault *temporal.ApplicationError
	require.ErrorAs(t, err, &fault)
	require.False(t, fault.NonRetryable())
}
