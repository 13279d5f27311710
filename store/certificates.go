package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// SaveCertificate stores what the CA issued. From then on it is the issuance's certificate (Issuance.Serial). Saving it again changes
// nothing; a second certificate for one issuance is an error.
func (s *Store) SaveCertificate(ctx context.Context, c cert.Certificate) error {
	holder, err := one(ctx, s.pool, pgx.RowTo[string], `
		INSERT INTO certificates (serial, issuance_id, domain_id, names, issuer, not_before, not_after, directory, chain_pem)
		VALUES (@serial, @issuance_id, @domain_id, @names, @issuer, @not_before, @not_after, @directory, @chain_pem)
		ON CONFLICT (serial) DO UPDATE SET serial = excluded.serial -- changes nothing, but lets RETURNING see the row
		RETURNING issuance_id`,
		pgx.StrictNamedArgs{
			"serial": c.Serial, "issuance_id": c.IssuanceID, "domain_id": c.DomainID, "names": c.Names,
			"issuer": c.Issuer, "not_before": c.NotBefore, "not_after": c.NotAfter, "directory": c.Directory, "chain_pem": c.ChainPEM,
		})
	if err == nil && holder != c.IssuanceID {
		err = errors.New("it belongs to issuance " + holder)
	}
	if err != nil {
		return fmt.Errorf("save certificate %s of issuance %s: %w", c.Serial, c.IssuanceID, err)
	}
	return nil
}

// Certificate returns an issued certificate, or ErrNotFound.
func (s *Store) Certificate(ctx context.Context, serial string) (cert.Certificate, error) {
	certificate, err := one(ctx, s.pool, pgx.RowToStructByName[cert.Certificate], `
		SELECT serial, issuance_id, domain_id, names, issuer, not_before, not_after, directory, chain_pem
		FROM certificates
		WHERE serial = $1`, serial)
	if err != nil {
		return cert.Certificate{}, fmt.Errorf("certificate %s: %w", serial, err)
	}
	return certificate, nil
}
