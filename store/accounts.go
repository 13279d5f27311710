package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// Account returns the active account at a CA. found is false where there is none.
func (s *Store) Account(ctx context.Context, directory string) (account cert.Account, found bool, err error) {
	account, err = one(ctx, s.pool, pgx.RowToStructByName[cert.Account], accountSQL, directory)
	switch {
	case errors.Is(err, ErrNotFound):
		return cert.Account{}, false, nil
	case err != nil:
		return cert.Account{}, false, fmt.Errorf("account at %s: %w", directory, err)
	}
	return account, true, nil
}

const accountSQL = `
	SELECT directory, url, contact, key_id, sealed_key
	FROM acme_accounts
	WHERE directory = $1 AND state = 'active'`

// SaveAccount stores an account that was just registered. The first write for a directory decides and is returned, so that two workers that
// registered at the same time use the same account.
func (s *Store) SaveAccount(ctx context.Context, a cert.Account) (cert.Account, error) {
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO acme_accounts (directory, url, contact, key_id, sealed_key)
		VALUES (@directory, @url, @contact, @key_id, @sealed_key)
		ON CONFLICT (directory) WHERE state = 'active' DO NOTHING`,
		pgx.StrictNamedArgs{"directory": a.Directory, "url": a.URL, "contact": a.Contact, "key_id": a.KeyID, "sealed_key": a.SealedKey})
	var stored cert.Account
	batch.Queue(accountSQL, a.Directory).Query(func(rows pgx.Rows) (err error) {
		stored, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[cert.Account])
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return cert.Account{}, fmt.Errorf("save account at %s: %w", a.Directory, err)
	}
	return stored, nil
}

// RetireAccount ends the use of an account that the CA does not know any more (accountDoesNotExist, RFC 8555 §6.7). Its row and key stay.
// If another worker has replaced it meanwhile, the new one stays active.
func (s *Store) RetireAccount(ctx context.Context, directory, url, because string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE acme_accounts
		SET state = 'retired', retired_at = now(), retired_because = $3
		WHERE directory = $1 AND url = $2 AND state = 'active'`, directory, url, because)
	if err != nil {
		return fmt.Errorf("retire account %s: %w", url, err)
	}
	return nil
}

// The pauses between probes of a blocked account: the first one, doubling up to the longest.
const (
	firstProbe   = 5 * time.Minute
	longestProbe = time.Hour
	// freshSettings is the shortest pause between two probes with different settings. Without it, two workers with different settings would
	// probe in turn without a pause.
	freshSettings = 10 * time.Second
)

// AccountBlock returns the block of the account at a CA, if there is one.
func (s *Store) AccountBlock(ctx context.Context, directory string) (block cert.AccountBlock, blocked bool, err error) {
	block, err = one(ctx, s.pool, pgx.RowToStructByName[cert.AccountBlock], blockSQL, directory)
	switch {
	case errors.Is(err, ErrNotFound):
		return cert.AccountBlock{}, false, nil
	case err != nil:
		return cert.AccountBlock{}, false, fmt.Errorf("block of the account at %s: %w", directory, err)
	}
	return block, true, nil
}

const blockSQL = `
	SELECT directory, account_url, kind, problem, settings, greatest(probe_at - now(), interval '0') AS wait
	FROM acme_blocks
	WHERE directory = $1`

// BlockAccount stores that a CA refuses the account, opens the account's case, and returns the block with the wait until the next probe. A
// block that exists keeps the time of its next probe.
func (s *Store) BlockAccount(ctx context.Context, b cert.AccountBlock) (cert.AccountBlock, error) {
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO acme_blocks (directory, account_url, kind, problem, settings, probe_at)
		VALUES (@directory, @account_url, @kind, @problem, @settings, now() + @first::interval)
		ON CONFLICT (directory) DO UPDATE
		SET account_url = excluded.account_url, kind = excluded.kind, problem = excluded.problem, settings = excluded.settings`,
		pgx.StrictNamedArgs{
			"directory": b.Directory, "account_url": b.AccountURL, "kind": b.Kind, "problem": b.Problem, "settings": b.Settings, "first": firstProbe,
		})
	batch.Queue(`
		INSERT INTO cases (id, domain_id, hostname, tenant, reason, failures, problems, opened_at, assignee, notes, resolution)
		VALUES (@id, NULL, '', '', 'the CA refuses the account: no domain can be issued or renewed', 0,
		        jsonb_build_array(@problem::jsonb), now(), '', '[]', '')
		ON CONFLICT (id) DO UPDATE
		SET problems = excluded.problems, closed_at = NULL, resolution = '',
		    opened_at = CASE WHEN cases.closed_at IS NULL THEN cases.opened_at ELSE excluded.opened_at END`,
		pgx.StrictNamedArgs{"id": accountCase(b.Directory, b.AccountURL), "problem": b.Problem})
	batch.Queue(blockSQL, b.Directory).Query(func(rows pgx.Rows) (err error) {
		b, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[cert.AccountBlock])
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return cert.AccountBlock{}, fmt.Errorf("block the account at %s: %w", b.Directory, err)
	}
	return b, nil
}

// accountCase returns the id of the case of an account, or of a registration that the CA refuses.
func accountCase(directory, url string) string {
	if url == "" {
		url = directory
	}
	return cert.AccountCasePrefix + url
}

// LeaseProbe reports whether the caller may try the request that the CA refused: one caller at a time, when the next probe is due, or with
// other settings than those that were refused. It sets the time of the following probe, so that another caller probes if this one dies.
func (s *Store) LeaseProbe(ctx context.Context, directory, settings string) (bool, error) {
	tag, err := s.pool.Exec(ctx, `
		UPDATE acme_blocks
		SET probes = probes + 1, probed_at = now(), settings = @settings,
		    probe_at = now() + least(@longest::interval, @first::interval * 2 ^ least(probes + 1, 10))
		WHERE directory = @directory
		  AND (probe_at <= now() OR settings <> @settings AND probed_at <= now() - @fresh::interval)`,
		pgx.StrictNamedArgs{"directory": directory, "settings": settings, "first": firstProbe, "longest": longestProbe, "fresh": freshSettings})
	if err != nil {
		return false, fmt.Errorf("lease the probe of the account at %s: %w", directory, err)
	}
	return tag.RowsAffected() > 0, nil
}

// UnblockAccount ends the block of the account at a CA and closes its case. It reports whether there was a block.
func (s *Store) UnblockAccount(ctx context.Context, directory, resolution string) (bool, error) {
	var was bool
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		url, err := one(ctx, tx, pgx.RowTo[string], `DELETE FROM acme_blocks WHERE directory = $1 RETURNING account_url`, directory)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		was = true
		_, err = tx.Exec(ctx, `
			UPDATE cases SET closed_at = now(), resolution = $2
			WHERE id = $1 AND closed_at IS NULL`, accountCase(directory, url), resolution)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("unblock the account at %s: %w", directory, err)
	}
	return was, nil
}
