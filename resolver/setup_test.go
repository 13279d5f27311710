package resolver_test

import (
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

var (
	platform = cert.Platform{
		ValidationZone: "dcv.platform.net", Target: "shops.platform.net", Addresses: []string{"192.0.2.10", "2001:db8::10"},
	}
	secret = []byte("the secret of the tenant in tests")

	letsEncrypt = cert.CAIdentity{Name: "letsencrypt", Domains: []string{"letsencrypt.org"}, AccountURI: "https://ca.example/acct/1"}
	google      = cert.CAIdentity{Name: "google", Domains: []string{"pki.goog"}, AccountURI: "https://gts.example/acct/9"}
)

// setup is one way a tenant's DNS can be, and what the diagnosis must say of it. In its strings $OWNERSHIP and $DELEGATION
// stand for the values of the first name's records.
type setup struct {
	name    string
	names   []string          // shop.example.com when empty
	zone    string            // changes to records that are all right, see world.change
	others  []string          // further resolvers: what each shows in place of zone
	cas     []cert.CAIdentity // letsEncrypt when empty
	config  func(*resolver.Config)
	verdict cert.Verdict
	methods []cert.Method // of each name, when the verdict is ok
	codes   []cert.Code   // of all problems, in order
	acts    cert.Actor    // on the first problem
	says    []string      // parts of the problems, as a person reads them
}

func (s setup) domain() cert.Domain {
	if len(s.names) == 0 {
		s.names = []string{"shop.example.com"}
	}
	return cert.Domain{ID: "1", Hostname: s.names[0], Names: s.names, Tenant: "acme"}
}

func (s setup) question() cert.Question {
	d := s.domain()
	if len(s.cas) == 0 {
		s.cas = []cert.CAIdentity{letsEncrypt}
	}
	_, above := cert.OwnershipRecords(d.Names, d.Tenant, secret)
	return cert.Question{Names: d.Names, Expected: platform.ExpectedRecords(d, secret), Above: above, CAs: s.cas}
}

// fill puts the values into a string of the setup.
func (s setup) fill(text string) string {
	d := s.domain()
	return strings.NewReplacer("$OWNERSHIP", cert.OwnershipValue(d.Hostname, d.Tenant, secret),
		"$DELEGATION", cert.DelegationLabel(d.Hostname, secret)+"."+platform.ValidationZone).Replace(text)
}

// start makes a world in which all is right, then changes it.
func (s setup) start(t testing.TB, changes string) *world {
	w := newWorld(t)
	var right strings.Builder
	for _, r := range s.question().Expected {
		value := r.Value
		switch r.Type {
		case "TXT":
			value = `"` + value + `"`
		case "CNAME":
			value += "."
		}
		right.WriteString("add " + r.Name + ". 60 " + r.Type + " " + value + "\n")
	}
	right.WriteString(`add shops.platform.net. 60 A 192.0.2.10
		add shops.platform.net. 60 AAAA 2001:db8::10
		add *.dcv.platform.net. 60 HINFO "names here" "exist"`)
	w.change(t, right.String())
	w.change(t, s.fill(changes))
	return w
}

func (s setup) diagnose(t *testing.T) cert.Diagnosis { return s.answer(t, s.question()) }

// answer diagnoses by another question than that of the setup.
func (s setup) answer(t *testing.T, q cert.Question) cert.Diagnosis {
	config := resolver.Config{QueryTimeout: 3 * time.Second, CheckTimeout: 10 * time.Second, RequireOwnership: true}
	for _, changes := range append([]string{s.zone}, s.others...) {
		config.Resolvers = append(config.Resolvers, s.start(t, changes).address)
	}
	if s.config != nil {
		s.config(&config)
	}
	r, err := resolver.New(config, quiet())
	require.NoError(t, err)
	d, err := r.Diagnose(t.Context(), q)
	require.NoError(t, err)
	return d
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// run diagnoses and compares.
func (s setup) run(t *testing.T) {
	t.Parallel()
	d := s.diagnose(t)
	require.Equal(t, s.verdict, d.Verdict, "verdict; problems: %v", d.Problems)
	var codes []cert.Code
	var said strings.Builder
	for _, p := range d.Problems {
		codes = append(codes, p.Code)
		said.WriteString(strings.Join([]string{p.Message, p.Remediation, p.Found, ""}, "\n"))
		t.Logf("%s, %s acts\n%s\n%s\nfound: %s", p.Code, p.WhoActs, p.Message, p.Remediation, p.Found)
		requireFitForPeople(t, p)
	}
	require.Equal(t, s.codes, codes, "codes; problems: %v", d.Problems)
	if len(s.codes) > 0 {
		require.Equal(t, s.acts, d.Problems[0].WhoActs, "who acts")
	}
	for _, part := range s.says {
		require.Contains(t, said.String(), s.fill(part))
	}
	s.requireWhole(t, d)
}

// requireWhole checks what holds for every diagnosis.
func (s setup) requireWhole(t *testing.T, d cert.Diagnosis) {
	q := s.question()
	require.False(t, d.CheckedAt.IsZero())
	require.Len(t, d.Records, len(q.Expected))
	for i, state := range d.Records {
		require.Equal(t, q.Expected[i], state.Record)
		require.Contains(t, []cert.Verdict{cert.OK, cert.Wrong, cert.Unknown}, state.Verdict)
	}
	if d.Verdict != cert.OK {
		require.Empty(t, d.Methods())
		require.NotEmpty(t, d.Problems, "a verdict that isn't ok must be explained")
		require.NotEmpty(t, blocking(d), "problems that only warn don't explain it")
		return
	}
	want := map[string]cert.Method{}
	for i, name := range q.Names {
		want[name] = s.methods[min(i, len(s.methods)-1)]
	}
	require.Equal(t, want, d.Methods())
}

// blocking lists the codes of the problems that keep a certificate from being ordered.
func blocking(d cert.Diagnosis) []cert.Code {
	var codes []cert.Code
	for _, p := range d.Problems {
		if p.Severity != cert.Warns {
			codes = append(codes, p.Code)
		}
	}
	return codes
}

// incomplete finds places where a name or a value is missing: "the records of .", "a record named ", empty quotes and brackets.
var incomplete = regexp.MustCompile(
	`(^|\s)(of|named|about|value|leads to|shows|at|from)\s*([.;)]|$)|(^|\s)(of|named):|\(\)|""|''|“”|  `,
)

// requireFitForPeople checks that a problem says what to do, and blames nobody for what could not be looked up.
func requireFitForPeople(t *testing.T, p cert.Problem) {
	require.NotEmpty(t, p.Message)
	require.NotEmpty(t, p.Remediation)
	require.NotContains(t, p.Message+p.Remediation, "%!")
	for _, sentence := range []string{p.Message, p.Remediation} {
		require.NotRegexp(t, incomplete, sentence, "a name or a value is missing")
	}
	if slices.Contains([]cert.Code{cert.DNSLookupFailed, cert.CAALookupFailed}, p.Code) {
		require.Equal(t, cert.PlatformActs, p.WhoActs)
		require.NotContains(t, p.Remediation, "At your DNS provider")
		return
	}
	if p.WhoActs == cert.TenantActs && p.Record != nil {
		require.Contains(t, p.Remediation, "At your DNS provider")
		require.Contains(t, p.Remediation, p.Record.Name)
	}
}
