package install

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/evercert/evercert/cert"
)

// probeTimeout is for one connection and handshake, with an edge that may be on another continent.
const probeTimeout = 5 * time.Second

// Served is the certificate that an edge showed for a name.
type Served struct {
	Serial              string // lower-case hexadecimal, as in cert.Certificate
	Names               []string
	NotBefore, NotAfter time.Time
	Issuer              string // common name, organisation if it has none
	CoversName          bool   // a client that asked for the name accepts it (RFC 9525)
	ChainComplete       bool   // each certificate is signed by the next, and the last is a CA's
}

// errUnreachable marks that no TLS server answered: nothing is known of what it serves.
var errUnreachable = errors.New("no connection")

// errCannotTell marks that an edge has no answer of its own: it could not ask its database.
var errCannotTell = errors.New("the edge cannot tell")

// internalError is how crypto/tls writes the alert internal_error (RFC 8446 §6.2), with which an edge says that it could not ask its database. The
// alert's type is not exported.
const internalError = "tls: internal error"

// Prober looks at what the edges serve, as a visitor's browser would. It trusts no roots and asks for none: which CA
// issued is the business of the order, and a test CA must pass too.
type Prober struct {
	Config
	patience time.Duration // how long Verify looks again before it gives its verdict
}

// NewProber probes the configured edges.
func NewProber(c Config) *Prober { return &Prober{Config: c, patience: patience} }

// Probe makes one TLS handshake for a name (A-labels) with an edge's address (host:port) and tells what was served.
// An error means that there was no certificate to look at: no connection, or a TLS alert.
func (p *Prober) Probe(ctx context.Context, name, address string) (Served, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return Served{}, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	conn := tls.Client(raw, &tls.Config{
		ServerName:         name,
		NextProtos:         []string{"h2", "http/1.1"},
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // what is served is looked at below; trust in its CA is not the question
	})
	defer conn.Close() //nolint:errcheck // nothing was sent that could be lost
	if err := conn.HandshakeContext(ctx); err != nil {
		var alert *net.OpError
		if errors.As(err, &alert) && alert.Op == "remote error" { // as crypto/tls calls an alert that it received
			if alert.Err.Error() == internalError {
				return Served{}, fmt.Errorf("%w: handshake: %w", errCannotTell, err)
			}
			return Served{}, fmt.Errorf("handshake: %w", err)
		}
		return Served{}, fmt.Errorf("%w: handshake: %w", errUnreachable, err)
	}
	return describe(conn.ConnectionState().PeerCertificates, name), nil
}

func describe(chain []*x509.Certificate, name string) Served {
	leaf := chain[0] // a TLS client's handshake fails without one
	issuer := leaf.Issuer.CommonName
	if issuer == "" && len(leaf.Issuer.Organization) > 0 {
		issuer = leaf.Issuer.Organization[0]
	}
	names := make([]string, len(leaf.DNSNames))
	for i, n := range leaf.DNSNames {
		names[i] = cert.Line(n, cert.MaxHostname)
	}
	return Served{
		Serial:        fmt.Sprintf("%x", leaf.SerialNumber.Bytes()),
		Names:         names,
		NotBefore:     leaf.NotBefore,
		NotAfter:      leaf.NotAfter,
		Issuer:        cert.Line(issuer, cert.MaxIssuer),
		CoversName:    leaf.VerifyHostname(name) == nil,
		ChainComplete: chainComplete(chain),
	}
}

// chainComplete tells whether clients can walk from the leaf to an issuing CA. A leaf alone can't be complete:
// roots sign no leaves (Baseline Requirements §6.1.7).
func chainComplete(chain []*x509.Certificate) bool {
	for i, c := range chain[:len(chain)-1] {
		if c.CheckSignatureFrom(chain[i+1]) != nil {
			return false
		}
	}
	return chain[len(chain)-1].IsCA
}
