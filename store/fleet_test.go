package store_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/budget"
)

// newOrders is Let's Encrypt's limit of an account: 300 orders in 3 hours.
func newOrders() budget.Charge {
	return budget.Charge{CA: "test-ca", Account: accountURL, Bucket: "orders", Capacity: 300, Refill: 36 * time.Second, Shared: true}
}

// caller is a domain: it asks for a place, returns at the time of its place, and orders when it may.
type caller struct {
	cert.Reservation
	came    time.Time
	at      time.Time // of its next call
	repeats int       // calls after the first
	ordered time.Time
}

// fleet holds the callers that have not ordered, the next one first.
type fleet []*caller

func (f fleet) Len() int           { return len(f) }
func (f fleet) Less(i, j int) bool { return f[i].at.Before(f[j].at) }
func (f fleet) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *fleet) Push(c any)        { *f = append(*f, c.(*caller)) }
func (f *fleet) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// arrive adds n domains of a tenant, spread over a time. remaining is how long their certificates in use are still valid when they arrive;
// 0 when they have none.
func (b *budgets) arrive(all []*caller, tenant string, n int, after, spread, remaining time.Duration) []*caller {
	random := rand.New(rand.NewPCG(1, uint64(len(all))))
	for range n {
		at := b.now.Add(after)
		if spread > 0 {
			at = at.Add(time.Duration(random.Int64N(int64(spread))))
		}
		c := &caller{Reservation: cert.Reservation{IssuanceID: fmt.Sprint(len(all)), Tenant: tenant}, came: at, at: at}
		if remaining > 0 {
			c.NotAfter = at.Add(remaining)
		}
		all = append(all, c)
	}
	return all
}

// run lets all callers call until each has ordered. The CA counts orders in its own bucket, and must never have to refuse one.
func (b *budgets) run(all []*caller) {
	b.t.Helper()
	waiting := fleet{}
	for _, c := range all {
		heap.Push(&waiting, c)
	}
	random, authority := rand.New(rand.NewPCG(1, 2)), b.now
	for waiting.Len() > 0 {
		c := heap.Pop(&waiting).(*caller)
		b.now = c.at
		place, err := b.Reserve(b.t.Context(), c.Reservation, []budget.Charge{newOrders()})
		require.NoError(b.t, err)
		if b.now.After(c.came) {
			c.repeats++
		}
		if place.N > 0 {
			c.at = b.now.Add(place.Wait + time.Duration(random.Int64N(int64(2*time.Second)))) // a timer and a call take a moment
			heap.Push(&waiting, c)
			continue
		}
		c.ordered = b.now
		if authority.Before(b.now) {
			authority = b.now
		}
		authority = authority.Add(newOrders().Refill)
		require.LessOrEqual(b.t, authority.Sub(b.now), 3*time.Hour, "the CA refuses this order")
	}
}

// summary is the result of some callers.
type summary struct {
	last    time.Time
	longest time.Duration // wait
	repeats int           // of the caller with most calls
	dense   int           // callers that called more often than once in 12 hours, without the last call
}

func sum(all []*caller, which func(*caller) bool) (s summary) {
	for _, c := range all {
		if !which(c) {
			continue
		}
		waited := c.ordered.Sub(c.came)
		if c.ordered.After(s.last) {
			s.last = c.ordered
		}
		s.longest, s.repeats = max(s.longest, waited), max(s.repeats, c.repeats)
		if c.repeats > 1+int(waited/(12*time.Hour)) {
			s.dense++
		}
	}
	return s
}

func of(tenants ...string) func(*caller) bool {
	return func(c *caller) bool {
		return len(tenants) == 0 || slices.Contains(tenants, c.Tenant)
	}
}

// TestF3_TenThousandNewDomains is a tenant with 9,940 names, some with ten each, and renewals near their end, at a CA that counts those.
func TestF3_TenThousandNewDomains(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	b.withoutWaitingForTheDisk()
	begin := b.now
	all := b.arrive(nil, "large", 9940, 0, time.Minute, 0)
	for n := range 6 {
		all = b.arrive(all, fmt.Sprint("small", n), 10, time.Duration(2+9*n)*time.Hour, 0, 0)
	}
	all = b.arrive(all, "renewing", 200, 0, 90*time.Hour, 36*time.Hour)
	b.run(all)

	everybody, renewals := sum(all, of()), sum(all, of("renewing"))
	t.Logf("the last after %s; most repeated calls %d", everybody.last.Sub(begin), everybody.repeats)
	require.Less(t, everybody.last.Sub(begin), 105*time.Hour, "the limit itself needs (10,200 - 300) * 36 s = 99 h")
	require.Zero(t, everybody.dense, "each domain calls again once in 12 hours, or once in all")
	require.LessOrEqual(t, everybody.repeats, 2, "at the time of the place, and at most once more")
	for n := range 6 {
		small := sum(all, of(fmt.Sprint("small", n)))
		t.Logf("ten names of a small tenant waited %s at most", small.longest)
		require.Less(t, small.longest, 2*time.Hour, "the names of a large tenant do not hold back those of a small one")
	}
	t.Logf("renewals waited %s at most", renewals.longest)
	require.Less(t, renewals.longest, 36*time.Hour/4+time.Minute, "no renewal is late")
}

// TestF3_AllWhoWaitAreServedAtTheSameRate: tenants of different size that arrive one after the other.
func TestF3_AllWhoWaitAreServedAtTheSameRate(t *testing.T) {
	t.Parallel()
	b := openBudgets(t)
	b.withoutWaitingForTheDisk()
	begin := b.now
	all := b.arrive(nil, "first", 900, 0, 0, 0)
	all = b.arrive(all, "second", 300, time.Hour, 0, 0)
	b.run(all)
	first, second := sum(all, of("first")), sum(all, of("second"))
	t.Logf("first: the last after %s; second: waited %s at most", first.last.Sub(begin), second.longest)
	require.LessOrEqual(t, max(first.repeats, second.repeats), 2, "at the time of the place, and at most once more")
	require.Less(t, second.longest, 7*time.Hour, "alone it would take 3 h, behind the first tenant's 10 h")
	beside := 0
	for _, c := range all {
		if c.Tenant == "first" && c.ordered.After(begin.Add(time.Hour)) && c.ordered.Before(second.last) {
			beside++
		}
	}
	require.Greater(t, beside, 200, "the first tenant is not held back either")
}
