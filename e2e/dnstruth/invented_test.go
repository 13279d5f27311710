package dnstruth

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// invention is a set-up that was written down together with the source of its right answer before evercert was asked about it.
type invention struct {
	row
	source  string       // what makes the answer right: an RFC, the source of Boulder or Unbound, a provider's documentation
	either  []cert.Code  // one of these has to block
	allowed []cert.Code  // true beside the answer, and not needed
	signed  []signedZone // further zones, with keys of their own

	orUnknown, orWrong bool // that verdict is right as well
}

// ready is a set-up for which a CA issues now. The method is dns-01 where the row says nothing else.
func ready(source string, r row) invention {
	r.verdict = cert.OK
	if r.chosen == nil {
		r.chosen = dns01
	}
	return invention{row: r, source: source}
}

// doomed is a set-up for which no CA issues, and the tenant acts where the row says nothing else.
func doomed(source string, r row) invention {
	r.verdict = cert.Wrong
	if r.acts == "" {
		r.acts = cert.TenantActs
	}
	return invention{row: r, source: source}
}

// unsure is a set-up for which nobody can say now whether a CA issues.
func unsure(source string, r row) invention {
	r.verdict = cert.Unknown
	return invention{row: r, source: source}
}

func (i invention) oneOf(codes ...cert.Code) invention {
	i.either = codes
	return i
}

func (i invention) may(codes ...cert.Code) invention {
	i.allowed = codes
	return i
}

func (i invention) with(zones ...signedZone) invention {
	i.signed = zones
	return i
}

// inventions are all of them.
func inventions() []invention {
	return slices.Concat(
		inventedTyping(), inventedAliases(), inventedZones(), inventedCAA(), inventedDNSSEC(), inventedServers(),
		inventedAddresses(), inventedWeb(),
	)
}

// TestD5_Inventions diagnoses all inventions on one lab.
//
// It is not parallel: name servers and web servers have fixed addresses, which TestDNSTruth uses too.
func TestD5_Inventions(t *testing.T) {
	all := inventions()
	require.GreaterOrEqual(t, len(all), 120)
	zones, labels := platformZones(), map[string]bool{}
	for n, i := range all {
		require.False(t, labels[i.label()], "two set-ups are named %s", i.label())
		require.NotEmpty(t, i.source, "the source of %s", i.label())
		labels[i.label()] = true
		for _, z := range i.signed {
			all[n].extra = append(all[n].extra, z.zone(t, i.row))
		}
		zones = append(zones, all[n].zones()...)
	}
	lab := dnslab.Tree{Network: network, Zones: zones}.Start(t)
	startWeb(t)
	startInventedWeb(t)
	t.Run("all", func(t *testing.T) {
		for _, i := range all {
			t.Run(i.label(), func(t *testing.T) { i.run(t, lab) })
		}
	})
}

// run diagnoses and compares.
func (i invention) run(t *testing.T, lab *dnslab.Lab) {
	t.Parallel()
	q, d := i.diagnosis(t, lab)
	said := textOf(d.Problems)
	t.Logf(
		"right: %s %v %v (%s)\n%s %v\n%s\nUnbound: %s", i.verdict, i.codes, i.chosen, i.source, d.Verdict, d.Methods(), said,
		resolved(t, lab, q.Names),
	)
	if (!i.orUnknown || d.Verdict != cert.Unknown) && (!i.orWrong || d.Verdict != cert.Wrong) {
		require.Equal(t, i.verdict, d.Verdict, "verdict")
	}
	i.requireCodes(t, d)
	for _, part := range i.says {
		require.Contains(t, strings.ToLower(said), strings.ToLower(i.fill(part)))
	}
	for _, part := range i.never {
		require.NotContains(t, strings.ToLower(said), strings.ToLower(i.fill(part)))
	}
	for _, p := range d.Problems {
		require.NotEmpty(t, p.Message)
		require.NotEmpty(t, p.Remediation, "the remedy of %s", p.Code)
		require.NotEmpty(t, p.WhoActs)
		require.False(t, strings.HasSuffix(strings.TrimSpace(p.Message), " of"), "the message ends in the middle: %s", p.Message)
	}
	if i.verdict != cert.OK {
		require.Empty(t, d.Methods())
		return
	}
	for n, name := range q.Names {
		require.Equal(t, i.chosen[min(n, len(i.chosen)-1)], d.Methods()[name], "method of %s", name)
	}
}

// requireCodes checks that all that must be reported is, and nothing that isn't so.
func (i invention) requireCodes(t *testing.T, d cert.Diagnosis) {
	t.Helper()
	by := map[cert.Severity][]cert.Code{}
	for _, p := range d.Problems {
		severity := cert.Blocks
		if p.Severity == cert.Warns {
			severity = cert.Warns
		}
		by[severity] = append(by[severity], p.Code)
	}
	require.Subset(t, by[cert.Blocks], i.codes, "codes of problems that block")
	require.Subset(t, by[cert.Warns], i.warns, "codes of problems that don't block")
	if len(i.either) > 0 {
		said := by[cert.Blocks]
		if d.Verdict == cert.Unknown { // nothing blocks but that it isn't known
			said = slices.Concat(said, by[cert.Warns])
		}
		require.True(
			t, slices.ContainsFunc(i.either, func(c cert.Code) bool { return slices.Contains(said, c) }),
			"one of %v must be said, not %v", i.either, said,
		)
	}
	for _, code := range by[cert.Blocks] {
		require.Contains(t, slices.Concat(i.codes, i.either, i.allowed), code, "blocks without need")
	}
	for _, code := range by[cert.Warns] {
		require.Contains(t, slices.Concat(i.warns, i.either, i.allowed), code, "warns without need")
	}
	if i.acts == "" {
		return
	}
	for _, p := range d.Problems {
		if p.Severity != cert.Warns && slices.Contains(slices.Concat(i.codes, i.either), p.Code) {
			require.Equal(t, i.acts, p.WhoActs, "who acts on %s", p.Code)
		}
	}
}

// resolved is what the lab's Unbound says to the questions that a CA asks about names.
func resolved(t *testing.T, lab *dnslab.Lab, names []string) string {
	t.Helper()
	var text strings.Builder
	client := dns.Client{Net: "tcp", Timeout: 8e9}
	ask := func(name string, kind uint16) {
		reply, _, err := client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), lab.Resolver)
		if err != nil {
			fmt.Fprintf(&text, "\n\t%s %s: %v", name, dns.TypeToString[kind], err)
			return
		}
		fmt.Fprintf(&text, "\n\t%s %s: %s", name, dns.TypeToString[kind], dns.RcodeToString[reply.Rcode])
		for _, rr := range reply.Answer[:min(len(reply.Answer), 12)] {
			fmt.Fprintf(&text, "; %s", strings.ReplaceAll(strings.TrimPrefix(rr.String(), rr.Header().String()), "\t", " "))
		}
	}
	for _, name := range names {
		name = strings.TrimPrefix(name, "*.")
		ask("_acme-challenge."+name, dns.TypeTXT)
		ask(name, dns.TypeA)
		ask(name, dns.TypeAAAA)
		for at := name; at != ""; _, at, _ = strings.Cut(at, ".") {
			ask(at, dns.TypeCAA)
		}
	}
	return text.String()
}
