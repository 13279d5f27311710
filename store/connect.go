package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// Connected is the stored domain. Created is false when this tenant had connected it before with the same names; Domain.ID is then the id
// of that time.
type Connected struct {
	Domain  cert.Domain
	Created bool
}

// connectTries limits how often Connect tries again when the conflicting domain was removed between two reads.
const connectTries = 5

// errNameHeld rolls back a transaction that did not get every name.
var errNameHeld = errors.New("a name belongs to another domain")

// Connect stores the domain, and the tenant if it is new. When two tenants connect one name at the same time, one succeeds, and nothing of
// the other's is stored. Repeating it changes nothing.
//
//	It returns a cert.Problem: NameTaken when another tenant has one of the names, or had it until recently; RequestRefused when this tenant
//	has one of them connected with other names, or has too many unverified names; TenantInactive or TenantDeleted.
func (s *Store) Connect(ctx context.Context, d cert.Domain) (Connected, error) {
	if err := s.refuseUnverified(ctx, d); err != nil {
		return Connected{}, fmt.Errorf("connect %s: %w", d.Hostname, err)
	}
	for range connectTries {
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return connect(ctx, tx, d) })
		if err == nil {
			s.notifyConnected(ctx)
			return Connected{Domain: d, Created: true}, nil
		}
		if !errors.Is(err, errNameHeld) {
			return Connected{}, fmt.Errorf("connect %s: %w", d.Hostname, err)
		}
		present, err := s.present(ctx, d)
		if err == nil {
			return Connected{Domain: present}, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return Connected{}, fmt.Errorf("connect %s: %w", d.Hostname, err)
		}
	}
	return Connected{}, fmt.Errorf("connect %s: %w, or its id %s is that of a removed domain", d.Hostname, errNameHeld, d.ID)
}

// notifyConnected wakes the workers that wait in ListenConnected. It is not part of the transaction, because PostgreSQL commits
// transactions with NOTIFY one by one. Workers find a domain whose notification was lost when they next read the table.
func (s *Store) notifyConnected(ctx context.Context) {
	if _, err := s.pool.Exec(ctx, "SELECT pg_notify($1, 'connected')", connectedChannel); err != nil {
		slog.WarnContext(ctx, "workers could not be notified of a connected domain; they find it later", "error", err)
	}
}

func connect(ctx context.Context, tx pgx.Tx, d cert.Domain) error {
	state, err := ensureTenant(ctx, tx, d.Tenant)
	if err != nil {
		return err
	}
	if err := refuseTenant(state); err != nil {
		return err
	}
	inserted, err := insertDomain(ctx, tx, d, cert.DomainPendingDNS)
	if err != nil {
		return err
	}
	if !inserted {
		return errNameHeld
	}
	held, err := claimNames(ctx, tx, d)
	if err != nil {
		return err
	}
	if len(held) > 0 {
		return errNameHeld
	}
	return nil
}

// insertDomain inserts the row of a domain whose tenant exists, unless its id is known or another connected domain has its hostname.
func insertDomain(ctx context.Context, tx pgx.Tx, d cert.Domain, status cert.DomainStatus) (inserted bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO domains (id, tenant, hostname, names, domain_status, headline, removed_at)
		VALUES (@id, @tenant, @hostname, @names, @status, @headline, CASE WHEN @status = 'removed' THEN now() END)
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{
			"id": d.ID, "tenant": d.Tenant, "hostname": d.Hostname, "names": d.Names,
			"status": status, "headline": cert.Status{Domain: status}.Headline(),
		})
	if err != nil {
		return false, fmt.Errorf("insert domain: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// present returns the domain that a tenant asks to connect, if the tenant has it already with the same names. Otherwise it returns the
// problem that prevents connecting it, or ErrNotFound if there is none any more.
func (s *Store) present(ctx context.Context, d cert.Domain) (cert.Domain, error) {
	holders, err := list(ctx, s.pool, pgx.RowToStructByName[cert.Domain], `
		SELECT id, tenant, hostname, names
		FROM domains
		WHERE id IN (SELECT domain_id FROM domain_names WHERE name = ANY ($1))
		ORDER BY hostname`, d.Names)
	if err != nil {
		return cert.Domain{}, fmt.Errorf("find who has the names: %w", err)
	}
	for _, h := range holders {
		if h.Tenant != d.Tenant {
			i := slices.IndexFunc(d.Names, func(name string) bool { return slices.Contains(h.Names, name) })
			return cert.Domain{}, nameTaken(d.Names[i])
		}
	}
	switch {
	case len(holders) == 0:
		return cert.Domain{}, ErrNotFound
	case holders[0].Hostname == d.Hostname && sameNames(holders[0].Names, d.Names):
		return holders[0], nil
	default:
		return cert.Domain{}, connectedOtherwise(holders[0])
	}
}

// connectedOtherwise returns the problem that the tenant has another domain with one of the names.
func connectedOtherwise(d cert.Domain) cert.Problem {
	names := make([]string, 0, len(d.Names))
	for _, name := range d.Names {
		names = append(names, cert.Unicode(name))
	}
	return cert.Problem{
		Code: cert.RequestRefused, WhoActs: cert.TenantActs,
		Message:     fmt.Sprintf("you have connected %s already, with the names %s", cert.Unicode(d.Hostname), strings.Join(names, ", ")),
		Remediation: "remove " + cert.Unicode(d.Hostname) + " first, or leave out the names that it has",
	}
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// TakeUnstarted returns connected domains whose workflow has recorded nothing yet, those that wait longest first. It reserves them for the
// lease: the caller starts their workflows. Domains that still have recorded nothing are then returned again, because the caller may have
// died, or Temporal may have lost the start.
func (s *Store) TakeUnstarted(ctx context.Context, lease time.Duration, limit int) ([]cert.Domain, error) {
	domains, err := list(ctx, s.pool, pgx.RowToStructByName[cert.Domain], `
		UPDATE domains
		SET start_at = now() + @lease::interval
		WHERE id IN (
			SELECT id FROM domains
			WHERE NOT recorded AND start_at <= now()
			ORDER BY start_at
			LIMIT @limit
			FOR NO KEY UPDATE SKIP LOCKED)
		RETURNING id, tenant, hostname, names`,
		pgx.StrictNamedArgs{"lease": lease, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("take unstarted domains: %w", err)
	}
	return domains, nil
}

// Line is the place of a domain among those that wait for their first check.
type Line struct {
	Place     int // from 1; 0 when it does not wait any more
	PerMinute int // how many new domains recorded something within the last minute; 0 when there was none, as after a standstill
}

// Line returns the place of a domain. Domains connected before it come first. It reads the new domains of a day, so call it for one domain,
// not for a list.
func (s *Store) Line(ctx context.Context, domainID string) (Line, error) {
	line, err := one(ctx, s.pool, pgx.RowToStructByPos[Line], `
		SELECT (SELECT count(*)
		        FROM domains w JOIN domains d ON d.id = $1 AND NOT d.recorded
		        WHERE NOT w.recorded AND (w.connected_at, w.id) <= (d.connected_at, d.id)),
		       (SELECT count(*) FROM domains
		        WHERE recorded AND connected_at > now() - interval '1 day' AND snapshot_at > now() - interval '1 minute')`, domainID)
	if err != nil {
		return Line{}, fmt.Errorf("place of %s in line: %w", domainID, err)
	}
	return line, nil
}
