package dcv_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/dcv"
)

func TestTLSALPN01_CertificateIsAsTheRFCSays(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.tls["shop.example.com"] = dns01.KeyAuthorization
	certificate, err := dcv.TLSALPN01(m)(t.Context(), "shop.example.com")
	require.NoError(t, err)
	require.Len(t, certificate.Certificate, 1)
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	require.NoError(t, err)

	require.Equal(t, []string{"shop.example.com"}, leaf.DNSNames)
	require.Empty(t, leaf.IPAddresses)
	require.NoError(t, leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature), "self-signed")
	require.Equal(t, leaf.RawSubject, leaf.RawIssuer)
	require.True(t, leaf.NotBefore.Before(time.Now()) && leaf.NotAfter.After(time.Now()))
	var shown []pkix.Extension
	for _, extension := range leaf.Extensions {
		if extension.Id.String() == "1.3.6.1.5.5.7.1.31" {
			shown = append(shown, extension)
		}
	}
	require.Len(t, shown, 1)
	require.True(t, shown[0].Critical, "RFC 8737 §3")
	// An OCTET STRING of SHA-256(key authorization), computed with openssl.
	require.Equal(t, "0420"+"94233b719c905dc5472b69e75b78e3021353dc5be6d7c50dfa45996649caa183", hex.EncodeToString(shown[0].Value))

	again, err := dcv.TLSALPN01(m)(t.Context(), "shop.example.com")
	require.NoError(t, err)
	require.NotEqual(t, certificate.PrivateKey, again.PrivateKey)
}

func TestTLSALPN01_ShowsNothingWithoutAChallenge(t *testing.T) {
	t.Parallel()
	m := newMemory()
	answer := dcv.TLSALPN01(m)
	certificate, err := answer(t.Context(), "shop.example.com")
	require.NoError(t, err)
	require.Nil(t, certificate)
	m.err = errors.New("connection refused")
	_, err = answer(t.Context(), "shop.example.com")
	require.ErrorIs(t, err, m.err)
}

// TestTLSALPN01_AFloodWaitsItsTurn: handshakes for names without a challenge use a few connections to the store, never all of them.
func TestTLSALPN01_AFloodWaitsItsTurn(t *testing.T) {
	t.Parallel()
	m := &counting{hold: make(chan struct{})}
	answer := dcv.TLSALPN01(m)
	var flood sync.WaitGroup
	for range 100 {
		flood.Go(func() {
			if _, err := answer(t.Context(), "shop.example.com"); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return m.now() == 8 }, 10*time.Second, time.Millisecond)
	close(m.hold)
	flood.Wait()
	require.Equal(t, 8, m.most)
}

// counting is a store whose answers wait until hold is closed. It counts the callers that wait.
type counting struct {
	hold chan struct{}

	mu         sync.Mutex
	wait, most int
}

func (c *counting) TLSChallenge(context.Context, string) (string, error) {
	c.add(1)
	defer c.add(-1)
	<-c.hold
	return "", nil
}

func (c *counting) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wait += n
	c.most = max(c.most, c.wait)
}

func (c *counting) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait
}
