package resolver

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evercert/evercert/cert"
)

// Resolver diagnoses domains. It keeps nothing between diagnoses, so that any number may run at once.
type Resolver struct {
	config Config
	client *client
	log    *slog.Logger
}

// New returns a Resolver, or what is wrong with its settings.
func New(config Config, log *slog.Logger) (*Resolver, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Resolver{config: config, client: newClient(config.QueryTimeout), log: log}, nil
}

// Diagnose looks at the names of the question as a CA would, and takes at most DNS_CHECK_TIMEOUT. DNS that gives no answer
// is a verdict (unknown); an error is a fault of ours: a question that can't be asked, or a ctx that ended before the answer.
//
// With several CAs the verdict is that of the one that comes off best, the first of equals: Methods and the CAA problems
// are those for it. With none, CAA is left out.
func (r *Resolver) Diagnose(ctx context.Context, q cert.Question) (cert.Diagnosis, error) {
	if err := r.check(q); err != nil {
		return cert.Diagnosis{}, fmt.Errorf("diagnose %s: %w", strings.Join(q.Names, " "), err)
	}
	limited, cancel := context.WithTimeout(ctx, r.config.CheckTimeout)
	defer cancel()
	looks := make([]look, len(r.config.Resolvers))
	var wg sync.WaitGroup
	for i, server := range r.config.Resolvers {
		wg.Go(func() { looks[i] = newView(r.client, server).look(limited, q) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return cert.Diagnosis{}, fmt.Errorf("diagnose %s: %w", strings.Join(q.Names, " "), err)
	}
	d := weigh(q, looks).decide(r.config.RequireOwnership)
	d.CheckedAt = time.Now().UTC()
	r.log.DebugContext(ctx, "diagnosed", "names", q.Names, "verdict", d.Verdict, "ownership", d.Ownership, "pointed", d.Pointed, "problems", d.Problems)
	return d, nil
}

// check refuses a question whose answer would mean nothing. An ownership record that the caller forgot must not pass as
// ownership that was shown.
func (r *Resolver) check(q cert.Question) error {
	if len(q.Names) == 0 {
		return fmt.Errorf("the question has no name")
	}
	if !r.config.RequireOwnership {
		return nil
	}
	for _, name := range q.Names {
		shows := func(want cert.Record) bool {
			return want.Purpose == cert.ForOwnership && cert.RegisteredDomain(subject(want)) == cert.RegisteredDomain(name)
		}
		if !slices.ContainsFunc(q.Expected, shows) {
			return fmt.Errorf("the question has no ownership record for %s", name)
		}
	}
	return nil
}

// look is what one view shows for a whole question.
type look struct {
	records []finding // of each expected record
	pointed []finding // of each name, all its address records together
	caa     []caaSet  // of each name
}

// look asks everything at once: in the common case each answer comes after one round trip.
func (v *view) look(ctx context.Context, q cert.Question) look {
	l := look{records: make([]finding, len(q.Expected)), pointed: make([]finding, len(q.Names)), caa: make([]caaSet, len(q.Names))}
	var wg sync.WaitGroup
	for i, want := range q.Expected {
		switch want.Purpose {
		case cert.ForOwnership:
			wg.Go(func() { l.records[i] = v.ownership(ctx, want) })
		case cert.ForDelegation:
			wg.Go(func() { l.records[i] = v.delegation(ctx, want) })
		case cert.ForAddress: // below, with its name
		}
	}
	for i, name := range q.Names {
		p, indexes := pointingOf(q, name)
		wg.Go(func() {
			if len(indexes) == 0 {
				l.pointed[i] = notAskedFor
				return
			}
			seen := v.address(ctx, p)
			l.pointed[i] = seen.finding
			for n, index := range indexes {
				l.records[index] = seen.records[n]
			}
		})
		if len(q.CAs) > 0 {
			wg.Go(func() { l.caa[i] = v.climb(ctx, name, p.targets) })
		}
	}
	wg.Wait()
	return l
}

// pointingOf gathers what a name's addresses are held against, and where in q.Expected its records stand.
func pointingOf(q cert.Question, name string) (p pointing, indexes []int) {
	p.name = name
	for i, want := range q.Expected {
		if want.Purpose != cert.ForAddress {
			continue
		}
		if want.Type == "CNAME" && !slices.Contains(p.targets, want.Value) {
			p.targets = append(p.targets, want.Value)
		}
		if want.Name == name {
			p.records, indexes = append(p.records, want), append(indexes, i)
		}
	}
	return p, indexes
}
