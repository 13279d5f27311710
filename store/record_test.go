package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// full returns a snapshot with a value in each field.
func full(d cert.Domain, seq int64) cert.Snapshot {
	at := time.Date(2026, 11, 22, 7, 0, 0, 123456000, time.UTC)
	return cert.Snapshot{
		Domain:   d,
		Run:      firstRun,
		Seq:      seq,
		Failures: 2,
		Paused:   true,
		At:       at,
		Status: cert.Status{
			Domain:      cert.DomainMoved,
			Certificate: cert.CertificateActive,
			Renewal:     cert.RenewalOnHold,
			HasLive:     true,
			Escalated:   true,
		},
		Problems: []cert.Problem{{
			Code: cert.DNSWrongTarget, Message: "m", Remediation: "r", WhoActs: cert.TenantActs, Found: "CNAME x",
			Record: &cert.Record{Name: "n", Type: "CNAME", Value: "v", Purpose: cert.ForAddress},
		}},
		Diagnosis: &cert.Diagnosis{
			CheckedAt: at, Verdict: cert.Wrong, Ownership: cert.OK, Pointed: cert.Unknown,
			Names: []cert.NameResult{{Name: "www.example.com", Method: cert.DNS01}},
		},
		NextAction:    "check DNS",
		NextActionAt:  at.Add(time.Hour),
		NextActor:     cert.TenantActs,
		Deadline:      at.Add(72 * time.Hour),
		Serial:        "00ab",
		Issuer:        "Test CA",
		NotAfter:      at.Add(90 * 24 * time.Hour),
		RenewAt:       at.Add(60 * 24 * time.Hour),
		HTTPSRedirect: true,
	}
}

func TestSnapshotIsReadAsItWasRecorded(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com", "example.com")
	for seq, snap := range []cert.Snapshot{full(d, 1), pending(d, 2), full(d, 3)} { // from full to empty and back
		snap.At = time.Date(2026, 11, 22, 7, seq, 0, 0, time.UTC)
		require.NoError(t, db.RecordStatus(t.Context(), snap))
		view, err := db.Domain(t.Context(), "www.example.com")
		require.NoError(t, err)
		require.Equal(t, snap.Status.Headline(), view.Headline)
		if snap.Diagnosis == nil {
			require.NotNil(t, view.Diagnosis, "a snapshot without a diagnosis leaves the last one")
			view.Diagnosis = nil
		}
		if len(view.Problems) == 0 {
			view.Problems = nil
		}
		require.Equal(t, snap, view.Snapshot, "snapshot %d", seq+1)
	}
}

func TestEachStatusAndHeadlineOfTheLanguageIsAccepted(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	seq := int64(0)
	seen := map[cert.Headline]bool{}
	for _, certificate := range []cert.CertificateStatus{
		cert.CertificateNone, cert.CertificatePendingIssuance, cert.CertificatePendingInstallation, cert.CertificateVerifying,
		cert.CertificateActive, cert.CertificateFailed, cert.CertificateRejected, cert.CertificateExpired,
	} {
		for _, renewal := range []cert.RenewalStatus{
			cert.RenewalNone, cert.RenewalScheduled, cert.RenewalDue, cert.RenewalRenewing, cert.RenewalOnHold, cert.RenewalEscalated,
		} {
			for i, domain := range []cert.DomainStatus{
				cert.DomainPendingDNS, cert.DomainPendingOwnership, cert.DomainActive, cert.DomainMoved, cert.DomainBlocked,
			} {
				seq++
				status := cert.Status{Domain: domain, Certificate: certificate, Renewal: renewal, HasLive: seq%2 == 0, Escalated: i == 4 && seq%4 < 2}
				db.record(d, seq, func(s *cert.Snapshot) { s.Status = status })
				view, err := db.Domain(t.Context(), "www.example.com")
				require.NoError(t, err)
				require.Equal(t, status, view.Status)
				require.Equal(t, status.Headline(), view.Headline)
				seen[view.Headline] = true
			}
		}
	}
	db.record(d, seq+1, removed)
	require.Len(t, seen, 9, "every headline but Removed: %v", seen)
}

