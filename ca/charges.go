package ca

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/weppos/publicsuffix-go/publicsuffix"
)

// Charge is one token to take from a bucket of the account before an order is placed.
type Charge struct {
	CA       string
	Account  string // URL
	Bucket   string
	Key      string // what the bucket is for: a registered domain, a name, the hash of a set of names
	Capacity int
	Refill   time.Duration // for one token

	Shared       bool // all tenants draw from the bucket
	BackIfIssued bool // given back when the order has become a certificate
	BackIfFailed bool // given back when the order has failed
}

// The buckets, after Let's Encrypt's rate limits.
const (
	bucketOrders   = "orders"
	bucketDomain   = "domain"
	bucketSet      = "set"
	bucketFailures = "failures"
)

const week = 7 * 24 * time.Hour

// Charges is what one order for the names may cost of the CA's rate limits: reserve it before NewOrder. A renewal is an order for names
// that have had a certificate from the account; it is counted neither per account nor per domain, but per set of names.
// With RFC 9773's replaces the CA would count it nowhere. The set is charged all the same, which ends a loop of ours.
func (a *Authority) Charges(ctx context.Context, names []string, renewal bool) ([]Charge, error) {
	s, err := a.session(ctx)
	if err != nil {
		return nil, err
	}
	var charges []Charge
	charge := func(c Charge, capacity int, window time.Duration) {
		if capacity > 0 {
			c.CA, c.Account, c.Capacity, c.Refill = s.name, s.accountURL, capacity, window/time.Duration(capacity)
			charges = append(charges, c)
		}
	}
	set := nameSet(names)
	if !renewal {
		charge(Charge{Bucket: bucketOrders, Shared: true}, a.cfg.OrdersPer3Hours, 3*time.Hour) // spent, whatever becomes of the order
		for _, domain := range registeredDomains(set) {
			charge(Charge{Bucket: bucketDomain, Key: domain, BackIfFailed: true}, a.cfg.OrdersPerDomainWeek, week)
		}
	}
	charge(Charge{Bucket: bucketSet, Key: setKey(set), BackIfFailed: true}, a.cfg.OrdersPerSetWeek, week)
	for _, name := range set {
		charge(Charge{Bucket: bucketFailures, Key: name, BackIfIssued: true}, a.cfg.FailuresPerNameHour, time.Hour)
	}
	return charges, nil
}

// setKey names a set of names. It is a hash, because 100 names do not fit into an index.
func setKey(set []string) string {
	sum := sha256.Sum256([]byte(strings.Join(set, ",")))
	return hex.EncodeToString(sum[:])
}

// registeredDomains returns what Let's Encrypt counts the names by (boulder ratelimits.coveringIdentifiers, with the same library and
// list): the public suffix, of the list's ICANN or private section, and one label more; of a name that is a public suffix the name itself.
func registeredDomains(set []string) []string {
	domains := make([]string, len(set))
	for i, name := range set {
		domains[i] = name
		if domain, err := publicsuffix.Domain(strings.TrimPrefix(name, "*.")); err == nil {
			domains[i] = domain
		}
	}
	return nameSet(domains)
}
