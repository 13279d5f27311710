package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

func TestA1_ConnectedDomainIsPending(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com", "example.com")
	for _, name := range d.Names {
		view, err := db.Domain(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, d, view.Domain)
		require.Equal(t, cert.Pending, view.Headline)
		require.Equal(t, cert.Status{Domain: cert.DomainPendingDNS, Certificate: cert.CertificateNone, Renewal: cert.RenewalNone}, view.Status)
		require.WithinDuration(t, time.Now(), view.ConnectedAt, time.Hour)
		require.Zero(t, view.Seq)
		require.True(t, view.At.IsZero())
	}
}

func TestConnectingTwiceIsTheSameDomain(t *testing.T) {
	t.Parallel()
	db := open(t)
	first := db.connect("acme", "www.example.com", "example.com")
	for _, again := range []cert.Domain{first, newDomain("acme", "www.example.com", "example.com")} {
		connected, err := db.Connect(t.Context(), again)
		require.NoError(t, err)
		require.Equal(t, store.Connected{Domain: first}, connected)
	}
	require.Equal(t, 1, db.count(`SELECT count(*) FROM domains`))
}

func TestTakenNamesAreRefusedWithoutTellingWhoHasThem(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.connect("secretive", "www.example.com", "example.com")
	for _, names := range [][]string{
		{"www.example.com"},
		{"example.com"},
		{"example.com", "www.example.com"},
		{"shop.example.com", "example.com"},
		{"www.example.com", "shop.example.com"},
	} {
		_, err := db.Connect(t.Context(), newDomain("acme", names...))
		p := problem(t, err)
		require.Equal(t, cert.NameTaken, p.Code)
		require.Equal(t, cert.TenantActs, p.WhoActs)
		require.Contains(t, p.Remediation, "contact support")
		require.NotContains(t, fmt.Sprint(err, p), "secretive")
	}
	require.Equal(t, 1, db.count(`SELECT count(*) FROM domains`))
	require.Equal(t, 2, db.count(`SELECT count(*) FROM domain_names`))
	require.Equal(t, 1, db.count(`SELECT count(*) FROM tenants`), "the tenant is not made either")
}

func TestOwnDomainWithOtherNamesIsRefused(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.connect("acme", "www.example.com", "example.com")
	for _, names := range [][]string{
		{"www.example.com"},
		{"example.com", "www.example.com"},
		{"www.example.com", "example.com", "shop.example.com"},
		{"shop.example.com", "example.com"},
	} {
		_, err := db.Connect(t.Context(), newDomain("acme", names...))
		p := problem(t, err)
		require.Equal(t, cert.RequestRefused, p.Code)
		require.Contains(t, p.Message, "www.example.com, example.com")
	}
	require.Equal(t, 1, db.count(`SELECT count(*) FROM domains`))
}

func TestOfTwoTenantsThatConnectANameAtOnceOneWins(t *testing.T) {
	t.Parallel()
	db := open(t)
	const rounds = 25
	for round := range rounds {
		a, b := fmt.Sprintf("a%d.example.com", round), fmt.Sprintf("b%d.example.com", round)
		wishes := []cert.Domain{ // the same names in another order, and each overlapping the others
			newDomain(fmt.Sprintf("first%d", round), a, b), newDomain(fmt.Sprintf("second%d", round), b, a),
			newDomain(fmt.Sprintf("third%d", round), a), newDomain(fmt.Sprintf("fourth%d", round), b, "c"+b, a),
		}
		results, errs := make([]store.Connected, len(wishes)), make([]error, len(wishes))
		var wg sync.WaitGroup
		for i, d := range wishes {
			wg.Go(func() { results[i], errs[i] = db.Connect(t.Context(), d) })
		}
		wg.Wait()
		winner := slices.IndexFunc(results, func(c store.Connected) bool { return c.Created })
		require.GreaterOrEqual(t, winner, 0, "none succeeded: %v", errs)
		for i, err := range errs {
			if i == winner {
				require.NoError(t, err)
				continue
			}
			require.False(t, results[i].Created)
			require.Equal(t, cert.NameTaken, problem(t, err).Code)
		}
		require.Equal(t, round+1, db.count(`SELECT count(*) FROM domains`))
		require.Equal(t, round+1, db.count(`SELECT count(*) FROM tenants`))
		require.Equal(t, len(wishes[winner].Names), db.count(`SELECT count(*) FROM domain_names WHERE domain_id = $1`, wishes[winner].ID))
	}
	require.Zero(t, db.count(`SELECT count(*) FROM domain_names n JOIN domains d ON d.id = n.domain_id WHERE NOT d.names @> ARRAY[n.name]`))
}

func TestOneTenantConnectingOneDomainManyTimesAtOnceMakesOne(t *testing.T) {
	t.Parallel()
	db := open(t)
	var wg sync.WaitGroup
	results, errs := make([]store.Connected, 20), make([]error, 20)
	for i := range results {
		wg.Go(func() {
			results[i], errs[i] = db.Connect(t.Context(), newDomain("acme", "www.example.com", "example.com"))
		})
	}
	wg.Wait()
	created := 0
	for i, c := range results {
		require.NoError(t, errs[i])
		require.Equal(t, results[0].Domain.ID, c.Domain.ID)
		if c.Created {
			created++
		}
	}
	require.Equal(t, 1, created)
}

