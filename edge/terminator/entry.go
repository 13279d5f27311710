package terminator

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// entry is what one name is served with. There may be many thousands, so it holds only what every handshake needs. The parsed leaf, several
// kilobytes, is not kept.
type entry struct {
	certificate *tls.Certificate
	serial      string
	notAfter    time.Time
	redirect    bool
	epoch       uint64
	loadedAt    time.Time

	stale      atomic.Bool // the name has changed since this was read
	refreshing atomic.Bool
	retryAt    atomic.Int64 // no refresh before, in nanoseconds since 1970
}

// newEntry prepares a certificate to be served. It refuses one that clients of this name would reject: a wrong certificate is worse than
// none.
func newEntry(name string, m Material) (*entry, error) {
	certificate := &tls.Certificate{PrivateKey: m.Key}
	for block, rest := pem.Decode(m.ChainPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate.Certificate = append(certificate.Certificate, block.Bytes)
		}
	}
	if len(certificate.Certificate) == 0 {
		return nil, errors.New("the stored chain holds no certificate")
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("parse leaf: %w", err)
	}
	if err := leaf.VerifyHostname(name); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", m.Serial, err)
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || m.Key == nil || !public.Equal(m.Key.Public()) {
		return nil, fmt.Errorf("certificate %s does not belong to its stored key", m.Serial)
	}
	return &entry{certificate: certificate, serial: m.Serial, notAfter: leaf.NotAfter, redirect: m.HTTPSRedirect}, nil
}
