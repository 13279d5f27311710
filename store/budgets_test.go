package store_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/budget"
)

// budgets is a database whose reservations use a clock that the test moves.
type budgets struct {
	*database
	now time.Time
	ids int
}

func openBudgets(t testing.TB) *budgets {
	t.Helper()
	b := &budgets{database: open(t), now: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)}
	b.Clock = func() time.Time { return b.now }
	return b
}

// withoutWaitingForTheDisk makes commits cheap for tests with many thousands of them. No such test is about a crash.
func (b *budgets) withoutWaitingForTheDisk() {
	b.t.Helper()
	target, err := url.Parse(b.url)
	require.NoError(b.t, err)
	query := target.Query()
	query.Set("synchronous_commit", "off")
	target.RawQuery = query.Encode()
	clock := b.Clock
	b.Store = openAt(b.t, target.String())
	b.Clock = clock
}

func (b *budgets) pass(d time.Duration) { b.now = b.now.Add(d) }

// reserve reserves for an issuance of a tenant.
func (b *budgets) reserve(id, tenant string, charges ...budget.Charge) cert.Place {
	b.t.Helper()
	place, err := b.Reserve(b.t.Context(), cert.Reservation{IssuanceID: id, Tenant: tenant}, charges)
	require.NoError(b.t, err)
	require.Equal(b.t, place.At.Sub(b.now), place.Wait)
	require.Equal(b.t, place.N > 0, place.Wait > 0, "whoever waits has a place, and nobody else: %+v", place)
	return place
}

// order reserves for a new issuance.
func (b *budgets) order(charges ...budget.Charge) cert.Place {
	b.t.Helper()
	b.ids++
	return b.reserve(fmt.Sprintf("order/%d", b.ids), "acme", charges...)
}

func orders(capacity int) budget.Charge {
	return budget.Charge{CA: "test-ca", Account: accountURL, Bucket: "orders", Capacity: capacity, Refill: time.Hour}
}

func perDomain(domain string) budget.Charge {
	return budget.Charge{
		CA:           "test-ca",
		Account:      accountURL,
		Bucket:       "domain",
		Key:          domain,
		Capacity:     2,
		Refill:       12 * time.Hour,
		BackIfFailed: true,
	}
}

func perName(name string) budget.Charge {
	return budget.Charge{CA: "test-ca", Account: accountURL, Bucket: "failures", Key: name, Capacity: 1, Refill: time.Hour, BackIfIssued: true}
}

func TestF3_TheNthCallerGetsTheNthPlaceWithItsTime(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	for range 3 {
		require.Zero(t, b.order(orders(3)).N, "a bucket is full at first")
	}
	for n := 1; n <= 5; n++ {
		require.Equal(t, cert.Place{N: n, At: b.now.Add(time.Duration(n) * time.Hour), Wait: time.Duration(n) * time.Hour}, b.order(orders(3)))
	}
}

func TestF3_ThePlaceStaysAndLetsThroughAtItsTime(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	require.Zero(t, b.order(orders(1)).N)
	first, second := b.reserve("a/1", "acme", orders(1)), b.reserve("b/1", "acme", orders(1))
	for range 3 {
		b.pass(10 * time.Minute)
		require.Equal(t, first.At, b.reserve("a/1", "acme", orders(1)).At, "coming back early neither loses the place nor takes another token")
	}
	require.Equal(t, 3*time.Hour-30*time.Minute, b.order(orders(1)).Wait)

	b.now = second.At
	for range 2 { // and once more: the worker died before it could order
		require.Zero(t, b.reserve("b/1", "acme", orders(1)).N)
	}
	require.Zero(t, b.reserve("a/1", "acme", orders(1)).N, "late, and still let through")
	b.now = first.At.Add(2 * time.Hour)
	require.Equal(t, time.Hour, b.order(orders(1)).Wait, "four orders were placed in four hours")
}

