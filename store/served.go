package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// Served is what an edge needs to answer for a name.
type Served struct {
	Name          string // the name under which it is served: the requested one, or the wildcard that covers it
	Serial        string
	ChainPEM      []byte // the leaf is first
	KeyID         string // the id under which SealedKey opens
	SealedKey     []byte
	HTTPSRedirect bool // visitors who come over HTTP are sent to HTTPS
}

// Served returns the certificate that a name is served with: its own, else that of the wildcard one label above (RFC 9525 §6.3: a wildcard
// stands for one label). ErrNotFound if there is neither.
func (s *Store) Served(ctx context.Context, name string) (Served, error) {
	_, parent, _ := strings.Cut(name, ".")
	served, err := one(ctx, s.pool, pgx.RowToStructByName[Served], `
		SELECT s.name, s.serial, c.chain_pem, i.key_id, k.sealed AS sealed_key,
			coalesce(d.https_redirect, false) AS https_redirect
		FROM served_names s
		JOIN certificates c ON c.serial = s.serial
		JOIN issuances i ON i.id = c.issuance_id
		JOIN keys k ON k.id = i.key_id
		LEFT JOIN domains d ON d.id = c.domain_id
		WHERE s.name IN (@name, @wildcard)
		ORDER BY s.name = @name DESC
		LIMIT 1`,
		pgx.StrictNamedArgs{"name": name, "wildcard": "*." + parent})
	if err != nil {
		return Served{}, fmt.Errorf("certificate for %s: %w", name, err)
	}
	return served, nil
}

// Serving is one name that is served, or a wildcard.
type Serving struct {
	Name          string
	Serial        string
	HTTPSRedirect bool
}

// ServedNames calls each with every name that is served, in any order.
func (s *Store) ServedNames(ctx context.Context, each func(Serving)) error {
	rows, err := s.pool.Query(ctx, `
		SELECT s.name, s.serial, coalesce(d.https_redirect, false)
		FROM served_names s
		JOIN certificates c ON c.serial = s.serial
		LEFT JOIN domains d ON d.id = c.domain_id`)
	if err != nil {
		return fmt.Errorf("list served names: %w", err)
	}
	var row Serving
	if _, err := pgx.ForEachRow(rows, []any{&row.Name, &row.Serial, &row.HTTPSRedirect}, func() error {
		each(row)
		return nil
	}); err != nil {
		return fmt.Errorf("list served names: %w", err)
	}
	return nil
}

// ServedCertificate is a certificate in use, with every name that is served with it.
type ServedCertificate struct {
	Serial        string
	Names         []string // the names served with it, which may be fewer than it covers
	ChainPEM      []byte   // leaf first
	NotAfter      time.Time
	KeyID         string // under which SealedKey opens
	SealedKey     []byte
	HTTPSRedirect bool
}

// ServedCertificates returns the certificates that the names, or wildcards, are served with. A name that is in no certificate's Names is
// not served.
func (s *Store) ServedCertificates(ctx context.Context, names []string) ([]ServedCertificate, error) {
	certificates, err := list(ctx, s.pool, pgx.RowToStructByName[ServedCertificate], `
		SELECT c.serial, served.names, c.chain_pem, c.not_after, i.key_id, k.sealed AS sealed_key,
			coalesce(d.https_redirect, false) AS https_redirect
		FROM (
			SELECT serial, array_agg(name ORDER BY name) AS names
			FROM served_names
			WHERE serial IN (SELECT serial FROM served_names WHERE name = ANY ($1))
			GROUP BY serial
		) served
		JOIN certificates c ON c.serial = served.serial
		JOIN issuances i ON i.id = c.issuance_id
		JOIN keys k ON k.id = i.key_id
		LEFT JOIN domains d ON d.id = c.domain_id
		ORDER BY c.serial`, names)
	if err != nil {
		return nil, fmt.Errorf("certificates of %d served names: %w", len(names), err)
	}
	return certificates, nil
}

// Install serves the names with a certificate from now on, and notifies the edges. Names that are served with it already are not announced.
// ErrNotFound if there is no such certificate; cert.Problem RequestRefused if its domain was removed, because its names may belong to
// another tenant by now.
func (s *Store) Install(ctx context.Context, names []string, serial string) error {
	var known, removed bool
	var notified int
	err := s.pool.QueryRow(ctx, `
		WITH certificate AS (
			SELECT serial, domain_id FROM certificates WHERE serial = @serial
		), domain AS ( -- locked: a removal at the same moment comes wholly before or wholly after
			SELECT removed_at FROM domains WHERE id = (SELECT domain_id FROM certificate) FOR SHARE
		), installed AS (
			INSERT INTO served_names (name, serial)
			SELECT DISTINCT name, certificate.serial
			FROM certificate, unnest(@names::text[]) AS name
			WHERE NOT EXISTS (SELECT FROM domain WHERE removed_at IS NOT NULL)
			ORDER BY name -- two transactions lock the same names in the same order
			ON CONFLICT (name) DO UPDATE SET serial = excluded.serial, installed_at = now()
			WHERE served_names.serial <> excluded.serial
			RETURNING name
		), notified AS (
			SELECT pg_notify('evercert_served', name) FROM installed
		)
		SELECT EXISTS (SELECT FROM certificate), EXISTS (SELECT FROM domain WHERE removed_at IS NOT NULL), (SELECT count(*) FROM notified)`,
		pgx.StrictNamedArgs{"names": names, "serial": serial}).Scan(&known, &removed, &notified)
	switch {
	case err != nil:
		return fmt.Errorf("install certificate %s: %w", serial, err)
	case !known:
		return fmt.Errorf("install certificate %s: %w", serial, ErrNotFound)
	case removed:
		return cert.Problem{
			Code: cert.RequestRefused, WhoActs: cert.TenantActs,
			Message:     "the domain was removed: its certificate is not installed any more",
			Remediation: "connect the domain again if it is still yours",
		}
	}
	return nil
}

// Retire stops serving the names, and notifies the edges. Names that are not served are ignored.
func (s *Store) Retire(ctx context.Context, names []string) error {
	_, err := s.pool.Exec(ctx, `
		WITH retired AS (
			DELETE FROM served_names WHERE name = ANY ($1) RETURNING name
		)
		SELECT pg_notify('evercert_served', name) FROM retired`, names)
	if err != nil {
		return fmt.Errorf("retire %s: %w", strings.Join(names, ", "), err)
	}
	return nil
}

// stopServing retires every name that is served with a certificate of a domain.
func stopServing(ctx context.Context, tx pgx.Tx, domainID string) error {
	_, err := tx.Exec(ctx, `
		WITH retired AS (
			DELETE FROM served_names USING certificates
			WHERE certificates.serial = served_names.serial AND certificates.domain_id = $1
			RETURNING name
		)
		SELECT pg_notify('evercert_served', name) FROM retired`, domainID)
	if err != nil {
		return fmt.Errorf("stop serving domain %s: %w", domainID, err)
	}
	return nil
}
