package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// A tenant may not claim more names than UnverifiedNames without showing that they are its own. Counting costs a look at each of its unverified
// domains, so half of the room that a count has left is used up without another one: several processes together may go beyond the limit by a part
// of that, for a minute.

// roomLifetime is for how long a count is believed, and countedAlways below how many names one is made each time.
const (
	roomLifetime  = time.Minute
	countedAlways = 100
)

// refuseUnverified returns the problem of a tenant that has too many names which it did not show to be its own.
func (s *Store) refuseUnverified(ctx context.Context, d cert.Domain) error {
	limit := s.UnverifiedNames
	if limit <= 0 || s.rooms.take(d.Tenant, len(d.Names)) {
		return nil
	}
	n, err := one(ctx, s.pool, pgx.RowTo[int], `
		SELECT coalesce(sum(cardinality(names)), 0)::integer FROM domains WHERE tenant = $1 AND verified_at IS NULL AND removed_at IS NULL`, d.Tenant)
	if err != nil {
		return fmt.Errorf("count the unverified names of tenant %s: %w", d.Tenant, err)
	}
	if n+len(d.Names) <= limit {
		if n >= countedAlways {
			s.rooms.put(d.Tenant, (limit-n-len(d.Names))/2)
		}
		return nil
	}
	present, err := s.present(ctx, d) // connecting twice is connecting once, whatever the limit
	if err == nil && present.ID != "" {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return cert.Problem{
		Code: cert.RequestRefused, WhoActs: cert.TenantActs,
		Message:     fmt.Sprintf("this account has %d names whose DNS records were never all seen, and may have %d", n, limit),
		Remediation: "add the records of those, or remove them, first; the platform can raise UNVERIFIED_NAMES_PER_TENANT",
	}
}

// rooms remembers for how many more names tenants have room.
type rooms struct {
	mu       sync.Mutex
	byTenant map[string]room
}

type room struct {
	names int
	until time.Time
}

// take reports whether so many names fit into what is remembered, and takes them from it.
func (r *rooms) take(tenant string, names int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	left, ok := r.byTenant[tenant]
	if !ok || left.names < names || time.Now().After(left.until) {
		delete(r.byTenant, tenant)
		return false
	}
	left.names -= names
	r.byTenant[tenant] = left
	return true
}

func (r *rooms) put(tenant string, names int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byTenant == nil {
		r.byTenant = map[string]room{}
	}
	r.byTenant[tenant] = room{names, time.Now().Add(roomLifetime)}
}
