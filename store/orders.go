package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// keepOrderTimeout is how long PlaceOrder tries to store the URL of an order that the CA has made. It covers a restart
// of the database.
const keepOrderTimeout = 30 * time.Second

// MarkOrderTried notes that one more newOrder for this issuance is about to be sent to a CA by its account. It is committed
// when it returns, so that whoever comes after a crash knows that an order may exist without its URL being stored. The
// CA and the account of an order that is placed do not change any more. ErrNotFound if there is no such issuance.
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

// PlaceOrder returns the URL of the issuance's order. Without one it calls place, which sends newOrder, and stores the
// URL that place returns. The issuance's row is locked meanwhile, so that of any number of callers, in any number of
// processes, one places the order and the others get its URL. MarkOrderTried must have been called.
//
// What happens when this process dies:
//   - before place is called: the server ends the transaction and frees the row. Nothing was sent; the next caller
//     places the order.
//   - while place runs: the same, but the CA may have made an order whose URL is lost. The issuance's OrderTries say
//     so to the next caller, who looks for it before placing another one. At Boulder that is answered with the same order while it is
//     pending; elsewhere the lost one expires unused.
//   - after the CA's answer, before the commit: as above. This is why the URL is stored first thing, whatever became of
//     ctx meanwhile, and on another connection if this one is lost.
//   - after the commit: the next caller gets the stored URL.
//
// If the database goes away while place runs, the lock goes with the connection and another caller may place a second
// order. The first URL that is stored wins and is returned to both; the other order expires unused.
//
// place must not call PlaceOrder or MarkOrderTried for the same issuance: they would wait for it. At most half of the
// pool's connections are held here, so that what else place needs of the store is not waited for in vain.
func (s *Store) PlaceOrder(ctx context.Context, id string, place func(ctx context.Context, i cert.Issuance) (orderURL string, err error)) (string, error) {
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
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after a commit there is nothing to roll back; a lost connection is rolled back by the server
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

// keepOrder stores the URL of an order that was just placed. From here the CA has counted the order against our limits,
// used or not. So an error leads to further attempts, on other connections; the row's lock is then gone.
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

// storeOrder sets the order's URL unless the issuance has one, and returns the one it has.
func storeOrder(ctx context.Context, db runner, id, placed string) (string, error) {
	return one(ctx, db, pgx.RowTo[string], `
		UPDATE issuances
		SET order_url  = coalesce(order_url, @order_url),
		    ordered_at = CASE WHEN order_url IS NULL THEN now() ELSE ordered_at END
		WHERE id = @id
		RETURNING order_url`,
		pgx.StrictNamedArgs{"id": id, "order_url": placed})
}

// KnownOrders returns those of the orders that an issuance has already, in no order.
func (s *Store) KnownOrders(ctx context.Context, orderURLs []string) ([]string, error) {
	known, err := list(ctx, s.pool, pgx.RowTo[string], `
		SELECT DISTINCT order_url FROM issuances WHERE order_url = ANY ($1)`, orderURLs)
	if err != nil {
		return nil, fmt.Errorf("look up orders: %w", err)
	}
	return known, nil
}
