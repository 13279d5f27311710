package resolver

import (
	"context"
	"sync"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/registration"
)

// askRegistries asks about the registered domains whose zone is broken, and about all where the question wants it. It returns what is
// wrong, by registered domain. A registry that gives no answer is nobody's problem: it is logged.
func (s *sources) askRegistries(ctx context.Context, e *evidence) map[string]cert.Problem {
	problems := map[string]cert.Problem{}
	if s.registries == nil {
		return problems
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	asked := map[string]bool{}
	for _, n := range e.names {
		domain := cert.RegisteredDomain(n.zone.name)
		if asked[domain] || !e.question.Registration && !n.zone.broken() {
			continue
		}
		asked[domain] = true
		wg.Go(func() {
			registered, err := s.registries.Lookup(ctx, domain)
			if err != nil {
				s.log.DebugContext(ctx, "no answer from the registry", "domain", domain, "error", err)
				return
			}
			if p := registeredProblem(registered, domain, n.zone); p != nil {
				mu.Lock()
				defer mu.Unlock()
				problems[domain] = *p
			}
		})
	}
	wg.Wait()
	return problems
}

// registeredProblem returns what is wrong with a registration. That a domain isn't registered is believed only where DNS shows the same:
// the service of a registry may not know all of its domains.
func registeredProblem(r registration.Registration, domain string, z zone) *cert.Problem {
	p := r.Problem(domain)
	if p == nil || p.Code != cert.DomainExpired && !z.missing() {
		return nil
	}
	return p
}
