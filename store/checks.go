package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// changesKept is how many changes of a domain's records are stored: the newest ones.
const changesKept = 200

// KeepCheck stores a check of a domain as its newest, and adds what changed since the check before (Changes). It returns the check with the
// times of each sighting: FirstSeen and LastSeen of the right record, ChangedAt. When the check is not newer than the stored one, by
// CheckedAt to the microsecond, nothing changes and the stored one is returned. So it may be repeated.
//
// The first check of a domain takes one round trip, every later one two, each a transaction: the check replaces the one that was read. When
// another check was stored in between, that one is read, joined and replaced instead.
func (s *Store) KeepCheck(ctx context.Context, domainID string, d cert.Diagnosis) (cert.Diagnosis, error) {
	if d.CheckedAt.IsZero() {
		return cert.Diagnosis{}, fmt.Errorf("keep the check of domain %s: it has no time", domainID)
	}
	d.CheckedAt = d.CheckedAt.UTC().Truncate(time.Microsecond) // the precision of the database
	first, _ := storedCheck{}.joined(d)
	for {
		before, err := s.insertCheck(ctx, domainID, first)
		switch {
		case err != nil:
			return cert.Diagnosis{}, fmt.Errorf("keep the check of domain %s: %w", domainID, err)
		case before == nil:
			return first.Diagnosis, nil
		case !d.CheckedAt.After(before.CheckedAt):
			return before.Diagnosis, nil
		}
		after, changes := before.joined(d)
		replaced, err := s.replaceCheck(ctx, domainID, before.CheckedAt, after, changes)
		if err != nil {
			return cert.Diagnosis{}, fmt.Errorf("keep the check of domain %s: %w", domainID, err)
		}
		if replaced {
			return after.Diagnosis, nil
		}
	}
}

// insertCheck stores the first check of a domain. If there is one already, it returns that one and writes nothing.
func (s *Store) insertCheck(ctx context.Context, domainID string, first storedCheck) (*storedCheck, error) {
	for {
		var inserted bool
		var before *storedCheck
		err := s.pool.QueryRow(ctx, `
			WITH inserted AS (
				INSERT INTO domain_checks (domain_id, checked_at, panel, early_at)
				VALUES (@domain, @at, @panel, CASE WHEN @early THEN now() END)
				ON CONFLICT (domain_id) DO NOTHING
				RETURNING domain_id
			)
			SELECT EXISTS (SELECT FROM inserted), (SELECT panel FROM domain_checks WHERE domain_id = @domain)`,
			pgx.StrictNamedArgs{"domain": domainID, "at": first.CheckedAt, "panel": first, "early": early(first.Diagnosis)}).Scan(&inserted, &before)
		if err != nil || inserted || before != nil {
			return before, err
		}
		// Another check was inserted after this statement began, so this one neither inserts nor sees it. The next statement sees it.
	}
}

// replaceCheck replaces the check that was made at before, and stores the changes. It returns false, and has written nothing, if that check
// is not the stored one any more. The number of stored changes to keep does not include those that the statement itself inserts, because it
// can't see them.
func (s *Store) replaceCheck(
	ctx context.Context, domainID string, before time.Time, after storedCheck, changes []cert.RecordChange,
) (replaced bool, err error) {
	changes = changes[:min(len(changes), changesKept)]
	err = s.pool.QueryRow(ctx, `
		WITH replaced AS (
			UPDATE domain_checks
			SET checked_at = @at, panel = @panel, early_at = CASE WHEN @early THEN now() END, early_seen = ''
			WHERE domain_id = @domain AND checked_at = @before
			RETURNING domain_id
		), noted AS (
			INSERT INTO record_changes (domain_id, at, n, change)
			SELECT replaced.domain_id, @at, change.n, change.value
			FROM replaced, jsonb_array_elements(@changes::jsonb) WITH ORDINALITY AS change (value, n)
		), forgotten AS (
			DELETE FROM record_changes USING replaced
			WHERE record_changes.domain_id = replaced.domain_id AND (at, n) IN (
				SELECT at, n FROM record_changes WHERE domain_id = @domain ORDER BY at DESC, n OFFSET @kept)
		)
		SELECT EXISTS (SELECT FROM replaced)`,
		pgx.StrictNamedArgs{
			"domain": domainID, "at": after.CheckedAt, "panel": after, "before": before, "changes": noNil(changes),
			"kept": changesKept - len(changes), "early": early(after.Diagnosis),
		}).Scan(&replaced)
	return replaced, err
}

// Check returns the newest check of a domain, with the times of each sighting, or ErrNotFound when it was never checked.
func (s *Store) Check(ctx context.Context, domainID string) (cert.Diagnosis, error) {
	kept, err := one(ctx, s.pool, pgx.RowTo[storedCheck], `SELECT panel FROM domain_checks WHERE domain_id = $1`, domainID)
	if err != nil {
		return cert.Diagnosis{}, fmt.Errorf("check of domain %s: %w", domainID, err)
	}
	return kept.Diagnosis, nil
}

// LastAnswers returns the last answer of each server about a domain's records. Answers of servers that have not answered since are at most
// 30 days old. It returns none for a domain that was never checked.
func (s *Store) LastAnswers(ctx context.Context, domainID string) ([]cert.LastAnswer, error) {
	kept, err := one(ctx, s.pool, pgx.RowTo[storedCheck], `SELECT panel FROM domain_checks WHERE domain_id = $1`, domainID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("last answers about domain %s: %w", domainID, err)
	}
	return kept.answers(), nil
}

// Changes lists what changed in a domain's records from check to check, newest first, at most limit changes (100 if zero or less). The
// newest 200 are stored.
func (s *Store) Changes(ctx context.Context, domainID string, limit int) ([]cert.RecordChange, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	changes, err := list(ctx, s.pool, pgx.RowTo[cert.RecordChange], `
		SELECT change FROM record_changes WHERE domain_id = @domain ORDER BY at DESC, n LIMIT @limit`,
		pgx.StrictNamedArgs{"domain": domainID, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("changes of the records of domain %s: %w", domainID, err)
	}
	return changes, nil
}
