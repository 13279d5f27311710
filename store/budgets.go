package store

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/budget"
)

// Reserve gives an issuance the tokens that its order costs, or a place in the queue for them. Without a wait the order may be placed at
// once. A second call at the time of the place returns no wait; an earlier call gets the same place again. A place that is not used within
// unusedFor of its time ends, and its tokens are given back. Package budget has the rules of sharing.
//
//	All calls for one issuance must give the same charges. A repeated call takes nothing twice.
func (s *Store) Reserve(ctx context.Context, r cert.Reservation, charges []budget.Charge) (cert.Place, error) {
	if len(charges) == 0 {
		return cert.Place{}, nil
	}
	if err := budget.Check(charges); err != nil {
		return cert.Place{}, fmt.Errorf("reserve budget of issuance %s: %w", r.IssuanceID, err)
	}
	state, err := s.takeIfFree(ctx, r, charges)
	if err == nil && state.ended {
		if err = s.endUnused(ctx); err == nil {
			state, err = s.takeIfFree(ctx, r, charges)
		}
	}
	if err != nil {
		return cert.Place{}, fmt.Errorf("reserve budget of issuance %s: %w", r.IssuanceID, err)
	}
	switch {
	case state.free || state.held.Stage == budget.Spent:
		return cert.Place{At: state.now}, nil
	case state.held.Stage != "" && state.now.Before(state.held.At):
		return state.held.Place(state.now), nil
	}
	place, err := s.placeInLine(ctx, r, charges)
	if err != nil {
		return cert.Place{}, fmt.Errorf("reserve budget of issuance %s: %w", r.IssuanceID, err)
	}
	return place, nil
}

// free is the result of takeIfFree.
type free struct {
	free  bool // the tokens are taken
	ended bool // some places have ended and must be given back
	now   time.Time
	held  budget.Held // the issuance's place
}

// takeIfFree is the usual case, in one round trip: the issuance has no place, and each bucket has a token, so the tokens are taken.
func (s *Store) takeIfFree(ctx context.Context, r cert.Reservation, charges []budget.Charge) (state free, err error) {
	first := budget.First(charges)
	args := s.bucketArgs(first)
	maps.Copy(args, map[string]any{
		"id": r.IssuanceID, "tenant": r.Tenant, "spent_for": budget.SpentFor, "charges": budget.Take(first),
		"reserved_ca": charges[0].CA, "reserved_account": charges[0].Account,
	})
	batch := &pgx.Batch{}
	batch.Queue(lockBucketsSQL, s.bucketArgs(first))
	batch.Queue(`
		WITH clock AS (
			SELECT coalesce(@now::timestamptz, now()) AS now
		), held AS (
			SELECT stage, at, place FROM budget_reservations WHERE issuance_id = @id
		), charged AS (
			SELECT ca, account, bucket, key,
			       greatest(budgets.full_at, clock.now) + charge.refill AS full_at,
			       clock.now + charge.capacity * charge.refill AS limit_at
			FROM clock, budgets JOIN `+bucketRows+` USING (ca, account, bucket, key)
		), free AS (
			SELECT 1 WHERE NOT EXISTS (SELECT FROM held) AND NOT EXISTS (SELECT FROM charged WHERE full_at > limit_at)
		), taken AS (
			UPDATE budgets
			SET full_at = charged.full_at
			FROM charged, free
			WHERE (budgets.ca, budgets.account, budgets.bucket, budgets.key) = (charged.ca, charged.account, charged.bucket, charged.key)
		), reserved AS (
			INSERT INTO budget_reservations (issuance_id, tenant, ca, account, stage, place, at, ends_at, charges)
			SELECT @id, @tenant, @reserved_ca, @reserved_account, 'spent', 0, clock.now, clock.now + @spent_for::interval, @charges::jsonb
			FROM free, clock
		)
		SELECT EXISTS (SELECT FROM free), coalesce((SELECT min(ends_at) FROM budget_reservations) <= clock.now, false),
		       clock.now, coalesce(held.stage, ''), coalesce(held.at, clock.now), coalesce(held.place, 0)
		FROM clock LEFT JOIN held ON true`, args).QueryRow(func(row pgx.Row) error {
		return row.Scan(&state.free, &state.ended, &state.now, &state.held.Stage, &state.held.At, &state.held.N)
	})
	return state, s.pool.SendBatch(ctx, batch).Close()
}

