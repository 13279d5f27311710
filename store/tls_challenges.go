package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// PutTLSChallenge makes the edges answer a tls-alpn-01 challenge (RFC 8737 §3) until ttl has passed, by the database's clock. name is in
// A-labels and lower case. A new answer replaces the old one: a handshake contains the name and no token, so a name has one answer.
func (s *Store) PutTLSChallenge(ctx context.Context, name, keyAuthorization string, ttl time.Duration) error {
	_, err := s.pool.Exec(ctx, `
		WITH swept AS (
			DELETE FROM tls_challenges
			WHERE name IN (
				SELECT name FROM tls_challenges
				WHERE expires_at <= now() AND name <> @name
				ORDER BY expires_at LIMIT @sweep
				FOR UPDATE SKIP LOCKED)
		)
		INSERT INTO tls_challenges (name, key_authorization, expires_at)
		VALUES (@name, @key_authorization, now() + @ttl::interval)
		ON CONFLICT (name) DO UPDATE SET key_authorization = excluded.key_authorization, expires_at = excluded.expires_at`,
		pgx.StrictNamedArgs{"name": name, "key_authorization": keyAuthorization, "ttl": ttl, "sweep": sweep})
	if err != nil {
		return fmt.Errorf("put tls-alpn-01 challenge of %s: %w", name, err)
	}
	return nil
}

// TLSChallenge returns the key authorization to answer with, or ErrNotFound when there is none or it has expired.
func (s *Store) TLSChallenge(ctx context.Context, name string) (string, error) {
	answer, err := one(ctx, s.pool, pgx.RowTo[string], `
		SELECT key_authorization FROM tls_challenges WHERE name = $1 AND expires_at > now()`, name)
	if err != nil {
		return "", fmt.Errorf("tls-alpn-01 challenge of %s: %w", name, err)
	}
	return answer, nil
}

// ShowsTLSChallenge reports whether a name has exactly this answer and has not expired.
func (s *Store) ShowsTLSChallenge(ctx context.Context, name, keyAuthorization string) (bool, error) {
	return s.shows(
		ctx,
		`SELECT EXISTS (SELECT FROM tls_challenges WHERE name = $1 AND key_authorization = $2 AND expires_at > now())`,
		name,
		keyAuthorization,
	)
}

// DeleteTLSChallenge deletes an answer once its challenge is decided. To delete one that does not exist, or that another challenge has
// replaced, succeeds.
func (s *Store) DeleteTLSChallenge(ctx context.Context, name, keyAuthorization string) error {
	if _, err := s.pool.Exec(
		ctx,
		`DELETE FROM tls_challenges WHERE name = $1 AND key_authorization = $2`,
		name,
		keyAuthorization,
	); err != nil {
		return fmt.Errorf("delete tls-alpn-01 challenge of %s: %w", name, err)
	}
	return nil
}