func TestStatusesThatDoNotExistAreRefused(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	for name, change := range map[string]func(*cert.Snapshot){
		"domain":      func(s *cert.Snapshot) { s.Status.Domain = "pending" },
		"certificate": func(s *cert.Snapshot) { s.Status.Certificate = "" },
		"renewal":     func(s *cert.Snapshot) { s.Status.Renewal = "paused" },
		"failures":    func(s *cert.Snapshot) { s.Failures = -1 },
		"sequence":    func(s *cert.Snapshot) { s.Seq = 0 },
	} {
		snap := pending(d, 1)
		change(&snap)
		require.Error(t, db.RecordStatus(t.Context(), snap), name)
	}
	db.record(d, 1)
	for constraint, update := range map[string]string{
		"domains_headline_check":     `UPDATE domains SET headline = 'Fine'`,
		"recorded_has_sequence":      `UPDATE domains SET recorded = false`,
		"hostname_is_first_name":     `UPDATE domains SET hostname = 'other.example.com'`,
		"removed_has_its_time":       `UPDATE domains SET removed_at = now()`,
		"removed_says_so":            `UPDATE domains SET headline = 'Removed'`,
		"complete_has_a_certificate": `UPDATE domains SET headline = 'Installation complete'`,
	} {
		_, err := db.raw.Exec(t.Context(), update)
		require.ErrorContains(t, err, constraint)
	}
}

func TestOlderSnapshotNeverWins(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	at := time.Now()
	event := func(s *cert.Snapshot) {
		s.At = at
		s.NextAction = fmt.Sprint(s.Seq)
		s.Events = []cert.Event{{Type: cert.DomainVerified, Detail: fmt.Sprint(s.Seq)}}
	}
	db.record(d, 5, event)
	for _, seq := range []int64{5, 4, 1} {
		db.record(d, seq, event, func(s *cert.Snapshot) { s.NextAction = "late" })
	}
	db.record(d, 4, func(s *cert.Snapshot) { s.At, s.Names = at, []string{"www.example.com", "late.example.com"} })
	db.record(d, 5, removed, func(s *cert.Snapshot) { s.At = at })
	view, err := db.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	require.Equal(t, int64(5), view.Seq)
	require.Equal(t, "5", view.NextAction)
	require.Equal(t, d, view.Domain)
	require.Equal(t, cert.Pending, view.Headline)
	require.Equal(t, 1, db.count(`SELECT count(*) FROM domain_names`))
	timeline, err := db.Timeline(t.Context(), d.ID, 10)
	require.NoError(t, err)
	require.Len(t, timeline, 1)
}

// A worker died after the commit and before it reported the task to Temporal. The next worker repeats the task, and a removal has arrived
// meanwhile.
func TestATurnThatIsDoneAgainLaterReplacesItsSnapshot(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	first := db.record(d, 3, func(s *cert.Snapshot) {
		s.Events = []cert.Event{{Type: cert.DomainConnected}, {Type: cert.DomainVerified}}
	})
	db.record(d, 3, func(s *cert.Snapshot) {
		s.At = first.At.Add(10 * time.Second)
		s.Status.Domain = cert.DomainRemoved
		s.Events = []cert.Event{{Type: cert.DomainRemovedEvent}}
	})
	view, err := db.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	require.Equal(t, cert.Removed, view.Headline)
	require.Zero(t, db.count(`SELECT count(*) FROM domain_names`))
	timeline, err := db.Timeline(t.Context(), d.ID, 10)
	require.NoError(t, err)
	require.Len(t, timeline, 1, "the events of the turn that was lost are gone with it")
	require.Equal(t, cert.DomainRemovedEvent, timeline[0].Type)
}

// The same, but the first worker had written two snapshots, and the next one writes one, in which the domain is paused.
func TestF22_AShorterTurnThatIsDoneAgainReplacesTheLongerOne(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	first := db.record(d, 3)
	lost := db.record(d, 4, func(s *cert.Snapshot) { s.At = first.At.Add(time.Millisecond) })
	paused := func(s *cert.Snapshot) {
		s.At, s.Paused = first.At.Add(10*time.Second), true
		s.Events = []cert.Event{{Type: cert.RequestMade}}
	}
	db.record(d, 3, paused)
	require.NoError(t, db.RecordStatus(t.Context(), lost)) // the first worker was only slow
	view, err := db.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	require.True(t, view.Paused)
	require.Equal(t, int64(3), view.Seq)
	timeline, err := db.Timeline(t.Context(), d.ID, 1)
	require.NoError(t, err)
	require.Equal(t, cert.RequestMade, timeline[0].Type)
}

