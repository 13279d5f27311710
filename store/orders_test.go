package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/store"
)

const accountURL = "https://ca.example/account/1"

// tried creates an issuance that is about to be ordered.
func (db *database) tried(hostname string) cert.Issuance {
	db.t.Helper()
	issuance := db.issue(newDomain("acme", hostname), 1)
	require.NoError(db.t, db.MarkOrderTried(db.t.Context(), issuance.ID, identity("test-ca", accountURL)))
	return issuance
}

// never is a place that must not be called.
func never(context.Context, cert.Issuance) (string, error) {
	return "", errors.New("a second order was placed")
}

func TestOrderIsMarkedBeforeItIsPlaced(t *testing.T) {
	t.Parallel()
	db := open(t)
	require.ErrorIs(t, db.MarkOrderTried(t.Context(), "x/1", identity("test-ca", accountURL)), store.ErrNotFound)
	issuance := db.issue(newDomain("acme", "www.example.com"), 1)
	_, err := db.PlaceOrder(t.Context(), issuance.ID, never)
	require.ErrorContains(t, err, "not marked as tried")

	require.NoError(t, db.MarkOrderTried(t.Context(), issuance.ID, identity("first-ca", "https://first.example/account")))
	require.NoError(t, db.MarkOrderTried(t.Context(), issuance.ID, identity("test-ca", accountURL))) // the first CA refused: fail-over
	want := issuance
	want.CA, want.AccountURL, want.OrderTries = "test-ca", accountURL, 2
	want.Directory = directory
	placed, err := db.PlaceOrder(t.Context(), issuance.ID, func(_ context.Context, i cert.Issuance) (string, error) {
		require.Equal(t, want, i)
		return "https://ca.example/order/1", nil
	})
	require.NoError(t, err)
	require.Equal(t, "https://ca.example/order/1", placed)

	require.NoError(t, db.MarkOrderTried(t.Context(), issuance.ID, identity("late-ca", "https://late.example/account")))
	want.OrderURL = placed
	stored, err := db.Issuance(t.Context(), issuance.ID)
	require.NoError(t, err)
	require.True(t, stored.OrderedAt.After(issuance.OrderedAt), "the order is younger than its issuance")
	want.OrderedAt = stored.OrderedAt
	require.Equal(t, want, stored, "the CA of a placed order stays")

	db.sql(`UPDATE issuances SET ordered_at = NULL`) // as for orders placed by older versions
	stored, err = db.Issuance(t.Context(), issuance.ID)
	require.NoError(t, err)
	require.Equal(t, issuance.OrderedAt, stored.OrderedAt)
}

func TestOf20CallersOnePlacesTheOrder(t *testing.T) {
	t.Parallel()
	db := open(t)
	another := openAt(t, db.url) // half of them in another process
	issuance := db.tried("www.example.com")
	var placed atomic.Int32
	place := func(ctx context.Context, _ cert.Issuance) (string, error) {
		url := fmt.Sprintf("https://ca.example/order/%d", placed.Add(1))
		// The CA does not answer until others wait for the row or have got past it.
		return url, db.awaitWaiting(ctx, 10, func() bool { return placed.Load() > 1 })
	}
	var wg sync.WaitGroup
	urls, errs := make([]string, 20), make([]error, 20)
	for i := range urls {
		wg.Go(func() {
			urls[i], errs[i] = []*store.Store{db.Store, another}[i%2].PlaceOrder(t.Context(), issuance.ID, place)
		})
	}
	wg.Wait()
	require.Equal(t, int32(1), placed.Load())
	for i := range urls {
		require.NoError(t, errs[i])
		require.Equal(t, "https://ca.example/order/1", urls[i])
	}
}

func TestFailedOrderIsPlacedByTheNextCaller(t *testing.T) {
	t.Parallel()
	db := open(t)
	issuance := db.tried("www.example.com")
	_, err := db.PlaceOrder(t.Context(), "x/1", never)
	require.ErrorIs(t, err, store.ErrNotFound)
	refusal := errors.New("the CA is closed")
	_, err = db.PlaceOrder(t.Context(), issuance.ID, func(context.Context, cert.Issuance) (string, error) { return "", refusal })
	require.ErrorIs(t, err, refusal)
	stored, err := db.Issuance(t.Context(), issuance.ID)
	require.NoError(t, err)
	require.Positive(t, stored.OrderTries, "an order may have been made all the same")
	require.Empty(t, stored.OrderURL)

	url, err := db.PlaceOrder(
		t.Context(), issuance.ID,
		func(context.Context, cert.Issuance) (string, error) { return "https://ca.example/order/2", nil },
	)
	require.NoError(t, err)
	require.Equal(t, "https://ca.example/order/2", url)
}

