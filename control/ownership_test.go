package control_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/drawn"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/resolver"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

var update = flag.Bool("update", false, "write the matrix of ownership into docs/ownership.md")

// claim is one row of the matrix of ownership: who may have names, and who may not. In its texts "." is the registered domain, and any
// other name is one below it; a name with a dot at its end stands for itself.
type claim struct {
	has   string // who has the names before, see had
	names string // of the domain that beta had, where they are not those asked for
	in    string // what stands in DNS when acme asks: "acme shop" is acme's ownership record at shop, "acme b at shop" its value for b at shop
	asks  string // the names that acme connects
	may   outcome
	lacks string // the name whose proof is missing
	why   string
}

// outcome is what becomes of acme's wish.
type outcome string

const (
	may         outcome = "yes"
	mayNot      outcome = "no: unproved"   // connected, and no certificate is ordered
	taken       outcome = "no: taken"      // refused
	afterNotice outcome = "after a notice" // refused, and the other tenant is informed; then it may
	objected    outcome = "no: objected"   // refused, the other tenant is informed, and it still shows the name when the notice ends
	notAllowed  outcome = "no: not allowed"
)

// had is what beta did with the names before.
const (
	nobody           = "nobody"
	claims           = "beta, never verified"
	claimsInSilence  = "beta, never verified, no record seen for CLAIM_LIFETIME"
	verified         = "beta, verified"
	removed          = "beta, verified and removed"
	lifted           = "beta, verified and removed, quarantine lifted"
	removedUnproved  = "beta, never verified and removed"
	movedToGamma     = "beta, verified and moved to gamma, which has not connected it yet"
	verifiedItself   = "acme, verified and removed"
	betasRecordStays = "beta shop, acme shop"
)

// matrix is the one table of ownership: this test holds the product to it, and docs/ownership.md shows it.
var matrix = []claim{
	{nobody, "", "acme shop", "shop", may, "", "the name's own record"},
	{nobody, "", "acme .", "shop", may, "", "above: the registered domain decides about all below it"},
	{nobody, "", "acme shop", "a.shop", may, "", "above: so does any name between"},
	{nobody, "", "acme b", "shop", mayNot, "shop", "beside: whoever runs b does not run shop"},
	{nobody, "", "acme b", "b shop", mayNot, "shop", "beside, in one domain: each name needs its own proof"},
	{nobody, "", "acme b, acme shop", "b shop", may, "", "each its own"},
	{nobody, "", "acme .", "b shop", may, "", "one above covers both"},
	{nobody, "", "acme .", ". www", may, "", "the apex's record covers www"},
	{nobody, "", "acme www", ". www", mayNot, ".", "below: www shows nothing about the domain"},
	{nobody, "", "acme a.shop", "shop", mayNot, "shop", "below"},
	{nobody, "", "acme b at shop", "shop", mayNot, "shop", "a value is bound to its name: that of b is none for shop"},
	{nobody, "", "acme b at *", "b shop", mayNot, "shop", "a wildcard answers everywhere, and proves the one name of its value"},
	{nobody, "", "acme shop at *", "shop", may, "", "a wildcard with the tenant's value for the name"},
	{nobody, "", "beta shop at *", "shop", mayNot, "shop", "a wildcard proves for the tenant whose value it is"},
	{nobody, "", "beta shop", "shop", mayNot, "shop", "another tenant's record"},
	{nobody, "", "acme github.io.", "github.io.", may, "", "a company's own public suffix, with proof"},
	{
		nobody,
		"",
		"acme github.io.",
		"shop.github.io.",
		mayNot,
		"shop.github.io.",
		"above the registered domain: a public suffix decides about nothing below it",
	},
	{nobody, "", "acme co.uk.", "co.uk.", notAllowed, "", "a registry's public suffix"},

	{claims, "", "", "shop", taken, "", "whoever connects first has the claim, until somebody shows more"},
	{claims, "", "acme shop", "shop", may, "", "an unproved claim yields to proof at once"},
	{claims, "", "acme .", "shop", may, "", "to one above, too"},
	{claims, "", "acme b", "shop", taken, "", "and not to one beside"},
	{claims, "shop blog", "acme shop", "shop", may, "", "the claim ends as a whole; blog is free"},
	{claims, "shop", "acme b", "b shop", taken, "", "each name must be proved: b says nothing about shop"},
	{claimsInSilence, "", "", "shop", mayNot, "shop", "the claim has ended by itself and left no quarantine; acme's begins"},

	{verified, "", "beta shop", "shop", taken, "", "a verified name is its tenant's"},
	{verified, "", betasRecordStays, "shop", objected, "", "whose record still stands at the end of the notice keeps the name"},
	{verified, "", "acme shop", "shop", afterNotice, "", "only acme shows the name when the notice ends"},
	{verified, "shop blog", "acme shop", "shop", taken, "", "a domain moves as a whole: blog is not proved, and stays with HTTPS"},
	{verified, "shop blog", "acme .", "shop", afterNotice, "", "proved for all of its names"},

	{movedToGamma, "", "acme shop", "shop", taken, "", "it is kept for gamma for seven days"},

	{removed, "", "acme shop", "shop", taken, "", "quarantine: seven days for the former tenant only"},
	{lifted, "", "acme shop", "shop", may, "", "an operator has lifted it"},
	{removedUnproved, "", "acme shop", "shop", may, "", "what was never verified earns no quarantine"},
	{verifiedItself, "", "acme shop", "shop", may, "", "the former tenant itself, at once"},
}

