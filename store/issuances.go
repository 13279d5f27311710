package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// CreateIssuance stores an issuance with its sealed private key, before anything is asked of a CA. The first write of an id decides. It
// returns what is stored, so that a second run of the same step continues with the key and the CSR of the first, and its own key is not
// stored.
func (s *Store) CreateIssuance(ctx context.Context, i cert.Issuance, sealedKey []byte) (cert.Issuance, error) {
	batch := &pgx.Batch{}
	batch.Queue(`
		WITH created AS (
			INSERT INTO issuances (id, domain_id, names, key_id, csr, replaces)
			VALUES (@id, @domain_id, @names, @key_id, @csr, @replaces)
			ON CONFLICT (id) DO NOTHING
			RETURNING key_id
		)
		INSERT INTO keys (id, sealed) SELECT key_id, @sealed_key FROM created`,
		pgx.StrictNamedArgs{
			"id": i.ID, "domain_id": i.DomainID, "names": i.Names, "key_id": i.KeyID, "csr": i.CSR,
			"replaces": i.Replaces, "sealed_key": sealedKey,
		})
	var stored cert.Issuance
	batch.Queue(issuanceSQL, i.ID).Query(func(rows pgx.Rows) (err error) {
		stored, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[cert.Issuance])
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return cert.Issuance{}, fmt.Errorf("create issuance %s: %w", i.ID, err)
	}
	return stored, nil
}

// issuanceSQL reads one issuance. Its serial is that of its certificate.
const issuanceSQL = `
	SELECT i.id, i.domain_id, i.names, i.key_id, i.csr, i.replaces, i.ca, i.directory, i.account_url, i.order_tries,
	       coalesce(i.order_url, '') AS order_url, coalesce(c.serial, '') AS serial, coalesce(i.ordered_at, i.created_at) AS ordered_at
	FROM issuances i
	LEFT JOIN certificates c ON c.issuance_id = i.id
	WHERE i.id = $1`

// Issuance returns an issuance, or ErrNotFound.
func (s *Store) Issuance(ctx context.Context, id string) (cert.Issuance, error) {
	issuance, err := one(ctx, s.pool, pgx.RowToStructByName[cert.Issuance], issuanceSQL, id)
	if err != nil {
		return cert.Issuance{}, fmt.Errorf("issuance %s: %w", id, err)
	}
	return issuance, nil
}
