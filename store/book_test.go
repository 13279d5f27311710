package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/budget"
)

// TestF20_TheBookAnswersAsTheStoreDoes: a simulation is only as good as its planner. Random issuances reserve, return on time, early, late
// or not at all, and settle, with both planners. Each answer must be the same, to the microsecond. Each depends on all answers before it.
func TestF20_TheBookAnswersAsTheStoreDoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			b := openBudgets(t)
			b.withoutWaitingForTheDisk()
			w := &randomLine{budgets: b, random: rand.New(rand.NewPCG(seed, 1)), open: map[string]*waiting{}}
			w.limits = budget.Limits{OrdersPer3Hours: []int{7, 40, 300}[seed%3], OrdersPerDomainWeek: 5, OrdersPerSetWeek: 3, FailuresPerNameHour: 2}
			for range 1000 {
				w.step()
			}
			require.Positive(t, w.waited, "an issuance had to wait")
			require.Positive(t, w.passed, "an issuance was let through")
		})
	}
}

// waiting is an issuance that is not settled.
type waiting struct {
	cert.Reservation

	charges []budget.Charge
	at      time.Time
}

type randomLine struct {
	*budgets

	limits         budget.Limits
	random         *rand.Rand
	book           budget.Book
	open           map[string]*waiting
	ids            []string
	waited, passed int
}

func (w *randomLine) step() {
	w.t.Helper()
	pause := []time.Duration{0, time.Second, time.Minute, 20 * time.Minute, 9 * time.Hour}[w.random.IntN(5)]
	if pause > 0 {
		pause = time.Duration(w.random.Int64N(int64(pause))).Truncate(time.Microsecond)
	}
	w.pass(pause)
	switch {
	case len(w.ids) == 0 || w.random.IntN(2) == 0:
		w.arrive()
	default:
		w.comeBack(w.open[w.ids[w.random.IntN(len(w.ids))]])
	}
}

func (w *randomLine) arrive() {
	id := fmt.Sprint("issuance/", len(w.ids))
	domain := fmt.Sprintf("d%d.example", w.random.IntN(40))
	i := &waiting{
		Reservation: cert.Reservation{IssuanceID: id, Tenant: []string{"large", "large", "large", "small", "other"}[w.random.IntN(5)]},
	}
	i.Names, i.Renewal = []string{domain, "www." + domain}, w.random.IntN(4) == 0
	if w.random.IntN(3) == 0 {
		i.NotAfter = w.now.Add(time.Duration(w.random.Int64N(int64(100 * time.Hour))).Truncate(time.Second))
	}
	i.charges = w.limits.Charges(
		budget.Order{CA: "test-ca", Account: accountURL, Names: i.Names, Domains: []string{domain}, Renewal: i.Renewal},
	)
	w.open[id], w.ids = i, append(w.ids, id)
	w.reserve(i)
}

func (w *randomLine) comeBack(i *waiting) {
	switch w.random.IntN(5) {
	case 0:
		issued := w.random.IntN(2) == 0
		require.NoError(w.t, w.Settle(w.t.Context(), i.IssuanceID, issued))
		w.book.Settle(i.IssuanceID, issued)
	case 1: // at the time of its place
		if i.at.After(w.now) && i.at.Sub(w.now) < 24*time.Hour {
			w.now = i.at
		}
		w.reserve(i)
	default:
		w.reserve(i)
	}
}

func (w *randomLine) reserve(i *waiting) {
	w.t.Helper()
	stored, err := w.Reserve(w.t.Context(), i.Reservation, i.charges)
	require.NoError(w.t, err)
	require.Equal(w.t, stored, w.book.Reserve(w.now, i.Reservation, i.charges), "issuance %s of %s at %s", i.IssuanceID, i.Tenant, w.now)
	i.at = stored.At
	if stored.N > 0 {
		w.waited++
	} else {
		w.passed++
	}
}
