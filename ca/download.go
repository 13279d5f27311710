package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/evercert/evercert/cert"
)

// download fetches the certificate of a valid order and checks it.
func (c *completion) download(ctx context.Context, url string) (cert.Certificate, error) {
	chain, _, err := c.session.get(ctx, url, chainAnswer)
	if err != nil {
		return cert.Certificate{}, c.session.failure("download the certificate", err)
	}
	certificates, err := parseChain(chain)
	if err != nil { // the order is valid, and its certificate can be requested again
		return cert.Certificate{}, c.session.fault("download the certificate", err)
	}
	certificate, err := checkCertificate(certificates, c.csr)
	if err != nil {
		return cert.Certificate{}, &cert.Failure{Outcome: cert.Refused, Err: err, Problem: cert.Problem{
			Code:        cert.CARejected,
			WhoActs:     cert.CAActs,
			Message:     fmt.Sprintf("%s issued a certificate that can't be used: %s", c.session.name, cert.Line(err.Error(), cert.MaxDetail)),
			Remediation: newOrderRemedy,
		}}
	}
	if !time.Now().Before(certificate.NotAfter) { // an order that was continued only after its certificate had expired
		return cert.Certificate{}, c.session.orderGone("its certificate expired at "+certificate.NotAfter.Format(time.RFC3339), nil)
	}
	c.report("certificate is downloaded")
	return certificate, nil
}

// checkCertificate refuses a chain whose first certificate does not match the CSR.
func checkCertificate(certificates []*x509.Certificate, csr *x509.CertificateRequest) (cert.Certificate, error) {
	leaf := certificates[0]
	key, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	switch {
	case !ok || !key.Equal(csr.PublicKey):
		return cert.Certificate{}, errors.New("its public key is not the one of the CSR")
	case !sameNames(leaf.DNSNames, csr.DNSNames):
		return cert.Certificate{}, fmt.Errorf("it is for %v; the CSR is for %v", leaf.DNSNames, csr.DNSNames)
	}
	return cert.Certificate{
		Serial: cert.SerialOf(leaf), Names: leaf.DNSNames, Issuer: cert.IssuerOf(leaf),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, ChainPEM: encodeChain(certificates),
	}, nil
}

// encodeChain writes a chain in PEM without the text around its certificates: explanatory text and PEM headers are not allowed (RFC 8555
// §9.1), and would be shown in people's terminals.
func encodeChain(certificates []*x509.Certificate) []byte {
	var chain []byte
	for _, c := range certificates {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return chain
}

// parseChain parses a certificate and its issuers (RFC 8555 §9.1), the certificate first.
func parseChain(chain []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	rest := chain
	for len(bytes.TrimSpace(rest)) > 0 {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("what was downloaded is not a chain of PEM certificates")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of its chain: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, errors.New("what was downloaded is empty")
	}
	return certificates, nil
}

// CertificateID returns the identifier of the first certificate of a PEM chain, for NewOrder's replaces (RFC 9773 §4.1).
func CertificateID(chainPEM []byte) (string, error) {
	certificates, err := parseChain(chainPEM)
	if err != nil {
		return "", err
	}
	leaf := certificates[0]
	if len(leaf.AuthorityKeyId) == 0 {
		return "", errors.New("the certificate has no authority key identifier")
	}
	serial := leaf.SerialNumber.Bytes()
	if len(serial) == 0 || serial[0]&0x80 != 0 { // as in DER, where a leading 1 bit makes the number negative
		serial = append([]byte{0}, serial...)
	}
	return base64.RawURLEncoding.EncodeToString(leaf.AuthorityKeyId) + "." + base64.RawURLEncoding.EncodeToString(serial), nil
}
