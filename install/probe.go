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

// probeTimeout limits one connection and handshake. The edge may be on another continent.
const probeTimeout = 5 * time.Second

// Served describes the certificate that an edge presented for a name.
type Served struct {
	Serial              string // lower-case hexadecimal, as in cert.Certificate
	Names               []string
	NotBefore, NotAfter time.Time
	Issuer              string // common name, or the organisation when there is none
	CoversName          bool   // a client that connects to the name accepts the certificate (RFC 9525)
	ChainComplete       bool   // each certificate is signed by the next, and the last belongs to a CA
}

// errUnreachable means that no TLS server answered, so what the edge serves is not known.
var errUnreachable = errors.New("no connection")

// errNoAnswer means that the edge answered, but could not read its database.
var errNoAnswer = errors.New("the edge could not read its database")

// internalError is the text of crypto/tls for the alert internal_error (RFC 8446 §6.2), which an edge sends when it can't read its
// database. The type of the alert is not exported.
const internalError = "tls: internal error"

// Prober checks what the edges serve, as a visitor's browser would. It does not verify the issuing CA: that is the order's task, and
// certificates of a test CA must pass too.
type Prober struct {
	Config
	patience time.Duration // how long Verify repeats probes before it returns an error
}

// NewProber returns a Prober for the configured edges.
func NewProber(c Config) *Prober { return &Prober{Config: c, patience: patience} }

// Probe makes one TLS handshake for a name (A-labels) with an edge's address (host:port), and returns the certificate that was served. An
// error means that the edge presented none: it matches errUnreachable or errNoAnswer, or is the TLS alert.
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
		InsecureSkipVerify: true, //nolint:gosec // the certificate is checked below; its CA is not
	})
	defer conn.Close() //nolint:errcheck // nothing was written
	if err := conn.HandshakeContext(ctx); err != nil {
		var alert *net.OpError
		if errors.As(err, &alert) && alert.Op == "remote error" { // crypto/tls uses this text for an alert that it received
			if alert.Err.Error() == internalError {
				return Served{}, fmt.Errorf("%w: handshake: %w", errNoAnswer, err)
			}
			return Served{}, fmt.Errorf("handshake: %w", err)
		}
		return Served{}, fmt.Errorf("%w: handshake: %w", errUnreachable, err)
	}
	return describe(conn.ConnectionState().PeerCertificates, name), nil
}

func describe(chain []*x509.Certificate, name string) Served {
	leaf := chain[0] // a client's handshake fails without a certificate
	names := make([]string, len(leaf.DNSNames))
	for i, n := range leaf.DNSNames {
		names[i] = cert.Line(n, cert.MaxHostname)
	}
	return Served{
		Serial:        cert.SerialOf(leaf),
		Names:         names,
		NotBefore:     leaf.NotBefore,
		NotAfter:      leaf.NotAfter,
		Issuer:        cert.IssuerOf(leaf),
		CoversName:    leaf.VerifyHostname(name) == nil,
		ChainComplete: chainComplete(chain),
	}
}

// chainComplete reports whether the chain leads from the leaf to an issuing CA. A leaf alone is not complete: roots do not sign leaves
// (Baseline Requirements §6.1.7).
func chainComplete(chain []*x509.Certificate) bool {
	for i, c := range chain[:len(chain)-1] {
		if c.CheckSignatureFrom(chain[i+1]) != nil {
			return false
		}
	}
	return chain[len(chain)-1].IsCA
}
