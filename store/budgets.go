package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Charge is one token to take from a bucket: the bucket of one CA and account, named by what it limits and for what
// ("orders", ""; "certificates per registered domain", "example.com").
type Charge struct {
	CA       string
	Account  string
	Bucket   string
	Key      string
	Capacity int           // tokens in a full bucket
	Refill   time.Duration // for one token to come back; a microsecond at least
}

// A bucket is stored as the one instant at which it is full again (the generic cell rate algorithm: ITU-T I.371; Boulder
// keeps its limits the same way). Taking a token moves the instant later by the time that one token needs to come back,
// and the bucket is empty when it lies more than the whole capacity's refill ahead. So nothing has to be refilled, a
// changed capacity holds at once, and all of it is reckoned by the database's clock.

// Spend takes a token from each bucket, or none from any. It returns zero when it took them; else how long it is until
// all of the buckets have one, if nobody else draws from them. A bucket is full when it is used first. The same charge
// given twice takes two tokens.
func (s *Store) Spend(ctx context.Context, charges []Charge) (wait time.Duration, err error) {
	if len(charges) == 0 {
		return 0, nil
	}
	args, err := chargeArgs(charges)
	if err != nil {
		return 0, fmt.Errorf("spend: %w", err)
	}
	batch := &pgx.Batch{}
	batch.Queue(lockBucketsSQL, args)
	batch.Queue(`
		WITH charged AS (
			SELECT ca, account, bucket, key,
			       greatest(budgets.full_at, now()) + charge.tokens * charge.refill AS full_at,
			       now() + charge.capacity * charge.refill AS limit_at
			FROM budgets JOIN `+chargeRows+` USING (ca, account, bucket, key)
		), lacking AS (
			SELECT greatest(max(full_at - limit_at), interval '0') AS wait FROM charged
		), spent AS (
			UPDATE budgets
			SET full_at = charged.full_at
			FROM charged, lacking
			WHERE lacking.wait = interval '0'
			  AND (budgets.ca, budgets.account, budgets.bucket, budgets.key) = (charged.ca, charged.account, charged.bucket, charged.key)
		)
		SELECT wait FROM lacking`, args).QueryRow(func(row pgx.Row) error { return row.Scan(&wait) })
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return 0, fmt.Errorf("spend: %w", err)
	}
	return wait, nil
}

// Refund gives back what Spend took, when the CA did not count it.
func (s *Store) Refund(ctx context.Context, charges []Charge) error {
	if len(charges) == 0 {
		return nil
	}
	args, err := chargeArgs(charges)
	if err != nil {
		return fmt.Errorf("refund: %w", err)
	}
	batch := &pgx.Batch{}
	batch.Queue(lockBucketsSQL, args)
	batch.Queue(`
		UPDATE budgets
		SET full_at = budgets.full_at - charge.tokens * charge.refill
		FROM `+chargeRows+`
		WHERE (budgets.ca, budgets.account, budgets.bucket, budgets.key) = (charge.ca, charge.account, charge.bucket, charge.key)`, args)
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("refund: %w", err)
	}
	return nil
}

// chargeRows makes rows of the arguments that chargeArgs builds.
const chargeRows = `unnest(@cas::text[], @accounts::text[], @buckets::text[], @keys::text[],
	@tokens::integer[], @capacities::integer[], @refills::interval[])
	AS charge (ca, account, bucket, key, tokens, capacity, refill)`

// lockBucketsSQL locks the buckets, and makes those that are new. Everybody locks in the same order, so that nobody
// waits in a circle. WHERE false: a bucket that is there is locked, not written.
//
// It is a statement of its own, in one transaction with the next: that one then sees what those that held the
// locks before have left.
const lockBucketsSQL = `
	INSERT INTO budgets (ca, account, bucket, key, full_at)
	SELECT ca, account, bucket, key, now()
	FROM ` + chargeRows + `
	ORDER BY ca, account, bucket, key
	ON CONFLICT (ca, account, bucket, key) DO UPDATE SET full_at = budgets.full_at WHERE false`

// chargeArgs sums up the charges to each bucket, and refuses those that could never be met.
func chargeArgs(charges []Charge) (pgx.StrictNamedArgs, error) {
	sums, buckets := map[Charge]int{}, map[Charge]Charge{}
	for _, c := range charges {
		sums[c]++
		bucket := Charge{CA: c.CA, Account: c.Account, Bucket: c.Bucket, Key: c.Key}
		if other, ok := buckets[bucket]; ok && other != c {
			return nil, fmt.Errorf("bucket %s of %s is charged with two capacities or refills", c.Bucket, c.CA)
		}
		buckets[bucket] = c
		if c.Refill < time.Microsecond {
			return nil, fmt.Errorf("bucket %s of %s: a refill of %s is below a microsecond", c.Bucket, c.CA, c.Refill)
		}
		if sums[c] > c.Capacity {
			return nil, fmt.Errorf("bucket %s of %s holds %d tokens, fewer than are charged at once", c.Bucket, c.CA, c.Capacity)
		}
	}
	var cas, accounts, names, keys []string
	var tokens, capacities []int
	var refills []time.Duration
	for c, sum := range sums {
		cas, accounts, names, keys = append(cas, c.CA), append(accounts, c.Account), append(names, c.Bucket), append(keys, c.Key)
		tokens, capacities, refills = append(tokens, sum), append(capacities, c.Capacity), append(refills, c.Refill)
	}
	return pgx.StrictNamedArgs{
		"cas": cas, "accounts": accounts, "buckets": names, "keys": keys,
		"tokens": tokens, "capacities": capacities, "refills": refills,
	}, nil
}
