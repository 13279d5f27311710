package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// How a bucket that all tenants draw from is shared (docs/decisions/0012-reservations.md):
//
//   - A place that has its token ("booked") has an exact time, which never moves.
//   - A tenant whose places alone make up more than half of the wait is not given a token at once: its places are spaced as if the
//     tenant were alone ("queued"), and each takes its token when its time has come. So a tenant books at most as much as all others
//     together, and all who wait are served at the same rate.
//   - A part of the bucket (keptPart) is a bucket of its own for certificates that end before their place in the common line is of use.
//   - Another part (slackPart) is for those that come back from a queued place: so many others can come between before they have to wait
//     once more, for an exact time then.
const (
	keptPart  = 20 // one in so many tokens; none of a bucket that holds fewer
	slackPart = 5  // one in so many tokens, likewise
	// directPlaces is how many places a tenant may book whatever the others have booked.
	directPlaces = 10
	// urgentPart is the part of a live certificate's remaining time that may pass in the common line.
	urgentPart = 4

	urgentSuffix = "/urgent"
	tenantSuffix = "/tenant"
)

const (
	stageQueued = "queued"
	stageBooked = "booked"
	stageSpent  = "spent"
)

// held is the place of an issuance.
type held struct {
	Stage   string
	At      time.Time
	Place   int
	Charges []taken
}

func (h held) place(now time.Time) cert.Place {
	if h.Stage == stageSpent {
		return cert.Place{At: now}
	}
	return cert.Place{N: h.Place, At: h.At, Wait: h.At.Sub(now)}
}

// common is the part of a shared bucket that everybody draws from. Those that come back may take some tokens more.
func (c Charge) common(comesBack bool) Charge {
	if !c.Shared {
		return c
	}
	window, kept, slack := time.Duration(c.Capacity)*c.Refill, c.Capacity/keptPart, c.Capacity/slackPart
	c.Capacity -= kept
	c.Refill = window / time.Duration(c.Capacity)
	if !comesBack && kept > 0 {
		c.Capacity -= slack
	}
	return c
}

// urgent is the part of a shared bucket that is kept for certificates near their end. Its capacity may be zero.
func (c Charge) urgent() Charge {
	window, kept := time.Duration(c.Capacity)*c.Refill, c.Capacity/keptPart
	c.Bucket, c.Capacity = c.Bucket+urgentSuffix, kept
	if kept > 0 {
		c.Refill = window / time.Duration(kept)
	}
	return c
}

// tenant is the line of one tenant's places.
func (c Charge) tenant(tenant string) Charge {
	c = c.common(false)
	c.Bucket, c.Key, c.Capacity = c.Bucket+tenantSuffix, tenant, 0
	return c
}

// firstCharges is what an order takes that meets no line.
func firstCharges(charges []Charge) []Charge {
	list := slices.Clone(charges)
	for i, c := range list {
		list[i] = c.common(false)
	}
	return list
}

// placeInLine gives the issuance a place, or the next stage of the one it has, or lets it through.
func (s *Store) placeInLine(ctx context.Context, r cert.Reservation, charges []Charge) (place cert.Place, err error) {
	lines := firstCharges(charges)
	for _, c := range charges {
		if c.Shared {
			lines = append(lines, c.urgent(), c.tenant(r.Tenant))
		}
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		p := placement{r: r, full: map[line]time.Time{}}
		if err := p.read(ctx, tx, s.bucketArgs(lines)); err != nil {
			return err
		}
		if p.advance(charges) {
			if err := p.write(ctx, tx, charges[0]); err != nil {
				return err
			}
		}
		place = p.held.place(p.now)
		return nil
	})
	return place, err
}

// line names a bucket of the account.
type line struct{ bucket, key string }

// placement is one issuance among the lines of its buckets, which are locked.
type placement struct {
	r    cert.Reservation
	now  time.Time
	full map[line]time.Time // when each bucket is full again
	held held
	took []Charge
}

// turn is the place that a charge would get now.
func (p *placement) turn(c Charge) held {
	full := later(p.full[line{c.Bucket, c.Key}], p.now).Add(c.Refill)
	at := later(full.Add(-time.Duration(c.Capacity)*c.Refill), p.now)
	wait := at.Sub(p.now)
	return held{Stage: stageBooked, At: at, Place: int((wait + c.Refill - 1) / c.Refill)}
}

