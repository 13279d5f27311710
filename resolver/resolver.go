package resolver

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
	"github.com/evercert/evercert/resolver/caa"
	"github.com/evercert/evercert/resolver/guard"
	"github.com/evercert/evercert/resolver/lookup"
	"github.com/evercert/evercert/resolver/registration"
)

// Resolver diagnoses domains. It keeps nothing between diagnoses, and any number may be asked for at once.
type Resolver struct {
	config     Config
	client     *lookup.Client
	walks      authority.Config
	allowed    []netip.Prefix
	registries *registration.Client // nil: none are configured
	walking    chan struct{}        // taken while a diagnosis is on its way down from the roots
	looking    chan struct{}        // taken while it asks the domain's own servers
	log        *slog.Logger
}

// How many diagnoses walk, and look, at once. The others wait for their turn, and their time limits with them: a thousand at a time on a small
// machine must not call each other's slowness a time-out. A dead zone keeps its turn at the walk for seconds, and has little to look
// for afterwards; so there are more of those turns, and whoever waits for the dead has been sent on their way early.
const (
	maxWalks = 768
	maxLooks = 256
)

// New returns a Resolver, or what is wrong with its settings.
func New(config Config, log *slog.Logger) (*Resolver, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	r := &Resolver{config: config, client: lookup.NewClient(config.QueryTimeout), log: log, allowed: config.allowed()}
	r.walking, r.looking = make(chan struct{}, maxWalks), make(chan struct{}, maxLooks)
	r.walks = authority.Config{
		Roots: config.roots(), Port: config.AuthorityPort, QueryTimeout: config.QueryTimeout,
		Allow: guard.New(r.allowed).Permits, Slots: r.client.Slots(), TrustAnchors: config.anchors(),
	}
	if len(config.RDAPServers) > 0 {
		var err error
		if r.registries, err = registration.New(registration.Config{Servers: config.RDAPServers, Timeout: config.CheckTimeout, Allowed: r.allowed}); err != nil {
			return nil, fmt.Errorf("RDAP_SERVERS: %w", err)
		}
	}
	return r, nil
}

// Diagnose looks at the names of the question as a CA would. When its turn comes (maxWalks, maxLooks) it takes at most DNS_CHECK_TIMEOUT,
// and PROBE_TIMEOUT where web servers must be asked as well. DNS that gives no answer is a verdict (unknown); an error is a fault of
// ours: a question that can't be asked, or a ctx that ended before the answer.
//
// With several CAs the verdict is that of the one that comes off best, the first of equals: Methods and the CAA problems
// are those for it. With none, CAA is left out.
func (r *Resolver) Diagnose(ctx context.Context, q cert.Question) (cert.Diagnosis, error) {
	if err := r.check(q); err != nil {
		return cert.Diagnosis{}, fmt.Errorf("diagnose %s: %w", strings.Join(q.Names, " "), err)
	}
	e := r.gather(ctx, q)
	if err := ctx.Err(); err != nil {
		return cert.Diagnosis{}, fmt.Errorf("diagnose %s: %w", strings.Join(q.Names, " "), err)
	}
	d := e.diagnosis(r.config.RequireOwnership).Clean() // what servers show is anybody's text
	for i := range d.Problems {
		if q.Once {
			d.Problems[i].Remediation = once.Replace(d.Problems[i].Remediation)
		}
	}
	r.log.DebugContext(ctx, "diagnosed", "names", q.Names, "verdict", d.Verdict, "ownership", d.Ownership, "pointed", d.Pointed, "problems", d.Problems)
	return d, nil
}

// turn waits for a place, and gives what is done in it its time. The place is free again when end is called, which tells how long that was.
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

// gather asks everybody: the resolvers, beside them the way down from the roots; then the zone's own servers; where it matters,
// the registry and the web servers.
func (r *Resolver) gather(ctx context.Context, q cert.Question) evidence {
	var (
		all              sync.WaitGroup
		homes            []home
		zoneViews        []*lookup.View
		zoneLooks, looks []sight
		views            = r.recursiveViews()
	)
	told := q // CAA records are the authoritative servers' to tell
	if len(r.walks.Roots) > 0 {
		told.CAs = nil
	}
	walks := r.walks
	walks.MaxQueries = 200 + 100*len(q.Names)
	tree := authority.NewTree(walks)
	limited, end := turn(ctx, r.walking, r.config.CheckTimeout)
	all.Go(func() { looks = lookAll(limited, views, told) })
	if len(walks.Roots) > 0 {
		all.Go(func() { homes = homesOf(limited, tree, q.Names) })
	}
	all.Wait()
	limited, end = turn(ctx, r.looking, r.config.CheckTimeout-end())
	if walked(homes) {
		zoneViews = lookup.Authoritative(tree, signedZones(homes), targetsOf(q))
		zoneLooks = lookAll(limited, zoneViews, q)
	} else { // the way down leads nowhere from here, or isn't to be gone: the resolvers' word must do
		homes = unwalkedHomes(limited, views, q)
		looks = lookAll(limited, views, q) // what was asked already isn't asked again
	}
	end()
	e := weigh(q, homes, zoneLooks, looks)
	e.hosted, e.cutOff = r.config.HostedNameservers, len(zoneLooks) == 0 && len(r.walks.Roots) > 0
	var registered []*cert.Problem
	all.Go(func() { registered = r.askRegistries(ctx, q, e.homes) })
	all.Go(func() { r.reachAll(ctx, &e, slices.Concat(zoneViews, views)) })
	all.Wait()
	e.registered = registered
	return e
}

