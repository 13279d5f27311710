package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/store"
)

func TestTLSChallengeAnswersUntilItExpiresOrIsDeleted(t *testing.T) {
	t.Parallel()
	db := open(t)
	const name = "shop.example.com"
	none := func() {
		t.Helper()
		_, err := db.TLSChallenge(t.Context(), name)
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	none()
	for _, answer := range []string{"token.first", "token.second"} { // a name has one answer, the newest
		require.NoError(t, db.PutTLSChallenge(t.Context(), name, answer, time.Hour))
		got, err := db.TLSChallenge(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, answer, got)
	}
	require.NoError(t, db.DeleteTLSChallenge(t.Context(), name, "token.first"))
	_, err := db.TLSChallenge(t.Context(), name)
	require.NoError(t, err, "taking back an answer that was replaced leaves the new one")

	db.sql(`UPDATE tls_challenges SET expires_at = now()`)
	none()
	require.NoError(t, db.PutTLSChallenge(t.Context(), name, "token.third", time.Hour)) // the expired one is stored again
	require.Equal(
		t, 1,
		db.count(`SELECT count(*) FROM tls_challenges WHERE expires_at BETWEEN now() + interval '50 minutes' AND now() + interval '1 hour'`),
	)
	for range 2 {
		require.NoError(t, db.DeleteTLSChallenge(t.Context(), name, "token.third"))
		none()
	}
}

func TestExpiredTLSChallengesAreSweptInSmallPortions(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.sql(`INSERT INTO tls_challenges SELECT 'old' || n, 'x', now() - n * interval '1 second' FROM generate_series(1, 15) AS n`)
	for put, left := range []int{5 + 1, 0 + 2, 0 + 3} {
		require.NoError(t, db.PutTLSChallenge(t.Context(), string(rune('a'+put)), "x", time.Hour))
		require.Equal(t, left, db.count(`SELECT count(*) FROM tls_challenges`))
	}
}
