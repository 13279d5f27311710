package dcv

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"time"
)

// acmeIdentifier is the extension id-pe-acmeIdentifier. It carries the SHA-256 digest of the key authorization (RFC 8737 §6.1).
var acmeIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}

// maxTLSLookups limits how many tls-alpn-01 handshakes read the store at once; further ones wait. Any client can start such a handshake for
// any name, and the edge's other handshakes need the store as well.
const maxTLSLookups = 8

// TLSALPN01 returns the certificate that an edge presents in a tls-alpn-01 handshake for name (RFC 8737 §3), or nil when no challenge is
// open. name is in A-labels and lower case. An error means that the store could not be read within two seconds.
func TLSALPN01(challenges interface {
	// TLSChallenge returns the key authorization for a name; empty when no challenge is open.
	TLSChallenge(ctx context.Context, name string) (string, error)
},
) func(ctx context.Context, name string) (*tls.Certificate, error) {
	lookups := make(chan struct{}, maxTLSLookups)
	return func(ctx context.Context, name string) (*tls.Certificate, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupTime)
		defer cancel()
		select {
		case lookups <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the store: %w", ctx.Err())
		}
		keyAuthorization, err := challenges.TLSChallenge(ctx, name)
		<-lookups
		if err != nil || keyAuthorization == "" {
			return nil, err
		}
		return challengeCertificate(name, keyAuthorization)
	}
}

// challengeCertificate makes the self-signed certificate that answers a challenge, with a new key for each handshake. The proof is the
// extension: only the holder of the account key can compute it.
func challengeCertificate(name, keyAuthorization string) (*tls.Certificate, error) {
	digest := sha256.Sum256([]byte(keyAuthorization))
	identifier, err := asn1.Marshal(digest[:])
	if err != nil {
		return nil, fmt.Errorf("encode acmeIdentifier: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "ACME challenge"}, DNSNames: []string{name}, // only this name (RFC 8737 §3)
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour), // the CA's clock may differ
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		ExtraExtensions: []pkix.Extension{{Id: acmeIdentifier, Critical: true, Value: identifier}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the tls-alpn-01 certificate of %s: %w", name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
