package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Account is evercert's account at a CA (RFC 8555 §7.1.2).
type Account struct {
	Directory string // URL of the CA's directory: one account each
	URL       string // of the account, its "kid"
	Contact   string
	KeyID     string // under which SealedKey opens
	SealedKey []byte
}

// Account returns the account at a CA, or ErrNotFound.
func (s *Store) Account(ctx context.Context, directory string) (Account, error) {
	account, err := one(ctx, s.pool, pgx.RowToStructByName[Account], accountSQL, directory)
	if err != nil {
		return Account{}, fmt.Errorf("account at %s: %w", directory, err)
	}
	return account, nil
}

const accountSQL = `
	SELECT directory, url, contact, key_id, sealed_key
	FROM acme_accounts
	WHERE directory = $1`

// SaveAccount stores an account that was just registered. The first write for a directory wins and is returned, so that
// two workers that registered at the same moment go on with the same account.
func (s *Store) SaveAccount(ctx context.Context, a Account) (Account, error) {
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO acme_accounts (directory, url, contact, key_id, sealed_key)
		VALUES (@directory, @url, @contact, @key_id, @sealed_key)
		ON CONFLICT (directory) DO NOTHING`,
		pgx.StrictNamedArgs{"directory": a.Directory, "url": a.URL, "contact": a.Contact, "key_id": a.KeyID, "sealed_key": a.SealedKey})
	var stored Account
	batch.Queue(accountSQL, a.Directory).Query(func(rows pgx.Rows) (err error) {
		stored, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Account])
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return Account{}, fmt.Errorf("save account at %s: %w", a.Directory, err)
	}
	return stored, nil
}

// DeleteAccount forgets an account that the CA has forgotten (accountDoesNotExist, RFC 8555 §6.7). If another worker
// has replaced it meanwhile, the new one stays.
func (s *Store) DeleteAccount(ctx context.Context, directory, url string) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM acme_accounts WHERE directory = $1 AND url = $2`, directory, url); err != nil {
		return fmt.Errorf("delete account at %s: %w", directory, err)
	}
	return nil
}
