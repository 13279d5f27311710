package activities

import (
	"context"
	"time"

	"github.com/evercert/evercert/cert"
)

// Installation puts certificates on the edges and proves that they are served.
type Installation struct {
	Edge interface {
		Install(ctx context.Context, names []string, serial string) error
	}
	Prober interface {
		// Edges are the addresses of all edges, in a fixed order.
		Edges() []string
		// Verify reports by a cert.Problem what one edge does not serve as it should.
		Verify(ctx context.Context, edge string, names []string, serial string) error
	}
}

// InstallRequest says which certificate the names are to be served with.
type InstallRequest struct {
	Names  []string `json:"names"`
	Serial string   `json:"serial"`
}

// Installed names the edges that have to serve the certificate.
type Installed struct {
	Edges []string `json:"edges"`
}

// InstallCertificate tells the edges to serve the names with the certificate from now on. The same serial again
// changes nothing, so it may run twice.
func (a *Installation) InstallCertificate(ctx context.Context, r InstallRequest) (Installed, error) {
	return Installed{Edges: a.Prober.Edges()}, leave(a.Edge.Install(ctx, r.Names, r.Serial))
}

// EdgeRequest asks whether one edge serves the names with the certificate.
type EdgeRequest struct {
	Names  []string `json:"names"`
	Serial string   `json:"serial"`
	Edge   string   `json:"edge"` // host:port
}

// VerifyEdge makes a TLS handshake for each name with one edge and compares what is served.
// It only looks, so it may run twice. The edge may need a moment, so an error is tried again before it is
// believed: then a wrong certificate counts as a failed installation; an edge that can't be reached, or can't reach its database, is a wait.
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
