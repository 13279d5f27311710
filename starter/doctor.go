package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

// doctorFlags are what a person may say to doctor. What is not said is taken from the environment.
type doctorFlags struct {
	methods           []string
	cas               []string
	accountURI        string
	target            string
	addresses         []string
	delegationTargets []string
	resolvers         []string
	rootHints         []string
	registration      bool
	timeout           time.Duration
}

// doctorCommand checks names in this process: it works where evercert is not installed, for names that nobody connected.
func (a *app) doctorCommand() *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use: "doctor NAME...", Short: "What a CA would see of any domain, what is wrong and who acts", Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.doctor(cmd.Context(), args, flags) },
	}
	cmd.Long = `Look at names as a CA would before it issues a certificate: their name servers, records, DNSSEC, CAA, and what answers at their
addresses. Nothing has to be connected, and neither database, Temporal nor API is needed. Several names are checked as if
for one certificate.

Then the names are visited over HTTPS, at each of their addresses, as a browser on this machine would: where it works from here and not for
the person who calls, the cause is in their own environment. The exit code says nothing of that.

Where the records should lead is compared when it is known: from --target, --address and --delegation-target, or from PLATFORM_TARGET and
PLATFORM_ADDRESSES. For a connected domain, "evercert check" knows all of it.

Exit codes: 0 an order placed now is expected to succeed · 1 a fault of evercert · 2 the request was wrong · 4 something is wrong ·
5 could not know, because answers did not come; try again.`
	cmd.Example = `  evercert doctor shop.example.com
  evercert doctor shop.example.com --target edge.example.net --ca letsencrypt.org --ca pki.goog
  evercert doctor '*.example.com' --method dns-01 --json`
	f := cmd.Flags()
	f.StringSliceVar(
		&flags.methods,
		"method",
		nil,
		"validation method to judge: dns-01, http-01 or tls-alpn-01; may be repeated, best first (all)",
	)
	f.StringSliceVar(&flags.cas, "ca", []string{"letsencrypt.org"}, "issuer domain name of a CA, as in CAA records; may be repeated")
	f.StringVar(&flags.accountURI, "account-uri", "", "account at the CA, for CAA records that name one")
	f.StringVar(&flags.target, "target", "", "name that the names' CNAME records should lead to (PLATFORM_TARGET)")
	f.StringSliceVar(&flags.addresses, "address", nil, "IP address that the names should have; may be repeated (PLATFORM_ADDRESSES)")
	f.StringSliceVar(
		&flags.delegationTargets,
		"delegation-target",
		nil,
		"name that the CNAME at _acme-challenge should lead to; one for all names, or one for each in their order",
	)
	f.StringSliceVar(&flags.resolvers, "resolver", nil, "recursive resolver to ask, host:port; may be repeated (DNS_RESOLVERS)")
	f.StringSliceVar(
		&flags.rootHints,
		"root-hint",
		nil,
		`root server to begin at, host:port; may be repeated; "none" asks only the resolvers (DNS_ROOT_HINTS)`,
	)
	f.BoolVar(
		&flags.registration,
		"registration",
		false,
		"ask the registry for the registration even where DNS shows nothing wrong (RDAP_SERVERS)",
	)
	f.DurationVar(&flags.timeout, "timeout", 0, "for the whole check (DNS_CHECK_TIMEOUT)")
	return cmd
}

// doctor checks the names and shows the result. Its error is judged where the names are not right, so that scripts see it in the exit code.
func (a *app) doctor(ctx context.Context, args []string, flags doctorFlags) error {
	settings, err := a.doctorSettings(flags)
	if err != nil {
		return err
	}
	names, err := doctorNames(args, cert.NameRules{TestSuffixes: settings.TestSuffixes})
	if err != nil {
		return err
	}
	question, err := flags.question(names, settings)
	if err != nil {
		return err
	}
	said := a.whileWaiting(fmt.Sprintf("asking the name servers of %s, %d resolvers and the addresses found; up to %s",
		cert.Enumerate(names), len(settings.Resolvers), settings.CheckTimeout))
	var (
		visits   []resolver.Visit
		visiting error
		visited  sync.WaitGroup
	)
	visited.Go(func() { visits, visiting = a.visit(ctx, settings, question) })
	d, err := a.diagnose(ctx, settings.Config, question)
	visited.Wait()
	said()
	if err != nil {
		return carriedOut{err}
	}
	a.showVerdict(names, d, visits)
	if !a.json {
		notCompared(a, question)
	}
	if visiting != nil {
		return carriedOut{visiting}
	}
	return judge(d.Verdict)
}

// diagnose is the check itself; tests put another in its place.
func diagnose(ctx context.Context, settings resolver.Config, q cert.Question) (cert.Diagnosis, error) {
	r, err := resolver.New(settings, slog.Default())
	if err != nil {
		return cert.Diagnosis{}, err
	}
	return r.Diagnose(ctx, q)
}

