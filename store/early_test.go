package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// TestF9_WaitingDomainsGetTurns: after a check that was not right, until the next one, and as long as they wait.
func TestF9_WaitingDomainsGetTurns(t *testing.T) {
	t.Parallel()
	db := open(t)
	at := time.Now().UTC().Truncate(time.Microsecond)
	check := func(d cert.Domain, verdict cert.Verdict) cert.Diagnosis {
		at = at.Add(time.Second)
		kept, err := db.KeepCheck(t.Context(), d.ID, cert.Diagnosis{
			CheckedAt: at,
			Verdict:   verdict,
			Servers:   []cert.Nameserver{{Zone: "example.com", Name: "ns1", Address: "192.0.2.1", State: cert.ServerAnswers}},
		})
		require.NoError(t, err)
		return kept
	}
	turns := func(shortest time.Duration, limit int) (hostnames []string) {
		taken, err := db.TakeEarly(t.Context(), shortest, limit)
		require.NoError(t, err)
		for _, e := range taken {
			hostnames = append(hostnames, e.Hostname)
		}
		return hostnames
	}
	shop, ready := db.connect("acme", "shop.example.com"), db.connect("acme", "ready.example.com")
	kept := check(shop, cert.Wrong)
	check(ready, cert.OK)
	require.Empty(t, turns(time.Hour, 10), "the interval is not over")
	require.Equal(t, []string{"shop.example.com"}, turns(0, 10), "not the one whose records are there")

	require.NoError(t, db.NoteEarly(t.Context(), shop.ID, kept.CheckedAt, "seen"))
	taken, err := db.TakeEarly(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, taken, 1, "it goes on")
	require.Equal(t, store.EarlyCheck{DomainID: shop.ID, Hostname: shop.Hostname, Check: taken[0].Check, Seen: "seen"}, taken[0])
	require.Equal(t, kept.Servers, taken[0].Check.Servers)

	check(shop, cert.Unknown)
	require.NoError(t, db.NoteEarly(t.Context(), shop.ID, kept.CheckedAt, "of the check before"))
	taken, err = db.TakeEarly(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Empty(t, taken[0].Seen, "a new check begins anew")

	check(shop, cert.OK)
	require.Empty(t, turns(0, 10), "its records are there")
}

// TestF9_ADomainThatDoesNotWaitIsForgotten: one that is active, such as by a certificate, gets no turn until a new check.
func TestF9_ADomainThatDoesNotWaitIsForgotten(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "shop.example.com")
	_, err := db.KeepCheck(t.Context(), d.ID, cert.Diagnosis{
		CheckedAt: time.Now(),
		Verdict:   cert.Wrong,
		Servers:   []cert.Nameserver{{Zone: "example.com", Name: "ns1", Address: "192.0.2.1", State: cert.ServerAnswers}},
	})
	require.NoError(t, err)
	turns := func() []store.EarlyCheck {
		taken, err := db.TakeEarly(t.Context(), 0, 10)
		require.NoError(t, err)
		return taken
	}
	require.Len(t, turns(), 1)
	db.record(d, 1, func(s *cert.Snapshot) { s.Status.Domain = cert.DomainActive })
	require.Empty(t, turns())
	require.Equal(t, 1, db.count(`SELECT count(*) FROM domain_checks WHERE early_at IS NULL`))
}
