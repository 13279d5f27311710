package activities_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// withCSR returns an outside whose issuance has its CSR.
func withCSR(t *testing.T) *outside {
	t.Helper()
	o := newOutside()
	_, err := o.createCSR()
	require.NoError(t, err)
	o.calls = nil
	return o
}

// lost requires that a run failed with a fault, which Temporal retries.
func lost(t *testing.T, err error) {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, activities.FaultType, app.Type())
	require.False(t, app.NonRetryable())
}

func refusal(o cert.Outcome, code cert.Code) error {
	return fmt.Errorf(
		"order: %w",
		&cert.Failure{Outcome: o, Problem: cert.Problem{Code: code, Message: "no", Remediation: "ask", WhoActs: cert.CAActs}, Err: errLost},
	)
}

func TestAnOrderBecomesAStoredCertificate(t *testing.T) {
	t.Parallel()
	o := withCSR(t)
	c, err := o.orderCertificate()
	require.NoError(t, err)
	require.Equal(
		t,
		[]string{
			"Issuance", "Identity", "Admit", "Reserve", "MarkOrderTried", "PlaceOrder", "NewOrder", "KeepOrder", "Complete", "SaveCertificate",
			"Settle",
			"RenewalInfo",
		},
		o.calls,
		"each step is stored before the next, and the CA isn't asked for a lost order where none can be",
	)
	require.Equal(
		t,
		cert.Certificate{
			Serial:     "01",
			IssuanceID: issuanceID,
			DomainID:   domainID,
			Names:      names,
			Issuer:     "Test CA",
			NotAfter:   c.NotAfter,
			Directory:  "https://ca.example/directory",
		},
		c,
	)
	require.Equal(t, c, o.certificates["01"])
	require.Equal(t, "https://ca.example/account/1", o.issuances[issuanceID].AccountURL)
	require.Equal(t, "https://ca.example/directory", o.issuances[issuanceID].Directory)
	require.Equal(t, []settled{{issuanceID, true}}, o.settled)
	require.Equal(t, cert.Reservation{IssuanceID: issuanceID, Directory: "https://ca.example/directory", Tenant: "acme", Names: names, Renewal: true, NotAfter: liveUntil}, o.reserved)
}

func TestFailedBeforeTheOrderWasSentTheNextRunLooksThenOrdersOnce(t *testing.T) {
	t.Parallel()
	o := withCSR(t)
	o.breaks(fault{call: "PlaceOrder"}) // the process died after MarkOrderTried
	_, err := o.orderCertificate()
	lost(t, err)
	require.Zero(t, o.count("NewOrder"))
	_, err = o.orderCertificate()
	require.NoError(t, err)
	require.Equal(t, []string{"PlaceOrder", "FindOrder", "NewOrder", "KeepOrder"}, o.calls[len(o.calls)-8:len(o.calls)-4])
	require.Len(t, o.orders, 1)
	require.Equal(t, 1, o.count("Reserve"), "a retry has paid already")
	require.Equal(t, 2, o.count("MarkOrderTried"), "each run marks its own try")
}

func TestAnOrderWhoseAnswerWasLostIsFoundNotRepeated(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"NewOrder", "KeepOrder"} {
		o := withCSR(t)
		o.breaks(fault{call: call, done: call == "NewOrder"}) // placed at the CA, but its URL was not stored
		_, err := o.orderCertificate()
		lost(t, err)
		require.Len(t, o.orders, 1)
		require.Empty(t, o.issuances[issuanceID].OrderURL)
		_, err = o.orderCertificate()
		require.NoError(t, err)
		require.Len(t, o.orders, 1, call)
		require.Equal(t, 1, o.count("NewOrder"), call)
	}
}

func TestAnOrderOfAnotherIssuanceIsNotTaken(t *testing.T) {
	t.Parallel()
	o := withCSR(t)
	o.orders = []order{{url: "https://ca.example/order/1", names: names}} // the same names, but of another issuance
	o.issuances["other"] = cert.Issuance{ID: "other", OrderURL: "https://ca.example/order/1"}
	o.breaks(fault{call: "PlaceOrder"})
	_, err := o.orderCertificate()
	lost(t, err)
	_, err = o.orderCertificate()
	require.NoError(t, err)
	require.Equal(t, "https://ca.example/order/2", o.issuances[issuanceID].OrderURL)
}

