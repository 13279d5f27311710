package cert

import (
	"crypto/x509"
	"encoding/hex"
)

// SerialOf returns the serial number of a certificate as evercert stores and shows it: lower-case hexadecimal, two digits for each byte, so that a
// leading zero stays. It is what a CA's log or crt.sh finds.
func SerialOf(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) }

// IssuerOf returns the common name of the CA that issued a certificate, or its organisation if it has none.
func IssuerOf(c *x509.Certificate) string {
	issuer := c.Issuer.CommonName
	if issuer == "" && len(c.Issuer.Organization) > 0 {
		issuer = c.Issuer.Organization[0]
	}
	return Line(issuer, MaxIssuer)
}