func TestSnapshotsRecordedAtOnceLeaveTheNewest(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	const snapshots = 40
	var wg sync.WaitGroup
	errs := make([]error, 2*snapshots)
	at := time.Now()
	for i, n := range rand.Perm(2 * snapshots) { // each twice, in random order
		wg.Go(func() {
			snap := pending(d, int64(n/2)+1)
			snap.NextAction, snap.At = fmt.Sprint(snap.Seq), at
			snap.Events = []cert.Event{{Type: cert.DomainVerified}, {Type: cert.IssuanceSucceeded}}
			errs[i] = db.RecordStatus(t.Context(), snap)
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	view, err := db.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	require.Equal(t, int64(snapshots), view.Seq)
	require.Equal(t, fmt.Sprint(snapshots), view.NextAction)
	timeline, err := db.Timeline(t.Context(), d.ID, 2)
	require.NoError(t, err)
	require.Equal(t, []cert.EventType{cert.IssuanceSucceeded, cert.DomainVerified}, []cert.EventType{timeline[0].Type, timeline[1].Type})
}

func TestTimelineIsNewestFirstAndOncePerSnapshot(t *testing.T) {
	t.Parallel()
	db := open(t)
	d, other := db.connect("acme", "www.example.com"), db.connect("acme", "www.example.org")
	first := db.record(d, 1, func(s *cert.Snapshot) {
		s.Events = []cert.Event{{Type: cert.DomainConnected}, {Type: cert.DomainVerified, Detail: "both records"}}
	})
	db.record(d, 1, func(s *cert.Snapshot) { // the activity ran twice
		s.At, s.Events = first.At, []cert.Event{{Type: cert.DomainConnected}}
	})
	db.record(d, 2)
	last := db.record(d, 3, func(s *cert.Snapshot) {
		s.At = first.At.Add(time.Minute)
		s.Events = []cert.Event{{Type: cert.IssuanceSucceeded}}
	})
	db.record(other, 1, func(s *cert.Snapshot) { s.Events = []cert.Event{{Type: cert.DomainConnected}} })

	want := []store.TimelineEntry{
		{At: last.At, Event: cert.Event{Type: cert.IssuanceSucceeded}},
		{At: first.At, Event: cert.Event{Type: cert.DomainVerified, Detail: "both records"}},
		{At: first.At, Event: cert.Event{Type: cert.DomainConnected}},
	}
	for _, limit := range []int{0, 10} {
		timeline, err := db.Timeline(t.Context(), d.ID, limit)
		require.NoError(t, err)
		require.Equal(t, want, timeline)
	}
	timeline, err := db.Timeline(t.Context(), d.ID, 1)
	require.NoError(t, err)
	require.Equal(t, want[:1], timeline)
}

func TestSnapshotOfAnUnknownDomainMakesItsRow(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := newDomain("acme", "www.example.com", "example.com")
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = db.RecordStatus(t.Context(), full(d, 7)) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	view, err := db.Domain(t.Context(), "example.com")
	require.NoError(t, err)
	require.Equal(t, full(d, 7), view.Snapshot)
	_, err = db.Connect(t.Context(), newDomain("other", "example.com"))
	require.Equal(t, cert.NameTaken, problem(t, err).Code)
	_, err = db.TenantSecret(t.Context(), "acme")
	require.NoError(t, err)
}

func TestSnapshotOfAnUnknownDomainWhoseNamesAreTakenIsAnError(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.connect("acme", "www.example.com", "example.com")
	for _, names := range [][]string{{"www.example.com"}, {"shop.example.com", "example.com"}} {
		late := newDomain("other", names...)
		require.Equal(t, cert.NameTaken, problem(t, db.RecordStatus(t.Context(), pending(late, 1))).Code)
		require.Equal(t, 1, db.count(`SELECT count(*) FROM domains`))
		require.Equal(t, 1, db.count(`SELECT count(*) FROM tenants`))

		gone := pending(late, 2) // its removal can be recorded, and takes nothing from the other
		removed(&gone)
		require.NoError(t, db.RecordStatus(t.Context(), gone))
		require.Zero(t, db.count(`SELECT count(*) FROM name_quarantine`))
		view, err := db.Domain(t.Context(), "www.example.com")
		require.NoError(t, err)
		require.Equal(t, "acme", view.Tenant)
		db.sql(`DELETE FROM domains WHERE tenant = 'other'`)
		db.sql(`DELETE FROM tenants WHERE id = 'other'`)
	}
}

func TestB5_ChangedNamesAreClaimedAndFreed(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com", "old.example.com")
	db.connect("other", "taken.example.com")
	db.record(d, 1, verified)

	d.Names = []string{"www.example.com", "new.example.com"}
	db.record(d, 2)
	view, err := db.Domain(t.Context(), "new.example.com")
	require.NoError(t, err)
	require.Equal(t, d, view.Domain)
	_, err = db.Connect(t.Context(), newDomain("other", "old.example.com"))
	require.Contains(t, problem(t, err).Message, "was removed from another account")
	db.connect("acme", "old.example.com")

	snap := pending(d, 3)
	snap.Names = []string{"www.example.com", "taken.example.com"}
	require.Equal(t, cert.NameTaken, problem(t, db.RecordStatus(t.Context(), snap)).Code)
	view, err = db.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	require.Equal(t, d, view.Domain, "nothing of the refused snapshot is stored")
	require.Equal(t, int64(2), view.Seq)
}

func TestRemovedDomainStaysRemoved(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	db.record(d, 1, verified, removed)
	until := db.count(`SELECT extract(epoch FROM ends_at)::bigint FROM name_quarantine`)
	db.sql(`UPDATE name_quarantine SET ends_at = ends_at - interval '1 day'`)
	db.record(d, 2, removed)
	require.Equal(
		t, until-24*60*60,
		db.count(`SELECT extract(epoch FROM ends_at)::bigint FROM name_quarantine`),
		"repeating the removal prolongs nothing",
	)

	require.ErrorContains(t, db.RecordStatus(t.Context(), pending(d, 3)), "violates check constraint")
	view, err := db.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	require.Equal(t, cert.Removed, view.Headline)
}

const (
	firstRun  = "aaaaaaaa-0000-0000-0000-000000000001"
	secondRun = "bbbbbbbb-0000-0000-0000-000000000002"
)

// TestF22_ARunAfterAResetWins: an operator resets a workflow to an earlier point. The new run counts from there, and its snapshots are
// newer all the same. A late write of the earlier run never replaces them.
func TestF22_ARunAfterAResetWins(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	at := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	write := func(run string, seq int64, age time.Duration, change ...func(*cert.Snapshot)) {
		t.Helper()
		db.record(d, seq, append(change, func(s *cert.Snapshot) {
			s.Run, s.At = run, at.Add(age)
			s.NextAction = fmt.Sprintf("%s %d", run[:1], seq)
			s.Events = []cert.Event{{Type: cert.RequestMade, Detail: s.NextAction}}
		})...)
	}
	requireNow := func(want string) {
		t.Helper()
		view, err := db.Domain(t.Context(), d.Hostname)
		require.NoError(t, err)
		require.Equal(t, want, view.NextAction)
	}
	write(firstRun, 4, time.Hour)
	write(firstRun, 9, 2*time.Hour)
	write(secondRun, 5, 3*time.Hour)
	requireNow("b 5")
	write(firstRun, 9, 2*time.Hour) // written twice, the second time late
	write(firstRun, 10, 2*time.Hour)
	requireNow("b 5")
	write(secondRun, 6, 3*time.Hour)
	requireNow("b 6")
	write(secondRun, 5, 2*time.Hour) // a late write of a task that was lost
	requireNow("b 6")

	timeline, err := db.Timeline(t.Context(), d.ID, 10)
	require.NoError(t, err)
	var details []string
	for _, e := range timeline {
		details = append(details, e.Detail)
	}
	require.Equal(t, []string{"b 6", "b 5", "a 9", "a 4"}, details, "events of the run before the reset stay")

	write(secondRun, 7, 5*time.Hour, removed)
	require.Zero(t, db.count(`SELECT count(*) FROM domain_names`), "a removal after a reset frees the names")
}

// TestF22_TheStateOfTheWorkflowIsKeptWithEachRecord: a workflow that was lost continues from it.
func TestF22_TheStateOfTheWorkflowIsKeptWithEachRecord(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	for seq, state := range []string{`{"phase":"issuing"}`, ``, `{"phase":"active", "note":"a \u0000 is no text for jsonb"}`} {
		db.record(d, int64(seq)+1, func(s *cert.Snapshot) { s.State = []byte(state) })
		var kept string
		require.NoError(t, db.raw.QueryRow(t.Context(), `SELECT state FROM domains WHERE id = $1`, d.ID).Scan(&kept))
		if state == "" {
			state = `{"phase":"issuing"}` // a snapshot without a state does not change the stored one
		}
		require.Equal(t, state, kept)
	}
}

// TestF22_APermanentErrorIsKnownAsOne: every other error may pass by itself, and is retried.
func TestF22_APermanentErrorIsKnownAsOne(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	snap := pending(d, 1)
	for what, text := range map[string]string{"a NUL": "a\x00b", "no UTF-8": "a\xffb"} {
		snap.NextAction = text
		require.True(t, db.IsPermanent(db.RecordStatus(t.Context(), snap)), what)
	}
	snap = pending(d, 1)
	snap.Failures = -1
	require.True(t, db.IsPermanent(db.RecordStatus(t.Context(), snap)), "a constraint")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, db.IsPermanent(db.RecordStatus(gone, pending(d, 1))), "a time-out")
	_, err := db.raw.Exec(t.Context(), `BEGIN READ ONLY; UPDATE domains SET paused = true`)
	require.Error(t, err)
	require.False(t, db.IsPermanent(err), "a database that is read-only for a while")
	require.False(t, db.IsPermanent(nil))
}
