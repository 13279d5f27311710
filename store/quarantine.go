package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// Quarantined is a name that is kept for a tenant after the removal of its domain.
type Quarantined struct {
	Name   string    `json:"name"`
	Tenant string    `json:"tenant"` // for which it is kept
	EndsAt time.Time `json:"ends_at"`
}

// Quarantine lists the names that are in quarantine now, by name and after the given one, at most limit of them (100 if zero or less).
func (s *Store) Quarantine(ctx context.Context, after string, limit int) ([]Quarantined, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	names, err := list(ctx, s.pool, pgx.RowToStructByName[Quarantined], `
		SELECT name, tenant, ends_at FROM name_quarantine WHERE ends_at > now() AND name > $1 ORDER BY name LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list the quarantine: %w", err)
	}
	return names, nil
}

// LiftQuarantine ends the quarantine of a name, and adds detail to the timeline of the domain that had the name last. It returns
// ErrNotFound for a name that is not in quarantine.
func (s *Store) LiftQuarantine(ctx context.Context, name, detail string) (lifted Quarantined, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		lifted, err = one(ctx, tx, pgx.RowToStructByName[Quarantined], `
			DELETE FROM name_quarantine WHERE name = $1 AND ends_at > now() RETURNING name, tenant, ends_at`, name)
		if err != nil {
			return err
		}
		// The workflow of the removed domain has ended, so that nothing else writes to its timeline. Run and seq are not those of a snapshot.
		_, err = tx.Exec(ctx, `
			WITH last AS (
				SELECT id FROM domains WHERE removed_at IS NOT NULL AND names @> ARRAY[@name::text] ORDER BY removed_at DESC LIMIT 1
			)
			INSERT INTO events (domain_id, run, seq, n, type, detail, at)
			SELECT last.id, @run, 0, (SELECT coalesce(max(n), 0) + 1 FROM events e WHERE e.domain_id = last.id AND e.run = @run AND e.seq = 0),
			       @type, @detail, now()
			FROM last`,
			pgx.StrictNamedArgs{"name": name, "run": noRun, "type": cert.QuarantineLifted, "detail": detail})
		return err
	})
	if err != nil {
		return Quarantined{}, fmt.Errorf("lift the quarantine of %s: %w", name, err)
	}
	return lifted, nil
}

// Holder is another tenant's connected domain with names that a tenant wants.
type Holder struct {
	cert.Domain
	Wanted   []string // the wanted names that it has
	Verified bool     // all of its records were seen at one check
	Seq      int64    // of its newest snapshot
}

// Holders returns the domains of other tenants that have names of a domain which is not connected yet. It inserts the tenant that wants
// them if it is new, because its ownership records decide.
func (s *Store) Holders(ctx context.Context, d cert.Domain) (holders []Holder, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		state, err := ensureTenant(ctx, tx, d.Tenant)
		if err != nil {
			return err
		}
		if err := refuseTenant(state); err != nil {
			return err
		}
		holders, err = list(ctx, tx, pgx.RowToStructByName[Holder], `
			SELECT d.id, d.hostname, d.names, d.tenant, d.seq, d.verified_at IS NOT NULL AS verified, held.wanted
			FROM (SELECT domain_id, array_agg(name ORDER BY name) AS wanted FROM domain_names WHERE name = ANY (@names) GROUP BY domain_id) held
			JOIN domains d ON d.id = held.domain_id
			WHERE d.tenant <> @tenant
			ORDER BY d.hostname`, pgx.StrictNamedArgs{"names": d.Names, "tenant": d.Tenant})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find who has the names of %s: %w", d.Hostname, err)
	}
	return holders, nil
}
