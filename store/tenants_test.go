package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

func TestD1_TenantSecretIsRandomAndStays(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, err := db.TenantSecret(t.Context(), "acme")
	require.ErrorIs(t, err, store.ErrNotFound)

	db.connect("acme", "www.example.com")
	db.connect("other", "www.example.org")
	secret, err := db.TenantSecret(t.Context(), "acme")
	require.NoError(t, err)
	require.Len(t, secret, 32)
	other, err := db.TenantSecret(t.Context(), "other")
	require.NoError(t, err)
	require.NotEqual(t, secret, other)

	db.connect("acme", "shop.example.com")
	require.NoError(t, db.SetTenantState(t.Context(), "acme", store.TenantInactive))
	same, err := db.TenantSecret(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, secret, same)
}

func TestB3_InactiveOrDeletedTenantCannotConnect(t *testing.T) {
	t.Parallel()
	db := open(t)
	for state, code := range map[string]cert.Code{store.TenantInactive: cert.TenantInactive, store.TenantDeleted: cert.TenantDeleted} {
		require.NoError(t, db.SetTenantState(t.Context(), "acme", state))
		_, err := db.Connect(t.Context(), newDomain("acme", "www.example.com"))
		require.Equal(t, code, problem(t, err).Code)
		require.Zero(t, db.count(`SELECT count(*) FROM domains`))
	}
	require.NoError(t, db.SetTenantState(t.Context(), "acme", store.TenantActive))
	db.connect("acme", "www.example.com")
}

func TestUnknownTenantStateIsRefused(t *testing.T) {
	t.Parallel()
	db := open(t)
	require.Equal(t, cert.RequestMalformed, problem(t, db.SetTenantState(t.Context(), "acme", "asleep")).Code)
	_, err := db.raw.Exec(t.Context(), `INSERT INTO tenants (id, state, secret) VALUES ('acme', 'asleep', decode(repeat('00', 32), 'hex'))`)
	require.ErrorContains(t, err, "tenants_state_check")
}

func TestTheSecretOfANameIsItsTenants(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.connect("acme", "shop.example.com", "www.example.com")
	want, err := db.TenantSecret(t.Context(), "acme")
	require.NoError(t, err)
	for _, name := range []string{"shop.example.com", "www.example.com"} {
		got, err := db.SecretOfName(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err = db.SecretOfName(t.Context(), "other.example.com")
	require.ErrorIs(t, err, store.ErrNotFound)
}
