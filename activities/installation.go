package activities

import (
	"context"
	"time"

	"github.com/evercert/evercert/cert"
)

// Installation puts certificates on an edge and proves that they are served.
type Installation struct {
	Edge interface {
		Install(ctx context.Context, names []string, serial string) error
	}
	Prober interface {
		Verify(ctx context.Context, names []string, serial string) error
	}
}

// InstallRequest says which certificate the names are to be served with.
type InstallRequest struct {
	Names  []string `json:"names"`
	Serial string   `json:"serial"`
}

// InstallCertificate tells the edge to serve the names with the certificate from now on. The same serial again
// changes nothing, so it may run twice.
func (a *Installation) InstallCertificate(ctx context.Context, r InstallRequest) error {
	return leave(a.Edge.Install(ctx, r.Names, r.Serial))
}

// VerifyInstallation makes a TLS handshake for each name with each address of the edge and compares what is served.
// It only looks, so it may run twice. The edge may need a moment, so an error is tried again a few times before it is
// believed: then a wrong certificate counts as a failed installation, and an edge that can't be reached as a wait.
func (a *Installation) VerifyInstallation(ctx context.Context, r InstallRequest) error {
	err := a.Prober.Verify(ctx, r.Names, r.Serial)
	if err == nil {
		return nil
	}
	f := &cert.Failure{Outcome: cert.Refused, Problem: cert.AsProblem(err), Err: err}
	if f.Problem.Code != cert.ServedCertificateWrong {
		f.Outcome, f.RetryAfter = cert.Wait, time.Minute
	}
	return verdict(f, retryable)
}
