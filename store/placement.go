package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/budget"
)

// placeInLine gives the issuance a place, or the next stage of its place, or returns that its order may be placed. It locks the buckets.
func (s *Store) placeInLine(ctx context.Context, r cert.Reservation, charges []budget.Charge) (place cert.Place, err error) {
	lines := s.bucketArgs(budget.Lines(charges, r.Tenant))
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		p := budget.Placement{Reservation: r, Full: map[budget.Line]time.Time{}}
		if err := readPlacement(ctx, tx, &p, lines); err != nil {
			return err
		}
		if p.Advance(charges) {
			if err := writePlacement(ctx, tx, p, charges[0]); err != nil {
				return err
			}
		}
		place = p.Held.Place(p.Now)
		return nil
	})
	return place, err
}

func readPlacement(ctx context.Context, tx pgx.Tx, p *budget.Placement, args pgx.StrictNamedArgs) error {
	batch := &pgx.Batch{}
	batch.Queue(lockBucketsSQL, args)
	batch.Queue(`
		SELECT bucket, key, full_at, coalesce(@now::timestamptz, now())
		FROM budgets JOIN `+bucketRows+` USING (ca, account, bucket, key)`, args).Query(func(rows pgx.Rows) error {
		var l budget.Line
		var full time.Time
		_, err := pgx.ForEachRow(rows, []any{&l.Bucket, &l.Key, &full, &p.Now}, func() error {
			p.Full[l] = full
			return nil
		})
		return err
	})
	batch.Queue(`SELECT stage, at, place, charges FROM budget_reservations WHERE issuance_id = $1`, p.Reservation.IssuanceID).
		Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{&p.Held.Stage, &p.Held.At, &p.Held.N, &p.Held.Charges}, func() error { return nil })
			return err
		})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("read the lines: %w", err)
	}
	return nil
}

func writePlacement(ctx context.Context, tx pgx.Tx, p budget.Placement, of budget.Charge) error {
	var buckets, keys []string
	var full []time.Time
	for _, c := range p.Took {
		buckets, keys, full = append(buckets, c.Bucket), append(keys, c.Key), append(full, p.Full[c.Line()])
	}
	batch := &pgx.Batch{}
	batch.Queue(`
		UPDATE budgets SET full_at = taken.full_at
		FROM unnest(@buckets::text[], @keys::text[], @full::timestamptz[]) AS taken (bucket, key, full_at)
		WHERE (budgets.ca, budgets.account, budgets.bucket, budgets.key) = (@ca, @account, taken.bucket, taken.key)`,
		pgx.StrictNamedArgs{"ca": of.CA, "account": of.Account, "buckets": buckets, "keys": keys, "full": full})
	batch.Queue(`
		INSERT INTO budget_reservations (issuance_id, tenant, ca, account, stage, place, at, ends_at, charges)
		VALUES (@id, @tenant, @ca, @account, @stage, @place, @at, @ends_at, @charges)
		ON CONFLICT (issuance_id) DO UPDATE
		SET stage = excluded.stage, place = excluded.place, at = excluded.at, ends_at = excluded.ends_at, charges = excluded.charges`,
		pgx.StrictNamedArgs{
			"id":      p.Reservation.IssuanceID,
			"tenant":  p.Reservation.Tenant,
			"ca":      of.CA,
			"account": of.Account,
			"stage":   p.Held.Stage,
			"place":   p.Held.N,
			"at":      p.Held.At,
			"ends_at": p.Held.EndsAt(p.Now),
			"charges": append(noNil(p.Held.Charges), budget.Take(p.Took)...),
		})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write the place: %w", err)
	}
	return nil
}
