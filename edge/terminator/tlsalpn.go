package terminator

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// challengeProtocol is the only protocol that a CA offers in a handshake that validates a name (RFC 8737 §3).
const challengeProtocol = "acme-tls/1"

// TLSChallenges returns the certificate that answers a tls-alpn-01 challenge (RFC 8737 §3) for a name in A-labels and lower case, or nil
// when no challenge is open for it. A nil TLSChallenges answers none.
type TLSChallenges func(ctx context.Context, name string) (*tls.Certificate, error)

// configFor is the GetConfigForClient of crypto/tls. It returns nil, for the normal config, except for CAs and for names that are known to
// be unknown.
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

// refusal makes crypto/tls send the alert unrecognized_name before the key exchange. TLS 1.2 does so by itself, TLS 1.3 does not. It halves
// the cost of a flood of unknown names.
var refusal = &tls.Config{
	MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12,
	GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
}

// configForCA returns the config for a CA. When no challenge is open, it is the normal config, which leads to the alert
// no_application_protocol (RFC 7301 §3.2) whatever certificates there are.
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
	// No session is resumed: each of the CA's perspectives gets the certificate itself.
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: tls12CipherSuites,
		Certificates: []tls.Certificate{*certificate}, NextProtos: []string{challengeProtocol}, SessionTicketsDisabled: true,
	}, nil
}
