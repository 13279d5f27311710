package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

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

// budgets reserves the CA's limits for an order, from the buckets in the store.
type budgets struct {
	*store.Store
	authority *ca.Authority
}

func (b budgets) Reserve(ctx context.Context, r cert.Reservation) (cert.Place, error) {
	charges, err := b.authority.Charges(ctx, r.Names, r.Renewal)
	if err != nil {
		return cert.Place{}, err
	}
	return b.Store.Reserve(ctx, r, charges)
}
