package store_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

func TestInstalledNamesAreServed(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com", "example.com")
	c := db.certify(d, 1, "0a")
	_, err := db.Served(t.Context(), "www.example.com")
	require.ErrorIs(t, err, store.ErrNotFound)

	require.NoError(t, db.Install(t.Context(), d.Names, "0a"))
	issuance, err := db.Issuance(t.Context(), c.IssuanceID)
	require.NoError(t, err)
	for _, name := range d.Names {
		served, err := db.Served(t.Context(), name)
		require.NoError(t, err)
		require.Equal(
			t, store.Served{Name: name, Serial: "0a", ChainPEM: c.ChainPEM, KeyID: issuance.KeyID, SealedKey: []byte("sealed www.example.com")},
			served,
		)
	}

	db.certify(d, 2, "0b")
	require.NoError(t, db.Install(t.Context(), []string{"example.com"}, "0b"))
	for name, serial := range map[string]string{"example.com": "0b", "www.example.com": "0a"} {
		served, err := db.Served(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, serial, served.Serial)
	}

	require.NoError(t, db.Retire(t.Context(), []string{"example.com", "never.example.com"}))
	_, err = db.Served(t.Context(), "example.com")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = db.Served(t.Context(), "www.example.com")
	require.NoError(t, err)
}

func TestA6_WildcardServesOneLabel(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := newDomain("platform", "*.shops.example.net")
	db.certify(d, 1, "0a")
	db.certify(d, 2, "0b")
	require.NoError(t, db.Install(t.Context(), []string{"*.shops.example.net"}, "0a"))
	require.NoError(t, db.Install(t.Context(), []string{"own.shops.example.net"}, "0b"))
	for name, want := range map[string][2]string{
		"any.shops.example.net": {"*.shops.example.net", "0a"},
		"own.shops.example.net": {"own.shops.example.net", "0b"},
		"*.shops.example.net":   {"*.shops.example.net", "0a"},
	} {
		served, err := db.Served(t.Context(), name)
		require.NoError(t, err, name)
		require.Equal(t, want, [2]string{served.Name, served.Serial}, name)
	}
	for _, name := range []string{"shops.example.net", "two.any.shops.example.net", "net", ""} {
		_, err := db.Served(t.Context(), name)
		require.ErrorIs(t, err, store.ErrNotFound, name)
	}
}

func TestUnknownCertificateIsNotInstalled(t *testing.T) {
	t.Parallel()
	db := open(t)
	require.ErrorIs(t, db.Install(t.Context(), []string{"www.example.com"}, "0a"), store.ErrNotFound)
	require.Zero(t, db.count(`SELECT count(*) FROM served_names`))
}

func TestA3_RedirectIsServedAsTheDomainSays(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	db.certify(d, 1, "0a")
	require.NoError(t, db.Install(t.Context(), d.Names, "0a"))
	for seq, redirect := range []bool{true, true, false} {
		db.record(d, int64(seq+1), func(s *cert.Snapshot) { s.HTTPSRedirect = redirect })
		served, err := db.Served(t.Context(), "www.example.com")
		require.NoError(t, err)
		require.Equal(t, redirect, served.HTTPSRedirect)
	}
}

