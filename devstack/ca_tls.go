package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// httpsAuthority signs the CA's own HTTPS certificate. It is made at the first
// start and kept, so that clients which trust it go on doing so.
type httpsAuthority struct {
	cert    *x509.Certificate
	certPEM []byte
	key     *ecdsa.PrivateKey
}

// issuerRootsPath holds the roots of the certificates issued at any start;
// trustPath those and the HTTPS authority: the file for ACME_ROOT_PEM.
func issuerRootsPath(caDir string) string { return filepath.Join(caDir, "issuer-roots.pem") }
func trustPath(caDir string) string       { return filepath.Join(caDir, "trust.pem") }

func openHTTPSAuthority(dir string) (*httpsAuthority, error) {
	path := filepath.Join(dir, "https-authority.pem") // key and certificate in one file: never half of a pair
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newHTTPSAuthority(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the HTTPS authority: %w", err)
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, fmt.Errorf("read the HTTPS authority: %w (delete %s to make a new one)", err, path)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the HTTPS authority in %s has a key of another kind: delete the file to make a new one", path)
	}
	return &httpsAuthority{pair.Leaf, certificatePEM(pair.Leaf.Raw), key}, nil
}

func newHTTPSAuthority(path string) (*httpsAuthority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the HTTPS authority's key: %w", err)
	}
	template := certificateTemplate("evercert devstack HTTPS authority", 10*365*24*time.Hour)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the HTTPS authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make the HTTPS authority: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("keep the HTTPS authority: %w", err)
	}
	content := append(certificatePEM(der), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	if err := writeFile(path, content, 0o600); err != nil {
		return nil, fmt.Errorf("keep the HTTPS authority: %w", err)
	}
	return &httpsAuthority{cert, certificatePEM(der), key}, nil
}

// issueLoopback makes a certificate for this machine's own names, anew at each start.
func (a *httpsAuthority) issueLoopback() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the key of the CA's HTTPS certificate: %w", err)
	}
	template := certificateTemplate("localhost", 397*24*time.Hour)
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the CA's HTTPS certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func certificateTemplate(name string, validity time.Duration) *x509.Certificate {
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // never fails, see its documentation
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(validity),
	}
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// appendRoot adds this start's root to those before it: certificates issued
// before a restart of the CA stay trusted.
func appendRoot(dir string, authorityPEM, rootPEM []byte) error {
	roots, err := os.ReadFile(issuerRootsPath(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the earlier roots: %w", err)
	}
	roots = append(roots, rootPEM...)
	if err := writeFile(issuerRootsPath(dir), roots, 0o644); err != nil {
		return fmt.Errorf("keep the CA's root: %w", err)
	}
	if err := writeFile(trustPath(dir), bytes.Join([][]byte{authorityPEM, roots}, nil), 0o644); err != nil {
		return fmt.Errorf("write what clients of the CA trust: %w", err)
	}
	return nil
}