func TestRemovedNameIsKeptFromOtherTenantsForSevenDays(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com", "example.com")
	db.record(d, 1, verified, removed)

	_, err := db.Connect(t.Context(), newDomain("other", "shop.example.com", "example.com"))
	p := problem(t, err)
	require.Equal(t, cert.NameTaken, p.Code)
	require.Contains(t, p.Message, "example.com was removed from another account")
	require.Contains(t, p.Message, time.Now().UTC().Add(7*24*time.Hour).Format("2006-01-02"))
	require.NotContains(t, fmt.Sprint(err, p), "acme")
	require.Equal(t, 1, db.count(`SELECT count(*) FROM domains`))
	require.Equal(t, 2, db.count(`SELECT count(*) FROM name_quarantine`), "a refusal ends no quarantine")

	db.sql(`UPDATE name_quarantine SET ends_at = now() WHERE name = 'example.com'`)
	db.connect("other", "shop.example.com", "example.com")
	_, err = db.Connect(t.Context(), newDomain("other", "www.example.com"))
	require.Equal(t, cert.NameTaken, problem(t, err).Code)
}

func TestFormerTenantConnectsItsRemovedNameAtOnce(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	db.record(d, 1, removed)
	again := db.connect("acme", "www.example.com")
	require.NotEqual(t, d.ID, again.ID)
	view, err := db.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	require.Equal(t, again.ID, view.ID, "the live one, not the removed one")
	require.Zero(t, db.count(`SELECT count(*) FROM name_quarantine`))
}

func TestIDOfARemovedDomainIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	db.record(d, 1, removed)
	_, err := db.Connect(t.Context(), d)
	require.ErrorContains(t, err, d.ID)
}

func TestMalformedDomainsAreRefusedByTheTables(t *testing.T) {
	t.Parallel()
	db := open(t)
	good := newDomain("acme", "www.example.com")
	for name, change := range map[string]func(*cert.Domain){
		"no hostname":          func(d *cert.Domain) { d.Hostname, d.Names = "", []string{""} },
		"hostname not first":   func(d *cert.Domain) { d.Names = []string{"example.com", "www.example.com"} },
		"no names":             func(d *cert.Domain) { d.Names = nil },
		"no tenant":            func(d *cert.Domain) { d.Tenant = "" },
		"id is no UUID":        func(d *cert.Domain) { d.ID = "42" },
		"name not lower case":  func(d *cert.Domain) { d.Names = []string{"www.example.com", "Example.com"} },
		"empty further name":   func(d *cert.Domain) { d.Names = []string{"www.example.com", ""} },
		"names without a host": func(d *cert.Domain) { d.Names = []string{} },
	} {
		bad := good
		change(&bad)
		_, err := db.Connect(t.Context(), bad)
		require.Error(t, err, name)
	}
	require.Zero(t, db.count(`SELECT (SELECT count(*) FROM domains) + (SELECT count(*) FROM tenants)`))
}

func TestUnstartedDomainsAreTakenByOneWorkerAtATime(t *testing.T) {
	t.Parallel()
	db := open(t)
	old, started := db.connect("acme", "old.example.com", "www.old.example.com"), db.connect("acme", "started.example.com")
	older := db.connect("acme", "older.example.com")
	db.record(started, 1)
	db.sql(`UPDATE domains SET start_at = now() - interval '2 minutes' WHERE hostname = 'old.example.com'`)
	db.sql(`UPDATE domains SET start_at = now() - interval '3 minutes' WHERE hostname = 'older.example.com'`)

	take := func(lease time.Duration, limit int) []cert.Domain {
		found, err := db.TakeUnstarted(t.Context(), lease, limit)
		require.NoError(t, err)
		return found
	}
	require.Equal(t, []cert.Domain{older}, take(time.Hour, 1))
	require.Equal(t, []cert.Domain{old}, take(-time.Second, 10), "what another worker has is not taken")
	require.Equal(t, []cert.Domain{old}, take(time.Hour, 10), "a lease that has ended")
	require.Empty(t, take(time.Hour, 10))
}

func TestConnectingWakesTheWorkers(t *testing.T) {
	t.Parallel()
	db := open(t)
	woken := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.ListenConnected(ctx, func() { woken <- struct{}{} }) }()
	<-woken // it listens
	db.connect("acme", "shop.example.com")
	<-woken
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestF3_ANewDomainKnowsItsPlaceInLine(t *testing.T) {
	t.Parallel()
	db := open(t)
	var waiting []cert.Domain
	for i := range 5 {
		waiting = append(waiting, db.connect("acme", fmt.Sprintf("s%d.example.com", i)))
	}
	at := func(d cert.Domain) store.Line {
		line, err := db.Line(t.Context(), d.ID)
		require.NoError(t, err)
		return line
	}
	require.Equal(t, store.Line{Place: 1}, at(waiting[0]))
	require.Equal(t, store.Line{Place: 5}, at(waiting[4]))
	_, err := db.TakeUnstarted(t.Context(), time.Hour, 3)
	require.NoError(t, err)
	require.Equal(t, store.Line{Place: 5}, at(waiting[4]), "taken is not checked")
	db.record(waiting[0], 1)
	db.record(waiting[1], 1)
	db.sql(`UPDATE domains SET snapshot_at = now()`)
	require.Equal(t, store.Line{Place: 3, PerMinute: 2}, at(waiting[4]))
	require.Equal(t, store.Line{Place: 0, PerMinute: 2}, at(waiting[0]))
}
