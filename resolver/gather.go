package resolver

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
	"github.com/evercert/evercert/resolver/guard"
	"github.com/evercert/evercert/resolver/lookup"
	"github.com/evercert/evercert/resolver/registration"
)

// sources are all who are asked for a diagnosis. They keep nothing between diagnoses.
type sources struct {
	config     Config
	client     *lookup.Client
	walks      authority.Config
	registries *registration.Client // nil: none are configured
	walking    chan struct{}        // a place in it is taken while a diagnosis walks from the root servers
	asking     chan struct{}        // a place in it is taken while a diagnosis asks the domain's own servers
	log        *slog.Logger
}

// How many diagnoses walk, and ask the domain's servers, at once. The time limit of a diagnosis begins when it gets its place: a thousand
// at a time on a small machine must not take each other's slowness for time-outs. A dead zone keeps its place at the walk for seconds,
// and has few servers to ask afterwards; so there are more places for walks.
const (
	maxWalking = 768
	maxAsking  = 256
)

// newSources returns the sources for settings that are valid. The error names RDAP_SERVERS.
func newSources(config Config, log *slog.Logger) (*sources, error) {
	s := &sources{
		config: config, client: lookup.NewClient(config.QueryTimeout), log: log,
		walking: make(chan struct{}, maxWalking), asking: make(chan struct{}, maxAsking),
	}
	s.walks = authority.Config{
		Roots: config.roots(), Port: config.AuthorityPort, QueryTimeout: config.QueryTimeout,
		Allow: guard.New(config.allowed()).Permits, Slots: s.client.Slots(), TrustAnchors: config.anchors(),
	}
	if len(config.RDAPServers) > 0 {
		var err error
		s.registries, err = registration.New(registration.Config{
			Servers: config.RDAPServers, Timeout: config.CheckTimeout, Allowed: config.allowed(),
		})
		if err != nil {
			return nil, fmt.Errorf("RDAP_SERVERS: %w", err)
		}
	}
	return s, nil
}

// gathered is what DNS shows for a question.
type gathered struct {
	zones         map[string]zone   // by name, without wildcards' labels
	authoritative []observation     // of the zones' own servers; none where the walk led nowhere
	recursive     []observation     // of the resolvers
	wildcards     map[string]string // by name, the wildcard record that a record below it would take the name off
	walks         bool              // there are root servers to ask
}

// cutOff reports whether the authoritative servers could not be asked from here.
func (g gathered) cutOff() bool { return g.walks && len(g.authoritative) == 0 }

// deciding returns the observations that a verdict is made from.
func (g gathered) deciding() []observation {
	if len(g.authoritative) == 0 {
		return g.recursive
	}
	return g.authoritative
}

// views returns all views, the authoritative ones first.
func (g gathered) views() []*lookup.View {
	var views []*lookup.View
	for _, o := range slices.Concat(g.authoritative, g.recursive) {
		views = append(views, o.view)
	}
	return views
}

// gather asks DNS: the resolvers and beside them, from the root servers down, for the zones; then the zones' own servers.
//
// Where the walk leads nowhere, the resolvers are asked for all. CAA records are otherwise left to the authoritative servers, which
// every CA asks.
func (s *sources) gather(ctx context.Context, q cert.Question) gathered {
	g := gathered{walks: len(s.walks.Roots) > 0}
	views := s.resolvers()
	withoutCAA := q
	if g.walks {
		withoutCAA.CAs = nil
	}
	walks := s.walks
	walks.MaxQueries = 200 + 100*len(q.Names)
	tree := authority.NewTree(walks)

	limited, end := turn(ctx, s.walking, s.config.CheckTimeout)
	var all sync.WaitGroup
	all.Go(func() { g.recursive = observeAll(limited, views, withoutCAA) })
	if g.walks {
		all.Go(func() { g.zones = walk(limited, tree, q.Names) })
	}
	all.Wait()

	limited, end = turn(ctx, s.asking, s.config.CheckTimeout-end())
	defer end()
	if walked(g.zones) {
		g.authoritative = observeAll(limited, lookup.Authoritative(tree, foundZones(g.zones), platformTargets(q)), q)
	} else {
		g.zones = unwalkedZones(limited, views, q)
		g.recursive = observeAll(limited, views, q) // what was asked before isn't asked again
	}
	g.wildcards = wildcards(limited, g.deciding()[0], q)
	return g
}

// wildcards asks one view, the first that decides, which names a record below them would take off a wildcard record.
func wildcards(ctx context.Context, first observation, q cert.Question) map[string]string {
	on := map[string]string{}
	for _, name := range q.Names {
		on[name] = onWildcard(ctx, first, name)
	}
	return on
}

// resolvers returns a view of each of DNS_RESOLVERS.
func (s *sources) resolvers() []*lookup.View {
	views := make([]*lookup.View, len(s.config.Resolvers))
	for i, server := range s.config.Resolvers {
		views[i] = s.client.Resolver(server)
	}
	return views
}

// platformTargets returns the platform's names that tenants' records lead to, in canonical form.
func platformTargets(q cert.Question) []string {
	var targets []string
	for _, want := range q.Expected {
		if want.Type == "CNAME" {
			targets = append(targets, dns.CanonicalName(want.Value))
		}
	}
	return targets
}

// turn waits for a place, and gives what is done in it its time. end frees the place, and returns how long it was taken.
func turn(ctx context.Context, places chan struct{}, limit time.Duration) (limited context.Context, end func() time.Duration) {
	select {
	case places <- struct{}{}:
	case <-ctx.Done(): // nothing will be done in it
		return ctx, func() time.Duration { return 0 }
	}
	begun := time.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	return limited, func() time.Duration {
		cancel()
		<-places
		return time.Since(begun)
	}
}
