package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// PutTXT makes the validation DNS server answer with a TXT value (RFC 8555 §8.4) until ttl has passed, by the database's clock. name is the
// full name under the validation zone, in lower case, without a trailing dot. A name can have several values at once: a name and its
// wildcard are validated at the same one.
func (s *Store) PutTXT(ctx context.Context, name, value string, ttl time.Duration) error {
	_, err := s.pool.Exec(ctx, `
		WITH swept AS (
			DELETE FROM txt_values
			WHERE (name, value) IN (
				SELECT name, value FROM txt_values
				WHERE expires_at <= now() AND (name, value) <> (@name, @value)
				ORDER BY expires_at LIMIT @sweep
				FOR UPDATE SKIP LOCKED)
		)
		INSERT INTO txt_values (name, value, expires_at)
		VALUES (@name, @value, now() + @ttl::interval)
		ON CONFLICT (name, value) DO UPDATE SET expires_at = excluded.expires_at`,
		pgx.StrictNamedArgs{"name": name, "value": value, "ttl": ttl, "sweep": sweep})
	if err != nil {
		return fmt.Errorf("put TXT value of %s: %w", name, err)
	}
	return nil
}

// TXT returns the values of a name that have not expired; it may return none without an error.
func (s *Store) TXT(ctx context.Context, name string) ([]string, error) {
	values, err := list(ctx, s.pool, pgx.RowTo[string], `
		SELECT value FROM txt_values WHERE name = $1 AND expires_at > now() ORDER BY value`, name)
	if err != nil {
		return nil, fmt.Errorf("TXT values of %s: %w", name, err)
	}
	return values, nil
}

// ShowsTXT reports whether a name has this value and it has not expired.
func (s *Store) ShowsTXT(ctx context.Context, name, value string) (bool, error) {
	return s.shows(ctx, `SELECT EXISTS (SELECT FROM txt_values WHERE name = $1 AND value = $2 AND expires_at > now())`, name, value)
}

// DeleteTXT deletes one value of a name. To delete one that does not exist succeeds.
func (s *Store) DeleteTXT(ctx context.Context, name, value string) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM txt_values WHERE name = $1 AND value = $2`, name, value); err != nil {
		return fmt.Errorf("delete TXT value of %s: %w", name, err)
	}
	return nil
}
