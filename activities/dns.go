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
	// keepTimeout limits how long a check waits for the store, before it asks DNS and once it has its verdict.
	keepTimeout = 3 * time.Second
	// probeLifetime limits how long the edges answer a probe that was not deleted because the process died.
	probeLifetime = 2 * time.Minute
)

// DNS checks a domain as a CA would.
type DNS struct {
	Resolver interface {
		// Diagnose checks DNS as a CA would. What DNS can't answer is the verdict "unknown", not an error; an error is evercert's own fault, or
		// the end of ctx.
		Diagnose(ctx context.Context, q cert.Question) (cert.Diagnosis, error)
	}
	Tenants interface {
		// TenantSecret returns the secret from which a tenant's records are computed. An error means that the database did not answer.
		TenantSecret(ctx context.Context, tenant string) ([]byte, error)
	}
	CAs interface {
		// Candidates returns who may issue for the domain now, the best first: the CA where the issuance has placed its order, if it has.
		Candidates(ctx context.Context, domainID, issuance string) ([]cert.CAIdentity, error)
	}
	// Checks stores each check, for people to read and for the next check; nil stores none.
	Checks interface {
		// LastAnswers returns what each server showed of the domain's records when it last gave an answer; nothing for a domain that was never
		// checked. An error means that the database did not answer.
		LastAnswers(ctx context.Context, domainID string) ([]cert.LastAnswer, error)
		// KeepCheck stores a check as the domain's newest, and returns it with the times of each observation. Storing it again changes nothing.
		// An error means that the database did not answer.
		KeepCheck(ctx context.Context, domainID string, d cert.Diagnosis) (cert.Diagnosis, error)
	}
	// Probes lets the platform's edges answer an http-01 token. With nil, a name behind a CDN can't be distinguished from a name that points
	// elsewhere.
	Probes interface {
		// PutHTTPToken makes all edges answer the token until ttl is over. An error means that the database did not answer.
		PutHTTPToken(ctx context.Context, token, keyAuthorization string, ttl time.Duration) error
		// DeleteHTTPToken ends that. To delete a token that does not exist succeeds.
		DeleteHTTPToken(ctx context.Context, token string) error
	}
	Platform cert.Platform
	Methods  []cert.Method // the methods that the platform allows, best first
	Log      *slog.Logger
}

// CheckRequest names the domain to check.
type CheckRequest struct {
	cert.Domain
	// ask the registry too: a renewal is held back when the registration has expired (row B3)
	Registration bool `json:"registration,omitempty"`
	// Issuance is the one under way, if one is: its order can be continued only at the CA where it was placed.
	Issuance string `json:"issuance,omitempty"`
	// OwnershipOnly checks only whether the tenant's ownership records cover the names. Its result is not stored, because the tenant may be
	// another than the domain's.
	OwnershipOnly bool `json:"ownership_only,omitempty"`
}

// CheckDNS checks everything that an order needs: whether the records are there, whether the CA may issue, and with which method each name
// is validated. Faults of DNS lead to the verdict "unknown", not to an error.
//
//	It may run twice: it only reads, and the second check is stored as one more check without changes. It returns what the workflow decides
//	by. What each server showed is stored for people only, so that histories stay small.
func (a *DNS) CheckDNS(ctx context.Context, r CheckRequest) (cert.Diagnosis, error) {
	secret, err := a.Tenants.TenantSecret(ctx, r.Tenant)
	if err != nil {
		return cert.Diagnosis{}, leave(fmt.Errorf("read tenant %s: %w", r.Tenant, err))
	}
	asked, above := cert.OwnershipRecords(r.Names, r.Tenant, secret)
	if r.OwnershipOnly {
		diagnosis, err := a.Resolver.Diagnose(
			ctx, cert.Question{Names: r.Names, Expected: asked, Above: above, Methods: []cert.Method{cert.DNS01}},
		)
		return compact(diagnosis), leave(err)
	}
	cas, err := a.CAs.Candidates(ctx, r.ID, r.Issuance)
	if err != nil {
		return cert.Diagnosis{}, leave(fmt.Errorf("ask the CA who it is: %w", err))
	}
	diagnosis, err := a.diagnose(ctx, cert.Question{
		Names: r.Names, Expected: a.Platform.ExpectedRecords(r.Domain, secret), Above: above, CAs: cas,
		Methods: a.Methods, Registration: r.Registration, Before: a.before(ctx, r.Domain),
	})
	if err != nil {
		return cert.Diagnosis{}, leave(err)
	}
	if p, only := cert.OneCAOnly(diagnosis); only {
		diagnosis.Problems = append(diagnosis.Problems, p)
	}
	diagnosis.CheckedAt = diagnosis.CheckedAt.UTC().Truncate(time.Microsecond) // the precision of the store, since the two are compared
	a.keep(ctx, r.Domain, diagnosis)
	return compact(diagnosis), nil
}

// diagnose checks once. When a CDN is in front of a name, it checks once more with a probe: only the answer to a probe shows whether the
// name points here.
func (a *DNS) diagnose(ctx context.Context, q cert.Question) (cert.Diagnosis, error) {
	diagnosis, err := a.Resolver.Diagnose(ctx, q)
	if err != nil || a.Probes == nil || diagnosis.Verdict == cert.OK || !has(diagnosis.Problems, cert.ProxiedByCDN) {
		return diagnosis, err
	}
	token := rand.Text()                                                             // not guessable, so that no other server can answer it
	q.Probe = &cert.Probe{Token: token, KeyAuthorization: token + "." + rand.Text()} // and no server can answer by repeating the request
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

// before returns what the servers showed at earlier checks. When the store does not answer, servers that are silent now don't count, and
// the domain is checked all the same.
func (a *DNS) before(ctx context.Context, d cert.Domain) []cert.LastAnswer {
	if a.Checks == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	answers, err := a.Checks.LastAnswers(ctx, d.ID)
	if err != nil {
		a.Log.WarnContext(ctx, "the checks before could not be read", "hostname", d.Hostname, "error", err)
	}
	return answers
}

// keep stores the check for people to read. The workflow does not need it: when the store does not answer, people don't see the newest
// check, and the domain continues.
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

// compact returns the diagnosis without what the workflow does not decide by.
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
