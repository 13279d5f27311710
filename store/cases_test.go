package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

func newCase(hostname string, opened time.Time) cert.Case {
	return cert.Case{
		ID: uuid.NewString(), DomainID: uuid.NewString(), Hostname: hostname, Tenant: "acme", Reason: "3 failures", Failures: 3,
		Problems: []cert.Problem{{Code: cert.CAAForbids, Message: "m", WhoActs: cert.TenantActs}}, OpenedAt: opened.UTC().Truncate(time.Microsecond),
	}
}

func (db *database) save(c cert.Case) {
	db.t.Helper()
	require.NoError(db.t, db.SaveCase(db.t.Context(), c))
}

func (db *database) cases(openOnly bool, hostname string) []cert.Case {
	db.t.Helper()
	cases, err := db.Cases(db.t.Context(), openOnly, hostname)
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
	old, current, other := newCase("www.example.com", now.Add(-time.Hour)), newCase("www.example.com", now), newCase("www.example.org", now.Add(-time.Minute))
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

func TestCaseGrowsUntilItIsClosedAndThenStaysClosed(t *testing.T) {
	t.Parallel()
	db := open(t)
	opened := newCase("www.example.com", time.Now())
	db.save(opened)
	acknowledged := opened
	acknowledged.Assignee, acknowledged.RemindedAt = "kim", opened.OpenedAt.Add(time.Hour)
	acknowledged.Notes = []cert.Note{{Author: "kim", Text: "asked the tenant", At: opened.OpenedAt}}
	db.save(acknowledged)
	require.Equal(t, []cert.Case{acknowledged}, db.cases(true, ""))

	closed := acknowledged
	closed.ClosedAt, closed.Resolution = opened.OpenedAt.Add(2*time.Hour), "the tenant fixed its CAA record"
	db.save(closed)
	db.save(acknowledged) // an activity that ran late
	require.Equal(t, []cert.Case{closed}, db.cases(false, ""))
	require.Empty(t, db.cases(true, ""))
}
