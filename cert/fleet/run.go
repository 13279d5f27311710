package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/budget"
)

// Result is what becomes of a fleet.
type Result struct {
	Expired     int       // certificates that end, or are sure to end, before their place in line
	FirstExpiry time.Time // zero without one
	Orders      int       // placed
	Counted     int       // of Orders: those that the CA counts as new orders of the account
	Waited      int       // orders that had to wait for a place
	LongestWait time.Duration
	Margin      time.Duration // the shortest time that a certificate had left when it was replaced; zero if none was
	Replaced    int           // orders that replaced a certificate
	Waiting     int           // domains that wait at the end
	Days        []Day
}

// Day is one day of a simulation.
type Day struct {
	Connected   int           // domains
	Orders      int           // placed
	Counted     int           // of Orders, as in Result
	Waiting     int           // domains that wait for a place at its end
	LongestWait time.Duration // of the orders placed on it
	Replaced    int           // orders that replaced a certificate
	Margin      time.Duration // the shortest time that a certificate replaced on it had left
	Expired     int           // certificates that ended on it
}

// domain is one of the fleet. Times count from the start.
type domain struct {
	asked   time.Duration // when the order at hand first asked for a place
	ends    time.Duration // of the live certificate; meaningless without one
	orders  int32         // issuances that were begun
	live    bool          // it has a certificate
	waiting bool          // for a place
	expired bool          // the live certificate ends before its place
	moved   bool          // the live certificate comes from the account that the fleet moved to
}

// simulation is a plan under way.
type simulation struct {
	Plan

	limits  budget.Limits
	book    *budget.Book // of the account
	moved   bool         // the fleet has moved to another account, whose book it is
	random  *rand.Rand
	domains []domain
	queue   queue
	price   []budget.Charge // room for the charges of an order
	secure  int             // domains whose live certificate comes from the account
	result  Result
}

const oneDay = 24 * time.Hour

// Run simulates the plan, which Check must have passed. It calls progress, if not nil, when a day begins.
func (p Plan) Run(ctx context.Context, progress func(day int)) (Result, error) {
	s := newSimulation(p)
	err := s.run(ctx, progress, func() bool { return false })
	return s.result, err
}

func newSimulation(p Plan) *simulation {
	s := &simulation{
		Plan: p, limits: p.limits(), book: &budget.Book{}, random: rand.New(rand.NewPCG(p.Seed, 0)),
		domains: make([]domain, p.Domains), queue: make(queue, 0, p.Domains), result: Result{Days: make([]Day, p.Days)},
	}
	s.secure = p.Connected
	for i := range s.domains {
		s.queue.push(event{at: s.begin(i), domain: int32(i)})
	}
	return s
}

// begin sets a domain up, and returns when it first acts: when its certificate is due, or when it is connected.
func (s *simulation) begin(i int) time.Duration {
	if i < s.Connected {
		due := s.renewal(0, s.Lifetime)
		age := time.Duration(s.random.Int64N(int64(due)))
		s.domains[i] = domain{live: true, ends: s.Lifetime - age}
		return due - age
	}
	day := (i - s.Connected) / s.ConnectedPerDay
	return time.Duration(day)*oneDay + time.Duration(s.random.Int64N(int64(oneDay)))
}

// renewal returns when a certificate that begins at a time is due, by the rule of production.
func (s *simulation) renewal(begins, lifetime time.Duration) time.Duration {
	at := s.Start.Add(begins)
	return cert.RenewAt(at, at.Add(lifetime), s.random.Float64()).Sub(s.Start)
}

// run takes one event after the other until the last day is over, or until enough returns true.
func (s *simulation) run(ctx context.Context, progress func(day int), enough func() bool) error {
	for today := range s.Days {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("simulate day %d: %w", today, err)
		}
		if progress != nil {
			progress(today)
		}
		if today == s.MoveOn {
			s.book, s.moved, s.secure = &budget.Book{}, true, 0
		}
		for s.queue[0].at < time.Duration(today+1)*oneDay { // each domain has an event in the queue, always
			e := s.queue[0]
			s.queue.replaceFirst(event{at: s.order(e.at, int(e.domain)), domain: e.domain})
			if enough() {
				return nil
			}
		}
		s.result.Days[today].Waiting = s.result.Waiting
	}
	return nil
}