func TestOrderIsStoredThoughItsCallerHasGone(t *testing.T) {
	t.Parallel()
	db := open(t)
	issuance := db.tried("www.example.com")
	ctx, cancel := context.WithCancel(t.Context())
	url, err := db.PlaceOrder(ctx, issuance.ID, func(context.Context, cert.Issuance) (string, error) {
		cancel() // the worker stops just after the CA has answered
		return "https://ca.example/order/1", nil
	})
	require.NoError(t, err)
	require.Equal(t, "https://ca.example/order/1", url)
	url, err = db.PlaceOrder(t.Context(), issuance.ID, never)
	require.NoError(t, err)
	require.Equal(t, "https://ca.example/order/1", url)
}

func TestOrderIsStoredThoughTheConnectionIsLost(t *testing.T) {
	t.Parallel()
	db := open(t)
	issuance := db.tried("www.example.com")
	url, err := db.PlaceOrder(t.Context(), issuance.ID, func(context.Context, cert.Issuance) (string, error) {
		return "https://ca.example/order/1", db.endIdleTransactions()
	})
	require.NoError(t, err)
	require.Equal(t, "https://ca.example/order/1", url)
	url, err = db.PlaceOrder(t.Context(), issuance.ID, never)
	require.NoError(t, err)
	require.Equal(t, "https://ca.example/order/1", url)
}

// A caller that lost its lock can be overtaken. Both then use the same order.
func TestFirstStoredOrderWinsWhenTheLockWasLost(t *testing.T) {
	t.Parallel()
	db := open(t)
	issuance := db.tried("www.example.com")
	url, err := db.PlaceOrder(t.Context(), issuance.ID, func(ctx context.Context, _ cert.Issuance) (string, error) {
		if err := db.endIdleTransactions(); err != nil {
			return "", err
		}
		overtaking, err := db.PlaceOrder(
			ctx, issuance.ID,
			func(context.Context, cert.Issuance) (string, error) { return "https://ca.example/order/1", nil },
		)
		if err != nil {
			return "", err
		}
		require.Equal(t, "https://ca.example/order/1", overtaking)
		return "https://ca.example/order/2", nil
	})
	require.NoError(t, err)
	require.Equal(t, "https://ca.example/order/1", url)
}

// endIdleTransactions ends the transactions that wait for a CA, as a failing network or a restarting server does.
func (db *database) endIdleTransactions() error {
	ended, err := db.raw.Exec(db.t.Context(), `
		SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`)
	if err == nil && ended.RowsAffected() != 1 {
		err = fmt.Errorf("%d transactions were idle", ended.RowsAffected())
	}
	return err
}

// The store must have connections for other calls of place while many orders wait for the CA.
func TestOrdersLeaveConnectionsForOthers(t *testing.T) {
	t.Parallel()
	db := open(t)
	small, err := store.OpenConfig(t.Context(), store.Config{URL: config.Secret(db.url), MaxConns: 4})
	require.NoError(t, err)
	defer small.Close()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		issuance := db.tried(fmt.Sprintf("%d.example.com", i))
		wg.Go(func() {
			_, errs[i] = small.PlaceOrder(ctx, issuance.ID, func(ctx context.Context, i cert.Issuance) (string, error) {
				url := "https://ca.example/order/" + i.Names[0]
				known, err := small.KnownOrders(ctx, []string{url})
				if len(known) > 0 {
					return "", errors.New("known already")
				}
				return url, err
			})
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func TestCallerThatWaitsForItsTurnCanGiveUp(t *testing.T) {
	t.Parallel()
	db := open(t)
	small, err := store.OpenConfig(t.Context(), store.Config{URL: config.Secret(db.url), MaxConns: 2}) // one order at a time
	require.NoError(t, err)
	defer small.Close()
	first, second := db.tried("a.example.com"), db.tried("b.example.com")
	_, err = small.PlaceOrder(t.Context(), first.ID, func(context.Context, cert.Issuance) (string, error) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := small.PlaceOrder(ctx, second.ID, never)
		require.ErrorIs(t, err, context.Canceled)
		return "https://ca.example/order/1", nil
	})
	require.NoError(t, err)
}

// A CA may answer with the pending order of an earlier attempt (as Boulder does), so two issuances can share one.
func TestKnownOrders(t *testing.T) {
	t.Parallel()
	db := open(t)
	known, err := db.KnownOrders(t.Context(), []string{"https://ca.example/order/1"})
	require.NoError(t, err)
	require.Empty(t, known)
	for _, hostname := range []string{"a.example.com", "b.example.com"} {
		_, err := db.PlaceOrder(
			t.Context(), db.tried(hostname).ID,
			func(context.Context, cert.Issuance) (string, error) { return "https://ca.example/order/1", nil },
		)
		require.NoError(t, err)
	}
	known, err = db.KnownOrders(t.Context(), []string{"https://ca.example/order/1", "https://ca.example/order/2"})
	require.NoError(t, err)
	require.Equal(t, []string{"https://ca.example/order/1"}, known)
}

func identity(name, account string) cert.CAIdentity {
	return cert.CAIdentity{Name: name, Directory: directory, AccountURI: account}
}
