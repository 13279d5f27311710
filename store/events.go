package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// TimelineEntry is an event with the time of the snapshot that brought it. RecordStatus writes them.
type TimelineEntry struct {
	At time.Time
	cert.Event
}

// Timeline lists a domain's events, the newest first, at most limit of them (100 if zero or less).
func (s *Store) Timeline(ctx context.Context, domainID string, limit int) ([]TimelineEntry, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	entries, err := list(ctx, s.pool, pgx.RowToStructByName[TimelineEntry], `
		SELECT at, type, detail
		FROM events
		WHERE domain_id = @domain
		ORDER BY id DESC
		LIMIT @limit`,
		pgx.StrictNamedArgs{"domain": domainID, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("timeline of domain %s: %w", domainID, err)
	}
	return entries, nil
}
