package dnstruth

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
	"github.com/evercert/evercert/resolver"
)

// The platform that the tenants of the tests belong to.
var (
	platform = cert.Platform{ValidationZone: "dcv.platform.net", Target: "shops.platform.net", Addresses: []string{edgeIPv4, edgeIPv6}}
	secret   = []byte("the secret of the tenant in tests")

	letsEncrypt = cert.CAIdentity{Name: "letsencrypt", Domains: []string{"letsencrypt.org"}, AccountURI: "https://ca.example/acct/1"}
	google      = cert.CAIdentity{Name: "google", Domains: []string{"pki.goog"}, AccountURI: "https://gts.example/acct/9"}
	probe       = cert.Probe{Token: "evercert-probe-of-the-tests", KeyAuthorization: "evercert-probe-of-the-tests.thumbprint"}
)

// platformZones are the zones of the platform itself, and of strangers that tenants' records lead to.
func platformZones() []dnslab.Zone {
	both := []string{dnslab.BIND, dnslab.Knot}
	zone := func(name, text string) dnslab.Zone {
		ns := dnslab.NS(both...)
		return dnslab.Zone{Name: name, Delegation: ns, On: dnslab.OnEach(ns+text, both...)}
	}
	return []dnslab.Zone{
		zone("platform.net", fmt.Sprintf(`shops A %s
shops AAAA %s
v6dead A %[1]s
v6dead AAAA %[3]s
silent A %[4]s
nobody CAA 0 issue "other.example"
nobody A %[1]s
`, edgeIPv4, edgeIPv6, ipv6Dead, hostSilent)),
		zone("dcv.platform.net", `* HINFO "names here" "exist"`+"\n"), // a name of the validation zone without values
		zone("stranger.org", fmt.Sprintf("www A %s\n", hostOld)),
		{Name: "outage.org", Delegation: dnslab.NS(both...), On: dnslab.OnEach(dnslab.NotLoaded, both...)},
	}
}

// configOf is what a diagnosis in the lab needs.
func configOf(lab *dnslab.Lab) resolver.Config {
	return resolver.Config{
		Resolvers: []string{lab.Resolver}, RootHints: lab.Roots, TrustAnchors: []string{lab.TrustAnchor}, AuthorityPort: 53,
		QueryTimeout: 2 * time.Second, CheckTimeout: 30 * time.Second, ProbeTimeout: 3 * time.Second, SilentWait: 6 * time.Hour,
		RequireOwnership: true, RDAPServers: []string{"example=http://" + registry + "/"},
		ProbeAllow: []string{"127.0.0.0/8", "fd54::/16"}, ProbeHTTPPort: 80, ProbeHTTPSPort: 443,
	}
}

func diagnose(t *testing.T, config resolver.Config, q cert.Question) cert.Diagnosis {
	t.Helper()
	r, err := resolver.New(config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	d, err := r.Diagnose(t.Context(), q)
	require.NoError(t, err)
	return d
}

// requireFitForPeople checks that a problem says what to do, and blames nobody for what could not be looked up.
func requireFitForPeople(t *testing.T, p cert.Problem) {
	t.Helper()
	require.NotEmpty(t, p.Message)
	require.NotEmpty(t, p.Remediation)
	require.NotEmpty(t, p.WhoActs)
	text := p.Message + p.Remediation + p.Found
	for _, unfit := range []string{"%!", "read udp", "dial tcp", "i/o timeout", "0x", "goroutine"} {
		require.NotContains(t, text, unfit)
	}
	for _, sentence := range []string{p.Message, p.Remediation} {
		require.NotRegexp(t, `(^|\s)(of|named|about|value|leads to)\s*([.;)]|:(\s|$)|$)|\(\)|  `, sentence, "something is missing")
	}
	switch {
	case slices.Contains([]cert.Code{cert.DNSLookupFailed, cert.CAALookupFailed}, p.Code):
		require.Equal(t, cert.PlatformActs, p.WhoActs)
		require.NotContains(t, p.Remediation, "At your DNS provider")
	case p.WhoActs == cert.TenantActs && p.Record != nil:
		require.Contains(t, p.Remediation, "At your DNS provider")
		require.Contains(t, p.Remediation, p.Record.Name)
	}
}

// textOf returns what a person reads of the problems.
func textOf(problems []cert.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s (%s, %s acts)\n\t%s\n\t%s\n\tfound: %s\n", p.Code, p.Severity, p.WhoActs, p.Message, p.Remediation, p.Found)
	}
	return b.String()
}
