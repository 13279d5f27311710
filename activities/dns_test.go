package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// zone stands for everything outside of a check: a resolver with fixed answers, a store, and edges.
type zone struct {
	answers   []cert.Diagnosis // of each Diagnose in turn; the last one repeats
	fails     map[string]error // by the name of the call
	questions []cert.Question
	kept      []cert.Diagnosis
	before    []cert.LastAnswer
	tokens    map[string]string // tokens that edges answer now
	served    []string          // what the edges answered during the resolver's check
	ttl       time.Duration
	text      bytes.Buffer // what was logged

	candidatesOf string // domain and issuance that the CAs were asked about
}

func (z *zone) Diagnose(_ context.Context, q cert.Question) (cert.Diagnosis, error) {
	z.questions = append(z.questions, q)
	if q.Probe != nil {
		z.served = append(z.served, z.tokens[q.Probe.Token])
	}
	return z.answers[min(len(z.questions), len(z.answers))-1], z.fails["Diagnose"]
}

func (z *zone) TenantSecret(context.Context, string) ([]byte, error) {
	return []byte("secret"), z.fails["TenantSecret"]
}

func (z *zone) Candidates(_ context.Context, domain, issuance string) ([]cert.CAIdentity, error) {
	z.candidatesOf = domain + " " + issuance
	return []cert.CAIdentity{{Name: "test-ca", Directory: "https://ca.example/directory"}, {Name: "second"}}, z.fails["Candidates"]
}

func (z *zone) KeepCheck(_ context.Context, id string, d cert.Diagnosis) (cert.Diagnosis, error) {
	if id != domainID {
		return cert.Diagnosis{}, errors.New("another domain")
	}
	z.kept = append(z.kept, d)
	return d, z.fails["KeepCheck"]
}

func (z *zone) LastAnswers(_ context.Context, id string) ([]cert.LastAnswer, error) {
	if id != domainID {
		return nil, errors.New("another domain")
	}
	return z.before, z.fails["LastAnswers"]
}

func (z *zone) PutHTTPToken(_ context.Context, token, keyAuthorization string, ttl time.Duration) error {
	if err := z.fails["PutHTTPToken"]; err != nil {
		return err
	}
	z.tokens, z.ttl = map[string]string{token: keyAuthorization}, ttl
	return nil
}

func (z *zone) DeleteHTTPToken(_ context.Context, token string) error {
	if err := z.fails["DeleteHTTPToken"]; err != nil {
		return err
	}
	delete(z.tokens, token)
	return nil
}

// check runs the activity through Temporal's conversion of values.
func (z *zone) check(t *testing.T, r activities.CheckRequest) (cert.Diagnosis, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	activities.Set{DNS: &activities.DNS{
		Resolver: z,
		Tenants:  z,
		CAs:      z,
		Checks:   z,
		Probes:   z,
		Platform: cert.Platform{ValidationZone: "dcv.example.net", Target: "edge.example.net"},
		Methods:  []cert.Method{cert.HTTP01},
		Log:      slog.New(slog.NewTextHandler(&z.text, nil)),
	}}.Register(env)
	var d cert.Diagnosis
	value, err := env.ExecuteActivity(activities.CheckDNSName, r)
	if err == nil {
		err = value.Get(&d)
	}
	return d, err
}

var (
	shop  = activities.CheckRequest{Domain: cert.Domain{ID: domainID, Hostname: names[0], Names: names, Tenant: "acme"}, Issuance: "the issuance"}
	noon  = time.Date(2026, 3, 2, 12, 0, 0, 999, time.UTC)
	whole = cert.Diagnosis{
		CheckedAt: noon, Directory: "https://ca.example/directory", Verdict: cert.Wrong, Ownership: cert.OK, Pointed: cert.Wrong,
		Names:    []cert.NameResult{{Name: names[0], Reason: "its records are missing"}},
		Problems: []cert.Problem{{Code: cert.DelegationMissing, Message: "m", WhoActs: cert.TenantActs}},
		Records: []cert.RecordState{{
			Record: cert.Record{Name: "a.example.com", Type: "CNAME"}, Verdict: cert.Wrong, Found: []string{"CNAME b.example.com"},
			Seen: []cert.Sighting{{Server: "ns1", Role: cert.Authoritative, Verdict: cert.Wrong}},
		}},
		CAA:     []cert.CAAState{{CA: "test-ca", Verdict: cert.OK}},
		Servers: []cert.Nameserver{{Zone: "example.com", Name: "ns1", State: "answers"}},
	}
	behindCDN = cert.Diagnosis{CheckedAt: noon, Verdict: cert.Wrong, Problems: []cert.Problem{{Code: cert.ProxiedByCDN}}}
)

func TestTheWholeCheckIsKeptAndTheWorkflowGetsWhatItDecidesBy(t *testing.T) {
	t.Parallel()
	z := &zone{answers: []cert.Diagnosis{whole}}
	got, err := z.check(t, shop)
	require.NoError(t, err)

	want := whole
	want.CheckedAt = noon.Truncate(time.Microsecond)
	require.Equal(t, []cert.Diagnosis{want}, z.kept, "the sightings are still there: what was returned is a copy")
	want.CAA, want.Servers = nil, nil
	want.Records = []cert.RecordState{{Record: whole.Records[0].Record, Verdict: cert.Wrong, Found: whole.Records[0].Found}}
	require.Equal(t, want, got)
	payload, err := json.Marshal(got)
	require.NoError(t, err)
	require.NotContains(t, string(payload), "ns1", "histories stay small")
}

