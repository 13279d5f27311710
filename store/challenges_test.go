package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/store"
)

func TestHTTPTokenAnswersUntilItExpiresOrIsDeleted(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, err := db.HTTPToken(t.Context(), "token")
	require.ErrorIs(t, err, store.ErrNotFound)
	for _, answer := range []string{"token.first", "token.second"} {
		require.NoError(t, db.PutHTTPToken(t.Context(), "token", answer, time.Hour))
		got, err := db.HTTPToken(t.Context(), "token")
		require.NoError(t, err)
		require.Equal(t, answer, got)
	}
	require.Equal(
		t, 1,
		db.count(`SELECT count(*) FROM http_tokens WHERE expires_at BETWEEN now() + interval '50 minutes' AND now() + interval '1 hour'`),
	)

	db.sql(`UPDATE http_tokens SET expires_at = now()`)
	_, err = db.HTTPToken(t.Context(), "token")
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, db.PutHTTPToken(t.Context(), "token", "token.third", time.Hour)) // the expired one is stored again
	_, err = db.HTTPToken(t.Context(), "token")
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, db.DeleteHTTPToken(t.Context(), "token"))
		_, err = db.HTTPToken(t.Context(), "token")
		require.ErrorIs(t, err, store.ErrNotFound)
	}
}

func TestF19_WhatIsShownIsExactlyThisAnswerWhileItLives(t *testing.T) {
	t.Parallel()
	db := open(t)
	for _, challenge := range []struct {
		table string
		put   func() error
		shows func(context.Context, string, string) (bool, error)
	}{
		{"http_tokens", func() error { return db.PutHTTPToken(t.Context(), "key", "answer", time.Hour) }, db.ShowsHTTPToken},
		{"txt_values", func() error { return db.PutTXT(t.Context(), "key", "answer", time.Hour) }, db.ShowsTXT},
		{"tls_challenges", func() error { return db.PutTLSChallenge(t.Context(), "key", "answer", time.Hour) }, db.ShowsTLSChallenge},
	} {
		shows := func(key, answer string) bool {
			t.Helper()
			shown, err := challenge.shows(t.Context(), key, answer)
			require.NoError(t, err)
			return shown
		}
		require.False(t, shows("key", "answer"), challenge.table)
		require.NoError(t, challenge.put())
		require.True(t, shows("key", "answer"), challenge.table)
		require.False(t, shows("key", "another"), challenge.table)
		require.False(t, shows("other", "answer"), challenge.table)
		db.sql(`UPDATE ` + challenge.table + ` SET expires_at = now()`)
		require.False(t, shows("key", "answer"), challenge.table)
	}
}

func TestD2_TXTValuesStandSideBySide(t *testing.T) {
	t.Parallel()
	db := open(t)
	const name = "label.dcv.example.net"
	values := func() []string {
		found, err := db.TXT(t.Context(), name)
		require.NoError(t, err)
		return found
	}
	require.Empty(t, values())
	for _, value := range []string{"base", "wildcard", "base"} {
		require.NoError(t, db.PutTXT(t.Context(), name, value, time.Hour))
	}
	require.NoError(t, db.PutTXT(t.Context(), "other.dcv.example.net", "other", time.Hour))
	require.Equal(t, []string{"base", "wildcard"}, values())

	db.sql(`UPDATE txt_values SET expires_at = now() WHERE value = 'wildcard'`)
	require.Equal(t, []string{"base"}, values())
	require.NoError(t, db.PutTXT(t.Context(), name, "wildcard", time.Hour))
	require.Equal(t, []string{"base", "wildcard"}, values())
	for range 2 {
		require.NoError(t, db.DeleteTXT(t.Context(), name, "base"))
		require.Equal(t, []string{"wildcard"}, values())
	}
}

// Each put deletes some expired rows and adds one, so they never accumulate, and no put has to delete thousands.
func TestExpiredAnswersAreSweptInSmallPortions(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.sql(`INSERT INTO http_tokens SELECT 'old' || n, 'x', now() - n * interval '1 second' FROM generate_series(1, 25) AS n`)
	db.sql(`INSERT INTO txt_values SELECT 'old' || n, 'x', now() - n * interval '1 second' FROM generate_series(1, 25) AS n`)
	for put, left := range []int{15 + 1, 5 + 2, 0 + 3, 0 + 4} {
		require.NoError(t, db.PutHTTPToken(t.Context(), fmt.Sprint(put), "x", time.Hour))
		require.NoError(t, db.PutTXT(t.Context(), fmt.Sprint(put), "x", time.Hour))
		require.Equal(t, left, db.count(`SELECT count(*) FROM http_tokens`))
		require.Equal(t, left, db.count(`SELECT count(*) FROM txt_values`))
	}
}

func TestPutsAtOnceSweepWithoutWaitingForEachOther(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.sql(`INSERT INTO http_tokens SELECT 'token' || n, 'x', now() FROM generate_series(1, 200) AS n`)
	var wg sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs { // half of them store again a token that others are about to delete
		wg.Go(func() { errs[i] = db.PutHTTPToken(t.Context(), fmt.Sprintf("token%d", 2*i), "fresh", time.Hour) })
	}
	wg.Wait()
	for i, err := range errs {
		require.NoError(t, err)
		answer, err := db.HTTPToken(t.Context(), fmt.Sprintf("token%d", 2*i))
		require.NoError(t, err)
		require.Equal(t, "fresh", answer)
	}
}