// recursiveViews are what each of DNS_RESOLVERS shows.
func (r *Resolver) recursiveViews() []*lookup.View {
	views := make([]*lookup.View, len(r.config.Resolvers))
	for i, server := range r.config.Resolvers {
		views[i] = r.client.Resolver(server)
	}
	return views
}

// targetsOf are the platform's names that tenants' records lead to.
func targetsOf(q cert.Question) []string {
	var targets []string
	for _, want := range q.Expected {
		if want.Type == "CNAME" {
			targets = append(targets, dns.CanonicalName(want.Value))
		}
	}
	return targets
}

func lookAll(ctx context.Context, views []*lookup.View, q cert.Question) []sight {
	looks := make([]sight, len(views))
	var wg sync.WaitGroup
	for i, v := range views {
		wg.Go(func() { looks[i] = look(ctx, v, q) })
	}
	wg.Wait()
	return looks
}

// askRegistries asks about the registered domains that DNS shows to be in trouble, and about all when that was wanted. A registry
// that doesn't tell is no problem of anybody's.
func (r *Resolver) askRegistries(ctx context.Context, q cert.Question, homes []home) []*cert.Problem {
	problems := make([]*cert.Problem, len(homes)) // of each name
	if r.registries == nil {
		return problems
	}
	first := map[string]int{} // where a registered domain comes first
	var wg sync.WaitGroup
	for i, h := range homes {
		domain := cert.RegisteredDomain(h.name)
		if _, asked := first[domain]; asked || !q.Registration && !h.broken() {
			continue
		}
		first[domain] = i
		wg.Go(func() {
			registered, err := r.registries.Look(ctx, domain)
			if err != nil {
				r.log.DebugContext(ctx, "the registry did not tell", "domain", domain, "error", err)
				return
			}
			// That a domain isn't registered is believed only where DNS says so too: a registry's service may not know all of its domains.
			if p := registered.Problem(domain); p != nil && (p.Code == cert.DomainExpired || h.missing()) {
				problems[i] = p
			}
		})
	}
	wg.Wait()
	for i, h := range homes {
		if n, asked := first[cert.RegisteredDomain(h.name)]; asked {
			problems[i] = problems[n]
		}
	}
	return problems
}

// check refuses a question whose answer would mean nothing. An ownership record that the caller forgot must not pass as
// ownership that was shown.
func (r *Resolver) check(q cert.Question) error {
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
			return want.Purpose == cert.ForOwnership && slices.Contains(cert.OwnershipPlaces(name), subject(want))
		}
		if !slices.ContainsFunc(q.Expected, shows) {
			return fmt.Errorf("the question has no ownership record for %s", name)
		}
	}
	return nil
}

// look is what one view shows for a whole question.
type sight struct {
	role    cert.ServerRole
	host    func(name string) string // who was asked about a name
	records []finding                // of each expected record
	pointed []finding                // of each name, all its address records together
	proofs  []finding                // of each name, where no records are expected: can _acme-challenge be looked up
	caa     []caa.Set                // of each name
}

// look asks everything at once: in the common case each answer comes after one round trip.
func look(ctx context.Context, v *lookup.View, q cert.Question) sight {
	l := sight{
		role: v.Role(), host: v.Server,
		records: make([]finding, len(q.Expected)), pointed: make([]finding, len(q.Names)), proofs: make([]finding, len(q.Names)), caa: make([]caa.Set, len(q.Names)),
	}
	var wg sync.WaitGroup
	for i, want := range q.Expected {
		switch want.Purpose {
		case cert.ForOwnership:
			wg.Go(func() { l.records[i] = ownership(ctx, v, want, q) })
		case cert.ForDelegation:
			wg.Go(func() { l.records[i] = delegation(ctx, v, want) })
		case cert.ForAddress: // below, with its name
		}
	}
	for i, name := range q.Names {
		p, indexes := pointingOf(q, name)
		l.proofs[i] = notAskedFor
		wg.Go(func() {
			switch {
			case len(q.Expected) == 0:
				l.pointed[i] = anyAddress(ctx, v, base(name))
				if cert.CanDelegate(name) {
					l.proofs[i] = challengeName(ctx, v, base(name))
				}
				return
			case len(indexes) == 0:
				l.pointed[i] = notAskedFor
				return
			}
			seen := address(ctx, v, p)
			l.pointed[i] = seen.finding
			for n, index := range indexes {
				l.records[index] = seen.records[n]
			}
		})
		if len(q.CAs) > 0 {
			wg.Go(func() { l.caa[i] = governingCAA(ctx, v, name, p.targets) })
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
