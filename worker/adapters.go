package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/ca"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// Adapters don't import each other. The types in this file connect them.

// delegations gives the dcv.Solver the delegation targets from the store.
type delegations struct {
	db       *store.Store
	platform cert.Platform
	targets  *expirable.LRU[string, string]
}

// targetsKept covers the orders in progress. The target of a name changes only when the name moves to another tenant, which takes days, or
// when an operator ends a quarantine: then an order of the former tenant within targetLifetime fails once.
const (
	targetsKept    = 4096
	targetLifetime = time.Minute
)

func newDelegations(db *store.Store, platform cert.Platform) delegations {
	return delegations{db, platform, expirable.NewLRU[string, string](targetsKept, nil, targetLifetime)}
}

func (d delegations) DelegationTarget(ctx context.Context, name string) (string, error) {
	if target, ok := d.targets.Get(name); ok {
		return target, nil
	}
	secret, err := d.db.SecretOfName(ctx, name)
	if err != nil {
		return "", fmt.Errorf("find the tenant of %s: %w", name, err)
	}
	target := d.platform.DelegationTarget(name, secret)
	d.targets.Add(name, target)
	return target, nil
}

// budgets reserves the limits of an order's CA, from the buckets in the store.
type budgets struct {
	*store.Store
	authorities []*ca.Authority
}

func (b budgets) Reserve(ctx context.Context, r cert.Reservation) (cert.Place, error) {
	i := slices.IndexFunc(b.authorities, func(a *ca.Authority) bool { return a.Directory() == r.Directory })
	if i < 0 {
		return cert.Place{}, fmt.Errorf("the CA at %s is not among the platform's", r.Directory)
	}
	charges, err := b.authorities[i].Charges(ctx, r.Names, r.Renewal)
	if err != nil {
		return cert.Place{}, err
	}
	return b.Store.Reserve(ctx, r, charges)
}

// cas returns the CAs as activities order from them.
func (c MovingConfig) cas(authorities []*ca.Authority, db *store.Store, log *slog.Logger) *activities.CAs {
	cas := &activities.CAs{Absences: db, Issuances: db, MoveAfter: c.MoveAfter, ReturnAfter: c.ReturnAfter, Log: log}
	for _, authority := range authorities {
		cas.List = append(cas.List, authority)
	}
	return cas
}
