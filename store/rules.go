package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert/calendar"
)

// Touched counts the connected domains that a rule of the calendar touches (row F14). It is an error to ask for what can't be counted.
func (s *Store) Touched(ctx context.Context, t calendar.Touched) (n int, err error) {
	switch {
	case t.LongerThan > 0:
		n, err = one(ctx, s.pool, pgx.RowTo[int], `
			SELECT count(*)
			FROM domains d JOIN certificates c USING (serial)
			WHERE d.removed_at IS NULL AND d.has_live AND c.not_after - c.not_before > @longest::interval AND @directory IN ('', c.directory)`,
			pgx.StrictNamedArgs{"longest": t.LongerThan, "directory": t.Directory})
	case t.Problem != "":
		n, err = one(ctx, s.pool, pgx.RowTo[int], `
			SELECT count(*)
			FROM domains d JOIN domain_checks c ON c.domain_id = d.id
			WHERE d.removed_at IS NULL AND c.panel -> 'problems' @> jsonb_build_array(jsonb_build_object('code', @code::text))`,
			pgx.StrictNamedArgs{"code": t.Problem})
	default:
		return 0, fmt.Errorf("count the domains that a rule touches: nothing to count by")
	}
	if err != nil {
		return 0, fmt.Errorf("count the domains that a rule touches: %w", err)
	}
	return n, nil
}
