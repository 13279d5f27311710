package activities_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

func TestB1_TheCSRIsForTheNamesAndTheSealedKey(t *testing.T) {
	t.Parallel()
	o := newOutside()
	result, err := o.createCSR()
	require.NoError(t, err)
	stored := o.issuances[issuanceID]
	require.Equal(t, cert.Issuance{ID: issuanceID, DomainID: domainID, Names: names, KeyID: "leaf:" + issuanceID, CSR: stored.CSR}, stored)
	sum := sha256.Sum256(stored.CSR)
	require.Equal(t, hex.EncodeToString(sum[:]), result.SHA256)

	csr, err := x509.ParseCertificateRequest(stored.CSR)
	require.NoError(t, err)
	require.NoError(t, csr.CheckSignature())
	require.Equal(t, names, csr.DNSNames)
	require.Empty(t, csr.Subject.Names, "the names stand in the SAN only")
	key, err := x509.ParsePKCS8PrivateKey(o.keys[0])
	require.NoError(t, err)
	require.Equal(t, elliptic.P256(), key.(*ecdsa.PrivateKey).Curve)
	require.True(t, key.(*ecdsa.PrivateKey).PublicKey.Equal(csr.PublicKey))
	require.Len(t, o.sealed, 1)
	require.NotEmpty(t, o.sealed[stored.KeyID])
}

func TestASecondRunReturnsTheCSRThatIsStored(t *testing.T) {
	t.Parallel()
	o := newOutside()
	first, err := o.createCSR()
	require.NoError(t, err)
	second, err := o.createCSR()
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Len(t, o.sealed, 1) // the key of the second run was discarded
	requireKeyOfCSR(t, o)
}

func TestACSRWhoseAnswerWasLostIsTheOneThatCounts(t *testing.T) {
	t.Parallel()
	for _, f := range []fault{
		{call: "Seal"},
		{call: "Seal", done: true},
		{call: "CreateIssuance"},
		{call: "CreateIssuance", done: true},
	} {
		t.Run(fmt.Sprintf("%s done=%t", f.call, f.done), func(t *testing.T) {
			t.Parallel()
			o := newOutside()
			o.breaks(f)
			_, err := o.createCSR()
			kept := o.issuances[issuanceID].CSR
			require.ErrorContains(t, err, errLost.Error())
			again, err := o.createCSR()
			require.NoError(t, err)
			if kept != nil {
				require.Equal(t, kept, o.issuances[issuanceID].CSR, "what was done stays")
			}
			sum := sha256.Sum256(o.issuances[issuanceID].CSR)
			require.Equal(t, hex.EncodeToString(sum[:]), again.SHA256)
			require.Len(t, o.sealed, 1)
			requireKeyOfCSR(t, o)
		})
	}
}

func TestTwoWorkersAtOnceMakeOneCSR(t *testing.T) {
	t.Parallel()
	o := newOutside()
	const workers = 8
	results, errs := make([]activities.CSRResult, workers), make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { results[i], errs[i] = o.createCSR() })
	}
	wg.Wait()
	for i := range workers {
		require.NoError(t, errs[i])
		require.Equal(t, results[0], results[i])
	}
	require.Len(t, o.sealed, 1)
	requireKeyOfCSR(t, o)
}

// requireKeyOfCSR requires that the stored key belongs to the stored CSR, and not to one of a run that stored nothing.
func requireKeyOfCSR(t *testing.T, o *outside) {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(o.issuances[issuanceID].CSR)
	require.NoError(t, err)
	var der []byte
	for _, b := range o.sealed[o.issuances[issuanceID].KeyID] {
		der = append(der, b^0x5a)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	require.NoError(t, err)
	require.True(t, key.(*ecdsa.PrivateKey).PublicKey.Equal(csr.PublicKey))
}

func TestB6_NamesThatFitNoCSRAreRefused(t *testing.T) {
	t.Parallel()
	o := newOutside()
	_, err := run[activities.CSRResult](
		o,
		"CreateCSR",
		activities.CSRRequest{IssuanceID: issuanceID, DomainID: domainID, Names: []string{"bücher.example.com"}},
	)
	v := activities.ReadVerdict(err)
	require.Equal(t, cert.Refused, v.Outcome)
	require.Equal(t, cert.CSRRejected, v.Problem.Code)
	require.NotEmpty(t, v.Problem.Remediation)
	require.Empty(t, o.issuances)
}
