package dcv_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/dcv"
)

// delegated maps names to their delegation targets.
type delegated map[string]string

func (d delegated) DelegationTarget(_ context.Context, name string) (string, error) {
	if target, ok := d[name]; ok {
		return target, nil
	}
	return "", errors.New("it is not connected")
}

var dns01 = cert.Challenge{
	Name:             "shop.example.com",
	Method:           cert.DNS01,
	Token:            "t",
	KeyAuthorization: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI",
}

func TestD2_SolverShowsDNS01UnderTheDelegatedName(t *testing.T) {
	t.Parallel()
	m := newMemory()
	solver := dcv.NewSolver(m, delegated{"shop.example.com": name}, dcv.SolverConfig{})
	server := start(t, m)
	const value = "lCM7cZyQXcVHK2nnW3jjAhNT3Fvm18UN-kWZZknKoYM" // base64url(SHA-256(key authorization)), computed with openssl

	require.NoError(t, solver.Present(t.Context(), dns01))
	require.NoError(t, solver.Present(t.Context(), dns01), "a second run changes nothing")
	require.Equal(t, []string{value}, texts(dig(t, server.Addr(), name, dns.TypeTXT)))
	require.Equal(t, 2*time.Hour, m.ttls[0])

	require.NoError(t, solver.CleanUp(t.Context(), dns01))
	require.NoError(t, solver.CleanUp(t.Context(), dns01))
	require.Empty(t, dig(t, server.Addr(), name, dns.TypeTXT).Answer)
}

func TestSolver_HTTP01(t *testing.T) {
	t.Parallel()
	m := newMemory()
	solver := dcv.NewSolver(m, delegated{}, dcv.SolverConfig{})
	challenge := cert.Challenge{Name: "shop.example.com", Method: cert.HTTP01, Token: "token", KeyAuthorization: "token.thumbprint"}
	require.NoError(t, solver.Present(t.Context(), challenge))
	require.Equal(t, map[string]string{"token": "token.thumbprint"}, m.tokens)
	require.NoError(t, solver.CleanUp(t.Context(), challenge))
	require.Empty(t, m.tokens)
}

func TestSolver_TLSALPN01(t *testing.T) {
	t.Parallel()
	m := newMemory()
	solver := dcv.NewSolver(m, delegated{}, dcv.SolverConfig{})
	challenge := cert.Challenge{Name: "Shop.example.com", Method: cert.TLSALPN01, Token: "token", KeyAuthorization: "token.thumbprint"}
	require.NoError(t, solver.Present(t.Context(), challenge))
	require.NoError(t, solver.Present(t.Context(), challenge))
	require.Equal(t, map[string]string{"shop.example.com": "token.thumbprint"}, m.tls, "the edge asks with this name")
	require.Equal(t, 2*time.Hour, m.ttls[0])

	next := challenge
	next.KeyAuthorization = "next.thumbprint"
	require.NoError(t, solver.Present(t.Context(), next))
	require.NoError(t, solver.CleanUp(t.Context(), challenge), "too late: another challenge is open")
	require.Equal(t, map[string]string{"shop.example.com": "next.thumbprint"}, m.tls)
	require.NoError(t, solver.CleanUp(t.Context(), next))
	require.NoError(t, solver.CleanUp(t.Context(), next))
	require.Empty(t, m.tls)
}

// TestF19_SolverKnowsWhatIsShown: a failed validation counts only if the answer to its challenge was visible.
func TestF19_SolverKnowsWhatIsShown(t *testing.T) {
	t.Parallel()
	solver := dcv.NewSolver(newMemory(), delegated{"shop.example.com": name}, dcv.SolverConfig{})
	for _, method := range []cert.Method{cert.DNS01, cert.HTTP01, cert.TLSALPN01} {
		challenge := cert.Challenge{Name: "shop.example.com", Method: method, Token: "t", KeyAuthorization: "t." + string(method)}
		other := challenge
		other.KeyAuthorization = "t.other"
		shown := func(c cert.Challenge) bool {
			t.Helper()
			is, err := solver.Shown(t.Context(), c)
			require.NoError(t, err)
			return is
		}
		require.False(t, shown(challenge), method)
		require.NoError(t, solver.Present(t.Context(), challenge))
		require.True(t, shown(challenge), method)
		require.False(t, shown(other), method)
		require.NoError(t, solver.CleanUp(t.Context(), challenge))
		require.False(t, shown(challenge), method)
	}
}

func TestSolver_TellsWhatFailed(t *testing.T) {
	t.Parallel()
	outage := errors.New("connection refused")
	m := newMemory()
	m.err = outage
	solver := dcv.NewSolver(m, delegated{"shop.example.com": name}, dcv.SolverConfig{})
	http01 := cert.Challenge{Name: "shop.example.com", Method: cert.HTTP01, Token: "token"}
	tlsALPN01 := cert.Challenge{Name: "shop.example.com", Method: cert.TLSALPN01}
	for _, c := range []cert.Challenge{dns01, http01, tlsALPN01} {
		_, shownErr := solver.Shown(t.Context(), c)
		for _, err := range []error{solver.Present(t.Context(), c), solver.CleanUp(t.Context(), c), shownErr} {
			require.ErrorIs(t, err, outage)
			require.ErrorContains(t, err, string(c.Method)+" for shop.example.com")
		}
	}
	unknown := cert.Challenge{Name: "other.example.com", Method: cert.DNS01}
	require.ErrorContains(t, solver.Present(t.Context(), unknown), "it is not connected")
	require.ErrorContains(t, solver.CleanUp(t.Context(), unknown), "it is not connected")
	unknown.Method = "dns-account-01"
	require.ErrorContains(t, solver.Present(t.Context(), unknown), "dns-account-01")
	require.ErrorContains(t, solver.CleanUp(t.Context(), unknown), "dns-account-01")
}