const (
	matrixBegins = "<!-- The matrix begins: `go test ./control -run TestOwnershipIsDocumented -update` writes it. -->"
	matrixEnds   = "<!-- The matrix ends. -->"
)

// TestOwnershipIsDocumented: people read the table that is tested.
func TestOwnershipIsDocumented(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("\n| has the names | in DNS | acme connects | may it | because |\n|---|---|---|---|---|\n")
	cell := func(s string) string {
		if s == "" {
			return "–"
		}
		return strings.ReplaceAll(s, "*", `\*`)
	}
	for _, c := range matrix {
		has, answer := c.has, string(c.may)
		if c.names != "" {
			has += " (" + c.names + ")"
		}
		if c.lacks != "" {
			answer += " (" + c.lacks + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", has, cell(c.in), cell(c.asks), answer, cell(c.why))
	}
	drawn.Section(t, "../docs/ownership.md", matrixBegins, matrixEnds, b.String(), *update)
}

// TestF19_OwnershipMatrix holds the product to each row, on a real Temporal server and PostgreSQL, by the real resolver.
func TestF19_OwnershipMatrix(t *testing.T) {
	t.Parallel()
	w := newOwnershipWorld(t)
	for i, c := range matrix {
		t.Run(fmt.Sprintf("%s/%s/%s", c.has, c.in, c.asks), func(t *testing.T) {
			t.Parallel()
			r := row{
				ownershipWorld: w,
				t:              t,
				claim:          c,
				domain:         fmt.Sprintf("row%d.com", i),
				acme:           fmt.Sprintf("acme-%d", i),
				beta:           fmt.Sprintf("beta-%d", i),
			}
			r.before()
			r.asksAndGets()
		})
	}
}

// ownershipWorld is evercert with a DNS that the test writes. The CA and the edges agree to everything.
type ownershipWorld struct {
	*control.Control
	db   *store.Store
	zone *zone
}

func newOwnershipWorld(t *testing.T) *ownershipWorld {
	t.Helper()
	info := stack.New(t, stack.Options{Parts: []string{"postgres", "temporal"}}).Info()
	log := slog.New(slog.DiscardHandler)
	db, err := store.Open(t.Context(), info.Postgres)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	temporal, err := control.TemporalConfig{Address: info.Temporal, Namespace: info.Namespace}.Dial(log)
	require.NoError(t, err)
	t.Cleanup(temporal.Close)
	z := newZone(t)
	looks, err := resolver.New(resolver.Config{
		Resolvers: []string{
			z.address,
		}, RootHints: []string{"none"}, QueryTimeout: 5 * time.Second, CheckTimeout: 10 * time.Second, RequireOwnership: true,
	}, log)
	require.NoError(t, err)
	policy := cert.DefaultPolicy()
	policy.FirstChecks, policy.CheckInterval = []time.Duration{time.Second}, time.Second
	policy.ClaimLifetime, policy.ClaimWarning, policy.MoveNotice = 3*time.Second, time.Second, 2*time.Second
	w := worker.New(temporal, workflows.TaskQueue, worker.Options{})
	workflows.Register(w)
	w.RegisterActivityWithOptions((&activities.DNS{
		Resolver: looks, Tenants: db, CAs: noRecords{}, Checks: db, Platform: platform, Methods: []cert.Method{cert.HTTP01}, Log: log,
	}).CheckDNS, activity.RegisterOptions{Name: activities.CheckDNSName})
	records := &activities.Records{Store: db, Policy: policy, Log: log}
	for name, do := range map[string]any{
		activities.ReadPolicyName: records.ReadPolicy, activities.RecordStatusName: records.RecordStatus,
		activities.RecordCaseName: records.RecordCase,
		activities.CreateCSRName: func(context.Context, activities.CSRRequest) (activities.CSRResult, error) {
			return activities.CSRResult{}, nil
		},
		activities.OrderCertificateName: func(context.Context, activities.OrderRequest) (cert.Certificate, error) {
			return cert.Certificate{Serial: "01", NotBefore: time.Now(), NotAfter: time.Now().Add(90 * 24 * time.Hour)}, nil
		},
		activities.InstallCertificateName: func(context.Context, activities.InstallRequest) (activities.Installed, error) {
			return activities.Installed{Edges: []string{"edge:443"}}, nil
		},
		activities.VerifyEdgeName: func(context.Context, activities.EdgeRequest) error { return nil },
	} {
		w.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name})
	}
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	ctx, cancel := context.WithCancel(t.Context())
	var starting sync.WaitGroup
	starting.Go(func() {
		control.Starting{Queue: db, Cases: db, Workflows: control.Temporal(temporal), Log: log}.Run(ctx)
	})
	t.Cleanup(starting.Wait)
	t.Cleanup(cancel)
	return &ownershipWorld{control.New(db, control.Temporal(temporal), rules, platform, log), db, z}
}

