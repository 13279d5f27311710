package activities

import (
	"context"
	"fmt"

	"github.com/evercert/evercert/cert"
)

// DNS looks at a domain as a CA would.
type DNS struct {
	Resolver interface {
		Diagnose(ctx context.Context, q cert.Question) (cert.Diagnosis, error)
	}
	Tenants interface {
		TenantSecret(ctx context.Context, tenant string) ([]byte, error)
	}
	CA interface {
		Identity(ctx context.Context) (cert.CAIdentity, error)
	}
	Platform cert.Platform
}

// CheckDNS is the whole pre-flight: are the records there, may the CA issue, and by which method is each name validated.
// DNS trouble is a verdict ("unknown"), not an error. It only reads, so it may run twice.
func (a *DNS) CheckDNS(ctx context.Context, d cert.Domain) (cert.Diagnosis, error) {
	secret, err := a.Tenants.TenantSecret(ctx, d.Tenant)
	if err != nil {
		return cert.Diagnosis{}, leave(fmt.Errorf("read tenant %s: %w", d.Tenant, err))
	}
	authority, err := a.CA.Identity(ctx)
	if err != nil {
		return cert.Diagnosis{}, leave(fmt.Errorf("ask the CA who it is: %w", err))
	}
	diagnosis, err := a.Resolver.Diagnose(ctx, cert.Question{
		Names: d.Names, Expected: a.Platform.ExpectedRecords(d, secret), CAs: []cert.CAIdentity{authority},
	})
	return diagnosis, leave(err)
}
