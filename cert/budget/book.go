package budget

import (
	"time"

	"github.com/evercert/evercert/cert"
)

// Book keeps the buckets and places of one account in memory, as the store keeps them in rows. It is for simulations: the same calls in
// the same order get the same answers from both (TestF20_TheBookAnswersAsTheStoreDoes). Its zero value has full buckets. It is not safe
// for concurrent use.
type Book struct {
	full   map[Line]time.Time
	held   map[string]*bookHeld
	ends   time.Time // no place ends before this time
	pruned int       // buckets that were not full when forgetFull ran last
	took   []Charge  // room for Placement.Took
}

type bookHeld struct {
	Held
	ends time.Time
}

// Reserve gives an issuance its place in line, as store.Reserve does, and by its rules.
func (b *Book) Reserve(now time.Time, r cert.Reservation, charges []Charge) cert.Place {
	if len(charges) == 0 {
		return cert.Place{}
	}
	if b.full == nil {
		b.full, b.held = map[Line]time.Time{}, map[string]*bookHeld{}
	}
	b.endUnused(now)
	b.forgetFull(now)
	p := Placement{Reservation: r, Now: now, Full: b.full, Took: b.took[:0]}
	h := b.held[r.IssuanceID]
	if h != nil {
		p.Held = h.Held
	}
	if p.Advance(charges) {
		b.took = p.Took
		if taken := Take(p.Took); p.Held.Charges == nil {
			p.Held.Charges = taken
		} else {
			p.Held.Charges = append(p.Held.Charges, taken...)
		}
		if h == nil {
			h = &bookHeld{}
			b.held[r.IssuanceID] = h
		}
		h.Held, h.ends = p.Held, p.Held.EndsAt(now)
		if h.ends.Before(b.ends) {
			b.ends = h.ends
		}
	}
	return p.Held.Place(now)
}

// Settle ends the place of an issuance whose order has come to its end, and gives back what the order did not cost.
func (b *Book) Settle(issuanceID string, issued bool) {
	h := b.held[issuanceID]
	if h == nil {
		return
	}
	delete(b.held, issuanceID)
	for _, c := range h.Charges {
		back := c.BackIfFailed
		if issued {
			back = c.BackIfIssued
		}
		if back || h.Stage != Spent {
			b.giveBack(c)
		}
	}
}

func (b *Book) giveBack(c Taken) {
	line := Line{c.Bucket, c.Key}
	if full, is := b.full[line]; is {
		b.full[line] = full.Add(-time.Duration(c.RefillUS) * time.Microsecond)
	}
}

// endUnused gives back the places whose issuances did not come back, and forgets orders of long ago.
func (b *Book) endUnused(now time.Time) {
	if now.Before(b.ends) {
		return
	}
	b.ends = now.Add(unusedFor)
	for id, h := range b.held {
		if h.ends.After(now) {
			if h.ends.Before(b.ends) {
				b.ends = h.ends
			}
			continue
		}
		delete(b.held, id)
		if h.Stage == Spent {
			continue
		}
		for _, c := range h.Charges {
			b.giveBack(c)
		}
	}
}

// forgetFull deletes buckets that are full again, once they may be half of all. A missing bucket is a full one.
func (b *Book) forgetFull(now time.Time) {
	const few = 1000
	if len(b.full) < 2*b.pruned+few {
		return
	}
	for line, full := range b.full {
		if !full.After(now) {
			delete(b.full, line)
		}
	}
	b.pruned = len(b.full)
}