// row is a claim with its tenants and its registered domain.
type row struct {
	*ownershipWorld
	t *testing.T
	claim
	domain, acme, beta string
}

// full is a name of the table in full.
func (r row) full(name string) string {
	switch {
	case name == ".":
		return r.domain
	case strings.HasSuffix(name, "."):
		return strings.TrimSuffix(name, ".")
	default:
		return name + "." + r.domain
	}
}

func (r row) all(names string) (all []string) {
	for name := range strings.FieldsSeq(names) {
		all = append(all, r.full(name))
	}
	return all
}

func (r row) tenant(word string) string {
	return map[string]string{"acme": r.acme, "beta": r.beta}[word]
}

// connect connects names for a tenant. They lead to the platform, so that nothing but ownership is asked.
func (r row) connect(tenant string, names []string) (control.Result, error) {
	for _, name := range names {
		r.zone.lead(name)
	}
	return r.Connect(r.t.Context(), control.Connection{Hostname: names[0], Also: names[1:], Tenant: tenant})
}

// show puts ownership records into DNS: "acme shop, beta b at *".
func (r row) show(records string) {
	for record := range strings.SplitSeq(records, ", ") {
		fields := strings.Fields(record)
		if len(fields) == 0 {
			continue
		}
		place := cert.OwnershipName(r.full(fields[len(fields)-1]))
		if fields[len(fields)-1] == "*" {
			place = r.full("*")
		}
		r.zone.set(place, "TXT", r.value(r.tenant(fields[0]), r.full(fields[1])))
	}
}

// value is what a tenant is asked to put at a name. The tenant's secret is there once it has connected something, or asked for a name.
func (r row) value(tenant, name string) string {
	_, err := r.db.Holders(r.t.Context(), cert.Domain{Hostname: name, Names: []string{name}, Tenant: tenant})
	require.NoError(r.t, err)
	secret, err := r.db.TenantSecret(r.t.Context(), tenant)
	require.NoError(r.t, err)
	return cert.OwnershipValue(name, tenant, secret)
}

