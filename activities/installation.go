package activities

import (
	"context"
	"time"

	"github.com/evercert/evercert/cert"
)

// Installation installs certificates on the edges and verifies that they are served.
type Installation struct {
	Edge interface {
		// Install serves the names with the certificate of this serial from now on. The same serial again changes nothing. An error means that
		// the database did not answer.
		Install(ctx context.Context, names []string, serial string) error
	}
	Prober interface {
		// Edges returns the addresses of all edges, in a fixed order.
		Edges() []string
		// Verify returns nil when the edge serves all names with the certificate of this serial. Otherwise it returns a cert.Problem:
		// served_certificate_mismatch when the edge serves something else, https_unreachable or install_failed when it can't be decided now; or
		// the error of ctx.
		Verify(ctx context.Context, edge string, names []string, serial string) error
	}
}

// InstallRequest says which certificate the names are to be served with.
type InstallRequest struct {
	Names  []string `json:"names"`
	Serial string   `json:"serial"`
}

// Installed lists the edges that have to serve the certificate.
type Installed struct {
	Edges []string `json:"edges"`
}

// InstallCertificate makes the edges serve the names with the certificate from now on. It may run twice: the same serial again changes
// nothing.
func (a *Installation) InstallCertificate(ctx context.Context, r InstallRequest) (Installed, error) {
	return Installed{Edges: a.Prober.Edges()}, leave(a.Edge.Install(ctx, r.Names, r.Serial))
}

// EdgeRequest asks whether one edge serves the names with the certificate.
type EdgeRequest struct {
	Names  []string `json:"names"`
	Serial string   `json:"serial"`
	Edge   string   `json:"edge"` // host:port
}

// VerifyEdge makes a TLS handshake for each name with one edge and compares what is served. It may run twice, because it only reads. The
// edge may need a moment, so an error is retried first. Afterwards a wrong certificate counts as a failed installation; an edge that can't
// be reached, or can't read its database, is a wait.
func (a *Installation) VerifyEdge(ctx context.Context, r EdgeRequest) error {
	err := a.Prober.Verify(ctx, r.Edge, r.Names, r.Serial)
	if err == nil {
		return nil
	}
	f := &cert.Failure{Outcome: cert.Refused, Problem: cert.AsProblem(err), Err: err}
	if f.Problem.Code != cert.ServedCertificateWrong {
		f.Outcome, f.RetryAfter = cert.Wait, time.Minute
	}
	return verdict(f, retryable)
}
