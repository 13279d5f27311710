package activities_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

const (
	firstCA  = "https://ca.example/directory" // outside's
	secondCA = "https://second.example/directory"
)

// platform is an outside with a second CA, and with the absences of both.
type platform struct {
	*outside
	second   *account
	absences []cert.Absence
	fails    error // of Absences and Leave
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	return &platform{outside: withCSR(t), second: &account{directory: secondCA}}
}

// account is an account at a CA that issues at once.
type account struct {
	activities.CertificateAuthority // what is not defined here is not called

	directory string
	identity  error
	orders    []string
}

func (a *account) Directory() string { return a.directory }

func (a *account) Identity(context.Context) (cert.CAIdentity, error) {
	return cert.CAIdentity{Name: "second", Directory: a.directory, AccountURI: "https://second.example/account/1"}, a.identity
}

func (a *account) Admit(context.Context) error { return nil }

func (a *account) NewOrder(_ context.Context, names []string, _ string) (string, error) {
	a.orders = append(a.orders, strings.Join(names, " "))
	return fmt.Sprintf("%s/order/%d", a.directory, len(a.orders)), nil
}

func (a *account) Complete(context.Context, string, []byte, map[string]cert.Method, func(string)) (cert.Certificate, error) {
	return cert.Certificate{Serial: "02", Names: names, Issuer: "Second CA", NotAfter: liveUntil}, nil
}

func (a *account) RenewalInfo(context.Context, []byte) (cert.Suggestion, error) {
	return cert.Suggestion{}, nil
}

func (p *platform) Absences(_ context.Context, domain string) (of []cert.Absence, err error) {
	for _, a := range p.absences {
		if (a.DomainID == "" || a.DomainID == domain) && a.Until.After(time.Now()) {
			of = append(of, a)
		}
	}
	return of, p.fails
}

func (p *platform) Leave(_ context.Context, a cert.Absence) error {
	if p.fails == nil {
		p.absences = append(p.absences, a)
	}
	return p.fails
}

func (p *platform) cas() *activities.CAs {
	return &activities.CAs{
		List: []activities.CertificateAuthority{p.outside, p.second}, Absences: p, Issuances: p.outside,
		MoveAfter: time.Minute, ReturnAfter: time.Hour, Log: p.log,
	}
}

// orderAt runs the activity for a CA.
func (p *platform) orderAt(directory string) (cert.Certificate, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	activities.Set{
		Issuance: &activities.Issuance{Store: p.outside, CAs: p.cas(), Budgets: p.outside, Keys: p.outside, Log: p.log},
	}.Register(env)
	var c cert.Certificate
	value, err := env.ExecuteActivity(activities.OrderCertificateName, activities.OrderRequest{
		IssuanceID: issuanceID,
		Directory:  directory,
		Methods:    map[string]cert.Method{names[0]: cert.DNS01, names[1]: cert.HTTP01},
		Tenant:     "acme",
	})
	if err == nil {
		err = value.Get(&c)
	}
	return c, err
}

func waits(code cert.Code, after time.Duration) error {
	return fmt.Errorf(
		"order: %w",
		&cert.Failure{Outcome: cert.Wait, RetryAfter: after, Problem: cert.Problem{Code: code, Message: "not now", WhoActs: cert.CAActs}},
	)
}