func TestTheQuestionNamesWhatThePlatformAllows(t *testing.T) {
	t.Parallel()
	z := &zone{answers: []cert.Diagnosis{whole}}
	_, err := z.check(t, shop)
	require.NoError(t, err)
	q := z.questions[0]
	require.Equal(t, names, q.Names)
	require.Len(t, q.Expected, 5)
	require.Equal(t, []cert.CAIdentity{{Name: "test-ca", Directory: "https://ca.example/directory"}, {Name: "second"}}, q.CAs)
	require.Equal(t, domainID+" the issuance", z.candidatesOf)
	require.Equal(t, []cert.Method{cert.HTTP01}, q.Methods)
	require.False(t, q.Registration)

	renewal := shop
	renewal.Registration = true
	_, err = z.check(t, renewal)
	require.NoError(t, err)
	require.True(t, z.questions[1].Registration)
}

func TestD4_ACheckKnowsWhatServersShowedBefore(t *testing.T) {
	t.Parallel()
	z := &zone{answers: []cert.Diagnosis{whole}, before: []cert.LastAnswer{{Sighting: cert.Sighting{Server: "ns1", Verdict: cert.Wrong}, At: noon}}}
	_, err := z.check(t, shop)
	require.NoError(t, err)
	require.Equal(t, z.before, z.questions[0].Before)

	unread := &zone{answers: []cert.Diagnosis{whole}, fails: map[string]error{"LastAnswers": errLost}}
	_, err = unread.check(t, shop)
	require.NoError(t, err, "a store that doesn't answer keeps nobody from a check")
	require.Empty(t, unread.questions[0].Before)
	require.Contains(t, unread.text.String(), "could not be read")
}

func TestACheckThatCannotBeKeptIsACheckAllTheSame(t *testing.T) {
	t.Parallel()
	z := &zone{answers: []cert.Diagnosis{whole}, fails: map[string]error{"KeepCheck": errLost}}
	got, err := z.check(t, shop)
	require.NoError(t, err)
	require.Equal(t, cert.Wrong, got.Verdict)
	require.Contains(t, z.text.String(), "could not be kept")
	require.Contains(t, z.text.String(), names[0])
}

func TestWithoutTenantOrCAThereIsNoVerdict(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"TenantSecret", "Candidates", "Diagnose"} {
		z := &zone{answers: []cert.Diagnosis{whole}, fails: map[string]error{call: errLost}}
		_, err := z.check(t, shop)
		require.ErrorContains(t, err, errLost.Error(), call)
		require.Equal(t, cert.Wait, activities.ReadVerdict(err).Outcome, call)
		require.Empty(t, z.kept, call)
	}
}

func TestD4_BehindACDNTheEdgesShowThatTheNameLeadsHere(t *testing.T) {
	t.Parallel()
	through := cert.Diagnosis{CheckedAt: noon, Verdict: cert.OK, Names: []cert.NameResult{{Name: names[0], Method: cert.HTTP01}}}
	z := &zone{answers: []cert.Diagnosis{behindCDN, through}}
	got, err := z.check(t, shop)
	require.NoError(t, err)
	require.Equal(t, cert.OK, got.Verdict)
	require.Len(t, z.questions, 2)
	require.Nil(t, z.questions[0].Probe)
	probe := z.questions[1].Probe
	require.Equal(t, []string{probe.KeyAuthorization}, z.served, "edges answer it during the resolver's check")
	require.GreaterOrEqual(t, len(probe.Token), 22, "128 bits (RFC 8555 §8.3)")
	require.True(t, strings.HasPrefix(probe.KeyAuthorization, probe.Token+"."))
	require.Equal(t, 2*time.Minute, z.ttl)
	require.Empty(t, z.tokens, "taken away afterwards")
	require.Len(t, z.kept, 1)
	require.Equal(t, cert.OK, z.kept[0].Verdict)

	second := &zone{answers: []cert.Diagnosis{behindCDN}}
	_, err = second.check(t, shop)
	require.NoError(t, err)
	require.NotEqual(t, probe.Token, second.questions[1].Probe.Token)
	require.Len(t, second.questions, 2, "asked once more, not for ever")
}

func TestNoProbeIsSetWhereNoneIsNeeded(t *testing.T) {
	t.Parallel()
	warned := behindCDN
	warned.Verdict = cert.OK // the delegation is in place
	for what, d := range map[string]cert.Diagnosis{"another problem": whole, "ready": warned} {
		z := &zone{answers: []cert.Diagnosis{d}, fails: map[string]error{"PutHTTPToken": errLost}}
		_, err := z.check(t, shop)
		require.NoError(t, err, what)
		require.Len(t, z.questions, 1, what)
		require.Empty(t, z.text.String(), what)
	}
}

func TestAProbeThatCannotBeSetOrTakenAwayIsOnlyLogged(t *testing.T) {
	t.Parallel()
	for call, asked := range map[string]int{"PutHTTPToken": 1, "DeleteHTTPToken": 2} {
		z := &zone{answers: []cert.Diagnosis{behindCDN}, fails: map[string]error{call: errLost}}
		got, err := z.check(t, shop)
		require.NoError(t, err)
		require.Equal(t, cert.Wrong, got.Verdict)
		require.Len(t, z.questions, asked)
		require.Contains(t, z.text.String(), errLost.Error())
		for _, token := range z.tokens {
			require.NotContains(t, z.text.String(), token)
		}
	}
}
