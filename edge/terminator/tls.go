package terminator

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
)

// tls12CipherSuites are the suites of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325 §4.2). crypto/tls would also
// offer suites with CBC, which no client of the last ten years needs. The suites of TLS 1.3 are not configurable, and all of them qualify.
var tls12CipherSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// tlsConfig serves each name with its certificate, over TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
func (c *certificates) tlsConfig() *tls.Config {
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: tls12CipherSuites,
		NextProtos:   []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			e, err := c.get(hello.Context(), strings.ToLower(hello.ServerName))
			// crypto/tls answers "no certificate and no error" with the alert unrecognized_name (RFC 6066 §3), and an error with internal_error. The
			// second means that the database could not be read, so that whoever verifies an installation waits. A certificate that can't be used
			// counts as none.
			if errors.Is(err, ErrNotServed) || errors.Is(err, errUnusable) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			return e.certificate, nil
		},
	}
	// crypto/tls encrypts session tickets with keys that it makes and rotates itself. The code here binds a ticket to the name and to the
	// certificate, so that no session outlives them: a name that is not served any more is refused, a renewed one presents its new
	// certificate. RFC 6066 §3 demands to check the name for TLS 1.2; RFC 8446 §4.6.1 leaves it to the client for TLS 1.3.
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
			return nil, nil // no resumption: a full handshake
		}
		return session, nil
	}
	return config
}

// resumable reports whether the name is still served with the certificate of the session. When the name can't be loaded, it is not: the
// full handshake loads it again and gives the client the reason.
func (c *certificates) resumable(session *tls.SessionState, state tls.ConnectionState) bool {
	e, err := c.get(context.Background(), strings.ToLower(state.ServerName))
	return err == nil && slices.ContainsFunc(session.Extra, func(extra []byte) bool {
		return string(extra) == string(sessionBinding(state, e))
	})
}

func sessionBinding(state tls.ConnectionState, e *entry) []byte {
	return []byte("evercert served " + strings.ToLower(state.ServerName) + " " + e.serial)
}