// TestF12_WhenAnOrderIsPlacedAtTheNextCA: rate limits move one domain, a CA that is down or refuses the account moves all, and a verdict
// on the names moves none.
func TestF12_WhenAnOrderIsPlacedAtTheNextCA(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		call string // Complete when empty
		want cert.Outcome
		all  bool // the CA is absent for all domains
	}{
		"a rate limit":                             {err: waits(cert.RateLimited, 3*time.Hour), call: "NewOrder", want: cert.NextCA},
		"a rate limit without a time":              {err: waits(cert.RateLimited, 0), call: "NewOrder", want: cert.NextCA},
		"a short rate limit":                       {err: waits(cert.RateLimited, 30*time.Second), call: "NewOrder", want: cert.Wait},
		"down for long":                            {err: waits(cert.CAUnavailable, 2*time.Hour), want: cert.NextCA, all: true},
		"down for a moment":                        {err: waits(cert.CAUnavailable, 10*time.Second), want: cert.Wait},
		"the account is refused":                   {err: waits(cert.AccountProblem, 5*time.Minute), call: "Admit", want: cert.NextCA, all: true},
		"a refusal that evercert does not know":    {err: waits(cert.CARejected, time.Hour), want: cert.Wait},
		"CAA forbids the CA":                       {err: refusal(cert.Refused, cert.CAAForbids), want: cert.Refused},
		"DNS is wrong":                             {err: refusal(cert.Refused, cert.DNSLookupFailed), want: cert.Refused},
		"the CA's policy refuses the name":         {err: refusal(cert.Refused, cert.DomainNotAllowed), want: cert.Refused},
		"the name is paused":                       {err: refusal(cert.Parked, cert.IdentifierPaused), want: cert.Parked},
		"the order is gone":                        {err: refusal(cert.OrderGone, cert.CAUnavailable), want: cert.OrderGone},
		"an error of the store":                    {err: errors.New("connection refused"), call: "MarkOrderTried", want: ""},
		"no answer for less than the time to move": {err: &cert.Fault{Problem: cert.Problem{Code: cert.CAUnavailable}, Err: errLost}, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			if test.call == "" {
				test.call = "Complete"
			}
			p.breaks(fault{call: test.call, err: test.err})
			_, err := p.orderAt(firstCA)
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			if test.want == "" {
				require.Equal(t, activities.FaultType, app.Type(), "the step is tried again here")
				require.Empty(t, p.absences)
				return
			}
			require.Equal(t, string(test.want), app.Type())
			if test.want != cert.NextCA {
				require.Empty(t, p.absences, "no CA is left")
				return
			}
			require.Len(t, p.absences, 1)
			a := p.absences[0]
			require.Equal(t, firstCA, a.Directory)
			require.Equal(t, test.all, a.DomainID == "")
			require.Equal(t, "not now", a.Problem.Message)
			require.True(t, a.Until.After(time.Now().Add(59*time.Minute)), "at least CA_RETURN_AFTER")
			require.Contains(t, p.settled, settled{issuanceID, false}, "the place in line, or the tokens, are given back")
		})
	}
}

// TestF12_AnOrderThatIsNotFinishedMoves: slowness is an outage, too. The time counts from the order.
func TestF12_AnOrderThatIsNotFinishedMoves(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]cert.Outcome{30 * time.Second: cert.Wait, 2 * time.Minute: cert.NextCA} {
		p := newPlatform(t)
		p.breaks(fault{call: "Complete", err: waits(cert.CAUnavailable, 0)})
		_, err := p.orderAt(firstCA)
		require.Error(t, err)
		i := p.issuances[issuanceID]
		i.OrderedAt = time.Now().Add(-age)
		p.issuances[issuanceID] = i
		p.breaks(fault{call: "Complete", err: waits(cert.CAUnavailable, 0)})
		_, err = p.orderAt(firstCA)
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, string(want), app.Type(), "%s after the order", age)
	}
}

func TestF12_NoCAIsLeftWhereNoOtherCanIssue(t *testing.T) {
	t.Parallel()
	t.Run("the other is absent", func(t *testing.T) {
		t.Parallel()
		p := newPlatform(t)
		p.absences = []cert.Absence{{Directory: secondCA, Until: time.Now().Add(time.Hour)}}
		p.breaks(fault{call: "NewOrder", err: waits(cert.RateLimited, 3*time.Hour)})
		_, err := p.orderAt(firstCA)
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, string(cert.Wait), app.Type())
	})
	t.Run("the absence cannot be noted", func(t *testing.T) {
		t.Parallel()
		p := newPlatform(t)
		p.fails = errLost
		p.breaks(fault{call: "NewOrder", err: waits(cert.RateLimited, 3*time.Hour)})
		_, err := p.orderAt(firstCA)
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.Equal(t, string(cert.Wait), app.Type(), "the next check would choose the same CA again, without end")
	})
}

