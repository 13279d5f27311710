// Package edgetest has what tests of the edge need: a CA with an intermediate, and a source of certificates in memory.
package edgetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
)

// CA issues certificates with an intermediate, as public CAs do.
type CA struct {
	Roots        *x509.CertPool
	RootPEM      []byte
	intermediate *x509.Certificate
	key          *ecdsa.PrivateKey
}

// Issued is a certificate with its key. The key is in PKCS#8 DER, as evercert stores it before sealing.
type Issued struct {
	cert.Certificate
	Key      *ecdsa.PrivateKey
	KeyPKCS8 []byte
	LeafPEM  []byte // ChainPEM without the intermediate
}

// NewCA makes a root and an intermediate.
func NewCA(t testing.TB) *CA {
	t.Helper()
	rootKey, key := newKey(t), newKey(t)
	rootTemplate := authority("edgetest root")
	root := sign(t, rootTemplate, rootTemplate, rootKey, rootKey)
	ca := &CA{
		Roots:        x509.NewCertPool(),
		RootPEM:      encode(root),
		intermediate: sign(t, authority("edgetest intermediate"), root, key, rootKey),
		key:          key,
	}
	ca.Roots.AddCert(root)
	return ca
}

// Issue makes a certificate for the names, valid from an hour ago for a day.
func (ca *CA) Issue(t testing.TB, names ...string) Issued {
	t.Helper()
	return ca.IssueUntil(t, time.Now().Add(23*time.Hour), names...)
}

// IssueUntil makes a certificate that is valid from a day before notAfter until notAfter.
func (ca *CA) IssueUntil(t testing.TB, notAfter time.Time, names ...string) Issued {
	t.Helper()
	key := newKey(t)
	leaf := sign(t, &x509.Certificate{
		SerialNumber: serialNumber(t), DNSNames: names, NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca.intermediate, key, ca.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	leafPEM := encode(leaf)
	return Issued{
		Certificate: cert.Certificate{
			Serial: cert.SerialOf(leaf), Names: names, Issuer: leaf.Issuer.CommonName,
			NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, ChainPEM: slices.Concat(leafPEM, encode(ca.intermediate)),
		},
		Key: key, KeyPKCS8: der, LeafPEM: leafPEM,
	}
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(
			1,
		),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(48 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
}

func sign(t testing.TB, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serialNumber(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		t.Fatal(err)
	}
	return n.SetBit(n, 126, 1) // 16 octets always, as a CA would
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// TLS returns the certificate as crypto/tls serves it.
func (c Issued) TLS(t testing.TB) tls.Certificate {
	t.Helper()
	loaded, err := tls.X509KeyPair(c.ChainPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: c.KeyPKCS8}))
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}
