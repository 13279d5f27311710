package dnstruth

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
	"github.com/evercert/evercert/resolver"
)

// row is one way that a tenant's DNS can be, and what the diagnosis must say of it. The domain is made of the row's name, such
// as nothing-was-added.example; a row may have a second one in org. In its texts these stand for what they say:
//
//	$DOMAIN, $SECOND   the two registered domains
//	$OWNERSHIP         the value of the first name's ownership record
//	$OWNERSHIP(HOST)   that of another host's
//	$DELEGATION(NAME)  the target of the delegation record of a name that is relative to $DOMAIN; @ is the domain itself
//	$TARGET            the platform's name that tenants' CNAMEs lead to
//	$EDGE4, $EDGE6     the platform's addresses
//	$NET               the first three numbers of the name servers' addresses
type row struct {
	name  string
	hosts []string // relative to $DOMAIN, or full, elsewhere with a dot at the end; shop when empty

	// The zone: text is the zone file without SOA and NS records, as each of the servers has it; on is what stands on some of
	// them in its place.
	text    string
	on      dnslab.Zones
	servers []string // as the parent names them; BIND and Knot when empty
	child   []string // as the zone names them; servers when empty
	own     string   // what the zone says in place of child's NS records
	parent  string   // what the parent zone says in place of servers' NS records
	signing dnslab.Signing
	stale   string       // a server whose signatures have expired
	quirk   dnslab.Quirk // of dnslab.Odd
	tamper  func(string) string
	second  string        // text of $SECOND; none when empty
	extra   []dnslab.Zone // further zones, such as shop.$DOMAIN
	absent  bool          // $DOMAIN is not registered

	// The question.
	methods    []cert.Method
	cas        []cert.CAIdentity // letsEncrypt when empty
	target     string            // the platform's name that the CNAMEs lead to; platform.Target when empty
	bare       bool              // no record is expected: somebody asks about a domain that nobody connected
	probe      bool
	registered bool // ask the registry in any case
	config     func(*resolver.Config)

	// The answer.
	verdict cert.Verdict
	chosen  []cert.Method // of each host, when the verdict is ok
	codes   []cert.Code   // of the problems that block, each once
	warns   []cert.Code   // of those that don't
	acts    cert.Actor    // on the first problem that blocks
	says    []string      // parts of the problems, as a person reads them
	never   []string      // what may not be said
}

var noLetters = regexp.MustCompile(`[^a-z0-9]+`)

// label is the first label of the row's domains.
func (r row) label() string {
	label := noLetters.ReplaceAllString(strings.ToLower(r.name), "-")
	return strings.Trim(label[:min(len(label), 60)], "-")
}

func (r row) domain() string { return r.label() + ".example" }

// full is a name that the row gives relative to its domain. A name with a dot at its end is in full.
func (r row) full(host string) string {
	switch {
	case strings.HasSuffix(host, "."):
		return strings.TrimSuffix(r.fill(host), ".")
	case host == "@":
		return r.domain()
	case strings.HasSuffix(host, "."):
		return strings.TrimSuffix(host, ".")
	case strings.Contains(host, "$"):
		return r.fill(host)
	case strings.HasSuffix(host, r.domain()), strings.HasSuffix(host, r.label()+".org"):
		return host
	default:
		return host + "." + r.domain()
	}
}

func (r row) names() []string {
	if len(r.hosts) == 0 {
		r.hosts = []string{"shop"}
	}
	var names []string
	for _, host := range r.hosts {
		names = append(names, r.full(host))
	}
	return names
}

var (
	delegationOf = regexp.MustCompile(`\$DELEGATION\(([^)]+)\)`)
	ownershipOf  = regexp.MustCompile(`\$OWNERSHIP\(([^)]+)\)`)
)

func (r row) fill(text string) string {
	if !strings.Contains(text, "$OWNERSHIP") { // names are filled in, too
		return r.fillRest(text)
	}
	text = ownershipOf.ReplaceAllStringFunc(text, func(found string) string {
		return cert.OwnershipValue(r.full(ownershipOf.FindStringSubmatch(found)[1]), "acme", secret)
	})
	return r.fillRest(strings.ReplaceAll(text, "$OWNERSHIP", cert.OwnershipValue(r.names()[0], "acme", secret)))
}

func (r row) fillRest(text string) string {
	text = strings.NewReplacer("$DOMAIN", r.domain(), "$SECOND", r.label()+".org", "$TARGET", r.platform().Target,
		"$NET", network, "$EDGE4", edgeIPv4, "$EDGE6", edgeIPv6).Replace(text)
	return delegationOf.ReplaceAllStringFunc(text, func(found string) string {
		return platform.DelegationTarget(r.full(delegationOf.FindStringSubmatch(found)[1]), secret)
	})
}

func (r row) platform() cert.Platform {
	p := platform
	if r.target != "" {
		p.Target = r.target
	}
	return p
}