func (p *placement) take(c Charge) {
	l := line{c.Bucket, c.Key}
	p.full[l] = later(p.full[l], p.now).Add(c.Refill)
	p.took = append(p.took, c)
}

// advance moves the issuance to its next stage, and reports whether anything changed.
func (p *placement) advance(charges []Charge) bool {
	shared := slices.IndexFunc(charges, func(c Charge) bool { return c.Shared })
	comesBack := p.held.Stage != ""
	switch {
	case p.held.Stage == stageSpent || comesBack && p.now.Before(p.held.At):
		return false // another run of the same issuance was first
	case !comesBack:
		p.next(p.own(charges, shared < 0))
	}
	if p.held.Stage == stageQueued && !p.now.Before(p.held.At) {
		p.next(p.share(charges[shared], comesBack))
	}
	if p.held.Stage == stageBooked && !p.now.Before(p.held.At) {
		p.held.Stage, p.held.Place = stageSpent, 0
	}
	return true
}

func (p *placement) next(h held) {
	h.Charges = p.held.Charges
	p.held = h
}

// own takes the tokens of the buckets that are the names' own. last says that there is no shared bucket to be asked after them.
func (p *placement) own(charges []Charge, last bool) held {
	place := held{At: p.now}
	for _, c := range charges {
		if c.Shared {
			continue
		}
		if turn := p.turn(c); turn.At.After(place.At) {
			place = turn
		}
		p.take(c)
	}
	place.Stage = stageQueued
	if last {
		place.Stage = stageBooked
	}
	return place
}

// share finds the place in the line of a shared bucket.
func (p *placement) share(c Charge, comesBack bool) held {
	common := c.common(comesBack)
	place, price := p.turn(common), []Charge{common}
	if !comesBack && place.At.After(p.now) {
		tenant := c.tenant(p.r.Tenant)
		alone := p.turn(tenant)
		price = append(price, tenant)
		if wait := alone.At.Sub(p.now); wait > max(directPlaces*common.Refill, place.At.Sub(p.now)/2) {
			place, price = alone, []Charge{tenant}
			place.Stage = stageQueued
		}
	}
	if urgent := c.urgent(); urgent.Capacity > 0 && p.tooLate(place) {
		if sooner := p.turn(urgent); sooner.At.Before(place.At) {
			place, price = sooner, []Charge{urgent}
		}
	}
	for _, c := range price {
		p.take(c)
	}
	return place
}

// tooLate reports whether a place leaves too little of the live certificate's time.
func (p *placement) tooLate(place held) bool {
	return !p.r.NotAfter.IsZero() && place.At.Sub(p.now) > p.r.NotAfter.Sub(p.now)/urgentPart
}

func (p *placement) read(ctx context.Context, tx pgx.Tx, args pgx.StrictNamedArgs) error {
	batch := &pgx.Batch{}
	batch.Queue(lockBucketsSQL, args)
	batch.Queue(`
		SELECT bucket, key, full_at, coalesce(@now::timestamptz, now())
		FROM budgets JOIN `+bucketRows+` USING (ca, account, bucket, key)`, args).Query(func(rows pgx.Rows) error {
		var l line
		var full time.Time
		_, err := pgx.ForEachRow(rows, []any{&l.bucket, &l.key, &full, &p.now}, func() error {
			p.full[l] = full
			return nil
		})
		return err
	})
	batch.Queue(`SELECT stage, at, place, charges FROM budget_reservations WHERE issuance_id = $1`, p.r.IssuanceID).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&p.held.Stage, &p.held.At, &p.held.Place, &p.held.Charges}, func() error { return nil })
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("read the lines: %w", err)
	}
	return nil
}

func (p *placement) write(ctx context.Context, tx pgx.Tx, of Charge) error {
	var buckets, keys []string
	var full []time.Time
	for _, c := range p.took {
		l := line{c.Bucket, c.Key}
		buckets, keys, full = append(buckets, l.bucket), append(keys, l.key), append(full, p.full[l])
	}
	ends := p.held.At.Add(unusedFor)
	if p.held.Stage == stageSpent {
		ends = p.now.Add(spentFor)
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
			"id": p.r.IssuanceID, "tenant": p.r.Tenant, "ca": of.CA, "account": of.Account, "stage": p.held.Stage, "place": p.held.Place,
			"at": p.held.At, "ends_at": ends, "charges": append(noNil(p.held.Charges), takenCharges(p.took)...),
		})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write the place: %w", err)
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