func TestAPlacedOrderIsCompletedFromItsStoredURL(t *testing.T) {
	t.Parallel()
	for _, f := range []fault{{call: "KeepOrder", done: true}, {call: "Complete"}, {call: "Complete", done: true}} {
		o := withCSR(t)
		o.breaks(f)
		_, err := o.orderCertificate()
		lost(t, err)
		require.Equal(t, "https://ca.example/order/1", o.issuances[issuanceID].OrderURL)
		o.calls = nil
		_, err = o.orderCertificate()
		require.NoError(t, err)
		require.Equal(t, []string{"Issuance", "Identity", "Admit", "Complete", "SaveCertificate", "Settle", "RenewalInfo"}, o.calls, "%+v", f)
		require.Len(t, o.orders, 1)
	}
}

func TestACertificateThatWasNotStoredIsDownloadedAgain(t *testing.T) {
	t.Parallel()
	o := withCSR(t)
	o.breaks(fault{call: "SaveCertificate"})
	_, err := o.orderCertificate()
	lost(t, err)
	require.Empty(t, o.certificates)
	issued := o.orders[0].serial
	c, err := o.orderCertificate()
	require.NoError(t, err)
	require.Equal(t, issued, c.Serial)
	require.Equal(t, 2, o.count("Complete"))
	require.Equal(t, 1, o.count("NewOrder"))
	require.Equal(t, []settled{{issuanceID, true}}, o.settled, "the budgets are settled once")
}

func TestAStoredCertificateIsReturnedWithoutTheCA(t *testing.T) {
	t.Parallel()
	o := withCSR(t)
	o.breaks(fault{call: "SaveCertificate", done: true}) // stored, and the worker died before it could report it
	_, err := o.orderCertificate()
	lost(t, err)
	o.calls = nil
	c, err := o.orderCertificate()
	require.NoError(t, err)
	require.Equal(t, o.certificates["01"], c)
	require.Equal(t, []string{"Issuance", "Certificate"}, o.calls)
}

func TestWithoutBudgetNothingIsOrderedOrMarked(t *testing.T) {
	t.Parallel()
	o := withCSR(t)
	o.place = cert.Place{N: 70, At: time.Date(2026, 1, 5, 13, 37, 59, 0, time.FixedZone("", 3600)), Wait: 42 * time.Minute}
	_, err := o.orderCertificate()
	v := activities.ReadVerdict(err)
	require.Equal(t, cert.Wait, v.Outcome)
	require.Equal(t, cert.WaitingForBudget, v.Problem.Code)
	require.Equal(t, cert.PlatformActs, v.Problem.WhoActs)
	require.Contains(t, v.Problem.Message, "place 70 in line, at 2026-01-05T12:37Z")
	require.Equal(t, 42*time.Minute, v.RetryAfter)
	require.NotEmpty(t, v.Problem.Remediation)
	require.Equal(t, []string{"Issuance", "Identity", "Admit", "Reserve"}, o.calls)
	require.Zero(t, o.issuances[issuanceID].OrderTries)

	o.place = cert.Place{}
	_, err = o.orderCertificate()
	require.NoError(t, err, "the same issuance goes on when there is room")
	require.Zero(t, o.count("FindOrder"))
}

// TestF3_WhileTheCARefusesTheAccountNothingIsReservedOrAskedFor: neither for a new order nor for one that exists.
func TestF3_WhileTheCARefusesTheAccountNothingIsReservedOrAskedFor(t *testing.T) {
	t.Parallel()
	blocked := &cert.Failure{
		Outcome:    cert.Wait,
		RetryAfter: 5 * time.Minute,
		Problem:    cert.Problem{Code: cert.AccountProblem, Message: "new terms", WhoActs: cert.PlatformActs},
	}
	for _, placed := range []string{"", "https://ca.example/order/1"} {
		o := withCSR(t)
		i := o.issuances[issuanceID]
		if placed != "" {
			i.OrderURL, i.OrderTries, i.Directory, i.AccountURL = placed, 1, o.identity.Directory, o.identity.AccountURI
			o.issuances[issuanceID] = i
		}
		o.breaks(fault{call: "Admit", err: blocked})
		_, err := o.orderCertificate()
		v := activities.ReadVerdict(err)
		require.Equal(t, activities.Verdict{Outcome: cert.Wait, Problem: blocked.Problem, RetryAfter: blocked.RetryAfter}, v)
		require.Equal(t, []string{"Issuance", "Identity", "Admit"}, o.calls)
		require.Equal(t, i, o.issuances[issuanceID])
	}
}

