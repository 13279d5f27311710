package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// inspect returns all that the caretaker sees, by hostname.
func (db *database) inspect() map[string]store.Inspected {
	db.t.Helper()
	rows, err := db.Inspect(db.t.Context(), "", 100)
	require.NoError(db.t, err)
	found := map[string]store.Inspected{}
	for _, row := range rows {
		found[row.Hostname] = row
	}
	return found
}

// live returns a connected domain whose certificate is installed and recorded.
func (db *database) live(serial string, names ...string) cert.Domain {
	db.t.Helper()
	d := db.connect("acme", names...)
	db.certify(d, 1, serial)
	require.NoError(db.t, db.Install(db.t.Context(), d.Names, serial))
	db.record(d, 1, func(s *cert.Snapshot) {
		s.Serial, s.Status.HasLive, s.Status.Certificate, s.NextActionAt = serial, true, cert.CertificateActive, noon
	})
	return d
}

func TestF22_TheCaretakerSeesAllOfADomainAtOnce(t *testing.T) {
	t.Parallel()
	db := open(t)
	run, later := uuid.NewString(), time.Now().UTC().Add(time.Minute).Truncate(time.Microsecond)
	d := db.live("0a", "www.example.com", "example.com")
	c := newCase(d.Hostname, noon)
	c.ID, c.DomainID = d.ID+"/1", d.ID
	db.record(d, 2, func(s *cert.Snapshot) {
		s.Run, s.Serial, s.Status.HasLive, s.Status.Certificate, s.NextActionAt = run, "0a", true, cert.CertificateActive, noon
		s.At, s.Status.Escalated, s.Case = later, true, &c
	})
	db.connect("acme", "unrecorded.example.com")
	removed := db.live("0b", "removed.example.com")
	db.record(removed, 2, func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })

	all := db.inspect()
	require.Len(t, all, 1, "neither removed domains nor those that are owed a start")
	row := all["www.example.com"]
	require.Equal(t, d, row.Domain)
	require.Equal(t, run, row.Run)
	require.True(t, row.SnapshotAt.Equal(later) && row.NextActionAt.Equal(noon))
	require.Equal(t, "0a", row.Serial)
	require.ElementsMatch(t, d.Names, row.LiveNames)
	require.False(t, row.LiveFrom.IsZero())
	require.Equal(t, d.ID+"/1", row.OpenCase)
	require.False(t, row.CaseStarted)
	require.Len(t, row.Served, 2)
	for _, s := range row.Served {
		require.Contains(t, d.Names, s.Name)
		require.Equal(t, store.ServedName{
			Name: s.Name, Serial: "0a", DomainID: d.ID, NotBefore: s.NotBefore, InstalledAt: s.InstalledAt,
		}, s)
		require.True(t, s.NotBefore.Equal(row.LiveFrom) && !s.InstalledAt.IsZero())
	}
	require.Empty(t, row.Tended.For)
	require.False(t, row.Reported)

	next, err := db.Inspect(t.Context(), "www.example.com", 100)
	require.NoError(t, err)
	require.Empty(t, next, "a page begins after a hostname")
}

func TestF22_ARunThatWasNotNamedIsNoRun(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.record(db.connect("acme", "www.example.com"), 1, func(s *cert.Snapshot) { s.Run = "" })
	require.Empty(t, db.inspect()["www.example.com"].Run)
}

