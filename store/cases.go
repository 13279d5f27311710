package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/evercert/evercert/cert"
)

// openCase inserts the case of a snapshot, or opens it again when its row is closed: the workflow decides whether a case is open.
func openCase(ctx context.Context, tx pgx.Tx, snap cert.Snapshot) (opened bool, err error) {
	if snap.Case == nil {
		return false, nil
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO cases (`+caseColumns+`)
		VALUES (`+caseArguments+`)
		ON CONFLICT (id) DO UPDATE
		SET closed_at = NULL, resolution = '', started = false, ended = false, start_at = now()
		WHERE cases.closed_at IS NOT NULL`, caseArgs(*snap.Case))
	if err != nil {
		return false, fmt.Errorf("open case %s: %w", snap.Case.ID, err)
	}
	return tag.RowsAffected() > 0, nil
}

const (
	caseColumns = `id, domain_id, hostname, tenant, kind, reason, failures, problems, records, opened_at,
		assignee, notes, reminded_at, closed_at, resolution`
	readCaseColumns = `id, coalesce(domain_id::text, ''), hostname, tenant, kind, reason, failures, problems, records, opened_at,
		assignee, notes, reminded_at, closed_at, resolution`
	caseArguments = `@id, @domain_id, @hostname, @tenant, @kind, @reason, @failures, @problems, @records, @opened_at,
		@assignee, @notes, @reminded_at, @closed_at, @resolution`
)

func caseArgs(c cert.Case) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"id": c.ID, "domain_id": c.DomainID, "hostname": c.Hostname, "tenant": c.Tenant, "kind": c.Kind, "reason": c.Reason,
		"failures": c.Failures, "problems": noNil(c.Problems), "records": noNil(c.Records), "opened_at": c.OpenedAt, "assignee": c.Assignee,
		"notes": noNil(c.Notes), "reminded_at": zeronull.Timestamptz(c.RemindedAt), "closed_at": zeronull.Timestamptz(c.ClosedAt),
		"resolution": c.Resolution,
	}
}

// SaveCase stores what people did with a case, as its workflow knows it: who took it, notes, reminders. It returns the stored case, because
// the domain's snapshots close it (RecordStatus). A workflow that gets a closed case has seen that it is closed, and ends. A missing row is
// inserted again; it is closed at once when its domain has another open case.
func (s *Store) SaveCase(ctx context.Context, c cert.Case) (cert.Case, error) {
	saved, err := one(ctx, s.pool, readCase, `
		INSERT INTO cases (`+caseColumns+`, started, ended)
		SELECT @id, @domain_id, @hostname, @tenant, @kind, @reason, @failures, @problems, @records, @opened_at, @assignee, @notes, @reminded_at,
		       CASE WHEN EXISTS (SELECT FROM cases WHERE domain_id = @domain_id AND id <> @id AND closed_at IS NULL)
		            THEN now() ELSE @closed_at::timestamptz END,
		       @resolution, true, @closed_at IS NOT NULL
		ON CONFLICT (id) DO UPDATE
		SET assignee = excluded.assignee, notes = excluded.notes, reminded_at = excluded.reminded_at,
				started = true, ended = cases.closed_at IS NOT NULL
		RETURNING `+readCaseColumns, caseArgs(c))
	if err != nil {
		return cert.Case{}, fmt.Errorf("save case %s of %s: %w", c.ID, c.Hostname, err)
	}
	return saved, nil
}

// TakeOwedCases returns open cases whose workflow has written nothing yet, and closed cases whose workflow has not seen that they are
// closed, those that wait longest first. It reserves them for the lease: the caller starts or signals their workflows.
func (s *Store) TakeOwedCases(ctx context.Context, lease time.Duration, limit int) ([]cert.Case, error) {
	cases, err := list(ctx, s.pool, readCase, `
		UPDATE cases
		SET start_at = now() + @lease::interval
		WHERE id IN (
			SELECT id FROM cases
			WHERE domain_id IS NOT NULL AND (closed_at IS NULL AND NOT started OR closed_at IS NOT NULL AND started AND NOT ended)
			  AND start_at <= now()
			ORDER BY start_at
			LIMIT @limit
			FOR NO KEY UPDATE SKIP LOCKED)
		RETURNING `+readCaseColumns,
		pgx.StrictNamedArgs{"lease": lease, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("take owed cases: %w", err)
	}
	return cases, nil
}

// EndCase stores that the workflow of a closed case has ended.
func (s *Store) EndCase(ctx context.Context, id string) error {
	if _, err := s.pool.Exec(ctx, `UPDATE cases SET ended = true WHERE id = $1 AND closed_at IS NOT NULL`, id); err != nil {
		return fmt.Errorf("end case %s: %w", id, err)
	}
	return nil
}

// CaseFilter chooses cases. Its zero value chooses the newest of all.
type CaseFilter struct {
	OpenOnly bool
	Hostname string    // only those of this domain
	After    CasePlace // those after this place in the list: the last place of the page before
	Limit    int       // at most so many; 100 if zero or less
}

// CasePlace is the place of a case in the list: the time of its opening, to the microsecond, and then its id.
type CasePlace struct {
	OpenedAt time.Time
	ID       string
}

// Cases lists escalations, the newest first.
func (s *Store) Cases(ctx context.Context, f CaseFilter) ([]cert.Case, error) {
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	cases, err := list(ctx, s.pool, readCase, `
		SELECT `+readCaseColumns+`
		FROM cases
		WHERE (NOT @open_only OR closed_at IS NULL) AND (@hostname = '' OR hostname = @hostname)
		  AND (@after = '' OR opened_at < @after_opened OR opened_at = @after_opened AND id > @after)
		ORDER BY opened_at DESC, id
		LIMIT @limit`,
		pgx.StrictNamedArgs{
			"open_only": f.OpenOnly, "hostname": f.Hostname, "after": f.After.ID, "after_opened": f.After.OpenedAt, "limit": f.Limit,
		})
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	return cases, nil
}

func readCase(row pgx.CollectableRow) (cert.Case, error) {
	var c cert.Case
	err := row.Scan(&c.ID, &c.DomainID, &c.Hostname, &c.Tenant, &c.Kind, &c.Reason, &c.Failures, &c.Problems, &c.Records, &c.OpenedAt,
		&c.Assignee, &c.Notes, (*zeronull.Timestamptz)(&c.RemindedAt), (*zeronull.Timestamptz)(&c.ClosedAt), &c.Resolution)
	return c, err
}
