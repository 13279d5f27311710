package store_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/store"
)

func orders(capacity int) store.Charge {
	return store.Charge{CA: "test-ca", Account: accountURL, Bucket: "orders", Capacity: capacity, Refill: time.Hour}
}

func perDomain(domain string) store.Charge {
	return store.Charge{CA: "test-ca", Account: accountURL, Bucket: "registered domain", Key: domain, Capacity: 2, Refill: 12 * time.Hour}
}

// spend takes the tokens, or returns how many whole hours are to be waited: the clock runs while the test does.
func (db *database) spend(charges ...store.Charge) (hours int) {
	db.t.Helper()
	wait, err := db.Spend(db.t.Context(), charges)
	require.NoError(db.t, err)
	return int((wait + time.Hour - 1) / time.Hour)
}

// pass lets time go by for the buckets.
func (db *database) pass(hours int) {
	db.t.Helper()
	db.sql(`UPDATE budgets SET full_at = full_at - $1 * interval '1 hour'`, hours)
}

func TestBucketIsFullAtFirstAndRefillsWithTime(t *testing.T) {
	t.Parallel()
	db := open(t)
	for range 3 {
		require.Zero(t, db.spend(orders(3)))
	}
	require.Equal(t, 1, db.spend(orders(3)), "the first token comes back after an hour")
	require.Equal(t, 1, db.spend(orders(3)), "asking costs nothing")
	db.pass(1)
	require.Zero(t, db.spend(orders(3)))
	require.Equal(t, 1, db.spend(orders(3)))
	db.pass(1000)
	for range 3 {
		require.Zero(t, db.spend(orders(3)), "but never more than a full bucket")
	}
	require.Equal(t, 1, db.spend(orders(3)))
}

func TestSpendTakesFromEachBucketOrFromNone(t *testing.T) {
	t.Parallel()
	db := open(t)
	for range 2 {
		require.Zero(t, db.spend(orders(5), perDomain("example.com")))
	}
	for range 3 {
		require.Equal(t, 12, db.spend(orders(5), perDomain("example.com")), "until the slowest has one")
	}
	for _, domain := range []string{"a.example", "b.example", "c.example"} { // 5 orders: none was lost to the refusals
		require.Zero(t, db.spend(orders(5), perDomain(domain)))
	}
	require.Equal(t, 1, db.spend(orders(5), perDomain("d.example")))
	require.Equal(t, 12, db.spend(orders(5), perDomain("example.com")))
}

func TestBucketsOfOtherCAsAndAccountsAreTheirOwn(t *testing.T) {
	t.Parallel()
	db := open(t)
	require.Zero(t, db.spend(orders(1)))
	require.Equal(t, 1, db.spend(orders(1)))
	otherCA, otherAccount := orders(1), orders(1)
	otherCA.CA, otherAccount.Account = "other-ca", "https://ca.example/account/2"
	require.Zero(t, db.spend(otherCA))
	require.Zero(t, db.spend(otherAccount))
}

func TestSameChargeTwiceTakesTwoTokens(t *testing.T) {
	t.Parallel()
	db := open(t)
	require.Zero(t, db.spend(orders(3), orders(3)))
	require.Equal(t, 1, db.spend(orders(3), orders(3)))
	require.Zero(t, db.spend(orders(3)))
}

func TestRefundGivesBack(t *testing.T) {
	t.Parallel()
	db := open(t)
	both := []store.Charge{orders(2), perDomain("example.com")}
	require.Zero(t, db.spend(both...))
	require.Zero(t, db.spend(both...))
	require.Equal(t, 12, db.spend(both...))
	require.NoError(t, db.Refund(t.Context(), both))
	require.Zero(t, db.spend(both...))
	require.Equal(t, 12, db.spend(both...))
	for range 5 {
		require.NoError(t, db.Refund(t.Context(), both)) // more than was taken
	}
	require.Zero(t, db.spend(both...))
	require.Zero(t, db.spend(both...))
	require.Equal(t, 12, db.spend(both...), "a bucket holds no more than its capacity")
}

func TestChangedCapacityHoldsAtOnce(t *testing.T) {
	t.Parallel()
	db := open(t)
	require.Zero(t, db.spend(orders(1)))
	require.Equal(t, 1, db.spend(orders(1)))
	require.Zero(t, db.spend(orders(2)), "the CA has raised the limit")
	require.Equal(t, 2, db.spend(orders(1)))
}

func TestChargesThatCanNeverBeMetAreErrors(t *testing.T) {
	t.Parallel()
	db := open(t)
	for name, charges := range map[string][]store.Charge{
		"no capacity":     {orders(0)},
		"more at once":    {orders(2), orders(2), orders(2)},
		"no refill":       {{CA: "test-ca", Bucket: "orders", Capacity: 1}},
		"refill too fast": {{CA: "test-ca", Bucket: "orders", Capacity: 1, Refill: time.Nanosecond}},
		"two capacities":  {orders(2), orders(3)},
	} {
		_, err := db.Spend(t.Context(), charges)
		require.Error(t, err, name)
		require.Error(t, db.Refund(t.Context(), charges), name)
	}
	require.Zero(t, db.count(`SELECT count(*) FROM budgets`))
	require.Zero(t, db.spend())
	require.NoError(t, db.Refund(t.Context(), nil))
}

func TestSpendingAtOnceNeverOversells(t *testing.T) {
	t.Parallel()
	db := open(t)
	const buckets, capacity, goroutines = 4, 30, 50
	for round := range 3 { // the first makes the buckets, all at once
		var sold [buckets]atomic.Int32
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range 6 {
					first, second := rand.N(buckets), rand.N(buckets) // in any order, sometimes the same
					charge := func(n int) store.Charge {
						return store.Charge{CA: "test-ca", Bucket: fmt.Sprint(n), Key: fmt.Sprint(round), Capacity: capacity, Refill: 24 * time.Hour}
					}
					wait, err := db.Spend(t.Context(), []store.Charge{charge(first), charge(second)})
					if err != nil {
						t.Error(err)
						return
					}
					if wait == 0 {
						sold[first].Add(1)
						sold[second].Add(1)
					}
				}
			})
		}
		wg.Wait()
		for n := range buckets {
			for db.spend(store.Charge{CA: "test-ca", Bucket: fmt.Sprint(n), Key: fmt.Sprint(round), Capacity: capacity, Refill: 24 * time.Hour}) == 0 {
				sold[n].Add(1)
			}
			require.Equal(t, int32(capacity), sold[n].Load(), "every token was sold once")
		}
	}
}
