package terminator

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
)

// challengeProtocol is what a CA offers in a handshake to validate a name, and nothing beside it (RFC 8737 §3).
const challengeProtocol = "acme-tls/1"

// TLSChallenges returns the certificate that answers a tls-alpn-01 challenge (RFC 8737 §3) for a name in A-labels and lower
// case, or nil when no challenge is open for it. nil answers none.
type TLSChallenges func(ctx context.Context, name string) (*tls.Certificate, error)

// configForCA is crypto/tls's GetConfigForClient. nil is the ordinary config, for all but CAs, which costs those one comparison.
// A CA that asks without need gets it as well, and by that the alert no_application_protocol (RFC 7301 §3.2), whatever
// certificates there are.
func (t *Terminator) configForCA(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != challengeProtocol || t.tlsChallenges == nil {
		return nil, nil
	}
	name := strings.ToLower(hello.ServerName)
	if !plausible(name) {
		return nil, nil
	}
	certificate, err := t.tlsChallenges(hello.Context(), name)
	if err != nil { // the alert is internal_error
		t.log.Warn("tls-alpn-01 challenge not read", "name", name, "error", err)
		return nil, fmt.Errorf("read the tls-alpn-01 challenge of %s: %w", name, err)
	}
	if certificate == nil {
		return nil, nil
	}
	// There is no session to resume: each of the CA's places sees the answer itself.
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: tls12CipherSuites,
		Certificates: []tls.Certificate{*certificate}, NextProtos: []string{challengeProtocol}, SessionTicketsDisabled: true,
	}, nil
}
