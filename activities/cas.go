package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/evercert/evercert/cert"
)

// CAs is the platform's list of CAs, the preferred one first (row F12). One issuance is placed, and continued, at one CA only. When that
// CA cannot issue, the issuance is given up: the domain's DNS is checked for the next CA, and a new issuance is placed there.
type CAs struct {
	List []CertificateAuthority // at least one
	// Absences and Issuances are asked only where there are several CAs.
	Absences  Absences
	Issuances interface {
		Issuance(ctx context.Context, id string) (cert.Issuance, error)
	}

	// MoveAfter is how long an order waits for one CA: for an answer, for a rate limit, for its certificate. Then the next CA is tried.
	MoveAfter time.Duration
	// ReturnAfter is how long no order is placed at a CA that could not issue, at least.
	ReturnAfter time.Duration

	Log *slog.Logger
}

// Absences keeps which CAs no order is placed at now, for all workers.
type Absences interface {
	// Absences returns those that hold for all domains, and those of this domain.
	Absences(ctx context.Context, domainID string) ([]cert.Absence, error)
	// Leave notes an absence. The later end of two counts.
	Leave(ctx context.Context, a cert.Absence) error
}

// at returns the CA with this directory, and the first one for an empty directory. Histories of a platform with one CA name none.
func (c *CAs) at(directory string) (CertificateAuthority, bool) {
	if directory == "" {
		return c.List[0], true
	}
	i := slices.IndexFunc(c.List, func(a CertificateAuthority) bool { return a.Directory() == directory })
	if i < 0 {
		return nil, false
	}
	return c.List[i], true
}

// Candidates returns who may issue for the domain now, the best first: the CA where the issuance has placed its order, then the list's
// order. CAs that are absent are left out, unless all are: then the domain waits for the first one that can be asked who it is.
func (c *CAs) Candidates(ctx context.Context, domainID, issuance string) ([]cert.CAIdentity, error) {
	if len(c.List) == 1 {
		identity, err := c.List[0].Identity(ctx)
		return []cert.CAIdentity{identity}, err
	}
	absent, underWay := c.absent(ctx, domainID), c.underWay(ctx, issuance)
	present := slices.DeleteFunc(slices.Clone(c.List), func(a CertificateAuthority) bool { return absent[a.Directory()] })
	if i := slices.IndexFunc(present, func(a CertificateAuthority) bool { return a.Directory() == underWay }); i > 0 {
		present = slices.Concat(present[i:i+1], present[:i], present[i+1:])
	}
	identities, err := c.identities(ctx, present)
	if len(identities) > 0 {
		return identities, nil
	}
	all, allErr := c.identities(ctx, c.List)
	if len(all) == 0 {
		return nil, errors.Join(err, allErr)
	}
	return all[:1], nil
}

// underWay returns the directory of the CA at which an issuance has placed its order; empty without one. An issuance that cannot be read
// counts as one without: if its order is at another CA than the one chosen then, it is given up for a new one.
func (c *CAs) underWay(ctx context.Context, issuance string) string {
	if issuance == "" {
		return ""
	}
	i, err := c.Issuances.Issuance(ctx, issuance)
	if err != nil || i.OrderURL == "" {
		return ""
	}
	return i.Directory
}

// identities returns who the CAs are. One that cannot be asked is noted as absent and left out.
func (c *CAs) identities(ctx context.Context, list []CertificateAuthority) (identities []cert.CAIdentity, err error) {
	for _, a := range list {
		identity, asked := a.Identity(ctx)
		if asked == nil {
			identities = append(identities, identity)
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err = errors.Join(err, asked)
		problem := cert.Problem{
			Code:        cert.CAUnavailable,
			WhoActs:     cert.CAActs,
			Message:     cert.Line("its directory or account cannot be read: "+asked.Error(), cert.MaxDetail),
			Remediation: "evercert tries it again by itself",
		}
		if f, ok := errors.AsType[*cert.Failure](asked); ok {
			problem = f.Problem
		}
		c.leave(ctx, cert.Absence{Directory: a.Directory(), Until: time.Now().Add(c.MoveAfter), Problem: problem})
	}
	return identities, err
}

// absent returns the CAs, by directory, at which no order of the domain is placed now. Without the store's answer none is: an order that
// the CA refuses costs less than a domain that waits for the store.
func (c *CAs) absent(ctx context.Context, domainID string) map[string]bool {
	absences, err := c.Absences.Absences(ctx, domainID)
	if err != nil {
		c.Log.WarnContext(ctx, "the absences of CAs could not be read: all CAs count as present", "error", err)
	}
	absent := map[string]bool{}
	for _, a := range absences {
		absent[a.Directory] = true
	}
	return absent
}

// leave notes an absence, and reports whether that was done.
func (c *CAs) leave(ctx context.Context, a cert.Absence) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	err := c.Absences.Leave(ctx, a)
	if err != nil {
		c.Log.WarnContext(ctx, "the absence of a CA could not be noted", "ca", a.Directory, "error", err)
	}
	return err == nil
}

