package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// sweep is how many expired rows each put deletes. It is more than one, so that they never accumulate.
const sweep = 10

// PutHTTPToken makes the edges answer an http-01 challenge (RFC 8555 §8.3) until ttl has passed, by the database's clock. A token that
// exists gets the new answer and the new end.
func (s *Store) PutHTTPToken(ctx context.Context, token, keyAuthorization string, ttl time.Duration) error {
	_, err := s.pool.Exec(ctx, `
		WITH swept AS (
			DELETE FROM http_tokens
			WHERE token IN (
				SELECT token FROM http_tokens
				WHERE expires_at <= now() AND token <> @token
				ORDER BY expires_at LIMIT @sweep
				FOR UPDATE SKIP LOCKED)
		)
		INSERT INTO http_tokens (token, key_authorization, expires_at)
		VALUES (@token, @key_authorization, now() + @ttl::interval)
		ON CONFLICT (token) DO UPDATE SET key_authorization = excluded.key_authorization, expires_at = excluded.expires_at`,
		pgx.StrictNamedArgs{"token": token, "key_authorization": keyAuthorization, "ttl": ttl, "sweep": sweep})
	if err != nil {
		return fmt.Errorf("put http-01 token: %w", err)
	}
	return nil
}

// HTTPToken returns the key authorization to answer with, or ErrNotFound when there is none or it has expired.
func (s *Store) HTTPToken(ctx context.Context, token string) (string, error) {
	answer, err := one(ctx, s.pool, pgx.RowTo[string], `
		SELECT key_authorization FROM http_tokens WHERE token = $1 AND expires_at > now()`, token)
	if err != nil {
		return "", fmt.Errorf("http-01 token: %w", err)
	}
	return answer, nil
}

// ShowsHTTPToken reports whether a token has this answer and has not expired.
func (s *Store) ShowsHTTPToken(ctx context.Context, token, keyAuthorization string) (bool, error) {
	return s.shows(
		ctx,
		`SELECT EXISTS (SELECT FROM http_tokens WHERE token = $1 AND key_authorization = $2 AND expires_at > now())`,
		token,
		keyAuthorization,
	)
}

// shows reports whether the answer to a challenge is stored.
func (s *Store) shows(ctx context.Context, query, key, value string) (bool, error) {
	shown, err := one(ctx, s.pool, pgx.RowTo[bool], query, key, value)
	if err != nil {
		return false, fmt.Errorf("ask whether a challenge of %s is answered: %w", key, err)
	}
	return shown, nil
}

// DeleteHTTPToken deletes an answer once its challenge is decided. To delete one that does not exist succeeds.
func (s *Store) DeleteHTTPToken(ctx context.Context, token string) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM http_tokens WHERE token = $1`, token); err != nil {
		return fmt.Errorf("delete http-01 token: %w", err)
	}
	return nil
}
