package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/evercert/evercert/cert"
)

// ErrNotRunning is returned by Workflows when no workflow of that id runs.
var ErrNotRunning = errors.New("no such workflow is running")

// Malformed is the problem of a request that can't be read, whatever the state of its domain.
func Malformed(message, remediation string) cert.Problem {
	return cert.Problem{Code: cert.RequestMalformed, WhoActs: cert.PlatformActs, Message: message, Remediation: remediation}
}

func refused(message, remediation string, whoActs cert.Actor) cert.Problem {
	return cert.Problem{Code: cert.RequestRefused, WhoActs: whoActs, Message: message, Remediation: remediation}
}

// IsFault tells an error of evercert's own, or of the parts under it, from an answer to the person who asked.
func IsFault(err error) bool {
	var p cert.Problem
	if !errors.As(err, &p) {
		return err != nil
	}
	return p.Code == cert.InternalError || p.Code == cert.Unavailable || p.Code == cert.NoAnswer
}

// Ready tells whether requests can be served; its error is a cert.Problem that names what is not.
func (c *Control) Ready(ctx context.Context) error {
	parts := []struct {
		name  string
		ready func(context.Context) error
	}{{"PostgreSQL", c.store.Ready}, {"Temporal", c.workflows.Ready}}
	for _, part := range parts {
		if err := part.ready(ctx); err != nil {
			return errors.Join(cert.Problem{
				Code: cert.Unavailable, WhoActs: cert.PlatformActs, Message: part.name + " does not answer",
				Remediation: "evercert goes on by itself when it is back",
			}, fmt.Errorf("%s: %w", part.name, err))
		}
	}
	return nil
}