// order lets a domain ask for its place, and order if there is no wait. It returns when the domain acts again.
func (s *simulation) order(at time.Duration, i int) time.Duration {
	d, today := &s.domains[i], &s.result.Days[at/oneDay]
	if !d.waiting {
		d.asked = at
		d.orders++
		if !d.live {
			today.Connected++
		}
	}
	r := s.reservation(i)
	place := s.book.Reserve(s.Start.Add(at), r, s.charges(r, i))
	if place.N > 0 {
		if !d.waiting {
			d.waiting = true
			s.result.Waited++
			s.result.Waiting++
		}
		s.noteExpiry(d, at+place.Wait)
		return at + place.Wait + time.Duration(s.random.Int64N(int64(aMoment)))
	}
	s.book.Settle(r.IssuanceID, true)
	s.noteOrder(d, at, !r.Renewal, today)
	if !r.Renewal {
		s.secure++
	}
	begins := s.Start.Add(at)
	lifetime := min(s.Lifetime, s.CA.Longest(begins))
	*d = domain{orders: d.orders, live: true, moved: s.moved, ends: at + lifetime}
	return s.renewal(at, lifetime)
}

// atRest reports whether nothing can expire any more: all that is left are renewals, which the limits of the account don't count, and
// which come so seldom that the tokens of their own limits are back.
func (s *simulation) atRest() bool {
	if s.secure < s.Domains || s.result.Waiting > 0 || s.MoveOn != Never && !s.moved {
		return false
	}
	lifetime := min(s.Lifetime, s.CA.Longest(s.Start.Add(time.Duration(s.Days)*oneDay)))
	soonest := cert.RenewAt(s.Start, s.Start.Add(lifetime), 1).Sub(s.Start)
	for _, c := range s.limits.Charges(budget.Order{Names: []string{""}, Renewal: true}) {
		if c.Refill > soonest {
			return false
		}
	}
	return true
}

// aMoment is how long a timer and a check of DNS take at most.
const aMoment = 2 * time.Second

// registered returns the registered domain of a domain.
func (s *simulation) registered(i int) string {
	return "r" + strconv.Itoa(i/s.PerRegistered) + ".example"
}

// reservation is what production asks a place for.
func (s *simulation) reservation(i int) cert.Reservation {
	d := s.domains[i]
	base := s.registered(i)
	if s.PerRegistered > 1 {
		base = "d" + strconv.Itoa(i) + "." + base
	}
	names := make([]string, s.NamesPerDomain)
	for n := range names {
		names[n] = base
		if n > 0 {
			names[n] = "w" + strconv.Itoa(n) + "." + base
		}
	}
	r := cert.Reservation{IssuanceID: strconv.Itoa(i) + "/" + strconv.Itoa(int(d.orders)), Tenant: strconv.Itoa(i % s.Tenants), Names: names}
	if d.live {
		r.Renewal, r.NotAfter = d.moved == s.moved, s.Start.Add(d.ends)
	}
	return r
}

func (s *simulation) charges(r cert.Reservation, i int) []budget.Charge {
	account := "before"
	if s.moved {
		account = "after"
	}
	s.price = s.limits.AppendCharges(s.price[:0], budget.Order{
		CA:      s.CA.Name,
		Account: account,
		Names:   r.Names,
		Domains: []string{s.registered(i)},
		Renewal: r.Renewal,
	})
	return s.price
}

// noteExpiry counts the live certificate of a domain once if it ends before a time.
func (s *simulation) noteExpiry(d *domain, before time.Duration) {
	if !d.live || d.expired || before <= d.ends {
		return
	}
	d.expired = true
	s.result.Expired++
	if at := s.Start.Add(d.ends); s.result.FirstExpiry.IsZero() || at.Before(s.result.FirstExpiry) {
		s.result.FirstExpiry = at
	}
	if day := int(max(0, d.ends) / oneDay); day < s.Days {
		s.result.Days[day].Expired++
	}
}

// noteOrder counts an order that is placed.
func (s *simulation) noteOrder(d *domain, at time.Duration, counted bool, today *Day) {
	s.noteExpiry(d, at)
	s.result.Orders++
	today.Orders++
	if counted {
		s.result.Counted++
		today.Counted++
	}
	if d.waiting {
		s.result.Waiting--
		s.result.LongestWait = max(s.result.LongestWait, at-d.asked)
		today.LongestWait = max(today.LongestWait, at-d.asked)
	}
	if !d.live {
		return
	}
	left := d.ends - at
	if s.result.Replaced == 0 || left < s.result.Margin {
		s.result.Margin = left
	}
	if today.Replaced == 0 || left < today.Margin {
		today.Margin = left
	}
	s.result.Replaced++
	today.Replaced++
}
