package resolver

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// TestF1_IPv6FirstMustBeKnownOfEveryCA: an order may go to any of the CAs.
func TestF1_IPv6FirstMustBeKnownOfEveryCA(t *testing.T) {
	t.Parallel()
	known, unknown := cert.CAIdentity{Domains: []string{"letsencrypt.org"}}, cert.CAIdentity{Domains: []string{"pki.goog"}}
	require.True(t, asksIPv6First([]cert.CAIdentity{known}))
	require.False(t, asksIPv6First([]cert.CAIdentity{known, unknown}))
	require.False(t, asksIPv6First([]cert.CAIdentity{{}}), "a CA without a domain name, as private ones are")
	require.False(t, asksIPv6First(nil))
}
