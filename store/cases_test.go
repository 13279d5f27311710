package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

func newCase(hostname string, opened time.Time) cert.Case {
	return cert.Case{
		ID:       uuid.NewString(),
		DomainID: uuid.NewString(),
		Hostname: hostname,
		Tenant:   "acme",
		Kind:     cert.TooManyFailures,
		Reason:   "3 failures",
		Failures: 3,
		Problems: []cert.Problem{
			{Code: cert.CAAForbids, Message: "m", WhoActs: cert.TenantActs},
		},
		OpenedAt: opened.UTC().Truncate(time.Microsecond),
	}
}

func (db *database) save(c cert.Case) {
	db.t.Helper()
	_, err := db.SaveCase(db.t.Context(), c)
	require.NoError(db.t, err)
}

func (db *database) cases(openOnly bool, hostname string) []cert.Case {
	db.t.Helper()
	cases, err := db.Cases(db.t.Context(), store.CaseFilter{OpenOnly: openOnly, Hostname: hostname})
	require.NoError(db.t, err)
	for i := range cases {
		if len(cases[i].Notes) == 0 {
			cases[i].Notes = nil
		}
		if len(cases[i].Records) == 0 {
			cases[i].Records = nil
		}
	}
	return cases
}

func TestA5_CasesAreListedOpenOrByHostname(t *testing.T) {
	t.Parallel()
	db := open(t)
	now := time.Now()
	old, current, other := newCase(
		"www.example.com", now.Add(-time.Hour),
	), newCase(
		"www.example.com", now,
	), newCase(
		"www.example.org", now.Add(-time.Minute),
	)
	old.ClosedAt, old.Resolution = current.OpenedAt, "handed back"
	for _, c := range []cert.Case{old, current, other} {
		db.save(c)
	}
	require.Equal(t, []cert.Case{current, other, old}, db.cases(false, ""))
	require.Equal(t, []cert.Case{current, other}, db.cases(true, ""))
	require.Equal(t, []cert.Case{current, old}, db.cases(false, "www.example.com"))
	require.Equal(t, []cert.Case{other}, db.cases(true, "www.example.org"))
	require.Empty(t, db.cases(false, "unknown.example.com"))
}

// TestA5_PagesOfCasesMissNoneAndRepeatNone: five cases were opened at the same time, and one is opened between two pages.
func TestA5_PagesOfCasesMissNoneAndRepeatNone(t *testing.T) {
	t.Parallel()
	db := open(t)
	now := time.Now()
	want := map[string]int{}
	for i := range 9 {
		c := newCase("www.example.com", now.Add(time.Duration(max(i-5, 0))*time.Microsecond))
		db.save(c)
		want[c.ID] = 1
	}
	got, filter := map[string]int{}, store.CaseFilter{Limit: 2}
	for page := 0; ; page++ {
		cases, err := db.Cases(t.Context(), filter)
		require.NoError(t, err)
		if len(cases) == 0 {
			break
		}
		for _, c := range cases {
			got[c.ID]++
			filter.After = store.CasePlace{OpenedAt: c.OpenedAt, ID: c.ID}
		}
		if page == 1 {
			db.save(newCase("www.example.com", now.Add(time.Second)))
		}
	}
	require.Equal(t, want, got)
}

