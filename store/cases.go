package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/evercert/evercert/cert"
)

// SaveCase stores an escalation as its workflow knows it now. A closed case stays closed: a late repetition of an
// earlier write does not open it again.
func (s *Store) SaveCase(ctx context.Context, c cert.Case) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO cases (id, domain_id, hostname, tenant, reason, failures, problems, records, opened_at,
		                   assignee, notes, reminded_at, closed_at, resolution)
		VALUES (@id, @domain_id, @hostname, @tenant, @reason, @failures, @problems, @records, @opened_at,
		        @assignee, @notes, @reminded_at, @closed_at, @resolution)
		ON CONFLICT (id) DO UPDATE
		SET reason = excluded.reason, failures = excluded.failures, problems = excluded.problems, records = excluded.records,
		    assignee = excluded.assignee, notes = excluded.notes, reminded_at = excluded.reminded_at,
		    closed_at = excluded.closed_at, resolution = excluded.resolution
		WHERE cases.closed_at IS NULL OR excluded.closed_at IS NOT NULL`,
		pgx.StrictNamedArgs{
			"id": c.ID, "domain_id": c.DomainID, "hostname": c.Hostname, "tenant": c.Tenant, "reason": c.Reason,
			"failures": c.Failures, "problems": noNil(c.Problems), "records": noNil(c.Records), "opened_at": c.OpenedAt, "assignee": c.Assignee,
			"notes": noNil(c.Notes), "reminded_at": zeronull.Timestamptz(c.RemindedAt), "closed_at": zeronull.Timestamptz(c.ClosedAt),
			"resolution": c.Resolution,
		})
	if err != nil {
		return fmt.Errorf("save case %s of %s: %w", c.ID, c.Hostname, err)
	}
	return nil
}

// Cases lists escalations, the newest first: those that are open only, those of one hostname only, or all ("").
func (s *Store) Cases(ctx context.Context, openOnly bool, hostname string) ([]cert.Case, error) {
	cases, err := list(ctx, s.pool, readCase, `
		SELECT id, domain_id, hostname, tenant, reason, failures, problems, records, opened_at,
		       assignee, notes, reminded_at, closed_at, resolution
		FROM cases
		WHERE (NOT @open_only OR closed_at IS NULL) AND (@hostname = '' OR hostname = @hostname)
		ORDER BY opened_at DESC, id`,
		pgx.StrictNamedArgs{"open_only": openOnly, "hostname": hostname})
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	return cases, nil
}

func readCase(row pgx.CollectableRow) (cert.Case, error) {
	var c cert.Case
	err := row.Scan(&c.ID, &c.DomainID, &c.Hostname, &c.Tenant, &c.Reason, &c.Failures, &c.Problems, &c.Records, &c.OpenedAt,
		&c.Assignee, &c.Notes, (*zeronull.Timestamptz)(&c.RemindedAt), (*zeronull.Timestamptz)(&c.ClosedAt), &c.Resolution)
	return c, err
}
