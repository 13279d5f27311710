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

// A tenant may not claim more names than UnverifiedNames without proof. Counting reads each of its unverified domains, so after a count
// half of the remaining room is used without another count. Several processes together may therefore exceed the limit by a part of that,
// for a minute.

// roomLifetime is how long a count is used, and below countedAlways names every call counts.
const (
	roomLifetime  = time.Minute
	countedAlways = 100
)

// refuseUnverified returns the problem of a tenant that has too many unverified names.
func (s *Store) refuseUnverified(ctx context.Context, d cert.Domain) error {
	limit := s.UnverifiedNames
	if limit <= 0 || s.rooms.take(d.Tenant, len(d.Names)) {
		return nil
	}
	n, err := one(ctx, s.pool, pgx.RowTo[int], `
		SELECT coalesce(sum(cardinality(names)), 0)::integer FROM domains
		WHERE tenant = $1 AND verified_at IS NULL AND removed_at IS NULL`, d.Tenant)
	if err != nil {
		return fmt.Errorf("count the unverified names of tenant %s: %w", d.Tenant, err)
	}
	if n+len(d.Names) <= limit {
		if n >= countedAlways {
			s.rooms.put(d.Tenant, (limit-n-len(d.Names))/2)
		}
		return nil
	}
	present, err := s.present(ctx, d) // connecting again is allowed, whatever the limit
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

// rooms remembers how many more names tenants may connect.
type rooms struct {
	mu       sync.Mutex
	byTenant map[string]room
}

type room struct {
	names int
	until time.Time
}

// take reports whether the names fit into the remembered room, and uses it.
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
