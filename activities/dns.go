package activities

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
)

const (
	// keepTimeout is how long a check waits for the store once it knows its verdict.
	keepTimeout = 3 * time.Second
	// probeLifetime is how long the edges answer a probe that nobody took away, because the process died in between.
	probeLifetime = 2 * time.Minute
)

// DNS looks at a domain as a CA would.
type DNS struct {
	Resolver interface {
		Diagnose(ctx context.Context, q cert.Question) (cert.Diagnosis, error)
	}
	Tenants interface {
		TenantSecret(ctx context.Context, tenant string) ([]byte, error)
	}
	CAs interface {
		// Candidates returns who may issue for the domain now, the best first: the CA where the issuance has placed its order, if it has.
		Candidates(ctx context.Context, domainID, issuance string) ([]cert.CAIdentity, error)
	}
	// Checks keeps each check for people to read; nil keeps none.
	Checks interface {
		KeepCheck(ctx context.Context, domainID string, d cert.Diagnosis) (cert.Diagnosis, error)
	}
	// Probes lets the platform's edges answer an http-01 token; without them (nil) a name behind a CDN can't be told from one that is lost.
	Probes interface {
		PutHTTPToken(ctx context.Context, token, keyAuthorization string, ttl time.Duration) error
		DeleteHTTPToken(ctx context.Context, token string) error
	}
	Platform cert.Platform
	Methods  []cert.Method // that the platform allows, best first
	Log      *slog.Logger
}

// CheckRequest names the domain to look at.
type CheckRequest struct {
	cert.Domain
	Registration bool `json:"registration,omitempty"` // ask the registry too: a renewal is held back when the registration has expired (row B3)
	// Issuance is the one under way, if one is: its order can be continued only at the CA where it was placed.
	Issuance string `json:"issuance,omitempty"`
	// OwnershipOnly looks whether the tenant's ownership records cover the names, and at nothing else. It is kept for nobody: the tenant need not be
	// the domain's.
	OwnershipOnly bool `json:"ownership_only,omitempty"`
}

// CheckDNS is the whole pre-flight: are the records there, may the CA issue, and by which method is each name validated.
// DNS trouble is a verdict ("unknown"), not an error.
//
// It may run twice: it reads, and the second check is kept as one more, with no change in it. What it returns is what the workflow
// decides by, without what each server showed: that is kept for people, and histories stay small.
func (a *DNS) CheckDNS(ctx context.Context, r CheckRequest) (cert.Diagnosis, error) {
	secret, err := a.Tenants.TenantSecret(ctx, r.Tenant)
	if err != nil {
		return cert.Diagnosis{}, leave(fmt.Errorf("read tenant %s: %w", r.Tenant, err))
	}
	asked, above := cert.OwnershipRecords(r.Names, r.Tenant, secret)
	if r.OwnershipOnly {
		diagnosis, err := a.Resolver.Diagnose(ctx, cert.Question{Names: r.Names, Expected: asked, Above: above, Methods: []cert.Method{cert.DNS01}})
		return compact(diagnosis), leave(err)
	}
	cas, err := a.CAs.Candidates(ctx, r.ID, r.Issuance)
	if err != nil {
		return cert.Diagnosis{}, leave(fmt.Errorf("ask the CA who it is: %w", err))
	}
	diagnosis, err := a.diagnose(ctx, cert.Question{
		Names: r.Names, Expected: a.Platform.ExpectedRecords(r.Domain, secret), Above: above, CAs: cas,
		Methods: a.Methods, Registration: r.Registration,
	})
	if err != nil {
		return cert.Diagnosis{}, leave(err)
	}
	if p, only := cert.OneCAOnly(diagnosis); only {
		diagnosis.Problems = append(diagnosis.Problems, p)
	}
	diagnosis.CheckedAt = diagnosis.CheckedAt.UTC().Truncate(time.Microsecond) // as the store keeps it, by which the two are matched
	a.keep(ctx, r.Domain, diagnosis)
	return compact(diagnosis), nil
}

// diagnose looks once, and once more with a probe where a CDN stands in front: only its answer shows whether the name leads here.
func (a *DNS) diagnose(ctx context.Context, q cert.Question) (cert.Diagnosis, error) {
	diagnosis, err := a.Resolver.Diagnose(ctx, q)
	if err != nil || a.Probes == nil || diagnosis.Verdict == cert.OK || !has(diagnosis.Problems, cert.ProxiedByCDN) {
		return diagnosis, err
	}
	token := rand.Text()                                                             // unguessable, so that nobody else answers it
	q.Probe = &cert.Probe{Token: token, KeyAuthorization: token + "." + rand.Text()} // nor by repeating what is asked for
	if err := a.Probes.PutHTTPToken(ctx, q.Probe.Token, q.Probe.KeyAuthorization, probeLifetime); err != nil {
		a.Log.WarnContext(ctx, "no probe could be set for a name behind a CDN: it is judged without", "names", q.Names, "error", err)
		return diagnosis, nil
	}
	diagnosis, err = a.Resolver.Diagnose(ctx, q)
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	if err := a.Probes.DeleteHTTPToken(clean, token); err != nil {
		a.Log.WarnContext(ctx, "a probe was not taken away: it ends by itself", "after", probeLifetime, "error", err)
	}
	return diagnosis, err
}

// keep stores the check for people to read. The workflow needs none of it, so that a store which doesn't answer costs people the
// newest check, and the domain nothing.
func (a *DNS) keep(ctx context.Context, d cert.Domain, diagnosis cert.Diagnosis) {
	if a.Checks == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	if _, err := a.Checks.KeepCheck(ctx, d.ID, diagnosis); err != nil {
		a.Log.WarnContext(ctx, "a check of DNS could not be kept", "hostname", d.Hostname, "error", err)
	}
}

// compact leaves out what the workflow doesn't decide by.
func compact(d cert.Diagnosis) cert.Diagnosis {
	d.Servers, d.CAA = nil, nil
	d.Records = slices.Clone(d.Records)
	for i := range d.Records {
		d.Records[i].Seen = nil
	}
	return d
}

func has(problems []cert.Problem, code cert.Code) bool {
	return slices.ContainsFunc(problems, func(p cert.Problem) bool { return p.Code == code })
}
