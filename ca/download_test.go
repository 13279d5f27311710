package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
)

func TestUnusableCertificatesAreRefused(t *testing.T) {
	t.Parallel()
	key, other := newKey(t), newKey(t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	request := &x509.CertificateRequest{DNSNames: []string{"a.test", "b.test"}, PublicKey: key.Public()}
	good := x509.Certificate{
		SerialNumber: big.NewInt(0x0a0b), Issuer: pkix.Name{Organization: []string{"No Common Name Ltd"}},
		DNSNames: []string{"b.test", "a.test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	for _, test := range []struct {
		name  string
		key   *ecdsa.PrivateKey
		spoil func(*x509.Certificate)
		tail  string
		says  string // "" is accepted
	}{
		{"as asked for", key, func(*x509.Certificate) {}, "\n\n", ""},
		{"for another key", other, func(*x509.Certificate) {}, "", "public key"},
		{"with a name less", key, func(c *x509.Certificate) { c.DNSNames = []string{"a.test"} }, "", "[a.test]"},
		{"with a name more", key, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "c.test") }, "", "c.test"},
		{"with rubbish behind", key, func(*x509.Certificate) {}, "-----BEGIN CERTIFICATE-----\nMIIB", "not a chain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			template := good
			template.DNSNames = append([]string{}, good.DNSNames...)
			test.spoil(&template)
			c, err := readCertificate(append(issued(t, template, test.key), test.tail...), request)
			switch {
			case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
				t.Errorf("got %v; want an error that says %q", err, test.says)
			case test.says == "" && (err != nil || c.Serial != "0a0b" || c.Issuer != "No Common Name Ltd"):
				t.Errorf("certificate %s of %q: %v", c.Serial, c.Issuer, err)
			}
		})
	}
	for _, chain := range []string{"", "\n", "<html>", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if _, err := readCertificate([]byte(chain), request); err == nil {
			t.Errorf("%q passes for a chain", chain)
		}
	}
}

func TestF24_ACertificatesTextsAreFitToBeShown(t *testing.T) {
	t.Parallel()
	key, now := newKey(t), time.Now()
	request := &x509.CertificateRequest{DNSNames: []string{"a.test"}, PublicKey: key.Public()}
	chain := issued(t, x509.Certificate{
		SerialNumber: big.NewInt(1), Issuer: pkix.Name{CommonName: "Good\x00\x1b[31m\u202e CA" + strings.Repeat("x", 1000)},
		DNSNames: []string{"a.test"}, NotBefore: now, NotAfter: now.Add(time.Hour),
	}, key)
	c, err := readCertificate(append([]byte("text \x1b[31m of the CA's\n"), chain...), request)
	if err != nil || !strings.HasPrefix(c.Issuer, "Good[31m CAx") || c.Issuer != cert.Line(c.Issuer, cert.MaxIssuer) {
		t.Errorf("issuer %q, %v", c.Issuer, err)
	}
	if string(c.ChainPEM) != string(chain) {
		t.Errorf("the chain is kept with what stood around it: %q", c.ChainPEM)
	}
}

func readCertificate(chain []byte, csr *x509.CertificateRequest) (cert.Certificate, error) {
	certificates, err := parseChain(chain)
	if err != nil {
		return cert.Certificate{}, err
	}
	return checkCertificate(certificates, csr)
}

// The example of RFC 9773, §4.1 and appendix A: authority key identifier 69:88:5B:6B:87:46:40:41:E1:B3:7B:84:7B:A0:AE:2C:DE:01:C8:D4,
// serial 00:87:65:43:21.
func TestCertificateIDIsRFC9773s(t *testing.T) {
	t.Parallel()
	chain := issued(t, x509.Certificate{
		SerialNumber: big.NewInt(0x87654321),
		NotBefore:    time.Now(),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"a.test"},
		AuthorityKeyId: []byte{
			0x69,
			0x88,
			0x5B,
			0x6B,
			0x87,
			0x46,
			0x40,
			0x41,
			0xE1,
			0xB3,
			0x7B,
			0x84,
			0x7B,
			0xA0,
			0xAE,
			0x2C,
			0xDE,
			0x01,
			0xC8,
			0xD4,
		},
	}, newKey(t))
	id, err := CertificateID(chain)
	if want := "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"; err != nil || id != want || !certificateID.MatchString(id) {
		t.Errorf("got %q, %v; want %q", id, err, want)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issued returns a certificate for the key as PEM. Its issuer is named in the template, and its signing key is discarded.
func issued(t *testing.T, template x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	issuer := &x509.Certificate{Subject: template.Issuer, SubjectKeyId: template.AuthorityKeyId}
	der, err := x509.CreateCertificate(rand.Reader, &template, issuer, key.Public(), newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
