package control

import (
	"slices"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// healthy is a live domain in order, at rest until its renewal, with its workflow.
func healthy() (store.Inspected, Execution) {
	row := store.Inspected{
		Domain: cert.Domain{ID: "d", Hostname: "shop.example.com", Names: []string{"shop.example.com", "www.example.com"}, Tenant: "acme"},
		Run:    "run-1", SnapshotAt: noon.Add(-48 * time.Hour), NextActionAt: noon.Add(30 * 24 * time.Hour),
		Status:    cert.Status{Domain: cert.DomainActive, Certificate: cert.CertificateActive, Renewal: cert.RenewalScheduled, HasLive: true},
		Serial:    "aa",
		LiveNames: []string{"shop.example.com", "www.example.com"}, LiveFrom: noon.Add(-49 * time.Hour),
	}
	for _, name := range row.Names {
		row.Served = append(
			row.Served,
			store.ServedName{Name: name, Serial: "aa", DomainID: "d", NotBefore: row.LiveFrom, InstalledAt: noon.Add(-48 * time.Hour)},
		)
	}
	return row, Execution{Running: true, Run: "run-1", StartedAt: noon.Add(-49 * time.Hour)}
}

// newer serves a name with a certificate of a domain that was made and installed some time ago.
func newer(row *store.Inspected, domainID string, made, installed time.Duration) {
	row.Served[0] = store.ServedName{
		Name:        row.Names[0],
		Serial:      "bb",
		DomainID:    domainID,
		NotBefore:   noon.Add(-made),
		InstalledAt: noon.Add(-installed),
	}
}

func TestF22_WhatIsCompared(t *testing.T) {
	t.Parallel()
	hour, day := time.Hour, 24*time.Hour
	for name, c := range map[string]struct {
		change func(row *store.Inspected, domain, people *Execution)
		found  []cert.FindingKind
		remedy remedy
	}{
		"in order": {func(*store.Inspected, *Execution, *Execution) {}, nil, 0},
		"waiting for its records, nothing live": {func(row *store.Inspected, _, _ *Execution) {
			row.Status, row.Serial, row.LiveNames, row.Served = cert.Status{Domain: cert.DomainPendingDNS}, "", nil, nil
		}, nil, 0},
		"ended": {
			func(_ *store.Inspected, d, _ *Execution) { d.Running = false },
			[]cert.FindingKind{cert.WorkflowEnded},
			resume,
		},
		"unknown to Temporal": {
			func(_ *store.Inspected, d, _ *Execution) { *d = Execution{} },
			[]cert.FindingKind{cert.WorkflowEnded},
			resume,
		},
		"ended, and overdue as well": {
			func(row *store.Inspected, d, _ *Execution) { d.Running, row.NextActionAt = false, noon.Add(-day) },
			[]cert.FindingKind{cert.WorkflowEnded},
			resume,
		},

		"overdue": {
			func(row *store.Inspected, _, _ *Execution) { row.NextActionAt = noon.Add(-16 * time.Minute) },
			[]cert.FindingKind{cert.TimerPast},
			wake,
		},
		"a little late":          {func(row *store.Inspected, _, _ *Execution) { row.NextActionAt = noon.Add(-14 * time.Minute) }, nil, 0},
		"paused: no next action": {func(row *store.Inspected, _, _ *Execution) { row.NextActionAt = time.Time{} }, nil, 0},
		"overdue, and at work on it": {func(row *store.Inspected, d, _ *Execution) {
			row.NextActionAt, d.TaskSince, d.TaskAttempts = noon.Add(-day), noon.Add(-time.Second), 1
		}, nil, 0},
		"its task fails again and again": {func(_ *store.Inspected, d, _ *Execution) {
			d.TaskSince, d.TaskAttempts = noon.Add(-time.Second),
				5
		}, []cert.FindingKind{cert.WorkflowStuck}, tellPeople},
		"its task was lost once": {func(_ *store.Inspected, d, _ *Execution) {
			d.TaskSince, d.TaskAttempts = noon.Add(-time.Second),
				2
		}, nil, 0},
		"no worker takes its task": {
			func(_ *store.Inspected, d, _ *Execution) { d.TaskSince, d.TaskAttempts = noon.Add(-hour), 1 },
			[]cert.FindingKind{cert.WorkflowStuck},
			tellPeople,
		},
		"a run that follows, with no news": {func(_ *store.Inspected, d, _ *Execution) { d.Run, d.StartedAt = "run-2", noon.Add(-hour) }, nil, 0},
		"a run that follows at once": {
			func(row *store.Inspected, d, _ *Execution) { d.Run, d.StartedAt = "run-2", row.SnapshotAt }, nil,
			0,
		},
		"reset": {func(_ *store.Inspected, d, _ *Execution) {
			d.Run, d.StartedAt, d.Reset = "run-2", noon.Add(-hour), true
		}, []cert.FindingKind{cert.WorkflowReset}, wake},
		"reset, and recorded since": {func(_ *store.Inspected, d, _ *Execution) { d.Reset = true }, nil, 0},
		"a run that is older than the row": {
			func(_ *store.Inspected, d, _ *Execution) { d.Run = "run-0" },
			[]cert.FindingKind{cert.WorkflowReset},
			wake,
		},
		"a row of before runs were written": {func(row *store.Inspected, _, _ *Execution) { row.Run = "" }, nil, 0},

		"one name not served": {
			func(row *store.Inspected, _, _ *Execution) { row.Served = row.Served[:1] },
			[]cert.FindingKind{cert.NotServed},
			reinstall,
		},
		"nothing served": {func(row *store.Inspected, _, _ *Execution) { row.Served = nil }, []cert.FindingKind{cert.NotServed}, reinstall},
		"nothing served, expired": {func(row *store.Inspected, _, _ *Execution) {
			row.Served, row.Status.Certificate = nil, cert.CertificateExpired
		}, []cert.FindingKind{cert.NotServed}, reinstall},
		"a name was added since": {
			func(row *store.Inspected, _, _ *Execution) { row.Names = append(row.Names, "new.example.com") }, nil,
			0,
		},
		"an older one is served": {
			func(row *store.Inspected, _, _ *Execution) { newer(row, "d", 90*day, 90*day) },
			[]cert.FindingKind{cert.ServedOtherwise},
			reinstall,
		},
		"another domain's is served": {
			func(row *store.Inspected, _, _ *Execution) { newer(row, "other", time.Minute, time.Minute) },
			[]cert.FindingKind{cert.ServedOtherwise},
			reinstall,
		},
		"the next one, just installed": {func(row *store.Inspected, _, _ *Execution) { newer(row, "d", time.Minute, time.Minute) }, nil, 0},
		"the next one, and not yet verified": {func(row *store.Inspected, _, _ *Execution) {
			newer(row, "d", day, day)
			row.Status.Certificate = cert.CertificatePendingInstallation
		}, nil, 0},
		"the next one, which failed on an edge": {func(row *store.Inspected, _, _ *Execution) {
			newer(row, "d", day, day)
			row.Status.Certificate = cert.CertificateFailed
		}, nil, 0},
		"a newer one that nobody works on": {
			func(row *store.Inspected, _, _ *Execution) { newer(row, "d", hour, hour) },
			[]cert.FindingKind{cert.ServedOtherwise},
			reinstall,
		},

		"people have it": {func(row *store.Inspected, _, people *Execution) {
			row.Status.Escalated, row.OpenCase, row.CaseStarted, people.Running = true, "d/1", true, true
		}, nil, 0},
		"people are about to have it": {func(row *store.Inspected, _, _ *Execution) { row.Status.Escalated, row.OpenCase = true, "d/1" }, nil, 0},
		"escalated without a case": {
			func(row *store.Inspected, _, _ *Execution) { row.Status.Escalated = true },
			[]cert.FindingKind{cert.CaseNotOpen},
			wake,
		},
		"a case, and not escalated": {func(row *store.Inspected, _, p *Execution) {
			row.OpenCase, row.CaseStarted, p.Running = "d/1", true, true
		}, []cert.FindingKind{cert.CaseNotClosed}, wake},
		"a case whose workflow was ended": {func(row *store.Inspected, _, _ *Execution) {
			row.Status.Escalated, row.OpenCase, row.CaseStarted = true, "d/1", true
		}, []cert.FindingKind{cert.CaseEnded}, oweCase},

		"several at once": {
			func(row *store.Inspected, d, _ *Execution) {
				d.Running, row.Status.Escalated, row.Served = false, true, nil
			},
			[]cert.FindingKind{cert.WorkflowEnded, cert.NotServed, cert.CaseNotOpen},
			resume,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row, domain := healthy()
			var people Execution
			c.change(&row, &domain, &people)
			found := compare(row, domain, people, noon)
			var kinds []cert.FindingKind
			for _, f := range found {
				kinds = append(kinds, f.kind)
				if f.detail == "" {
					t.Errorf("%s does not say what is wrong", f.kind)
				}
			}
			if !slices.Equal(kinds, c.found) || len(found) > 0 && found[0].remedy != c.remedy {
				t.Errorf("found %+v, want %v by remedy %d", found, c.found, c.remedy)
			}
		})
	}
}

func TestASentenceNamesAFewNamesOfMany(t *testing.T) {
	t.Parallel()
	if got := listing([]string{"a", "b", "c", "d", "e", "f", "g"}); got != "a, b, c, d, e and 2 more" {
		t.Error(got)
	}
}
