package workflows

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// weather is how the world behaves for some days of a walk: the share of bad answers, and their kind.
type weather struct {
	until                  time.Time
	checks, orders, edges  float64 // shares of bad answers
	check, order, edge     int     // their kind; -1 is any kind
	databaseFrom, database time.Time
	life                   time.Duration // of certificates
	stale                  float64       // share of certificates that are half over when they are issued
}

func (w weather) healthy() bool {
	return w.checks == 0 && w.orders == 0 && w.edges == 0 && w.stale == 0 && w.databaseFrom.IsZero()
}

func (w weather) databaseAway(now time.Time) bool {
	return !w.databaseFrom.IsZero() && !now.Before(w.databaseFrom) && now.Before(w.database)
}

// forecast draws the weather of a whole walk.
func forecast(r *rand.Rand, from time.Time, length time.Duration) (all []weather) {
	lives := []time.Duration{6 * 24 * time.Hour, 47 * 24 * time.Hour, 90 * 24 * time.Hour}
	life := lives[r.IntN(len(lives))]
	calm := r.Float64()
	share := func() float64 {
		switch r.IntN(3) {
		case 0:
			return 0
		case 1:
			return 1
		default:
			return r.Float64()
		}
	}
	for at := from; at.Before(from.Add(length)); {
		w := weather{life: life, check: -1, order: -1, edge: -1}
		days := time.Duration(r.ExpFloat64() * float64(6*24*time.Hour))
		if r.Float64() < 0.1 {
			w.life = lives[r.IntN(len(lives))]
		}
		if r.Float64() > calm {
			w.checks, w.orders, w.edges = share(), share(), share()
			if r.IntN(2) == 0 {
				w.check, w.order, w.edge = r.IntN(badChecks), r.IntN(badOrders), r.IntN(badEdges)
			}
			if r.IntN(8) == 0 {
				w.stale = share()
			}
			if r.IntN(3) == 0 {
				w.databaseFrom = at.Add(time.Duration(r.Float64() * float64(days)))
				w.database = w.databaseFrom.Add(time.Duration(r.ExpFloat64() * float64(time.Hour)))
			}
		}
		at = at.Add(time.Hour + days)
		w.until = at
		all = append(all, w)
	}
	return all
}

const (
	badChecks = 5
	badOrders = 12
	badEdges  = 3
)

func problem(code cert.Code, who cert.Actor) cert.Problem {
	return cert.Problem{Code: code, Message: "it is " + string(code), Remediation: "do something about it", WhoActs: who}
}

// badCheck returns a check that does not see all that is needed.
func badCheck(kind int) (cert.Diagnosis, error) {
	wrong := func(p ...cert.Problem) cert.Diagnosis {
		return cert.Diagnosis{Verdict: cert.Wrong, Ownership: cert.OK, Pointed: cert.OK, Problems: p}
	}
	switch kind {
	case 0:
		return wrong(problem(cert.DNSNoRecords, cert.TenantActs)), nil
	case 1:
		return wrong(problem(cert.OwnershipMissing, cert.TenantActs)), nil
	case 2:
		d := wrong(problem(cert.DNSWrongTarget, cert.TenantActs))
		d.Pointed = cert.Wrong
		return d, nil
	case 3:
		return cert.Diagnosis{Verdict: cert.Unknown, Problems: []cert.Problem{problem(cert.NameserverUnreachable, cert.TenantActs)}}, nil
	default:
		return cert.Diagnosis{}, errors.New("no resolver answers")
	}
}

// says returns the error of an activity that returns a verdict.
func says(o cert.Outcome, p cert.Problem, after time.Duration, final bool) error {
	return temporal.NewApplicationErrorWithOptions(p.Message, string(o), temporal.ApplicationErrorOptions{
		NonRetryable: final, Details: []any{activities.Verdict{Outcome: o, Problem: p, RetryAfter: after}},
	})
}

// badOrder returns the error of an order without a certificate.
func badOrder(kind int, hours float64) error {
	after := time.Duration(hours * float64(time.Hour))
	switch kind {
	case 0, 1:
		return says(cert.Refused, problem(cert.CAAForbids, cert.TenantActs), 0, true)
	case 2:
		return says(cert.Refused, problem(cert.CSRRejected, cert.PlatformActs), 0, true)
	case 3:
		return says(cert.Parked, problem(cert.IdentifierPaused, cert.PlatformActs), 0, true)
	case 4:
		return says(cert.Wait, problem(cert.CAUnavailable, cert.CAActs), 0, true)
	case 5:
		return says(cert.Wait, problem(cert.RateLimited, cert.CAActs), after, true)
	case 6:
		return says(cert.Wait, problem(cert.WaitingForBudget, cert.PlatformActs), 6*after, true)
	case 7:
		return says(cert.Wait, problem(cert.AccountProblem, cert.PlatformActs), after, true)
	case 8:
		return says(cert.OrderGone, problem(cert.CAUnavailable, cert.CAActs), 0, true)
	case 9:
		return temporal.NewHeartbeatTimeoutError()
	case 10:
		return says(cert.NextCA, problem(cert.CAUnavailable, cert.CAActs), 0, true)
	default:
		return errors.New("a fault")
	}
}

// badEdge returns the error of an edge that does not serve the certificate.
func badEdge(kind int) error {
	switch kind {
	case 0:
		return says(cert.Refused, problem(cert.ServedCertificateWrong, cert.PlatformActs), 0, false)
	case 1:
		return says(cert.Wait, problem(cert.HTTPSUnreachable, cert.PlatformActs), time.Minute, false)
	default:
		return says(cert.Wait, problem(cert.InstallFailed, cert.PlatformActs), time.Minute, false)
	}
}

func kindOf(fixed, kinds int, r *rand.Rand) int {
	if fixed >= 0 {
		return fixed
	}
	return r.IntN(kinds)
}

// chance returns a number in [0,1) that does not depend on the order of the calls.
func chance(seed uint64, what string, n int) float64 {
	h := fnv.New64a()
	fmt.Fprint(h, seed, what, n)
	return rand.New(rand.NewPCG(h.Sum64(), seed)).Float64() //nolint:gosec // no secret
}
