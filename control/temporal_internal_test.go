package control

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

func TestTemporalsErrorsBecomeWhatPeopleAreTold(t *testing.T) {
	t.Parallel()
	refusal := cert.Problem{Code: cert.RequestRefused, WhoActs: cert.PlatformActs, Message: "contact support", Remediation: "wait"}
	late := func(cause error) error { return client.NewWorkflowUpdateServiceTimeoutOrCanceledError(cause) }
	for name, c := range map[string]struct {
		err   error
		code  cert.Code
		fault bool
	}{
		"refused": {temporal.NewApplicationErrorWithOptions("contact support", workflows.RefusedType,
			temporal.ApplicationErrorOptions{Details: []any{refusal}}), cert.RequestRefused, false},
		"another failure of the workflow": {temporal.NewApplicationError("boom", "fault"), cert.InternalError, true},
		"unreachable":                     {serviceerror.NewUnavailable("connection refused"), cert.Unavailable, true},
		"unreachable until the deadline":  {late(serviceerror.NewUnavailable("connection refused")), cert.Unavailable, true},
		"no worker":                       {late(serviceerror.NewDeadlineExceeded("context deadline exceeded")), cert.NoAnswer, true},
		"a late signal":                   {serviceerror.NewDeadlineExceeded("context deadline exceeded"), cert.NoAnswer, true},
		"a late handle":                   {fmt.Errorf("get: %w", context.DeadlineExceeded), cert.NoAnswer, true},
		"not allowed":                     {serviceerror.NewPermissionDenied("no", ""), cert.InternalError, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := translate(c.err, "look in a minute")
			if p := cert.AsProblem(err); p.Code != c.code || IsFault(err) != c.fault {
				t.Errorf("got %v", err)
			}
			if c.code == cert.NoAnswer && cert.AsProblem(err).Remediation != "look in a minute" {
				t.Errorf("got %+v", cert.AsProblem(err))
			}
			if c.fault && !errors.Is(err, c.err) {
				t.Errorf("%v hides its cause from the log", err)
			}
		})
	}
	if err := translate(serviceerror.NewNotFound("workflow execution already completed"), ""); !errors.Is(err, ErrNotRunning) {
		t.Errorf("not found: %v", err)
	}
	if err := translate(nil, ""); err != nil {
		t.Errorf("nil: %v", err)
	}
}
