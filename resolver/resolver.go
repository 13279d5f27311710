package resolver

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/evercert/evercert/cert"
)

// Resolver diagnoses domains. It keeps nothing between diagnoses, and is safe for concurrent use.
type Resolver struct {
	config  Config
	sources *sources
	log     *slog.Logger
}

// New returns a Resolver, or what is wrong with its settings.
func New(config Config, log *slog.Logger) (*Resolver, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s, err := newSources(config, log)
	if err != nil {
		return nil, err
	}
	return &Resolver{config: config, sources: s, log: log}, nil
}

// Diagnose checks the names of the question as a CA would. From the time when it gets its place (maxWalking, maxAsking) it takes at most
// DNS_CHECK_TIMEOUT, and PROBE_TIMEOUT where web servers must be asked as well. DNS that gives no answer is a verdict (unknown). An error
// is a fault of the caller: a question that can't be asked, or a ctx that ended before the answer.
//
// With several CAs the verdict is that of the one that comes off best, the first of equals: the methods and the CAA problems
// are those for it. With none, CAA is left out.
func (r *Resolver) Diagnose(ctx context.Context, q cert.Question) (cert.Diagnosis, error) {
	if err := r.validate(q); err != nil {
		return cert.Diagnosis{}, fmt.Errorf("diagnose %s: %w", strings.Join(q.Names, " "), err)
	}
	shown := r.sources.gather(ctx, q)
	evidence := weigh(q, r.config, shown)
	r.complete(ctx, evidence, shown)
	if err := ctx.Err(); err != nil {
		return cert.Diagnosis{}, fmt.Errorf("diagnose %s: %w", strings.Join(q.Names, " "), err)
	}
	decision := evidence.decide()
	d := evidence.report(decision)
	r.log.DebugContext(ctx, "diagnosed",
		"names", q.Names, "verdict", d.Verdict, "ownership", d.Ownership, "pointed", d.Pointed, "problems", d.Problems)
	return d, nil
}

// complete asks those whose answer matters only after what DNS shows: the registries of broken zones, and the web servers of names for
// which dns-01 won't do.
func (r *Resolver) complete(ctx context.Context, e *evidence, shown gathered) {
	var registered map[string]cert.Problem
	var all sync.WaitGroup
	all.Go(func() { registered = r.sources.askRegistries(ctx, e) })
	all.Go(func() { e.askWebServers(ctx, shown.views()) })
	all.Wait()
	for _, n := range e.names {
		if p, wrong := registered[cert.RegisteredDomain(n.zone.name)]; wrong {
			n.registered = &p
		}
	}
}

// AskServer asks one authoritative server for an expected record: one question, or two where the name is an alias. It is cheap and decides
// nothing: it validates nothing, asks nobody else, and shows only whether a check is worth its cost. An error means that the server gave no
// answer, or that its address must not be asked.
func (r *Resolver) AskServer(ctx context.Context, server netip.Addr, want cert.Record) (cert.Shown, error) {
	return r.sources.askServer(ctx, server, want)
}

// HTTPS visits the names of the question over HTTPS, as a browser does, at every address that the resolvers show for them: visitors ask
// those, not the authoritative servers. roots are what a browser trusts, the system's when nil. Wildcards are left out, because nobody can
// visit them; with PROBE_TIMEOUT 0s nobody is visited. The answer keeps the order of the names and holds at least one Visit for each.
//
// An address is given PROBE_TIMEOUT, and must be public or allowed as for every probe. What is the platform's own is known by the
// question's address records.
func (r *Resolver) HTTPS(ctx context.Context, q cert.Question, roots *x509.CertPool) []Visit {
	if r.config.ProbeTimeout <= 0 {
		return nil
	}
	return visitAll(ctx, r.config, q, r.sources.resolvers(), roots)
}

// validate refuses a question whose answer would mean nothing. An ownership record that the caller forgot must not pass as
// ownership that was shown.
func (r *Resolver) validate(q cert.Question) error {
	if len(q.Names) == 0 {
		return fmt.Errorf("the question has no name")
	}
	for _, m := range q.Methods {
		if !slices.Contains([]cert.Method{cert.DNS01, cert.HTTP01, cert.TLSALPN01}, m) {
			return fmt.Errorf("the question has the method %q, which is none", m)
		}
	}
	if !r.config.RequireOwnership {
		return nil
	}
	for _, name := range q.Names {
		shows := func(want cert.Record) bool {
			return want.Purpose == cert.ForOwnership && slices.Contains(cert.OwnershipPlaces(name), want.Hostname)
		}
		if !slices.ContainsFunc(q.Expected, shows) {
			return fmt.Errorf("the question has no ownership record for %s", name)
		}
	}
	return nil
}
