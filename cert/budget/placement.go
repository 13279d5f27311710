package budget

import (
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
)

// A bucket is stored as the instant at which it is full again (the generic cell rate algorithm, ITU-T I.371; Boulder stores its limits the
// same way). Taking a token moves the instant later by the refill time of one token. A token is available while the instant is at most the
// refill time of the whole capacity ahead. The token of a place in line is taken when the place is given, so the place has a time, no
// other issuance gets its token, and no job has to refill buckets.
//
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

// Stage is how far a reservation is.
type Stage string

// The stages, in their order.
const (
	Queued Stage = "queued" // waits for its turn before it takes a token of what all tenants share
	Booked Stage = "booked" // all of its tokens are there at the time of the place
	Spent  Stage = "spent"  // an order may have been placed
)

// unusedFor is how long after its time a place is kept for an issuance that does not come back. No place is lost when all workers are down
// for that long.
const unusedFor = 12 * time.Hour

// SpentFor is how long a reservation is kept after its order may have been placed. After that time an order without a result counts as
// placed.
const SpentFor = 30 * 24 * time.Hour

// Held is the place of an issuance. Its Stage is empty without one.
type Held struct {
	Stage   Stage
	At      time.Time
	N       int // place in line; 0 without a wait
	Charges []Taken
}

// Taken is a charge as a reservation keeps it, until it is given back or kept by the CA.
type Taken struct {
	Bucket       string `json:"bucket"`
	Key          string `json:"key"`
	RefillUS     int64  `json:"refill_us"`
	BackIfIssued bool   `json:"back_if_issued"`
	BackIfFailed bool   `json:"back_if_failed"`
}

// Take returns charges as a reservation keeps them.
func Take(charges []Charge) []Taken {
	list := make([]Taken, len(charges))
	for i, c := range charges {
		list[i] = Taken{c.Bucket, c.Key, c.Refill.Microseconds(), c.BackIfIssued, c.BackIfFailed}
	}
	return list
}

// Place returns the answer for the issuance at a time.
func (h Held) Place(now time.Time) cert.Place {
	if h.Stage == Spent {
		return cert.Place{At: now}
	}
	return cert.Place{N: h.N, At: h.At, Wait: h.At.Sub(now)}
}

// EndsAt returns when the place ends by itself: because the issuance did not come back, or because the order was long ago.
func (h Held) EndsAt(now time.Time) time.Time {
	if h.Stage == Spent {
		return now.Add(SpentFor)
	}
	return h.At.Add(unusedFor)
}

// common is the part of a shared bucket that all issuances draw from. Those that come back may take some more tokens.
func (c Charge) common(comesBack bool) Charge {
	if !c.Shared {
		return c
	}
	window, kept, slack := time.Duration(c.Capacity)*c.Refill, c.Capacity/keptPart, c.Capacity/slackPart
	c.Capacity -= kept
	c.Refill = refill(window, c.Capacity)
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
		c.Refill = refill(window, kept)
	}
	return c
}

// refill is the time for one token of a bucket to come back, in the microseconds of a database.
func refill(window time.Duration, capacity int) time.Duration {
	return (window / time.Duration(capacity)).Truncate(time.Microsecond)
}

// tenant is the line of one tenant's places.
func (c Charge) tenant(tenant string) Charge {
	c = c.common(false)
	c.Bucket, c.Key, c.Capacity = c.Bucket+tenantSuffix, tenant, 0
	return c
}

// First returns what an order takes that meets no line.
func First(charges []Charge) []Charge {
	list := slices.Clone(charges)
	for i, c := range list {
		list[i] = c.common(false)
	}
	return list
}

// Lines returns every bucket that a placement may draw from.
func Lines(charges []Charge, tenant string) []Charge {
	lines := First(charges)
	for _, c := range charges {
		if c.Shared {
			lines = append(lines, c.urgent(), c.tenant(tenant))
		}
	}
	return lines
}

// Placement is one issuance among the lines of its buckets.
type Placement struct {
	Reservation cert.Reservation
	Now         time.Time
	Full        map[Line]time.Time // when each bucket is full again; a bucket that is missing is full. Advance moves those that it draws from
	Held        Held
	Took        []Charge // what Advance took
}

// turn is the place that a charge would get now.
func (p *Placement) turn(c Charge) Held {
	full := later(p.Full[c.Line()], p.Now).Add(c.Refill)
	at := later(full.Add(-time.Duration(c.Capacity)*c.Refill), p.Now)
	wait := at.Sub(p.Now)
	return Held{Stage: Booked, At: at, N: int((wait + c.Refill - 1) / c.Refill)}
}

func (p *Placement) take(c Charge) {
	p.Full[c.Line()] = later(p.Full[c.Line()], p.Now).Add(c.Refill)
	p.Took = append(p.Took, c)
}

// Advance gives the issuance a place, or the next stage of the one it has, or lets it through. It reports whether anything changed.
func (p *Placement) Advance(charges []Charge) bool {
	shared := slices.IndexFunc(charges, func(c Charge) bool { return c.Shared })
	comesBack := p.Held.Stage != ""
	switch {
	case p.Held.Stage == Spent || comesBack && p.Now.Before(p.Held.At):
		return false // another run of the same issuance came first
	case !comesBack:
		p.next(p.own(charges, shared < 0))
	}
	if p.Held.Stage == Queued && !p.Now.Before(p.Held.At) {
		p.next(p.share(charges[shared], comesBack))
	}
	if p.Held.Stage == Booked && !p.Now.Before(p.Held.At) {
		p.Held.Stage, p.Held.N = Spent, 0
	}
	return true
}

func (p *Placement) next(h Held) {
	h.Charges = p.Held.Charges
	p.Held = h
}

// own takes the tokens of the buckets that belong to the names. last says that no shared bucket comes after them.
func (p *Placement) own(charges []Charge, last bool) Held {
	place := Held{At: p.Now}
	for _, c := range charges {
		if c.Shared {
			continue
		}
		if turn := p.turn(c); turn.At.After(place.At) {
			place = turn
		}
		p.take(c)
	}
	place.Stage = Queued
	if last {
		place.Stage = Booked
	}
	return place
}

// share finds the place in the line of a shared bucket.
func (p *Placement) share(c Charge, comesBack bool) Held {
	common := c.common(comesBack)
	place, price := p.turn(common), []Charge{common}
	if !comesBack && place.At.After(p.Now) {
		tenant := c.tenant(p.Reservation.Tenant)
		alone := p.turn(tenant)
		price = append(price, tenant)
		if wait := alone.At.Sub(p.Now); wait > max(directPlaces*common.Refill, place.At.Sub(p.Now)/2) {
			place, price = alone, []Charge{tenant}
			place.Stage = Queued
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
func (p *Placement) tooLate(place Held) bool {
	r := p.Reservation
	return !r.NotAfter.IsZero() && place.At.Sub(p.Now) > r.NotAfter.Sub(p.Now)/urgentPart
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