// doctorSettings are those of the environment or a development stack, with the flags over them.
func (a *app) doctorSettings(flags doctorFlags) (doctorSettings, error) {
	settings, err := loadDoctorSettings(a.environ, a.stackFile, len(flags.resolvers) > 0)
	if err != nil {
		return doctorSettings{}, err
	}
	c := &settings.Config
	c.RequireOwnership = false // who owns the names is for a platform to ask, not for this command
	if len(flags.resolvers) > 0 {
		c.Resolvers = withPort(flags.resolvers)
	}
	switch {
	case slices.Equal(flags.rootHints, []string{"none"}):
		c.RootHints = nil
	case len(flags.rootHints) > 0:
		c.RootHints = withPort(flags.rootHints)
	}
	if flags.timeout < 0 {
		return doctorSettings{}, fmt.Errorf("--timeout is %s; it expects a time such as 10s", flags.timeout)
	}
	if flags.timeout > 0 {
		c.CheckTimeout = flags.timeout
		c.QueryTimeout, c.ProbeTimeout = min(c.QueryTimeout, flags.timeout), min(c.ProbeTimeout, flags.timeout)
	}
	if flags.target != "" {
		settings.Target = flags.target
	}
	if len(flags.addresses) > 0 {
		settings.Addresses = flags.addresses
	}
	return settings, c.Validate()
}

// withPort adds the port of DNS to addresses that were given without one.
func withPort(servers []string) []string {
	complete := slices.Clone(servers)
	for i, server := range complete {
		if a, err := netip.ParseAddr(strings.Trim(server, "[]")); err == nil {
			complete[i] = net.JoinHostPort(a.String(), "53")
		}
	}
	return complete
}

// doctorNames are the names as DNS has them. Wildcards can't be connected, but they can be asked about.
func doctorNames(args []string, rules cert.NameRules) ([]string, error) {
	var names []string
	for _, arg := range args {
		base, wildcard := strings.CutPrefix(arg, "*.")
		name, err := rules.Parse(base)
		if err != nil {
			return nil, err
		}
		if wildcard {
			name = "*." + name
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// question is what is asked about the names.
func (flags doctorFlags) question(names []string, settings doctorSettings) (cert.Question, error) {
	q := cert.Question{Names: names, Registration: flags.registration, Once: true}
	for _, m := range flags.methods {
		if !slices.Contains(everyMethod, cert.Method(m)) {
			return cert.Question{}, fmt.Errorf("--method is %q; it expects dns-01, http-01 or tls-alpn-01", m)
		}
		q.Methods = append(q.Methods, cert.Method(m))
	}
	if len(q.Methods) == 0 {
		q.Methods = everyMethod
	}
	if flags.accountURI != "" && len(flags.cas) != 1 {
		return cert.Question{}, fmt.Errorf("--account-uri is of one CA; it expects one --ca, and there are %d", len(flags.cas))
	}
	for _, domain := range flags.cas {
		q.CAs = append(q.CAs, cert.CAIdentity{Name: domain, Domains: []string{domain}, AccountURI: flags.accountURI})
	}
	delegations, err := flags.delegations(names)
	if err != nil {
		return cert.Question{}, err
	}
	addresses, err := settings.addressRecords(names)
	q.Expected = append(delegations, addresses...)
	return q, err
}

var everyMethod = []cert.Method{cert.DNS01, cert.HTTP01, cert.TLSALPN01}

// delegations are the CNAME records of --delegation-target. A wildcard shares its base name's.
func (flags doctorFlags) delegations(names []string) ([]cert.Record, error) {
	targets := flags.delegationTargets
	if len(targets) > 1 && len(targets) != len(names) {
		return nil, fmt.Errorf(
			"--delegation-target is given %d times for %d names; it expects one for all, or one for each",
			len(targets),
			len(names),
		)
	}
	var records []cert.Record
	for i, name := range names {
		if len(targets) == 0 {
			break
		}
		r := cert.DelegationRecord(name, canonical(targets[i%len(targets)]))
		if !slices.Contains(records, r) {
			records = append(records, r)
		}
	}
	return records, nil
}

// addressRecords are those by which the names should lead visitors to the platform, as far as it is known where that is.
func (s doctorSettings) addressRecords(names []string) ([]cert.Record, error) {
	platform := cert.Platform{Target: canonical(s.Target)}
	for _, address := range s.Addresses {
		a, err := netip.ParseAddr(address)
		if err != nil {
			return nil, fmt.Errorf("--address or PLATFORM_ADDRESSES has %q; it expects IP addresses such as 203.0.113.7 or 2001:db8::7", address)
		}
		platform.Addresses = append(platform.Addresses, a.String())
	}
	var records []cert.Record
	for _, name := range names {
		if !strings.HasPrefix(name, "*.") { // wildcards are validated by dns-01 only
			records = append(records, platform.AddressRecords(name)...)
		}
	}
	return records, nil
}

func canonical(name string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
}

// notCompared says what could not be held against anything, so that nobody takes its silence for praise.
func notCompared(a *app, q cert.Question) {
	expects := func(p cert.Purpose) bool {
		return slices.ContainsFunc(q.Expected, func(r cert.Record) bool { return r.Purpose == p })
	}
	var unsaid []string
	if !expects(cert.ForAddress) {
		unsaid = append(unsaid, "where visitors are led (--target, --address)")
	}
	if !expects(cert.ForDelegation) {
		unsaid = append(unsaid, "the delegation of dns-01 (--delegation-target)")
	}
	if len(unsaid) > 0 {
		fmt.Fprintf(a.out, "\nNot compared with anything, because it was not said what is right: %s.\n", strings.Join(unsaid, "; "))
	}
}
