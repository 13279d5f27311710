// Package budget decides when an order may be placed under the rate limits of a CA (row F3): what an order costs, which tokens are left,
// who waits and for how long. The store calls it with rows that it has locked, a simulation with maps (Book).
package budget

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Charge is one token to take from a bucket: the bucket of one CA and account, named by what it limits and for what
// ("orders", ""; "domain", "example.com").
type Charge struct {
	CA       string
	Account  string // URL
	Bucket   string
	Key      string        // what the bucket is for: a registered domain, a name, the hash of a set of names
	Capacity int           // tokens in a full bucket
	Refill   time.Duration // for one token to come back; a microsecond at least

	Shared       bool // all tenants draw from the bucket, so that its places are shared fairly; one charge of an order at most
	BackIfIssued bool // given back when the order has become a certificate
	BackIfFailed bool // given back when the order has failed
}

// Line names a bucket of an account.
type Line struct{ Bucket, Key string }

// Line returns the bucket that the charge is for.
func (c Charge) Line() Line { return Line{c.Bucket, c.Key} }

// Check returns an error for charges that could never be met, and for two charges of one bucket.
func Check(charges []Charge) error {
	shared := 0
	for i, c := range charges {
		switch {
		case slices.ContainsFunc(charges[:i], func(before Charge) bool { return before.Line() == c.Line() }):
			return fmt.Errorf("bucket %s of %s is charged twice", c.Bucket, c.CA)
		case c.CA != charges[0].CA || c.Account != charges[0].Account:
			return fmt.Errorf("bucket %s of %s belongs to another account than bucket %s of %s", c.Bucket, c.CA, charges[0].Bucket, charges[0].CA)
		case c.Refill < time.Microsecond:
			return fmt.Errorf("bucket %s of %s: a refill of %s is below a microsecond", c.Bucket, c.CA, c.Refill)
		case c.Capacity < 1:
			return fmt.Errorf("bucket %s of %s holds no token", c.Bucket, c.CA)
		}
		if c.Shared {
			shared++
		}
	}
	if shared > 1 {
		return fmt.Errorf("%d buckets of %s are shared; it expects one at most", shared, charges[0].CA)
	}
	return nil
}

// Limits are the rate limits of a CA's account. 0 is no limit.
type Limits struct {
	OrdersPer3Hours     int // new orders of the account
	OrdersPerDomainWeek int // orders that hold names of one registered domain
	OrdersPerSetWeek    int // orders for exactly the same names
	FailuresPerNameHour int // failed validations of one name
}

// The buckets, after Let's Encrypt's rate limits.
const (
	bucketOrders   = "orders"
	bucketDomain   = "domain"
	bucketSet      = "set"
	bucketFailures = "failures"
)

const week = 7 * 24 * time.Hour

// Order is an order as the limits see it.
type Order struct {
	CA      string
	Account string
	Names   []string // sorted, each once
	Domains []string // the registered domains of the names, each once
	Renewal bool     // the names have had a certificate from the account
}

// Charges returns what an order may cost of the limits. A renewal is counted neither per account nor per domain, but per set of names
// (letsencrypt.org/docs/rate-limits). With RFC 9773's replaces the CA would count it nowhere. The set is charged all the same,
// which ends a loop of ours.
func (l Limits) Charges(o Order) []Charge {
	return l.AppendCharges(make([]Charge, 0, 2+len(o.Domains)+len(o.Names)), o)
}

// AppendCharges is Charges for callers with millions of orders: it appends them to a list.
func (l Limits) AppendCharges(charges []Charge, o Order) []Charge {
	charge := func(c Charge, capacity int, window time.Duration) {
		if capacity > 0 {
			c.CA, c.Account, c.Capacity, c.Refill = o.CA, o.Account, capacity, window/time.Duration(capacity)
			charges = append(charges, c)
		}
	}
	if !o.Renewal {
		charge(Charge{Bucket: bucketOrders, Shared: true}, l.OrdersPer3Hours, 3*time.Hour) // spent, whatever becomes of the order
		for _, domain := range o.Domains {
			charge(Charge{Bucket: bucketDomain, Key: domain, BackIfFailed: true}, l.OrdersPerDomainWeek, week)
		}
	}
	charge(Charge{Bucket: bucketSet, Key: setKey(o.Names), BackIfFailed: true}, l.OrdersPerSetWeek, week)
	for _, name := range o.Names {
		charge(Charge{Bucket: bucketFailures, Key: name, BackIfIssued: true}, l.FailuresPerNameHour, time.Hour)
	}
	return charges
}

// setKey names a set of names. It is a hash, because 100 names do not fit into an index.
func setKey(set []string) string {
	sum := sha256.Sum256([]byte(strings.Join(set, ",")))
	return hex.EncodeToString(sum[:])
}