func (r row) question() cert.Question {
	names := r.names()
	d := cert.Domain{ID: "1", Hostname: names[0], Names: names, Tenant: "acme"}
	_, above := cert.OwnershipRecords(names, d.Tenant, secret)
	q := cert.Question{
		Names: names, Expected: r.platform().ExpectedRecords(d, secret), Above: above, CAs: r.cas, Methods: r.methods, Registration: r.registered,
	}
	if len(q.CAs) == 0 {
		q.CAs = []cert.CAIdentity{letsEncrypt}
	}
	if r.bare {
		q.Expected = nil
	}
	if r.probe {
		q.Probe = &probe
	}
	return q
}

// zones are those that the row needs.
func (r row) zones() []dnslab.Zone {
	if len(r.servers) == 0 {
		r.servers = []string{dnslab.BIND, dnslab.Knot}
	}
	if len(r.child) == 0 {
		r.child = r.servers
	}
	delegation := r.parent
	if delegation == "" {
		delegation = dnslab.NS(r.servers...)
	}
	var zones []dnslab.Zone
	if !r.absent {
		z := dnslab.Zone{
			Name: r.domain(), Delegation: r.fill(delegation), On: r.copies(r.text), Signing: r.signing, Tamper: r.tamper, Quirk: r.quirk,
		}
		if r.stale != "" {
			z.SigningOn = map[string]dnslab.Signing{r.stale: dnslab.Expired}
		}
		zones = append(zones, z)
	}
	if r.second != "" {
		plain := r
		plain.on = nil
		zones = append(zones, dnslab.Zone{Name: r.label() + ".org", Delegation: dnslab.NS(r.servers...), On: plain.copies(r.second)})
	}
	for _, z := range r.extra {
		z.Name, z.Delegation = r.fill(z.Name), r.fill(z.Delegation)
		on := dnslab.Zones{}
		for server, text := range z.On {
			on[server] = r.fill(text)
		}
		z.On = on
		zones = append(zones, z)
	}
	return zones
}

// copies is the zone on each server that has it.
func (r row) copies(text string) dnslab.Zones {
	on, ns := dnslab.Zones{}, r.fill(r.own)
	if ns == "" {
		ns = dnslab.NS(r.child...)
	}
	for _, server := range slices.Concat(r.servers, r.child) {
		if slices.Contains([]string{dnslab.BIND, dnslab.Knot, dnslab.NSD, dnslab.Odd}, server) {
			on[server] = ns + r.fill(text)
		}
	}
	for server, other := range r.on {
		if other != dnslab.NotLoaded {
			other = ns + r.fill(other)
		}
		on[server] = other
	}
	return on
}

// diagnosis asks the row's question on the lab.
func (r row) diagnosis(t *testing.T, lab *dnslab.Lab) (cert.Question, cert.Diagnosis) {
	t.Helper()
	config := configOf(lab)
	config.RequireOwnership = !r.bare
	if r.config != nil {
		r.config(&config)
	}
	q := r.question()
	return q, diagnose(t, config, q)
}

// run diagnoses and compares.
func (r row) run(t *testing.T, lab *dnslab.Lab) {
	t.Parallel()
	q, d := r.diagnosis(t, lab)
	said := textOf(d.Problems)
	t.Logf("%s\n%s", d.Verdict, said)
	require.Equal(t, r.verdict, d.Verdict, "verdict")
	var blocks, warns []cert.Code
	for _, p := range d.Problems {
		requireFitForPeople(t, p)
		if p.Severity == cert.Warns {
			warns = append(warns, p.Code)
			continue
		}
		if blocks = append(blocks, p.Code); len(blocks) == 1 && r.acts != "" {
			require.Equal(t, r.acts, p.WhoActs, "who acts on %s", p.Code)
		}
	}
	slices.Sort(blocks)
	slices.Sort(warns)
	require.ElementsMatch(t, r.codes, slices.Compact(blocks), "codes of problems that block")
	require.ElementsMatch(t, r.warns, slices.Compact(warns), "codes of problems that don't block")
	for _, part := range r.says {
		require.Contains(t, said, r.fill(part))
	}
	for _, part := range r.never {
		require.NotContains(t, said, r.fill(part))
	}
	r.requireWhole(t, q, d)
}

// requireWhole checks what holds for every diagnosis.
func (r row) requireWhole(t *testing.T, q cert.Question, d cert.Diagnosis) {
	t.Helper()
	require.False(t, d.CheckedAt.IsZero())
	require.Len(t, d.Records, len(q.Expected))
	for i, state := range d.Records {
		require.Equal(t, q.Expected[i], state.Record)
		require.Contains(t, []cert.Verdict{cert.OK, cert.Wrong, cert.Unknown}, state.Verdict)
	}
	if d.Verdict != cert.OK {
		require.Empty(t, d.Methods())
		require.NotEmpty(t, d.Problems, "a verdict that isn't ok must be explained")
		return
	}
	want := map[string]cert.Method{}
	for i, name := range q.Names {
		want[name] = r.chosen[min(i, len(r.chosen)-1)]
	}
	require.Equal(t, want, d.Methods())
}
