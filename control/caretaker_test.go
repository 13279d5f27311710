package control_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
)

// caretaker is one over the bundle's stand-ins, with their clock.
func (b bundle) caretaker() control.Caretaker {
	return control.Caretaker{
		Store: b.store, Workflows: b.workflows, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return b.store.Now() },
	}
}

// walk looks at all pages.
func walk(t *testing.T, c control.Caretaker) (sum cert.Audit) {
	t.Helper()
	after := ""
	for {
		next, page, err := c.Page(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		sum.Add(page)
		if after = next; next == "" {
			return sum
		}
	}
}

// later moves the store's clock, by which the caretaker goes too.
func (b bundle) later(d time.Duration) {
	now := b.store.Now().Add(d)
	b.store.Now = func() time.Time { return now }
}

func only(kind cert.FindingKind, found, repaired, unrepaired int) []cert.AuditCount {
	return []cert.AuditCount{{Kind: kind, Found: found, Repaired: repaired, Unrepaired: unrepaired}}
}

func TestF22_AnEndedWorkflowIsStartedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.connected(t, "gone.example.com")
	b.store.Record("gone.example.com", func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	// owed a start, by others
	if _, err := b.Connect(t.Context(), control.Connection{Hostname: "new.example.com", Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	b.workflows.Stop("shop.example.com")
	b.workflows.Stop("gone.example.com")

	dry := b.caretaker()
	dry.DryRun = true
	if sum := walk(t, dry); !slices.Equal(sum.Counts, only(cert.WorkflowEnded, 1, 0, 0)) || len(b.workflows.Running()) != 0 ||
		b.store.Writes != 0 {
		t.Errorf("dry run: %+v, running %v, %d writes", sum, b.workflows.Running(), b.store.Writes)
	}
	sum := walk(t, b.caretaker())
	if sum.Domains != 1 || !slices.Equal(sum.Counts, only(cert.WorkflowEnded, 1, 1, 0)) {
		t.Errorf("found %+v", sum)
	}
	if got := b.workflows.Running(); !slices.Equal(got, []string{"shop.example.com"}) {
		t.Errorf("running: %v", got)
	}
	if sum := walk(t, b.caretaker()); len(sum.Counts) != 0 || len(b.store.Tended) != 0 {
		t.Errorf("the next walk: %+v, noted %v", sum, b.store.Tended)
	}
}

func TestF22_ADomainRemovedBetweenLookAndRepairIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.workflows.Stop("shop.example.com")
	c := b.caretaker()
	c.Report = func(cert.Finding) {
		b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	}
	walk(t, c)
	if got := b.workflows.Running(); len(got) != 0 {
		t.Errorf("running: %v", got)
	}
}

func TestF22_WhatWakingDoesNotHelpBecomesACaseAndClosesByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.NextActionAt = b.store.Now().Add(-time.Hour) })
	for i, step := range []struct {
		after      time.Duration
		count      []cert.AuditCount
		wakes      int
		openedCase bool
	}{
		{0, only(cert.TimerPast, 1, 1, 0), 1, false},
		{time.Minute, only(cert.TimerPast, 1, 0, 0), 1, false}, // it is given time
		{24 * time.Hour, only(cert.TimerPast, 1, 0, 1), 2, true},
		{24 * time.Hour, only(cert.TimerPast, 1, 0, 1), 3, true},
	} {
		b.later(step.after)
		sum := walk(t, b.caretaker())
		if !slices.Equal(sum.Counts, step.count) || len(b.workflows.Asked()) != step.wakes || (len(b.store.OpenCases) == 1) != step.openedCase {
			t.Errorf("step %d: %+v, asked %q, cases %+v", i, sum, b.workflows.Asked(), b.store.OpenCases)
		}
	}
	if asked := b.workflows.Asked()[0]; !strings.HasPrefix(
		asked,
		"wake domain:shop.example.com: what was to come next at 2026-03-02 11:00 UTC",
	) {
		t.Errorf("asked %q", asked)
	}
	if c := b.store.OpenCases[0]; c.Kind != cert.NotRepaired || c.Tenant != "acme" || c.DomainID != "" || len(c.Problems) != 1 ||
		c.Problems[0].WhoActs != cert.PlatformActs {
		t.Errorf("the case: %+v", c)
	}
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.NextActionAt = b.store.Now().Add(time.Hour) })
	if sum := walk(t, b.caretaker()); len(sum.Counts) != 0 || len(b.store.OpenCases) != 0 || len(b.store.Tended) != 0 {
		t.Errorf("in order again: %+v, cases %+v, noted %v", sum, b.store.OpenCases, b.store.Tended)
	}
}

func TestF22_AWorkflowThatCannotGoOnIsACaseAndIsNotWoken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Status.Escalated = true }) // and it has no case
	b.workflows.Executions = map[string]control.Execution{
		"domain:shop.example.com": {Running: true, TaskSince: b.store.Now(), TaskAttempts: 7},
	}
	sum := walk(t, b.caretaker())
	if total := sum.Total(); total.Found != 2 || total.Unrepaired != 2 || len(b.workflows.Asked()) != 0 || len(b.store.OpenCases) != 1 {
		t.Errorf("found %+v, asked %q, cases %+v", sum, b.workflows.Asked(), b.store.OpenCases)
	}
}

