package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// The states of a tenant. Only an active one may connect domains.
const (
	TenantActive   = "active"
	TenantInactive = "inactive"
	TenantDeleted  = "deleted"
)

// tenantSecretLength is 256 bits: the key of an HMAC-SHA256 (RFC 2104 §3 advises at least the hash's length).
const tenantSecretLength = 32

// TenantSecret returns the 32 random bytes that were made with the tenant. Its ownership and delegation records are derived from them, so
// they never change.
func (s *Store) TenantSecret(ctx context.Context, tenant string) ([]byte, error) {
	secret, err := one(ctx, s.pool, pgx.RowTo[[]byte], `SELECT secret FROM tenants WHERE id = $1`, tenant)
	if err != nil {
		return nil, fmt.Errorf("secret of tenant %s: %w", tenant, err)
	}
	return secret, nil
}

// SecretOfName returns the secret of the tenant whose connected domain has a name, as hostname or further name; ErrNotFound if none has.
func (s *Store) SecretOfName(ctx context.Context, name string) ([]byte, error) {
	secret, err := one(ctx, s.pool, pgx.RowTo[[]byte], `
		SELECT tenants.secret
		FROM domain_names
		JOIN domains ON domains.id = domain_names.domain_id
		JOIN tenants ON tenants.id = domains.tenant
		WHERE domain_names.name = $1`, name)
	if err != nil {
		return nil, fmt.Errorf("secret for %s: %w", name, err)
	}
	return secret, nil
}

// SetTenantState stores that the platform's account is active, inactive or deleted. It inserts a tenant that evercert does not know yet, so
// that a tenant excluded before it connected anything stays excluded.
func (s *Store) SetTenantState(ctx context.Context, tenant, state string) error {
	if !slices.Contains([]string{TenantActive, TenantInactive, TenantDeleted}, state) {
		return cert.Problem{
			Code: cert.RequestMalformed, WhoActs: cert.PlatformActs,
			Message:     fmt.Sprintf("%q is no state of a tenant", state),
			Remediation: "use active, inactive or deleted",
		}
	}
	_, err := s.pool.Exec(ctx, `
		INSERT INTO tenants (id, state, secret) VALUES (@tenant, @state, @secret)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state`,
		pgx.StrictNamedArgs{"tenant": tenant, "state": state, "secret": newTenantSecret()})
	if err != nil {
		return fmt.Errorf("set tenant %s to %s: %w", tenant, state, err)
	}
	return nil
}

// ensureTenant inserts the tenant if it is new, and returns its state.
func ensureTenant(ctx context.Context, tx pgx.Tx, tenant string) (state string, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO tenants (id, secret) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, tenant, newTenantSecret())
	batch.Queue(`SELECT state FROM tenants WHERE id = $1`, tenant).QueryRow(func(row pgx.Row) error { return row.Scan(&state) })
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return "", fmt.Errorf("tenant %s: %w", tenant, err)
	}
	return state, nil
}

func newTenantSecret() []byte {
	secret := make([]byte, tenantSecretLength)
	_, _ = rand.Read(secret) // it never returns an error: crypto/rand ends the process instead
	return secret
}

// refuseTenant returns the problem of a tenant that may not connect domains; nil for an active one.
func refuseTenant(state string) error {
	switch state {
	case TenantActive:
		return nil
	case TenantDeleted:
		return cert.Problem{
			Code: cert.TenantDeleted, WhoActs: cert.TenantActs,
			Message: "this account was deleted: it can't connect domains", Remediation: "use another account, or contact support",
		}
	default:
		return cert.Problem{
			Code: cert.TenantInactive, WhoActs: cert.TenantActs,
			Message: "this account is " + state + ": it can't connect domains", Remediation: "activate the account, or contact support",
		}
	}
}