// move returns what an error of an order means where there are other CAs: the failure cert.NextCA when the order is to be placed
// elsewhere, else err.
func (c *CAs) move(ctx context.Context, i cert.Issuance, at CertificateAuthority, err error) error {
	if err == nil || len(c.List) == 1 {
		return err
	}
	absence, leaves := c.leaves(err, i, activity.GetInfo(ctx).ScheduledTime, time.Now())
	if !leaves {
		return err
	}
	absence.Directory = at.Directory()
	absent := c.absent(ctx, i.DomainID)
	others := func(a CertificateAuthority) bool { return a.Directory() != absence.Directory && !absent[a.Directory()] }
	if !slices.ContainsFunc(c.List, others) {
		return err // nobody else can issue: this CA is waited for
	}
	if !c.leave(ctx, absence) { // without the note, the next check of DNS would choose the same CA again, and so on without end
		return err
	}
	return &cert.Failure{Outcome: cert.NextCA, Problem: absence.Problem, Err: err}
}

// leaves decides whether a CA is left for the next one, for how long, and for which domains.
//
//   - A rate limit, or the place in line for one, longer than MoveAfter: the domain alone goes elsewhere, because most limits are about
//     its names.
//   - A CA that is down, that refuses the account, or that has not finished an order within MoveAfter: all domains go elsewhere.
//   - A verdict on the names (CAA, DNS, a rejected identifier, a paused name), and what evercert does not know: no CA is left. The next
//     one would refuse the same, and each refusal counts.
func (c *CAs) leaves(err error, i cert.Issuance, scheduled, now time.Time) (a cert.Absence, leaves bool) {
	f, failed := errors.AsType[*cert.Failure](err)
	fault, faulty := errors.AsType[*cert.Fault](err)
	switch {
	case failed && f.Outcome != cert.Wait:
		return a, false
	case failed:
		a.Problem = f.Problem
	case faulty:
		a.Problem = fault.Problem
	default:
		return a, false
	}
	switch a.Problem.Code {
	case cert.WaitingForBudget, cert.RateLimited:
		if failed && f.RetryAfter > 0 && f.RetryAfter <= c.MoveAfter {
			return a, false
		}
		a.DomainID, a.Until = i.DomainID, now.Add(max(waitOf(f), c.ReturnAfter))
		return a, true
	case cert.AccountProblem:
		a.Until = now.Add(c.ReturnAfter)
		return a, true
	case cert.CAUnavailable:
		began := i.OrderedAt
		if i.OrderURL == "" || began.IsZero() || faulty {
			began = scheduled
		}
		if waitOf(f) <= c.MoveAfter && now.Sub(began) < c.MoveAfter {
			return a, false
		}
		a.Until = now.Add(max(waitOf(f), c.ReturnAfter))
		return a, true
	}
	return a, false
}

func waitOf(f *cert.Failure) time.Duration {
	if f == nil {
		return 0
	}
	return f.RetryAfter
}

// notUsed is the failure of an order for a CA that the platform does not use any more.
func notUsed(directory string) error {
	return &cert.Failure{Outcome: cert.NextCA, Problem: cert.Problem{
		Code:        cert.CAUnavailable,
		WhoActs:     cert.PlatformActs,
		Message:     fmt.Sprintf("the CA at %s is not among the platform's any more", directory),
		Remediation: "evercert orders from another CA by itself",
	}}
}
