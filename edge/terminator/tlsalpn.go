package terminator

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// challengeProtocol is what a CA offers in a handshake to validate a name, and nothing beside it (RFC 8737 §3).
const challengeProtocol = "acme-tls/1"

// TLSChallenges returns the certificate that answers a tls-alpn-01 challenge (RFC 8737 §3) for a name in A-labels and lower
// case, or nil when no challenge is open for it. nil answers none.
type TLSChallenges func(ctx context.Context, name string) (*tls.Certificate, error)

// configFor is crypto/tls's GetConfigForClient. nil is the ordinary config, for all but CAs and names that are known to be unknown.
func (t *Terminator) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	name := strings.ToLower(hello.ServerName)
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol && t.tlsChallenges != nil {
		return t.configForCA(hello, name)
	}
	if slices.Contains(hello.SupportedVersions, tls.VersionTLS12) && t.certificates.isUnknown(name) {
		return refusal, nil
	}
	return nil, nil
}

// refusal leads to the alert unrecognized_name before any key is exchanged, as TLS 1.2 does and TLS 1.3 does not: it makes a flood of unknown names half
// as expensive.
var refusal = &tls.Config{
	MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12,
	GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
}

// configForCA answers a CA. One that asks without need gets the ordinary config, and by that the alert no_application_protocol (RFC 7301 §3.2), whatever
// certificates there are.
func (t *Terminator) configForCA(hello *tls.ClientHelloInfo, name string) (*tls.Config, error) {
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
