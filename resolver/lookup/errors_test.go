package lookup

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
)

// TestF2_BogusZonesOwnerActs: the tenant can fix a zone of its own, or lead an alias elsewhere; nobody else's zone is the tenant's to fix.
func TestF2_BogusZonesOwnerActs(t *testing.T) {
	t.Parallel()
	const name = "shop.example.com"
	for _, row := range []struct {
		zone  string
		acts  cert.Actor
		names string // in the message
		step  string // in the remediation
	}{
		{"example.com.", cert.TenantActs, "of example.com are", "At your DNS provider"},
		{"shop.example.com.", cert.TenantActs, "of shop.example.com are", "At your DNS provider"},
		{"bogus.net.", cert.TenantActs, "of bogus.net are", "ask whoever runs bogus.net"},
		{"op.example.com.", cert.TenantActs, "of op.example.com are", "lead the alias elsewhere"},
		{"com.", cert.RegistrarActs, "of com are", "the registry of com"},
		{".", cert.PlatformActs, "the root of DNS", "DNS_TRUST_ANCHORS"},
	} {
		bogus := NewBogusError(authority.Validation{Security: authority.Bogus, Zone: row.zone, Detail: "the signature expired"})
		p := bogus.Problem(name)
		require.Equal(t, cert.DNSSECBogus, p.Code)
		require.Equal(t, row.acts, p.WhoActs, row.zone)
		require.Contains(t, p.Message, row.names)
		require.Contains(t, p.Remediation, row.step)
	}
	require.Contains(t, (&BogusError{Detail: "resolvers refuse it"}).Problem(name).Message, "of example.com are",
		"where only a resolver's word is known")
}
