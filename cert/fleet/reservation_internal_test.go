package fleet

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestF20_ASimulationReservesAsProductionDoes(t *testing.T) {
	t.Parallel()
	p := Plan{
		CA: LetsEncrypt, Start: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Days: 10, Lifetime: 47 * oneDay,
		Domains: 3, Connected: 1, ConnectedPerDay: 1, Tenants: 2, NamesPerDomain: 2, PerRegistered: 1, MoveOn: Never,
	}
	s := newSimulation(p)
	live, fresh := s.reservation(0), s.reservation(1)
	require.True(t, live.Renewal)
	require.Equal(t, p.Start.Add(s.domains[0].ends), live.NotAfter, "by which the line knows who is urgent")
	require.False(t, fresh.Renewal)
	require.True(t, fresh.NotAfter.IsZero())
	require.NotEqual(t, live.Tenant, fresh.Tenant)
	require.Equal(t, live.Tenant, s.reservation(2).Tenant)
	require.Len(t, fresh.Names, 2)

	s.moved = true
	live = s.reservation(0)
	require.False(t, live.Renewal, "the new account has no certificate of these names")
	require.Equal(t, p.Start.Add(s.domains[0].ends), live.NotAfter)
}
