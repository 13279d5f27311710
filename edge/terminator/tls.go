package terminator

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
)

// tls12CipherSuites are those of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325 §4.2). crypto/tls would offer ones
// with CBC as well, which every client of the last ten years does without. The suites of TLS 1.3 are not configurable, and all are of this
// kind.
var tls12CipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// tlsConfig serves each name with its own certificate, to TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
func (c *certificates) tlsConfig() *tls.Config {
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: tls12CipherSuites,
		NextProtos:   []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			e, err := c.get(hello.Context(), strings.ToLower(hello.ServerName))
			// crypto/tls answers "no certificate and no error" with the alert unrecognized_name (RFC 6066 §3), and an error with
			// internal_error. The second says that the database could not be asked: whoever verifies an installation waits then. A
			// certificate that cannot be used is no certificate.
			if errors.Is(err, ErrNotServed) || errors.Is(err, errUnusable) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			return e.certificate, nil
		},
	}
	// Session tickets are encrypted with keys that crypto/tls makes and rotates. What is added here ties a ticket to the name
	// and the certificate it was given for, so that no session outlives them: a retired name is refused, a renewed one shows its
	// new certificate. For TLS 1.2 RFC 6066 §3 asks for the name; for TLS 1.3 RFC 8446 §4.6.1 trusts the client with it.
	config.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		if e, ok := c.loaded.Peek(strings.ToLower(state.ServerName)); ok {
			session.Extra = append(session.Extra, sessionBinding(state, e))
		}
		return config.EncryptTicket(state, session)
	}
	config.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, err := config.DecryptTicket(ticket, state)
		if session == nil || err != nil {
			return nil, err
		}
		if !c.resumable(session, state) {
			return nil, nil // no resumption, but a full handshake
		}
		return session, nil
	}
	return config
}

// resumable tells whether the name is still served with the certificate that the session began with. A name that can't be
// loaded is not: the full handshake, which loads it again, gives the client the reason.
func (c *certificates) resumable(session *tls.SessionState, state tls.ConnectionState) bool {
	e, err := c.get(context.Background(), strings.ToLower(state.ServerName))
	return err == nil && slices.ContainsFunc(session.Extra, func(extra []byte) bool {
		return string(extra) == string(sessionBinding(state, e))
	})
}

func sessionBinding(state tls.ConnectionState, e *entry) []byte {
	return []byte("evercert served " + strings.ToLower(state.ServerName) + " " + e.serial)
}
