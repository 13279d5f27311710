package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// keepOrderTimeout limits how long PlaceOrder tries to store the URL of an order that the CA has made. It is longer than a restart of the
// database.
const keepOrderTimeout = 30 * time.Second

// MarkOrderTried stores that one more newOrder for this issuance is about to be sent to a CA by its account. It is committed when it
// returns, so that after a crash the next caller knows that an order may exist whose URL is not stored. The CA and the account of a placed
// order do not change any more. ErrNotFound if the issuance does not exist.
func (s *Store) MarkOrderTried(ctx context.Context, id string, by cert.CAIdentity) error {
	tag, err := s.pool.Exec(ctx, `
		UPDATE issuances
		SET order_tries = order_tries + CASE WHEN order_url IS NULL THEN 1 ELSE 0 END,
		    ca          = CASE WHEN order_url IS NULL THEN @ca ELSE ca END,
		    directory   = CASE WHEN order_url IS NULL THEN @directory ELSE directory END,
		    account_url = CASE WHEN order_url IS NULL THEN @account_url ELSE account_url END
		WHERE id = @id`,
		pgx.StrictNamedArgs{"id": id, "ca": by.Name, "directory": by.Directory, "account_url": by.AccountURI})
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("mark order of issuance %s as tried: %w", id, err)
	}
	return nil
}

// PlaceOrder returns the URL of the issuance's order. If there is none, it calls place, which sends newOrder, and stores the URL that place
// returns. It locks the issuance's row meanwhile, so that of any number of callers, in any number of processes, one places the order and
// the others get its URL. MarkOrderTried must have been called.
//
//	What happens when this process dies:
//	 - before place is called: the server ends the transaction and unlocks the row. Nothing was sent; the next caller places the order.
//	 - while place runs: the same, but the CA may have made an order whose URL is lost. The issuance's OrderTries shows that to the next
//	   caller, which searches for it before it places another one. Boulder returns the same order while it is pending; elsewhere the lost
//	   order expires unused.
//	 - after the CA's answer, before the commit: as above. So the URL is stored at once, even if ctx has ended, and on another connection if
//	   this one is lost.
//	 - after the commit: the next caller gets the stored URL.
//
//	If the database fails while place runs, the lock is lost with the connection, and another caller may place a second order. The first URL
//	that is stored is returned to both; the other order expires unused.
//
//	place must not call PlaceOrder or MarkOrderTried for the same issuance: they would wait for it. At most half of the pool's connections
//	are used here, so that other calls of place to the store find a connection.
func (s *Store) PlaceOrder(
	ctx context.Context,
	id string,
	place func(ctx context.Context, i cert.Issuance) (orderURL string, err error),
) (string, error) {
	select {
	case s.orders <- struct{}{}:
		defer func() { <-s.orders }()
	case <-ctx.Done():
		return "", fmt.Errorf("place order of issuance %s: %w", id, ctx.Err())
	}
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return "", fmt.Errorf("place order of issuance %s: %w", id, err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after a commit it does nothing; the server rolls back a lost connection
	issuance, err := one(ctx, tx, pgx.RowToStructByName[cert.Issuance], issuanceSQL+` FOR UPDATE OF i`, id)
	switch {
	case err != nil:
		return "", fmt.Errorf("place order: lock issuance %s: %w", id, err)
	case issuance.OrderURL != "":
		return issuance.OrderURL, nil
	case issuance.OrderTries == 0:
		return "", fmt.Errorf("place order of issuance %s: it is not marked as tried", id)
	}
	placed, err := place(ctx, issuance)
	if err != nil {
		return "", fmt.Errorf("place order of issuance %s: %w", id, err)
	}
	return s.keepOrder(context.WithoutCancel(ctx), tx, id, placed)
}

// keepOrder stores the URL of an order that was just placed. From here the CA has counted the order against our limits, used or not. So
// after an error it tries again on other connections; the row's lock is then lost.
func (s *Store) keepOrder(ctx context.Context, tx pgx.Tx, id, placed string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, keepOrderTimeout)
	defer cancel()
	stored, err := storeOrder(ctx, tx, id, placed)
	if err == nil {
		err = tx.Commit(ctx)
	} else {
		err = errors.Join(err, tx.Rollback(ctx))
	}
	var pause backoff
	for err != nil {
		if waited := pause.wait(ctx); waited != nil {
			return "", fmt.Errorf("store order %s of issuance %s: %w", placed, id, err)
		}
		stored, err = storeOrder(ctx, s.pool, id, placed)
	}
	return stored, nil
}

// storeOrder sets the order's URL unless the issuance has one, and returns the stored one.
func storeOrder(ctx context.Context, db runner, id, placed string) (string, error) {
	return one(ctx, db, pgx.RowTo[string], `
		UPDATE issuances
		SET order_url  = coalesce(order_url, @order_url),
		    ordered_at = CASE WHEN order_url IS NULL THEN now() ELSE ordered_at END
		WHERE id = @id
		RETURNING order_url`,
		pgx.StrictNamedArgs{"id": id, "order_url": placed})
}

// KnownOrders returns those of the orders that belong to an issuance, in any order.
func (s *Store) KnownOrders(ctx context.Context, orderURLs []string) ([]string, error) {
	known, err := list(ctx, s.pool, pgx.RowTo[string], `
		SELECT DISTINCT order_url FROM issuances WHERE order_url = ANY ($1)`, orderURLs)
	if err != nil {
		return nil, fmt.Errorf("find orders: %w", err)
	}
	return known, nil
}
