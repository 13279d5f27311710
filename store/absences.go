package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// Absences returns the CAs at which no order of the domain is placed now: those that are absent for all domains, and those for this one.
func (s *Store) Absences(ctx context.Context, domainID string) ([]cert.Absence, error) {
	absences, err := list(ctx, s.pool, pgx.RowToStructByName[cert.Absence], `
		SELECT directory, domain_id, until, problem
		FROM ca_absences
		WHERE domain_id IN ('', $1) AND until > now()
		ORDER BY directory, domain_id`, domainID)
	if err != nil {
		return nil, fmt.Errorf("absences of CAs for domain %s: %w", domainID, err)
	}
	return absences, nil
}

// Leave notes that no order is placed at a CA for a time. The later end of two counts. Absences that have ended are removed meanwhile.
func (s *Store) Leave(ctx context.Context, a cert.Absence) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM ca_absences WHERE (directory, domain_id) IN (
		SELECT directory, domain_id FROM ca_absences WHERE until <= now() ORDER BY directory, domain_id LIMIT 100 FOR UPDATE SKIP LOCKED)`)
	batch.Queue(`
		INSERT INTO ca_absences (directory, domain_id, until, problem)
		VALUES (@directory, @domain_id, @until, @problem)
		ON CONFLICT (directory, domain_id) DO UPDATE
		SET until = greatest(ca_absences.until, excluded.until), problem = excluded.problem`,
		pgx.StrictNamedArgs{"directory": a.Directory, "domain_id": a.DomainID, "until": a.Until, "problem": a.Problem})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("note that the CA at %s is absent: %w", a.Directory, err)
	}
	return nil
}

// ConfigureCAs keeps the list of CAs that a worker was started with, for people to read. Only position, name, directory, profile and CAA
// identities are kept.
func (s *Store) ConfigureCAs(ctx context.Context, cas []cert.ConfiguredCA) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM configured_cas`); err != nil {
			return err
		}
		for i, ca := range cas {
			if _, err := tx.Exec(ctx, `
				INSERT INTO configured_cas (position, name, directory, profile, caa_identities)
				VALUES (@position, @name, @directory, @profile, @caa_identities)`,
				pgx.StrictNamedArgs{
					"position": i + 1, "name": ca.Name, "directory": ca.Directory, "profile": ca.Profile, "caa_identities": noNil(ca.CAAIdentities),
				}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep the list of CAs: %w", err)
	}
	return nil
}

// ConfiguredCAs returns the platform's CAs in their order, with what is known of each now.
func (s *Store) ConfiguredCAs(ctx context.Context) ([]cert.ConfiguredCA, error) {
	cas, err := list(ctx, s.pool, pgx.RowToStructByName[cert.ConfiguredCA], `
		SELECT c.position, c.name, c.directory, c.profile, c.caa_identities, coalesce(a.url, '') AS account_url, b.problem AS blocked,
		       coalesce(away.until, '0001-01-01Z') AS absent_until, away.problem AS absence,
		       (
		           SELECT count(*)::integer FROM ca_absences d
		           WHERE d.directory = c.directory AND d.domain_id <> '' AND d.until > now()
		       ) AS absent_for
		FROM configured_cas c
		LEFT JOIN acme_accounts a ON a.directory = c.directory AND a.state = 'active'
		LEFT JOIN acme_blocks b ON b.directory = c.directory
		LEFT JOIN ca_absences away ON away.directory = c.directory AND away.domain_id = '' AND away.until > now()
		ORDER BY c.position`)
	if err != nil {
		return nil, fmt.Errorf("list of CAs: %w", err)
	}
	return cas, nil
}