func TestF3_APlaceThatNobodyComesForIsGivenBack(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	require.Zero(t, b.order(perDomain("example.com"), orders(2)).N)
	require.Zero(t, b.order(perDomain("example.com"), orders(2)).N)
	removed := b.reserve("removed/1", "acme", perDomain("example.com"), orders(2))
	require.Equal(t, 12*time.Hour, removed.Wait)
	b.now = removed.At.Add(12*time.Hour - time.Second)
	require.Equal(t, time.Second, b.reserve("next/1", "acme", perDomain("example.com"), orders(2)).Wait, "its token is kept for it")

	b = openBudgets(t)
	require.Zero(t, b.order(perDomain("example.com")).N)
	require.Zero(t, b.order(perDomain("example.com")).N)
	removed = b.reserve("removed/1", "acme", perDomain("example.com"))
	b.now = removed.At.Add(12 * time.Hour)
	require.Zero(t, b.reserve("next/1", "acme", perDomain("example.com")).N)
	require.Zero(t, b.reserve("another/1", "acme", perDomain("example.com")).N)
	require.Zero(t, b.count(`SELECT count(*) FROM budget_reservations WHERE issuance_id = 'removed/1'`))
	require.Equal(t, 12*time.Hour, b.reserve("removed/1", "acme", perDomain("example.com")).Wait, "whoever comes after that has a new place")
}

func TestF3_ReserveTakesFromEachBucketAndWaitsForTheSlowest(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	for range 2 {
		require.Zero(t, b.order(orders(4), perDomain("example.com")).N)
	}
	require.Equal(t, 12*time.Hour, b.order(orders(4), perDomain("example.com")).Wait)
	require.Equal(t, 24*time.Hour, b.order(orders(4), perDomain("example.com")).Wait)
	require.Equal(t, time.Hour, b.order(orders(4), perDomain("other.example")).Wait, "and from each")
}

func TestF3_NamesThatWaitForABucketOfTheirOwnHoldNoPlaceInTheSharedOne(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	shared := orders(10)
	shared.Shared = true
	for range 2 {
		require.Zero(t, b.order(shared, perDomain("example.com")).N)
	}
	for n := range 50 { // 25 days for this domain, and nobody else's business
		require.Equal(t, time.Duration(n+1)*12*time.Hour, b.order(shared, perDomain("example.com")).Wait)
	}
	for n := range 8 {
		require.Zero(t, b.order(shared, perDomain(fmt.Sprint(n))).N)
	}
	require.Equal(t, time.Hour, b.order(shared, perDomain("late.example")).Wait)
}

func TestBucketsOfOtherCAsAndAccountsAreTheirOwn(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	require.Zero(t, b.order(orders(1)).N)
	require.Equal(t, 1, b.order(orders(1)).N)
	otherCA, otherAccount := orders(1), orders(1)
	otherCA.CA, otherAccount.Account = "other-ca", "https://ca.example/account/2"
	require.Zero(t, b.order(otherCA).N)
	require.Zero(t, b.order(otherAccount).N)
}

func TestF3_SettlingTwiceGivesBackOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		issued bool
		back   budget.Charge
		spent  budget.Charge
	}{
		{true, perName("www.example.com"), perDomain("example.com")},
		{false, perDomain("example.com"), perName("www.example.com")},
	} {
		b := openBudgets(t)
		for _, id := range []string{"before/1", "settled/1"} {
			require.Zero(t, b.reserve(id, "acme", perDomain("example.com")).N)
		}
		b.sql(`DELETE FROM budget_reservations`)
		b.sql(`DELETE FROM budgets`)
		require.Zero(t, b.reserve("settled/1", "acme", perName("www.example.com"), perDomain("example.com"), orders(1)).N)
		full := b.fullAt()
		for range 3 {
			require.NoError(t, b.Settle(t.Context(), "settled/1", test.issued))
		}
		after := b.fullAt()
		require.Equal(t, full[test.back.Bucket].Add(-test.back.Refill), after[test.back.Bucket], "issued %t", test.issued)
		require.Equal(t, full[test.spent.Bucket], after[test.spent.Bucket])
		require.Equal(t, full["orders"], after["orders"], "the order is spent in either case")
	}
}

// fullAt returns when each bucket is full again.
func (b *budgets) fullAt() map[string]time.Time {
	b.t.Helper()
	rows, err := b.raw.Query(b.t.Context(), `SELECT bucket, full_at FROM budgets`)
	require.NoError(b.t, err)
	defer rows.Close()
	full := map[string]time.Time{}
	for rows.Next() {
		var bucket string
		var at time.Time
		require.NoError(b.t, rows.Scan(&bucket, &at))
		full[bucket] = at.UTC()
	}
	require.NoError(b.t, rows.Err())
	return full
}