func TestF22_OnlyAConnectedDomainThatRecordedSomethingIsStartedAgain(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com", "example.com")
	_, _, err := db.KeptState(t.Context(), d.ID)
	require.ErrorIs(t, err, store.ErrNotFound, "others start it")

	db.record(d, 1)
	got, state, err := db.KeptState(t.Context(), d.ID)
	require.NoError(t, err)
	require.Equal(t, d, got)
	require.Empty(t, state)

	db.record(d, 2, func(s *cert.Snapshot) { s.State = json.RawMessage(`{"phase": "active"}`) })
	_, state, err = db.KeptState(t.Context(), d.ID)
	require.NoError(t, err)
	require.Equal(t, `{"phase": "active"}`, string(state), "letter by letter")

	db.record(d, 3, func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	_, _, err = db.KeptState(t.Context(), d.ID)
	require.ErrorIs(t, err, store.ErrNotFound, "it was removed")
}

func TestF22_WhatWasDoneIsNotedUntilTheDomainIsInOrder(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.live("0a", "www.example.com")
	other := db.live("0b", "www.example.org")
	for _, each := range []cert.Domain{d, other} {
		require.NoError(t, db.NoteTended(t.Context(), each.ID, []cert.FindingKind{cert.TimerPast, cert.NotServed}))
		c := newCase(each.Hostname, noon)
		c.ID, c.Kind = store.PlatformCaseID(each.ID), cert.NotRepaired
		require.NoError(t, db.OpenPlatformCase(t.Context(), c))
	}
	row := db.inspect()["www.example.com"]
	require.Equal(t, []cert.FindingKind{cert.TimerPast, cert.NotServed}, row.Tended.For)
	require.WithinDuration(t, time.Now(), row.Tended.At, deadline)
	require.True(t, row.Reported)
	require.Empty(t, row.OpenCase, "it is the platform's case, not the domain's")
	open := db.cases(true, "www.example.com")
	require.Len(t, open, 1)
	require.Empty(t, open[0].DomainID)

	again := newCase(d.Hostname, noon.Add(time.Hour))
	again.ID, again.Reason = store.PlatformCaseID(d.ID), "worse"
	require.NoError(t, db.OpenPlatformCase(t.Context(), again))
	open = db.cases(true, "www.example.com")
	require.Len(t, open, 1)
	require.Equal(t, "worse", open[0].Reason)
	require.True(t, open[0].OpenedAt.Equal(noon), "it is open since then")

	require.NoError(t, db.NoteHealthy(t.Context(), []string{d.ID}))
	row = db.inspect()["www.example.com"]
	require.Empty(t, row.Tended.For)
	require.True(t, row.Tended.At.IsZero())
	require.False(t, row.Reported)
	require.True(t, db.inspect()["www.example.org"].Reported)

	db.record(other, 2, func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	require.NoError(t, db.CloseOrphanedCases(t.Context()))
	require.Empty(t, db.cases(true, ""))
	owed, err := db.TakeOwedCases(t.Context(), time.Minute, 10)
	require.NoError(t, err)
	require.Empty(t, owed, "the platform's cases have no workflow")
}

func TestF22_ACaseWithoutWorkflowIsOwedOne(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	c := newCase(d.Hostname, noon)
	c.ID, c.DomainID = d.ID+"/1", d.ID
	db.record(d, 1, func(s *cert.Snapshot) { s.Case = &c })
	db.sql(`UPDATE cases SET started = true`) // its workflow has recorded something
	owed := func() int {
		cases, err := db.TakeOwedCases(t.Context(), time.Hour, 10)
		require.NoError(t, err)
		return len(cases)
	}
	require.Zero(t, owed())
	require.NoError(t, db.OweCase(t.Context(), c.ID))
	require.Equal(t, 1, owed())
	require.Zero(t, owed(), "whoever took it has it for the lease")

	db.sql(`UPDATE cases SET closed_at = now(), started = true, ended = true, start_at = now()`)
	require.Zero(t, owed())
	unheard, err := db.UnheardCases(t.Context(), []string{c.ID, "never/1"})
	require.NoError(t, err)
	require.ElementsMatch(t, []store.UnheardCase{{ID: c.ID, Ended: true}, {ID: "never/1"}}, unheard)
	require.NoError(t, db.OweCase(t.Context(), c.ID))
	require.Equal(t, 1, owed(), "its workflow is signalled that it is closed")
	unheard, err = db.UnheardCases(t.Context(), []string{c.ID})
	require.NoError(t, err)
	require.Empty(t, unheard)
}

func TestF22_OnlyNamesThatNoDomainHasAreTakenAway(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.live("0a", "www.example.com", "example.com")
	gone := db.live("0b", "gone.example.com")
	db.record(gone, 2, func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	db.sql(`INSERT INTO served_names (name, serial) VALUES ('gone.example.com', '0b'), ('old.example.com', '0a')`)
	lost := newDomain("acme", "lost.example.com") // its row was lost
	db.certify(lost, 1, "0c")
	require.NoError(t, db.Install(t.Context(), lost.Names, "0c"))

	strays, err := db.Strays(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []store.Stray{
		{Name: "gone.example.com", Serial: "0b", Names: gone.Names, Hostname: "gone.example.com"},
		{Name: "lost.example.com", Serial: "0c", Names: lost.Names},
		{Name: "old.example.com", Serial: "0a", Names: []string{"www.example.com", "example.com"}, Hostname: "www.example.com"},
	}, strays)

	heard := db.listen()
	for _, s := range append(strays, store.Stray{Name: "www.example.com", Serial: "0a"}, store.Stray{Name: "old.example.com", Serial: "0b"}) {
		require.NoError(t, db.RetireStray(t.Context(), s.Name, s.Serial))
	}
	require.Equal(t, "gone.example.com", heard.next())
	require.Equal(t, "old.example.com", heard.next())
	require.Equal(t, 3, db.count(`SELECT count(*) FROM served_names`), "a domain's own names, and one whose domain may come back")
}

func TestF22_HostnamesThatAreNotConnected(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.connect("acme", "www.example.com", "example.com")
	gone := db.connect("acme", "gone.example.com")
	db.record(gone, 1, func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	back := db.connect("acme", "back.example.com")
	db.record(back, 1, func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	db.connect("acme", "back.example.com")
	unknown, err := db.UnknownHostnames(t.Context(), []string{"www.example.com", "example.com", "gone.example.com", "back.example.com"})
	require.NoError(t, err)
	require.Len(t, unknown, 2)
	require.Equal(t, store.Unknown{Hostname: "example.com"}, unknown[0], "a further name is no hostname")
	require.Equal(t, "gone.example.com", unknown[1].Hostname)
	require.WithinDuration(t, time.Now(), unknown[1].RemovedAt, deadline)
}
