package main

import (
	"context"
	"errors"
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

// The adapters do not know each other; these few lines join them.

// delegations tells the DNS server's side where a name's validation is delegated to.
type delegations struct {
	db       *store.Store
	platform cert.Platform
	targets  *expirable.LRU[string, string]
}

// targetsKept are enough for the orders under way. A target changes with the tenant of its name only, which takes days, or an operator who lifts a
// quarantine: then an order within targetLifetime of the former tenant's fails once.
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

// accounts keeps the CA's account, and what the CA has against it, in the store.
type accounts struct{ *store.Store }

func (a accounts) Account(ctx context.Context, directory string) (ca.Account, bool, error) {
	account, err := a.Store.Account(ctx, directory)
	if errors.Is(err, store.ErrNotFound) {
		return ca.Account{}, false, nil
	}
	return ca.Account(account), err == nil, err
}

func (a accounts) SaveAccount(ctx context.Context, account ca.Account) (ca.Account, error) {
	kept, err := a.Store.SaveAccount(ctx, store.Account(account))
	return ca.Account(kept), err
}

// budgets takes what an order costs at its CA from the buckets in the store.
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
	list := make([]store.Charge, len(charges))
	for i, c := range charges {
		list[i] = store.Charge(c)
	}
	return b.Store.Reserve(ctx, r, list)
}

// cas returns the CAs as activities order from them.
func (c MovingConfig) cas(authorities []*ca.Authority, db *store.Store, log *slog.Logger) *activities.CAs {
	cas := &activities.CAs{Absences: db, Issuances: db, MoveAfter: c.MoveAfter, ReturnAfter: c.ReturnAfter, Log: log}
	for _, authority := range authorities {
		cas.List = append(cas.List, authority)
	}
	return cas
}