func TestA5_WhatPeopleDoOnACaseIsKeptUntilItsDomainClosesIt(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	opened := newCase("www.example.com", time.Now())
	opened.DomainID = d.ID
	db.record(d, 1, func(s *cert.Snapshot) { s.Case, s.Status.Escalated = &opened, true })
	require.Equal(t, []cert.Case{opened}, db.cases(true, ""))

	acknowledged := opened
	acknowledged.Assignee, acknowledged.RemindedAt = "kim", opened.OpenedAt.Add(time.Hour)
	acknowledged.Notes = []cert.Note{{Author: "kim", Text: "asked the tenant", At: opened.OpenedAt}}
	db.save(acknowledged)
	require.Equal(t, []cert.Case{acknowledged}, db.cases(true, ""))
	db.record(d, 2, func(s *cert.Snapshot) { s.Case, s.Status.Escalated = &opened, true })
	require.Equal(t, []cert.Case{acknowledged}, db.cases(true, ""), "a further snapshot leaves what people did")

	db.record(d, 3, func(s *cert.Snapshot) { s.Resolution = "the tenant fixed its CAA record" })
	require.Empty(t, db.cases(true, ""))
	closed, err := db.SaveCase(t.Context(), acknowledged) // an activity that ran late
	require.NoError(t, err)
	require.Equal(t, "the tenant fixed its CAA record", closed.Resolution)
	require.False(t, closed.ClosedAt.IsZero())
	require.Empty(t, db.cases(true, ""), "only the domain opens it again")
}

// TestF22_TheWorkflowOfACaseIsOwedUntilItHasSaidSomething: a crash between the record and the start of the workflow loses nothing.
func TestF22_TheWorkflowOfACaseIsOwedUntilItHasSaidSomething(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	c := newCase("www.example.com", time.Now())
	c.DomainID = d.ID
	owed := func() (ids []string) {
		cases, err := db.TakeOwedCases(t.Context(), 0, 10)
		require.NoError(t, err)
		for _, each := range cases {
			ids = append(ids, each.ID)
		}
		return ids
	}
	require.Empty(t, owed())
	db.record(d, 1, func(s *cert.Snapshot) { s.Case, s.Status.Escalated = &c, true })
	require.Equal(t, []string{c.ID}, owed())
	require.Equal(t, []string{c.ID}, owed(), "until the workflow says something")
	db.save(c)
	require.Empty(t, owed())
	db.record(d, 2)
	require.Equal(t, []string{c.ID}, owed(), "it has to hear that the case is closed")
	db.save(c)
	require.Empty(t, owed(), "it has heard, and ends")

	db.record(d, 3, func(s *cert.Snapshot) { s.Case, s.Status.Escalated = &c, true })
	require.Len(t, db.cases(true, ""), 1, "the domain says that people have it still: a run that was reset")
	require.Equal(t, []string{c.ID}, owed())
	db.record(d, 4)
	require.Empty(t, owed(), "closed before its workflow began: nothing is owed")
}

func TestF22_OfTwoCasesOfADomainOneIsOpen(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	first, second := newCase("www.example.com", time.Now()), newCase("www.example.com", time.Now())
	first.DomainID, second.DomainID = d.ID, d.ID
	db.record(d, 1, func(s *cert.Snapshot) { s.Case, s.Status.Escalated = &first, true })
	db.record(d, 2, func(s *cert.Snapshot) {
		s.Case, s.Status.Escalated, s.Resolution = &second, true, "another case takes its place"
	})
	require.Equal(t, []cert.Case{second}, db.cases(true, ""))
	_, err := db.raw.Exec(t.Context(), `DELETE FROM cases WHERE id = $1`, first.ID)
	require.NoError(t, err)
	db.save(first) // its workflow, which has not read it yet
	require.Equal(t, []cert.Case{second}, db.cases(true, ""))
	_, err = db.raw.Exec(t.Context(), `DELETE FROM cases WHERE id = $1`, second.ID)
	require.NoError(t, err)
	db.record(d, 3, func(s *cert.Snapshot) { s.Case, s.Status.Escalated = &second, true })
	require.Equal(t, []cert.Case{second}, db.cases(true, ""), "a row that was deleted comes back with the next snapshot")
}

func TestRemovingADomainClosesItsCase(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	c := newCase("www.example.com", time.Now())
	c.DomainID = d.ID
	db.record(d, 1, func(s *cert.Snapshot) { s.Case, s.Status.Escalated = &c, true })
	db.record(d, 2, removed, func(s *cert.Snapshot) { s.Resolution = "removed by kim" })
	require.Empty(t, db.cases(true, ""))
	require.Equal(t, "removed by kim", db.cases(false, "")[0].Resolution)
}