// before does what was done with the names before acme asks.
func (r row) before() {
	tenant, names := r.beta, r.all(r.asks)
	if r.names != "" {
		names = r.all(r.names)
	}
	switch r.has {
	case nobody:
		r.show(r.in)
		return
	case claimsInSilence:
		_, err := r.Connect(r.t.Context(), control.Connection{Hostname: names[0], Tenant: tenant})
		require.NoError(r.t, err)
		r.awaitEvent(names[0], cert.DomainClaimEnding)
		r.awaitEvent(names[0], cert.DomainClaimEnded)
		return
	case verifiedItself:
		tenant = r.acme
	}
	proved := r.has != claims && r.has != removedUnproved
	if proved {
		for _, name := range names {
			r.zone.set(cert.OwnershipName(name), "TXT", r.value(tenant, name))
		}
	}
	_, err := r.connect(tenant, names)
	require.NoError(r.t, err)
	if proved {
		r.awaitEvent(names[0], cert.InstallationSucceeded)
		for _, name := range names {
			r.zone.drop(cert.OwnershipName(name))
		}
	} else {
		r.awaitProblem(names[0], names[0])
	}
	if slices.Contains([]string{removed, lifted, removedUnproved, verifiedItself}, r.has) {
		_, err := r.Remove(r.t.Context(), control.Request{Name: names[0], By: "beta"})
		require.NoError(r.t, err)
		await(r.t, r.Control, names[0], "removed", func(d control.Domain) bool { return d.Headline == cert.Removed })
	}
	if r.has == movedToGamma {
		r.moveAway(names)
	}
	if r.has == lifted {
		_, err := r.LiftQuarantine(r.t.Context(), control.Request{Name: names[0], By: "kim", Reason: "it was sold"})
		require.NoError(r.t, err)
		r.awaitEvent(names[0], cert.QuarantineLifted)
	}
	r.show(r.in)
}

// moveAway lets a third tenant show beta's names, and take its record away once they have moved.
func (r row) moveAway(names []string) {
	gamma := "gamma-" + r.domain
	for _, name := range names {
		r.zone.set(cert.OwnershipName(name), "TXT", r.value(gamma, name))
	}
	_, err := r.connect(gamma, names)
	require.Equal(r.t, cert.NameTaken, code(r.t, err))
	await(r.t, r.Control, names[0], "moved", func(d control.Domain) bool { return d.Headline == cert.Removed })
	for _, name := range names {
		r.zone.drop(cert.OwnershipName(name))
	}
}

// asksAndGets lets acme connect its names, and looks what becomes of it.
func (r row) asksAndGets() {
	t, names := r.t, r.all(r.asks)
	_, err := r.connect(r.acme, names)
	switch r.may {
	case may:
		require.NoError(t, err)
		await(t, r.Control, names[0], "acme's and verified", func(d control.Domain) bool {
			return d.Tenant == r.acme && d.Status.Domain == cert.DomainActive
		})
	case mayNot:
		require.NoError(t, err)
		r.awaitProblem(names[0], r.full(r.lacks))
	case notAllowed:
		require.Equal(t, cert.DomainNotAllowed, code(t, err))
	case taken, objected, afterNotice:
		require.Equal(t, cert.NameTaken, code(t, err))
		require.NotContains(t, fmt.Sprint(err, cert.AsProblem(err)), r.beta, "who has it is nobody else's business")
		r.heldByBeta(names, err)
	}
}

