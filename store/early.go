package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// EarlyCheck is a domain that waits for its DNS records, whose name servers are to be asked now.
type EarlyCheck struct {
	DomainID string
	Hostname string
	Check    cert.Diagnosis // the newest check
	Seen     string         // what was noted after the servers were asked last; empty since a new check
}

const (
	// earlyShare: the name servers of a domain that was connected an hour ago are asked again after a 60th of that, a minute. So those
	// who are still at their DNS provider's page wait least, and a domain costs some 200 turns in its first three days.
	earlyShare = 60
	// earlyLongest is the longest time between two turns of a domain.
	earlyLongest = time.Hour
)

// TakeEarly returns domains whose name servers are to be asked now, at most limit, the longest overdue first, and sets the time of their
// next turn: no other worker gets them before. That is after the shortest interval in the first half hour, then seldomer the longer the
// domain waits. Domains that do not wait for records any more are forgotten.
func (s *Store) TakeEarly(ctx context.Context, shortest time.Duration, limit int) ([]EarlyCheck, error) {
	taken, err := list(ctx, s.pool, func(row pgx.CollectableRow) (e EarlyCheck, err error) {
		var kept storedCheck
		err = row.Scan(&e.DomainID, &e.Hostname, &kept, &e.Seen)
		e.Check = kept.Diagnosis
		return e, err
	}, `
		WITH due AS (
			SELECT domain_id FROM domain_checks
			WHERE early_at <= now() - @shortest::interval
			ORDER BY early_at
			LIMIT @limit
			FOR UPDATE SKIP LOCKED
		), waiting AS (
			SELECT d.id, d.hostname, d.connected_at
			FROM due JOIN domains d ON d.id = due.domain_id
			WHERE d.domain_status IN ('pending_dns', 'pending_ownership') AND NOT d.paused
		), turns AS (
			SELECT due.domain_id, waiting.hostname, CASE WHEN waiting.id IS NOT NULL THEN -- NULL, for no turn, where it does not wait
			           now() + greatest('0', least(@longest::interval, (now() - waiting.connected_at) / @share) - @shortest::interval)
			       END AS next
			FROM due LEFT JOIN waiting ON waiting.id = due.domain_id
		), taken AS (
			UPDATE domain_checks
			SET early_at = turns.next
			FROM turns
			WHERE domain_checks.domain_id = turns.domain_id
			RETURNING domain_checks.domain_id, turns.hostname, panel, early_seen
		)
		SELECT domain_id::text, hostname, panel, early_seen FROM taken WHERE hostname IS NOT NULL`,
		pgx.StrictNamedArgs{"limit": limit, "shortest": shortest, "longest": earlyLongest, "share": earlyShare})
	if err != nil {
		return nil, fmt.Errorf("take the domains whose name servers are to be asked: %w", err)
	}
	return taken, nil
}

// NoteEarly keeps what the name servers of a domain showed, unless a newer check than that one was made meanwhile.
func (s *Store) NoteEarly(ctx context.Context, domainID string, check time.Time, seen string) error {
	_, err := s.pool.Exec(ctx, `UPDATE domain_checks SET early_seen = $3 WHERE domain_id = $1 AND checked_at = $2`, domainID, check, seen)
	if err != nil {
		return fmt.Errorf("note what the name servers of domain %s showed: %w", domainID, err)
	}
	return nil
}

// early reports whether the name servers are asked between this check and the next one: not after a check that was right, or that found no
// servers to ask.
func early(d cert.Diagnosis) bool { return d.Verdict != cert.OK && len(d.Servers) > 0 }