// TestAnOrderIsContinuedOnlyWhereItWasPlaced: the CA that is configured now gets no request.
func TestAnOrderIsContinuedOnlyWhereItWasPlaced(t *testing.T) {
	t.Parallel()
	const here, staging, account = "https://ca.example/directory", "https://staging.example/directory", "https://ca.example/account/1"
	for what, test := range map[string]struct {
		change func(*cert.Issuance)
		gone   string // in the message; the order is continued without it
	}{
		"the same CA and account": {func(i *cert.Issuance) {
			i.OrderURL, i.Directory, i.AccountURL = "https://ca.example/order/1", here, account
		}, ""},
		"stored before directories were": {func(i *cert.Issuance) { i.OrderURL, i.AccountURL = "https://ca.example/order/1", account }, ""},
		"stored before, at another CA": {func(i *cert.Issuance) {
			i.OrderURL, i.AccountURL = "https://staging.example/order/1", "https://staging.example/account/1"
		}, "not used any more"},
		"another CA": {func(i *cert.Issuance) {
			i.OrderURL, i.Directory, i.AccountURL = "https://staging.example/order/1", staging, "https://staging.example/account/1"
		}, "at another CA"},
		"another CA, and its answer was lost": {
			func(i *cert.Issuance) { i.Directory, i.AccountURL = staging, "https://staging.example/account/1" }, "at another CA",
		},
		"an account that was replaced": {func(i *cert.Issuance) {
			i.OrderURL, i.Directory, i.AccountURL = "https://ca.example/order/1", here, "https://ca.example/account/0"
		}, "not used any more"},
		"an account that was replaced, not yet placed": {
			func(i *cert.Issuance) { i.Directory, i.AccountURL = here, "https://ca.example/account/0" }, "",
		},
	} {
		o := withCSR(t)
		i := o.issuances[issuanceID]
		i.OrderTries = 1
		test.change(&i)
		o.issuances[issuanceID] = i
		o.orders = []order{{url: i.OrderURL, names: names}}
		_, err := o.orderCertificate()
		if test.gone == "" {
			require.NoError(t, err, what)
			continue
		}
		v := activities.ReadVerdict(err)
		require.Equal(t, cert.OrderGone, v.Outcome, what)
		require.Contains(t, v.Problem.Message, test.gone, what)
		require.Equal(t, []string{"Issuance", "Identity", "Settle"}, o.calls, what)
	}
}

// TestAnOrderThatEndsWithoutACertificateGivesItsBudgetBack: the limits that count certificates were not used.
func TestAnOrderThatEndsWithoutACertificateGivesItsBudgetBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		call    string
		outcome cert.Outcome
	}{
		{"Complete", cert.Refused},
		{"Complete", cert.OrderGone},
		{"NewOrder", cert.Refused},
	} {
		t.Run(fmt.Sprintf("%s %s", c.call, c.outcome), func(t *testing.T) {
			t.Parallel()
			o := withCSR(t)
			o.breaks(fault{call: c.call, err: refusal(c.outcome, cert.CARejected)})
			_, err := o.orderCertificate()
			require.Equal(t, c.outcome, activities.ReadVerdict(err).Outcome)
			require.Equal(t, []settled{{issuanceID, false}}, o.settled)
			require.Empty(t, o.certificates)
		})
	}
}

