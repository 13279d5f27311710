package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/ca"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/store"
)

// setupTLSALPN starts an edge at the port where Pebble, a real ACME CA, connects for tls-alpn-01. The names have only an address record.
// The returned authority is what a worker orders with; change alters what it shows the CA.
func setupTLSALPN(t *testing.T, change func(cert.Challenge) cert.Challenge, names ...string) (*bundle, *ca.Authority) {
	t.Helper()
	s := stack.New(t, stack.Options{Parts: []string{"dns", "ca"}})
	info := s.Info()
	for _, name := range names {
		_, err := s.Devstack("dns", "set", name, "A", "127.0.0.1")
		require.NoError(t, err)
	}
	b := setup(t, func(env map[string]string) { env["EDGE_HTTPS_LISTEN"] = info.EdgeHTTPS })
	solver := changing{dcv.NewSolver(b.store, nil /* nothing is delegated */, dcv.SolverConfig{}), change}
	authority, err := ca.New(ca.Config{
		Directory: info.ACMEDirectory, RootPEM: info.ACMERootPEM, Contact: "ops@example.com", Profile: "default", Timeout: 10 * time.Second,
	}, b.store, b.keys, solver, slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, err)
	return b, authority
}

// changing is a Solver that shows something other than it was asked to.
type changing struct {
	*dcv.Solver
	change func(cert.Challenge) cert.Challenge
}

func (s changing) Present(ctx context.Context, c cert.Challenge) error {
	return s.Solver.Present(ctx, s.change(c))
}

// order completes an order for the names, each validated by tls-alpn-01.
func order(t *testing.T, authority *ca.Authority, names ...string) (cert.Certificate, error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	require.NoError(t, err)
	url, err := authority.NewOrder(t.Context(), names, "")
	require.NoError(t, err)
	methods := map[string]cert.Method{}
	for _, name := range names {
		methods[name] = cert.TLSALPN01
	}
	return authority.Complete(t.Context(), url, csr, methods, nil)
}

func TestD2_TLSALPN01AgainstARealCA(t *testing.T) {
	t.Parallel()
	names := []string{"shop.empty.test", "www.shop.empty.test"}
	asIs := func(c cert.Challenge) cert.Challenge { return c }
	b, authority := setupTLSALPN(t, asIs, names...)
	first, err := order(t, authority, names...)
	require.NoError(t, err)
	require.ElementsMatch(t, names, first.Names)

	// A renewal: the CA and visitors connect to the same port.
	live := b.connect(t, names...)
	installed := b.installed(t, live, 1)
	second, err := order(t, authority, names...)
	require.NoError(t, err)
	require.NotEqual(t, first.Serial, second.Serial)
	require.NoError(t, b.prober.Verify(t.Context(), b.prober.Edges()[0], names, installed.Serial))
	for _, name := range names {
		_, err := b.store.TLSChallenge(t.Context(), name)
		require.ErrorIs(t, err, store.ErrNotFound, "the challenge is taken back")
		//nolint:gosec // as a CA does
		_, err = tls.Dial("tcp", b.https, &tls.Config{ServerName: name, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
		require.ErrorContains(t, err, "no application protocol")
	}
}

// TestD2_TLSALPN01ShowsTheKeyAuthorization: the CA reads the certificate's extension, so an order with a wrong one must fail. Otherwise the
// test before this one proves nothing.
func TestD2_TLSALPN01ShowsTheKeyAuthorization(t *testing.T) {
	t.Parallel()
	const name = "wrong.empty.test"
	_, authority := setupTLSALPN(t, func(c cert.Challenge) cert.Challenge {
		c.KeyAuthorization = c.Token + ".of-another-account"
		return c
	}, name)
	_, err := order(t, authority, name)
	var f *cert.Failure
	require.ErrorAs(t, err, &f)
	require.Equal(t, cert.Refused, f.Outcome)
	require.Contains(t, f.Problem.Message, name)
}

func TestTLSALPN01WithTheDatabaseDownIsAnAlert(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.admit(t, false)
	//nolint:gosec // as a CA does
	_, err := tls.Dial("tcp", b.https, &tls.Config{ServerName: "shop.test", NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	require.ErrorContains(t, err, "internal error")
}