func TestF3_AReservationThatWasNeverSpentIsSettledWhole(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	require.Zero(t, b.order(orders(1)).N)
	require.Equal(t, 1, b.reserve("gone/1", "acme", orders(1)).N)
	require.NoError(t, b.Settle(t.Context(), "gone/1", false))
	require.Equal(t, 1, b.order(orders(1)).N, "its place is free")
	require.NoError(t, b.Settle(t.Context(), "unknown/1", true))
}

func TestABucketHoldsNoMoreThanItsCapacity(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	require.Zero(t, b.order(orders(2)).N)
	b.pass(1000 * time.Hour)
	require.Zero(t, b.order(orders(2)).N)
	require.Zero(t, b.order(orders(2)).N)
	require.Equal(t, 1, b.order(orders(2)).N)
}

func TestChangedCapacityHoldsAtOnce(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	require.Zero(t, b.order(orders(1)).N)
	require.Zero(t, b.order(orders(2)).N, "the CA has raised the limit")
	require.Equal(t, 2, b.order(orders(1)).N)
}

func TestChargesThatCanNeverBeMetAreErrors(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	shared := orders(2)
	shared.Shared = true
	otherShared := perDomain("x")
	otherShared.Shared = true
	elsewhere := perDomain("x")
	elsewhere.Account = "https://ca.example/account/2"
	for name, charges := range map[string][]budget.Charge{
		"no capacity":     {orders(0)},
		"twice":           {orders(2), orders(2)},
		"no refill":       {{CA: "test-ca", Bucket: "orders", Capacity: 1}},
		"refill too fast": {{CA: "test-ca", Bucket: "orders", Capacity: 1, Refill: time.Nanosecond}},
		"two shared":      {shared, otherShared},
		"two accounts":    {orders(2), elsewhere},
	} {
		_, err := b.Reserve(t.Context(), cert.Reservation{IssuanceID: "a/1", Tenant: "acme"}, charges)
		require.Error(t, err, name)
	}
	require.Zero(t, b.count(`SELECT count(*) FROM budgets`))
	free, err := b.Reserve(t.Context(), cert.Reservation{IssuanceID: "a/1", Tenant: "acme"}, nil)
	require.NoError(t, err)
	require.Zero(t, free, "what costs nothing waits for nothing")
	require.Zero(t, b.count(`SELECT count(*) FROM budget_reservations`))
}

// TestReservingAtOnceNeverOversells uses the database's clock, as in production.
func TestReservingAtOnceNeverOversells(t *testing.T) {
	t.Parallel()
	db := open(t)
	const buckets, capacity, goroutines = 4, 30, 50
	charge := func(n int) budget.Charge {
		return budget.Charge{CA: "test-ca", Bucket: fmt.Sprint(n), Capacity: capacity, Refill: 24 * time.Hour, Shared: n == 0}
	}
	var ids atomic.Int32
	var sold [buckets]atomic.Int32
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range 6 {
				first, second := rand.N(buckets), rand.N(buckets-1) // in any order
				if second >= first {
					second++
				}
				r := cert.Reservation{IssuanceID: fmt.Sprint(ids.Add(1)), Tenant: fmt.Sprint(rand.N(3))}
				place, err := db.Reserve(t.Context(), r, []budget.Charge{charge(first), charge(second)})
				if err != nil {
					t.Error(err)
					return
				}
				if place.N == 0 {
					sold[first].Add(1)
					sold[second].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for n := range buckets {
		require.LessOrEqual(t, sold[n].Load(), int32(capacity), "bucket %d", n)
	}
}

func TestCallersOfOneIssuanceAtOnceTakeOneToken(t *testing.T) {
	t.Parallel()
	db := open(t)
	for _, id := range []string{"free/1", "waits/1"} {
		var wg sync.WaitGroup
		places := make([]cert.Place, 20)
		for i := range places {
			wg.Go(func() {
				var err error
				if places[i], err = db.Reserve(t.Context(), cert.Reservation{IssuanceID: id, Tenant: "acme"}, []budget.Charge{orders(1)}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, p := range places {
			require.Equal(t, places[0].N, p.N)
		}
	}
	require.Equal(t, 1, db.count(`SELECT round(extract(epoch FROM full_at - now()) / 3600) - 1 FROM budgets`))
}