func TestF22_AWorkflowThatEndsAgainAndAgainIsACase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	for i := range 2 {
		b.workflows.Stop("shop.example.com")
		sum := walk(t, b.caretaker())
		if total := sum.Total(); total.Unrepaired != i || len(b.store.OpenCases) != i || len(b.workflows.Running()) != 1 {
			t.Errorf("time %d: %+v, cases %+v, running %v", i, sum, b.store.OpenCases, b.workflows.Running())
		}
		b.later(24 * time.Hour)
	}
}

func TestF22_AuditAsksBeforeItStartsAFleetInTheWrongTemporal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 20 {
		b.connected(t, fmt.Sprintf("shop%02d.example.com", i))
	}
	for _, h := range b.workflows.Running() {
		b.workflows.Stop(h)
	}
	if _, err := b.Audit(t.Context(), control.AuditOptions{}); code(t, err) != cert.RequestRefused || len(b.workflows.Running()) != 0 {
		t.Errorf("got %v, running %v", err, b.workflows.Running())
	}
	sum, err := b.Audit(t.Context(), control.AuditOptions{Sure: true})
	if err != nil || sum.Total().Repaired != 20 || len(b.workflows.Running()) != 20 {
		t.Errorf("sure: %+v, %v, running %v", sum, err, b.workflows.Running())
	}
}

func TestF22_AWorkflowWithoutARowIsWoken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.workflows.Start(t.Context(), cert.Domain{Hostname: "lost.example.com"}); err != nil {
		t.Fatal(err)
	}
	sum := walk(t, b.caretaker())
	if asked := b.workflows.Asked(); !slices.Equal(sum.Counts, only(cert.RowMissing, 1, 1, 0)) || len(asked) != 1 ||
		!strings.HasPrefix(asked[0], "wake domain:lost.example.com") {
		t.Errorf("found %+v, asked %q", sum, asked)
	}
}

func TestF22_ATemporalThatIsAwayIsNoFinding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.workflows.SetDown(true)
	if _, sum, err := b.caretaker().Page(t.Context(), ""); code(t, err) != cert.Unavailable || len(sum.Counts) != 0 {
		t.Errorf("found %+v, %v", sum, err)
	}
	if d, err := b.Status(t.Context(), "shop.example.com"); err != nil || len(d.Problems) != 0 {
		t.Errorf("status: %+v, %v", d.Problems, err)
	}
	if page, err := b.List(t.Context(), store.Filter{}); err != nil || page.Domains[0].WorkflowMissing() {
		t.Errorf("list: %+v, %v", page, err)
	}
}

func TestF22_StatusAndListSayWhenAWorkflowIsNotRunning(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, h := range []string{"a.example.com", "b.example.com", "c.example.com"} {
		b.connected(t, h)
	}
	b.workflows.Stop("b.example.com")
	b.workflows.Stop("c.example.com")
	if err := b.workflows.Start(t.Context(), cert.Domain{Hostname: "c.example.com"}); err != nil { // it runs again
		t.Fatal(err)
	}
	if _, err := b.Connect(t.Context(), control.Connection{Hostname: "d.example.com", Tenant: "acme"}); err != nil { // not started yet
		t.Fatal(err)
	}
	page, err := b.List(t.Context(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range page.Domains {
		status, err := b.Status(t.Context(), d.Hostname)
		missing := d.Hostname == "b.example.com"
		if err != nil || d.WorkflowMissing() != missing || status.WorkflowMissing() != missing {
			t.Errorf("%s: list %+v, status %+v, %v", d.Hostname, d.Problems, status.Problems, err)
		}
		if missing && (status.Problems[0].WhoActs != cert.PlatformActs || !strings.Contains(status.Problems[0].Remediation, "evercert audit")) {
			t.Errorf("the problem: %+v", status.Problems[0])
		}
	}
	b.store.Record("b.example.com", func(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved })
	if d, err := b.Status(t.Context(), "b.example.com"); err != nil || d.WorkflowMissing() {
		t.Errorf("removed: %+v, %v", d.Problems, err)
	}
}

func TestF22_AnAuditNeedsDatabaseAndTemporal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.Fail(errors.New("connection refused"))
	if _, err := b.Audit(t.Context(), control.AuditOptions{}); code(t, err) != cert.Unavailable {
		t.Errorf("got %v", err)
	}
}

// TestF3_CertificatesOfAnotherCAAreReplacedAndThatIsNoFinding: a platform that goes from staging to production.
func TestF3_CertificatesOfAnotherCAAreReplacedAndThatIsNoFinding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{"new.example.com", "old.example.com", "unknown.example.com"} {
		b.connected(t, name)
		b.store.Record(name, func(*cert.Snapshot) {})
	}
	b.store.LiveCA = map[string]string{"new.example.com": "https://production.example", "old.example.com": "https://staging.example"}
	c := b.caretaker()
	c.Directories = []string{"https://second.example", "https://production.example"}
	if sum := walk(t, c); len(sum.Counts) != 0 {
		t.Errorf("found %+v", sum.Counts)
	}
	asked := b.workflows.Asked()
	if len(asked) != 1 || !strings.HasPrefix(asked[0], "renew domain:old.example.com") {
		t.Errorf("asked %q", asked)
	}
	c.DryRun = true
	walk(t, c)
	if again := b.workflows.Asked(); len(again) != 1 {
		t.Errorf("a dry run asked %q", again)
	}
}