func TestF12_AnOrderIsPlacedAndContinuedAtTheCAThatWasChecked(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	c, err := p.orderAt(secondCA)
	require.NoError(t, err)
	require.Equal(t, secondCA, c.Directory)
	require.Zero(t, p.count("NewOrder"), "at the first CA")
	require.Len(t, p.second.orders, 1)
	require.Equal(t, secondCA, p.reserved.Directory, "the budget is the second CA's")
	require.Equal(t, "https://second.example/account/1", p.issuances[issuanceID].AccountURL)
}

func TestF12_AnOrderOfOneCAIsNeverContinuedAtAnother(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	p.breaks(fault{call: "Complete", err: waits(cert.CAUnavailable, 10*time.Second)})
	_, err := p.orderAt(firstCA)
	require.Error(t, err)
	_, err = p.orderAt(secondCA)
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, string(cert.OrderGone), app.Type(), "a new issuance is needed")
	require.Empty(t, p.second.orders)
}

func TestF12_ACAThatIsNotThePlatformsAnyMoreGetsNoOrder(t *testing.T) {
	t.Parallel()
	p := newPlatform(t)
	_, err := p.orderAt("https://gone.example/directory")
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, string(cert.NextCA), app.Type())
	require.Zero(t, p.count("NewOrder"))
	require.Empty(t, p.second.orders)
}

func TestF12_WhoMayIssueNow(t *testing.T) {
	t.Parallel()
	ordered := func(p *platform, directory string) {
		i := p.issuances[issuanceID]
		i.OrderURL, i.Directory = "https://order.example/1", directory
		p.issuances[issuanceID] = i
	}
	away := func(directory, domain string) cert.Absence {
		return cert.Absence{Directory: directory, DomainID: domain, Until: time.Now().Add(time.Hour)}
	}
	absent := func(a ...cert.Absence) func(*platform) { return func(p *platform) { p.absences = a } }
	for name, test := range map[string]struct {
		set  func(p *platform)
		want []string
	}{
		"all are well":                            {func(*platform) {}, []string{firstCA, secondCA}},
		"the first is absent":                     {absent(away(firstCA, "")), []string{secondCA}},
		"the first is absent for another domain":  {absent(away(firstCA, "other")), []string{firstCA, secondCA}},
		"the first is absent for this domain":     {absent(away(firstCA, domainID)), []string{secondCA}},
		"all are absent":                          {absent(away(firstCA, ""), away(secondCA, "")), []string{firstCA}},
		"an order is at the second":               {func(p *platform) { ordered(p, secondCA) }, []string{secondCA, firstCA}},
		"an order is at the first, which is away": {func(p *platform) { ordered(p, firstCA); absent(away(firstCA, ""))(p) }, []string{secondCA}},
		"the absences cannot be read":             {func(p *platform) { p.fails = errLost }, []string{firstCA, secondCA}},
		"the first cannot be asked who it is":     {func(p *platform) { p.breaks(fault{call: "Identity"}) }, []string{secondCA}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			test.set(p)
			got, err := p.cas().Candidates(t.Context(), domainID, issuanceID)
			require.NoError(t, err)
			var directories []string
			for _, ca := range got {
				directories = append(directories, ca.Directory)
			}
			require.Equal(t, test.want, directories)
		})
	}
	t.Run("no CA can be asked", func(t *testing.T) {
		t.Parallel()
		p := newPlatform(t)
		p.breaks(fault{call: "Identity"})
		p.breaks(fault{call: "Identity"})
		p.second.identity = errors.New("connection refused")
		_, err := p.cas().Candidates(t.Context(), domainID, issuanceID)
		require.ErrorIs(t, err, errLost)
		require.ElementsMatch(t, []string{firstCA, secondCA}, slices.Compact(absentees(p)))
	})
}

// absentees lists the CAs that are absent, each once.
func absentees(p *platform) []string {
	var all []string
	for _, a := range p.absences {
		if !slices.Contains(all, a.Directory) {
			all = append(all, a.Directory)
		}
	}
	return all
}