func TestRemovedDomainIsServedNoMore(t *testing.T) {
	t.Parallel()
	db := open(t)
	d, other := db.connect("acme", "www.example.com", "example.com"), db.connect("acme", "www.example.org")
	db.certify(d, 1, "0a")
	db.certify(other, 1, "0b")
	require.NoError(t, db.Install(t.Context(), append(d.Names, "left.example.com"), "0a")) // a name it had before
	require.NoError(t, db.Install(t.Context(), other.Names, "0b"))
	changed := db.listen()

	db.record(d, 1, removed)
	require.ElementsMatch(
		t, []string{"www.example.com", "example.com", "left.example.com"}, []string{changed.next(), changed.next(), changed.next()},
	)
	for _, name := range []string{"www.example.com", "example.com", "left.example.com"} {
		_, err := db.Served(t.Context(), name)
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	_, err := db.Served(t.Context(), "www.example.org")
	require.NoError(t, err)

	err = db.Install(t.Context(), d.Names, "0a") // an activity that was still running
	require.Equal(t, cert.RequestRefused, problem(t, err).Code)
	_, err = db.Served(t.Context(), "www.example.com")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestInstallationAtTheMomentOfRemovalLeavesNothingServed(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	db.certify(d, 1, "0a")
	removal, err := db.raw.Begin(t.Context()) // stopped half-way, with the names freed and the domain's row changed
	require.NoError(t, err)
	_, err = removal.Exec(
		t.Context(),
		`UPDATE domains SET domain_status = 'removed', headline = 'Removed', removed_at = now() WHERE id = $1`,
		d.ID,
	)
	require.NoError(t, err)

	installed := make(chan error, 1)
	go func() { installed <- db.Install(t.Context(), d.Names, "0a") }()
	require.NoError(t, db.awaitWaiting(t.Context(), 1, func() bool { return len(installed) > 0 }))
	require.NoError(t, removal.Commit(t.Context()))
	require.Equal(t, cert.RequestRefused, problem(t, <-installed).Code)
	require.Zero(t, db.count(`SELECT count(*) FROM served_names`))
}

func TestOverlappingInstallationsAtOnceDoNotLockEachOtherOut(t *testing.T) {
	t.Parallel()
	db := open(t)
	names := []string{"a.example.com", "b.example.com", "c.example.com", "d.example.com", "d.example.com"}
	backwards := slices.Clone(names)
	slices.Reverse(backwards)
	d := newDomain("acme", names[:4]...)
	db.certify(d, 1, "0a")
	db.certify(d, 2, "0b")
	var wg sync.WaitGroup
	errs := make([]error, 40)
	for i := range errs {
		wg.Go(func() {
			errs[i] = db.Install(t.Context(), [][]string{names, backwards}[i%2], []string{"0a", "0b"}[i%2])
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, 1, db.count(`SELECT count(DISTINCT serial) FROM served_names`), "all names have the certificate of the last one")
}

// listener collects the calls of ListenServed.
type listener struct {
	t     testing.TB
	names chan string
	lost  atomic.Int64
}

// listen starts ListenServed and returns when it listens.
func (db *database) listen() *listener {
	db.t.Helper()
	l := &listener{t: db.t, names: make(chan string, 100)}
	ended := make(chan error, 1)
	go func() {
		ended <- db.ListenServed(db.t.Context(), func(name string) { l.names <- name }, func() { l.lost.Add(1) })
	}()
	db.t.Cleanup(func() { // the test's context has ended then
		select {
		case err := <-ended:
			require.ErrorIs(db.t, err, context.Canceled)
		case <-time.After(deadline):
			db.t.Error("ListenServed did not end with its context")
		}
	})
	require.Empty(db.t, l.next(), "the first call says that anything may have changed")
	return l
}

func (l *listener) next() string {
	l.t.Helper()
	select {
	case name := <-l.names:
		return name
	case <-time.After(deadline):
		l.t.Fatal("no notification came")
		return ""
	}
}

func TestEdgesAreToldOfChangesAndOfNothingElse(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com", "example.com")
	db.certify(d, 1, "0a")
	db.certify(d, 2, "0b")
	changed := db.listen()
	redirect := func(on bool) func(*cert.Snapshot) { return func(s *cert.Snapshot) { s.HTTPSRedirect = on } }

	require.NoError(t, db.Install(t.Context(), []string{"example.com"}, "0a"))
	require.Equal(t, "example.com", changed.next())
	require.NoError(t, db.Install(t.Context(), []string{"www.example.com", "example.com"}, "0a")) // one of them is new
	require.Equal(t, "www.example.com", changed.next())
	require.NoError(t, db.Install(t.Context(), d.Names, "0a")) // nothing new
	db.record(d, 1, redirect(false))                           // no change either
	db.record(d, 2, redirect(true))
	require.ElementsMatch(t, d.Names, []string{changed.next(), changed.next()})
	db.record(d, 3, redirect(true))
	db.record(d, 2, redirect(false), func(s *cert.Snapshot) { s.At = s.At.Add(-time.Hour) }) // an older snapshot
	require.NoError(t, db.Retire(t.Context(), []string{"never.example.com"}))
	require.NoError(t, db.Install(t.Context(), []string{"www.example.com"}, "0b"))
	require.Equal(t, "www.example.com", changed.next())
	require.NoError(t, db.Retire(t.Context(), []string{"example.com"}))
	require.Equal(t, "example.com", changed.next())
	require.Empty(t, changed.names)
}

func TestListenerConnectsAgain(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	db.certify(d, 1, "0a")
	changed := db.listen()
	for lost := range int64(2) {
		require.Equal(t, lost, changed.lost.Load())
		require.Equal(t, int64(1), db.sql(`
			SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`))
		require.Empty(t, changed.next(), "after a lost connection anything may have changed")
		require.Equal(t, lost+1, changed.lost.Load())
		require.NoError(t, db.Install(t.Context(), d.Names, "0a"))
		require.Equal(t, "www.example.com", changed.next())
		require.NoError(t, db.Retire(t.Context(), d.Names))
		require.Equal(t, "www.example.com", changed.next())
	}
}