// Settle ends the reservation of an issuance whose order has ended, and gives back what the order did not cost. A second call finds no
// reservation and changes nothing.
func (s *Store) Settle(ctx context.Context, issuanceID string, issued bool) error {
	_, err := s.pool.Exec(ctx, `
		WITH ended AS (
			DELETE FROM budget_reservations WHERE issuance_id = @id RETURNING ca, account, stage, charges
		), back AS (
			SELECT ended.ca, ended.account, charge.bucket, charge.key, charge.refill
			FROM ended, `+chargesOf("ended")+`
			WHERE ended.stage <> 'spent' OR CASE WHEN @issued THEN charge.back_if_issued ELSE charge.back_if_failed END
		)`+giveBackSQL, pgx.StrictNamedArgs{"id": issuanceID, "issued": issued})
	if err != nil {
		return fmt.Errorf("settle budget of issuance %s: %w", issuanceID, err)
	}
	return nil
}

// endUnused gives back the places that were not used, and deletes old orders. Callers at the same time share the work.
func (s *Store) endUnused(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `
		WITH ended AS (
			DELETE FROM budget_reservations WHERE issuance_id IN (
				SELECT issuance_id FROM budget_reservations
				WHERE ends_at <= coalesce(@now::timestamptz, now())
				ORDER BY issuance_id
				FOR UPDATE SKIP LOCKED
			)
			RETURNING ca, account, stage, charges
		), back AS (
			SELECT ended.ca, ended.account, charge.bucket, charge.key, sum(charge.refill) AS refill
			FROM ended, `+chargesOf("ended")+`
			WHERE ended.stage <> 'spent'
			GROUP BY ended.ca, ended.account, charge.bucket, charge.key
		)`+giveBackSQL, pgx.StrictNamedArgs{"now": s.clock()})
	if err != nil {
		return fmt.Errorf("end unused reservations: %w", err)
	}
	return nil
}

// giveBackSQL gives the tokens in "back" back to the buckets. It locks them in the order of lockBucketsSQL.
const giveBackSQL = `, locked AS (
			SELECT budgets.ca, budgets.account, budgets.bucket, budgets.key, back.refill
			FROM budgets JOIN back USING (ca, account, bucket, key)
			ORDER BY ca, account, bucket, key
			FOR UPDATE OF budgets
		)
		UPDATE budgets
		SET full_at = budgets.full_at - locked.refill
		FROM locked
		WHERE (budgets.ca, budgets.account, budgets.bucket, budgets.key) = (locked.ca, locked.account, locked.bucket, locked.key)`

// chargesOf returns SQL for rows of the charges of a reservation.
func chargesOf(reservation string) string {
	return `LATERAL (
				SELECT bucket, key, refill_us * interval '1 microsecond' AS refill, back_if_issued, back_if_failed
				FROM jsonb_to_recordset(` + reservation + `.charges)
				     AS taken (bucket text, key text, refill_us bigint, back_if_issued boolean, back_if_failed boolean)
			) AS charge`
}

// bucketRows is SQL for rows of the arguments that bucketArgs builds.
const bucketRows = `unnest(@cas::text[], @accounts::text[], @buckets::text[], @keys::text[], @capacities::integer[], @refills::interval[])
	AS charge (ca, account, bucket, key, capacity, refill)`

// lockBucketsSQL locks the buckets, and inserts those that are new. All transactions lock in the same order, so that they can't deadlock.
// WHERE false: an existing bucket is locked, not written.
//
//	It is a separate statement in the same transaction as the next one, which therefore sees what the transactions that held the locks
//
// before
//
//	have written.
const lockBucketsSQL = `
	INSERT INTO budgets (ca, account, bucket, key, full_at)
	SELECT ca, account, bucket, key, coalesce(@now::timestamptz, now())
	FROM ` + bucketRows + `
	ORDER BY ca, account, bucket, key
	ON CONFLICT (ca, account, bucket, key) DO UPDATE SET full_at = budgets.full_at WHERE false`

func (s *Store) bucketArgs(charges []budget.Charge) pgx.StrictNamedArgs {
	var cas, accounts, names, keys []string
	var capacities []int
	var refills []time.Duration
	for _, c := range charges {
		cas, accounts, names, keys = append(cas, c.CA), append(accounts, c.Account), append(names, c.Bucket), append(keys, c.Key)
		capacities, refills = append(capacities, c.Capacity), append(refills, c.Refill)
	}
	return pgx.StrictNamedArgs{
		"now": s.clock(), "cas": cas, "accounts": accounts, "buckets": names, "keys": keys, "capacities": capacities, "refills": refills,
	}
}

// clock returns the time that tests set, or NULL for the database's clock.
func (s *Store) clock() pgtype.Timestamptz {
	if s.Clock == nil {
		return pgtype.Timestamptz{}
	}
	return pgtype.Timestamptz{Time: s.Clock(), Valid: true}
}
