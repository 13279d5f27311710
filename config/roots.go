package config

import (
	"crypto/x509"
	"fmt"
	"os"
)

// TrustedRoots returns the system's roots, and those of the PEM file that ACME_ROOT_PEM names if it is set.
func TrustedRoots(file string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's root certificates: %w", err)
	}
	if file == "" {
		return roots, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ACME_ROOT_PEM: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ACME_ROOT_PEM: %s holds no PEM certificate", file)
	}
	return roots, nil
}