func TestAnOrderThatIsNotAtItsEndKeepsItsBudget(t *testing.T) {
	t.Parallel()
	for _, outcome := range []cert.Outcome{cert.Wait, cert.Parked} {
		o := withCSR(t)
		o.breaks(fault{call: "Complete", err: refusal(outcome, cert.CAUnavailable)})
		_, err := o.orderCertificate()
		require.Equal(t, outcome, activities.ReadVerdict(err).Outcome)
		require.Empty(t, o.settled)
	}
}

// TestF21_AnOrderThatNeverEndsIsGivenUpAfterADay: an order that stays in processing without an expiry, or about which the CA answers
// wrongly for ever.
func TestF21_AnOrderThatNeverEndsIsGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	unavailable := cert.Problem{Code: cert.CAUnavailable, WhoActs: cert.CAActs, Message: "not finished"}
	for what, test := range map[string]struct {
		err  error
		age  time.Duration
		want cert.Outcome
	}{
		"processing, young":   {&cert.Failure{Outcome: cert.Wait, Problem: unavailable}, 23 * time.Hour, cert.Wait},
		"processing, old":     {&cert.Failure{Outcome: cert.Wait, Problem: unavailable}, 25 * time.Hour, cert.OrderGone},
		"odd answers, young":  {&cert.Fault{Problem: unavailable, Err: errLost}, 23 * time.Hour, cert.Wait},
		"odd answers, old":    {&cert.Fault{Problem: unavailable, Err: errLost}, 25 * time.Hour, cert.OrderGone},
		"the CA is away, old": {errLost, 25 * time.Hour, cert.Wait},
		"the account is wrong, old": {
			&cert.Failure{Outcome: cert.Wait, Problem: cert.Problem{Code: cert.AccountProblem}}, 25 * time.Hour, cert.Wait,
		},
		"refused, old":               {&cert.Failure{Outcome: cert.Refused, Problem: unavailable}, 25 * time.Hour, cert.Refused},
		"placed before it was noted": {&cert.Fault{Problem: unavailable, Err: errLost}, 0, cert.Wait},
	} {
		o := withCSR(t)
		i := o.issuances[issuanceID]
		i.OrderURL, i.OrderTries, i.Directory, i.AccountURL = "https://ca.example/order/1", 1, o.identity.Directory, o.identity.AccountURI
		if test.age > 0 {
			i.OrderedAt = time.Now().Add(-test.age)
		}
		o.issuances[issuanceID] = i
		o.breaks(fault{call: "Complete", err: test.err})
		_, err := o.orderCertificate()
		require.Equal(t, test.want, activities.ReadVerdict(err).Outcome, what)
	}
}

func TestBudgetsThatCannotBeSettledAreOnlyLogged(t *testing.T) {
	t.Parallel()
	o := withCSR(t)
	o.breaks(fault{call: "Settle"})
	c, err := o.orderCertificate()
	require.NoError(t, err)
	require.Equal(t, "01", c.Serial)
	require.Contains(t, o.text.String(), "budgets were not settled")
}

func TestTwoWorkersAtOncePlaceOneOrder(t *testing.T) {
	t.Parallel()
	o := withCSR(t)
	const workers = 8
	results, errs := make([]cert.Certificate, workers), make([]error, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { results[i], errs[i] = o.orderCertificate() })
	}
	wg.Wait()
	for i := range workers {
		require.NoError(t, errs[i])
		require.Equal(t, results[0], results[i])
	}
	require.Len(t, o.orders, 1)
	require.Len(t, o.certificates, 1)
}

// TestOfTwoWorkersAtOnceTheSecondLooksForTheOrderThatTheFirstLost: both read the issuance before either marked it.
func TestOfTwoWorkersAtOnceTheSecondLooksForTheOrderThatTheFirstLost(t *testing.T) {
	t.Parallel()
	o := withCSR(t)
	o.breaks(fault{call: "NewOrder", done: true}) // of the run that comes first
	var both sync.WaitGroup
	both.Add(2)
	o.read = func() { both.Done(); both.Wait() }
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = o.orderCertificate() })
	}
	wg.Wait()
	require.True(t, (errs[0] == nil) != (errs[1] == nil), "one lost its answer, the other went on: %v", errs)
	require.Equal(t, 1, o.count("NewOrder"))
}
