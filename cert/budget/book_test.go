package budget_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/budget"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// oneAnHour is a limit of one token an hour that tenants don't share.
func oneAnHour() []budget.Charge {
	return []budget.Charge{{CA: "test-ca", Bucket: "orders", Capacity: 1, Refill: time.Hour, BackIfFailed: true}}
}

func reserve(b *budget.Book, at time.Time, id string) cert.Place {
	return b.Reserve(at, cert.Reservation{IssuanceID: id, Tenant: "acme"}, oneAnHour())
}

func TestF3_TheBookGivesPlacesWithTimes(t *testing.T) {
	t.Parallel()
	var b budget.Book
	require.Equal(t, cert.Place{At: noon}, reserve(&b, noon, "first"))
	for n := 1; n <= 3; n++ {
		wait := time.Duration(n) * time.Hour
		require.Equal(t, cert.Place{N: n, At: noon.Add(wait), Wait: wait}, reserve(&b, noon, fmt.Sprint(n)))
	}
	same := cert.Place{N: 1, At: noon.Add(time.Hour), Wait: time.Minute}
	require.Equal(t, same, reserve(&b, noon.Add(59*time.Minute), "1"))
	require.Zero(t, reserve(&b, noon.Add(time.Hour), "1").N, "let through at its time")
	require.Equal(t, cert.Place{}, b.Reserve(noon, cert.Reservation{IssuanceID: "free"}, nil), "what costs nothing waits for nothing")
}

func TestF3_TheBookTakesBackWhatAnOrderDidNotCost(t *testing.T) {
	t.Parallel()
	var b budget.Book
	reserve(&b, noon, "issued")
	b.Settle("issued", true)
	require.Equal(t, 1, reserve(&b, noon, "next").N, "a certificate has cost the token")
	b.Settle("next", true)
	require.Equal(t, 1, reserve(&b, noon, "third").N, "a place that was never used gives its token back")

	var other budget.Book
	reserve(&other, noon, "failed")
	other.Settle("failed", false)
	other.Settle("failed", false)
	require.Zero(t, reserve(&other, noon, "next").N, "a failed order has cost nothing")
	require.Equal(t, 1, reserve(&other, noon, "third").N, "and nothing twice")
}

func TestF3_TheBookEndsPlacesThatNobodyComesFor(t *testing.T) {
	t.Parallel()
	var b budget.Book
	reserve(&b, noon, "first")
	require.Equal(t, noon.Add(time.Hour), reserve(&b, noon, "away").At)
	require.Equal(t, noon.Add(2*time.Hour), reserve(&b, noon, "comes").At)
	late := noon.Add(13 * time.Hour)
	require.Zero(t, reserve(&b, late, "comes").N)
	require.Zero(t, reserve(&b, late, "new").N, "the tokens of all these hours are back")
	require.Equal(t, 1, reserve(&b, late, "away").N, "its place of before is gone")
}