// heldByBeta looks what becomes of the names that beta has.
func (r row) heldByBeta(names []string, refusal error) {
	t, held := r.t, names[len(names)-1]
	notices := []cert.EventType{cert.DomainMoveAnnounced, cert.DomainMoveCancelled}
	switch r.may {
	case objected:
		r.awaitEvent(held, cert.DomainMoveAnnounced)
		r.awaitEvent(held, cert.DomainMoveCancelled)
	case afterNotice:
		require.Contains(t, cert.AsProblem(refusal).Message, "the name is yours from")
		await(t, r.Control, held, "moved", func(d control.Domain) bool { return d.Headline == cert.Removed })
		_, err := r.connect(r.beta, names)
		require.Equal(t, cert.NameTaken, code(t, err), "it is kept for acme")
		_, err = r.connect(r.acme, names)
		require.NoError(t, err)
		await(
			t,
			r.Control,
			held,
			"acme's and verified",
			func(d control.Domain) bool { return d.Tenant == r.acme && d.Status.Domain == cert.DomainActive },
		)
		return
	case taken:
		require.NotContains(t, cert.AsProblem(refusal).Message, "yours from", "no notice without proof")
		require.False(
			t,
			r.has != movedToGamma && slices.ContainsFunc(r.events(held), func(e control.Event) bool { return slices.Contains(notices, e.Type) }),
			"no notice without proof",
		)
	}
	d, err := r.Status(t.Context(), held)
	require.NoError(t, err)
	require.Equal(t, r.beta, d.Tenant)
	require.Equal(t, r.has == removed || r.has == movedToGamma, d.Headline == cert.Removed)
}

func (r row) events(name string) []control.Event {
	events, err := r.Timeline(r.t.Context(), name)
	require.NoError(r.t, err)
	return events
}

func (r row) awaitEvent(name string, e cert.EventType) {
	await(r.t, r.Control, name, "at "+string(e), func(control.Domain) bool {
		return slices.ContainsFunc(r.events(name), func(seen control.Event) bool { return seen.Type == e })
	})
}

// awaitProblem waits until the diagnosis says that the proof of a name is missing, and of which.
func (r row) awaitProblem(hostname, lacking string) {
	d := await(r.t, r.Control, hostname, "informed that "+lacking+" is not proved", func(d control.Domain) bool {
		return slices.ContainsFunc(d.Problems, func(p cert.Problem) bool {
			return p.Record != nil && p.Record.Name == cert.OwnershipName(lacking) &&
				(p.Code == cert.OwnershipMissing || p.Code == cert.OwnershipMismatch)
		})
	})
	require.NotEqual(r.t, cert.DomainActive, d.Status.Domain)
}

// zone is a resolver on loopback with records that the test sets. It knows wildcards (RFC 4592), and no other rule of DNS.
type zone struct {
	address string

	mu      sync.Mutex
	records map[string][]dns.RR
}

func newZone(t *testing.T) *zone {
	t.Helper()
	packets, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	z := &zone{address: packets.LocalAddr().String(), records: map[string][]dns.RR{}}
	server, started := &dns.Server{PacketConn: packets, Handler: z}, make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { _ = server.ActivateAndServe() }() // its error is that it was shut down
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	z.lead(platform.Target)
	return z
}

func (z *zone) set(name, kind, value string) {
	rr, err := dns.NewRR(fmt.Sprintf("%s. 1 %s %s", name, kind, value))
	if err != nil {
		panic(err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if same := func(other dns.RR) bool { return dns.IsDuplicate(rr, other) }; !slices.ContainsFunc(z.records[name], same) {
		z.records[name] = append(z.records[name], rr)
	}
}

// lead makes a name lead to the platform.
func (z *zone) lead(name string) {
	z.set(name, "A", platform.Addresses[0])
	z.set(name, "AAAA", platform.Addresses[1])
}

func (z *zone) drop(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.records, name)
}

func (z *zone) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	q, m := req.Question[0], new(dns.Msg).SetReply(req)
	name := strings.TrimSuffix(dns.CanonicalName(q.Name), ".")
	z.mu.Lock()
	found := z.records[name]
	for rest := name; found == nil && rest != ""; {
		_, rest, _ = strings.Cut(rest, ".")
		found = z.records["*."+rest]
	}
	for _, rr := range found {
		if rr.Header().Rrtype == q.Qtype {
			rr = dns.Copy(rr)
			rr.Header().Name = q.Name
			m.Answer = append(m.Answer, rr)
		}
	}
	z.mu.Unlock()
	if len(m.Answer) == 0 {
		soa, _ := dns.NewRR(". 1 SOA a. b. 1 1 1 1 1")
		m.Ns = append(m.Ns, soa)
	}
	_ = w.WriteMsg(m) // a client that is gone has no use for it
}
