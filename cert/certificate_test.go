package cert_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// One certificate has one serial, wherever it is shown.
func TestD3_SerialsKeepTheirLeadingZero(t *testing.T) {
	t.Parallel()
	for number, want := range map[int64]string{0x0a: "0a", 0x0abc: "0abc", 0xff: "ff", 0x1234: "1234"} {
		require.Equal(t, want, cert.SerialOf(&x509.Certificate{SerialNumber: big.NewInt(number)}))
	}
}

func TestD3_AnIssuerIsShownByItsName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "R11", cert.IssuerOf(&x509.Certificate{Issuer: pkix.Name{CommonName: "R11", Organization: []string{"Let's Encrypt"}}}))
	require.Equal(t, "Let's Encrypt", cert.IssuerOf(&x509.Certificate{Issuer: pkix.Name{Organization: []string{"Let's Encrypt", "other"}}}))
	require.Equal(t, "a b", cert.IssuerOf(&x509.Certificate{Issuer: pkix.Name{CommonName: "a\n\x1bb"}}))
	require.Empty(t, cert.IssuerOf(&x509.Certificate{}))
}
