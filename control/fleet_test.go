package control_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/control/controltest"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// tenThousand makes 10,000 connected domains, as workflows leave them behind: nine in ten are live, of which one in ten is in the middle
// of a renewal whose certificate is served and not yet recorded; one in ten waits for its records, half of them as a case that people
// have.
const tenThousand = `
	INSERT INTO tenants (id, secret) VALUES ('acme', decode(repeat('00', 32), 'hex'));
	CREATE TEMPORARY TABLE fleet AS
		SELECT n, gen_random_uuid() AS id, 'shop' || lpad(n::text, 5, '0') || '.example.com' AS hostname,
		       n % 10 > 0 AS live, n % 100 = 1 AS renews, n % 20 = 0 AS escalated
		FROM generate_series(1, 10000) AS n;
	INSERT INTO domains (id, tenant, hostname, names, recorded, run, seq, snapshot_at, domain_status, certificate_status, renewal_status,
	                     has_live, escalated, headline, next_action_at, serial)
		SELECT id, 'acme', hostname, ARRAY[hostname], true, gen_random_uuid(), 7, now() - interval '1 day',
		       CASE WHEN live THEN 'active' ELSE 'pending_dns' END,
		       CASE WHEN renews THEN 'pending_installation' WHEN live THEN 'active' ELSE 'none' END,
		       CASE WHEN renews THEN 'renewing' WHEN live THEN 'scheduled' ELSE 'none' END,
		       live, escalated,
		       CASE WHEN escalated THEN 'Contact support' WHEN renews THEN 'Installing' WHEN live THEN 'Installation complete' ELSE 'Pending' END,
		       CASE WHEN renews THEN NULL ELSE now() + interval '1 hour' END, CASE WHEN live THEN 'a' || to_hex(n) ELSE '' END
		FROM fleet;
	INSERT INTO domain_names (name, domain_id) SELECT hostname, id FROM fleet;
	INSERT INTO keys (id, sealed) SELECT 'k' || serial, '' FROM (SELECT 'a' || to_hex(n) AS serial FROM fleet WHERE live
		UNION ALL SELECT 'b' || to_hex(n) FROM fleet WHERE renews) AS all_serials;
	CREATE TEMPORARY TABLE issued AS
		SELECT id, hostname, 'a' || to_hex(n) AS serial, now() - interval '60 days' AS from_ FROM fleet WHERE live
		UNION ALL SELECT id, hostname, 'b' || to_hex(n), now() - interval '1 minute' FROM fleet WHERE renews;
	INSERT INTO issuances (id, domain_id, names, key_id, csr) SELECT 'i' || serial, id, ARRAY[hostname], 'k' || serial, '' FROM issued;
	INSERT INTO certificates (serial, issuance_id, domain_id, names, issuer, not_before, not_after, chain_pem)
		SELECT serial, 'i' || serial, id, ARRAY[hostname], 'Test CA', from_, from_ + interval '90 days', '' FROM issued;
	INSERT INTO served_names (name, serial)
		SELECT hostname, CASE WHEN renews THEN 'b' ELSE 'a' END || to_hex(n) FROM fleet WHERE live;
	INSERT INTO cases (id, domain_id, hostname, tenant, kind, reason, failures, problems, opened_at, assignee, notes, resolution, started)
		SELECT id || '/1', id, hostname, 'acme', 'no-records', 'r', 0, '[]', now(), '', '[]', '', true FROM fleet WHERE escalated`

// versions says which version of which row there is: it changes with any write.
const versions = `
	SELECT md5(string_agg(x, ',')) FROM (
		SELECT 'd' || id || xmin AS x FROM domains UNION ALL SELECT 's' || name || xmin FROM served_names
		UNION ALL SELECT 'c' || id || xmin FROM cases ORDER BY x) AS rows`

// TestF22_NothingIsChangedOnAHealthyFleetOfTenThousand is the second half of figure 5, on a real database.
func TestF22_NothingIsChangedOnAHealthyFleetOfTenThousand(t *testing.T) {
	t.Parallel()
	url := stack.Database(t)
	db, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // read only from here on
	_, err = conn.Exec(t.Context(), tenThousand)
	require.NoError(t, err)

	w := &controltest.Workflows{Executions: map[string]control.Execution{}}
	rows, err := conn.Query(t.Context(), `SELECT hostname, coalesce(run::text, ''), snapshot_at FROM domains`)
	require.NoError(t, err)
	n := 0
	for rows.Next() {
		var hostname string
		var e control.Execution
		require.NoError(t, rows.Scan(&hostname, &e.Run, &e.StartedAt))
		if n++; n%2 == 0 { // half of them have begun a new run since, with nothing to record
			e.Run, e.StartedAt = "another", e.StartedAt.Add(1)
		}
		e.Running = true
		w.Executions[workflows.DomainID(hostname)] = e
	}
	require.NoError(t, rows.Err())
	ids, err := conn.Query(t.Context(), `SELECT id FROM cases`)
	require.NoError(t, err)
	cases, err := pgx.CollectRows(ids, pgx.RowTo[string])
	require.NoError(t, err)
	require.Len(t, cases, 500)
	for _, id := range cases {
		w.Executions[workflows.EscalationID(id)] = control.Execution{Running: true}
	}

	version := func() (v string) {
		require.NoError(t, conn.QueryRow(t.Context(), versions).Scan(&v))
		return v
	}
	before := version()
	b := bundle{workflows: w, store: controltest.NewStore()}
	c := b.caretaker()
	c.Store, c.Now = db, nil
	sum := walk(t, c)
	require.Equal(t, 10_000, sum.Domains)
	require.Empty(t, sum.Counts)
	require.Empty(t, w.Asked(), "nothing is asked of any workflow")
	require.Equal(t, before, version(), "no row is written")

	_, err = conn.Exec(t.Context(), `DELETE FROM served_names WHERE name = 'shop05555.example.com'`)
	require.NoError(t, err)
	require.Equal(t, 1, walk(t, c).Total().Repaired, "the same walk finds one fault in ten thousand")
}
