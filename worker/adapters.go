package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"github.com/evercert/evercert/ca"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// The adapters do not know each other; these few lines join them.

// delegations tells the DNS server's side where a name's validation is delegated to.
type delegations struct {
	db       *store.Store
	platform cert.Platform
	targets  *expirable.LRU[string, string]
}

// targetsKept are enough for the orders under way. A target changes with the tenant of its name only, and a removed name is kept from
// other tenants for much longer than targetLifetime (store, quarantine).
const (
	targetsKept    = 4096
	targetLifetime = 10 * time.Minute
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

// accounts keeps the CA's account in the store.
type accounts struct{ db *store.Store }

func (a accounts) Account(ctx context.Context, directory string) (ca.Account, bool, error) {
	account, err := a.db.Account(ctx, directory)
	if errors.Is(err, store.ErrNotFound) {
		return ca.Account{}, false, nil
	}
	return ca.Account(account), err == nil, err
}

func (a accounts) SaveAccount(ctx context.Context, account ca.Account) (ca.Account, error) {
	kept, err := a.db.SaveAccount(ctx, store.Account(account))
	return ca.Account(kept), err
}

func (a accounts) DeleteAccount(ctx context.Context, directory, url string) error {
	return a.db.DeleteAccount(ctx, directory, url)
}

// budgets takes what an order costs at the CA from the buckets in the store.
type budgets struct {
	db        *store.Store
	authority *ca.Authority
}

func (b budgets) Reserve(ctx context.Context, names []string, renewal bool) (time.Duration, error) {
	charges, err := b.authority.Charges(ctx, names, renewal)
	if err != nil || len(charges) == 0 {
		return 0, err
	}
	return b.db.Spend(ctx, stored(charges))
}

func (b budgets) Settle(ctx context.Context, names []string, renewal, issued bool) error {
	charges, err := b.authority.Charges(ctx, names, renewal)
	if err != nil {
		return err
	}
	if charges = ca.Unspent(charges, issued); len(charges) == 0 {
		return nil
	}
	return b.db.Refund(ctx, stored(charges))
}

func stored(charges []ca.Charge) []store.Charge {
	list := make([]store.Charge, len(charges))
	for i, c := range charges {
		list[i] = store.Charge(c)
	}
	return list
}
