package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

func refusal(code cert.Code) error { return verdict(cert.Refused, code, 0) }

func verdict(o cert.Outcome, code cert.Code, after time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(string(code), string(o), temporal.ApplicationErrorOptions{
		NonRetryable: true,
		Details:      []any{activities.Verdict{Outcome: o, Problem: cert.Problem{Code: code, Message: string(code)}, RetryAfter: after}},
	})
}

func TestA1_ReadyDomainIsIssuedAndInstalledWithNoFurtherStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live(day)
	require.Equal(t, []cert.Headline{cert.Issuing, cert.InstallationComplete, cert.Removed}, w.headlines())
	require.Equal(t, 1, w.orders)
	require.Equal(t, []string{
		"01-05 09:00 check", "01-05 09:00 event domain.connected", "01-05 09:00 event domain.verified",
		"01-05 09:00 csr /1", "01-05 09:00 order /1 renewal=false", "01-05 09:00 install 01", "01-05 09:00 verify 01",
		"01-05 09:00 event certificate.issuance.succeeded", "01-05 09:00 event certificate.installation.succeeded",
		"01-06 09:00 event domain.removed",
	}, w.effects)
}

func TestA2_DNSIsCheckedAtOnceThenFasterAtFirstThenEveryTwoHours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n < 8 {
			return missing(cert.DelegationMissing)
		}
		return ready
	}
	w.live(day)
	require.Equal(
		t, []string{"01-05 09:00", "01-05 09:01", "01-05 09:06", "01-05 09:21", "01-05 10:21", "01-05 12:21", "01-05 14:21", "01-05 16:21"},
		times(w, "check"),
	)
	require.Equal(t, []string{"01-05 16:21"}, times(w, "order"), "issuance begins at the first check that passes")
}

func TestA2_CheckNowMakesTheNextCheckImmediate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n < 6 {
			return missing(cert.DelegationMissing)
		}
		return ready
	}
	w.live(day, message{at: 2 * hour, verb: workflows.CheckNow})
	require.Equal(t, []string{"01-05 09:00", "01-05 09:01", "01-05 09:06", "01-05 09:21", "01-05 10:21", "01-05 11:00"}, times(w, "check"))
}

func TestA3_RedirectIsRefusedBeforeInstallationComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n < 3 {
			return missing(cert.DNSNoRecords)
		}
		return ready
	}
	var early, later error
	w.live(day,
		message{at: 2 * time.Minute, verb: workflows.SetRedirect, arg: workflows.RedirectRequest{On: true}, err: &early},
		message{at: hour, verb: workflows.SetRedirect, arg: workflows.RedirectRequest{On: true}, err: &later})
	var app *temporal.ApplicationError
	require.ErrorAs(t, early, &app)
	var p cert.Problem
	require.NoError(t, app.Details(&p))
	require.Equal(t, cert.RequestRefused, p.Code)
	require.Contains(t, p.Message, "Installation complete; it is Pending")
	require.NoError(t, later)
	require.True(t, w.last().HTTPSRedirect)
}

func TestA4_AfterAFailureAPersonCanStartAnAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(n int) (cert.Certificate, error) {
		if n == 1 {
			return cert.Certificate{}, refusal(cert.CARejected)
		}
		return w.certificate(n, 90*day), nil
	}
	w.live(day, message{at: 30 * time.Minute, verb: workflows.RequestCertificate, arg: workflows.Request{By: "tenant"}})
	require.Equal(
		t, []cert.Headline{cert.Issuing, cert.RequestCertificate, cert.Issuing, cert.InstallationComplete, cert.Removed}, w.headlines(),
	)
	require.Equal(t, []string{"01-05 09:00", "01-05 09:30"}, times(w, "order"))
}

func TestA4_WithoutARequestTheNextAttemptIsTwoHoursLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(n int) (cert.Certificate, error) {
		if n == 1 {
			return cert.Certificate{}, refusal(cert.CARejected)
		}
		return w.certificate(n, 90*day), nil
	}
	w.live(day)
	require.Equal(t, []string{"01-05 09:00", "01-05 11:00"}, times(w, "order"))
	require.Equal(t, 0, w.last().Failures, "a success ends the count")
}

func TestA5_ThirdFailureStopsAttemptsUntilHandBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(n int) (cert.Certificate, error) {
		if n <= 3 {
			return cert.Certificate{}, refusal(cert.CAAForbids)
		}
		return w.certificate(n, 90*day), nil
	}
	var refused error
	w.live(10*day,
		message{at: 2 * day, verb: workflows.RequestCertificate, arg: workflows.Request{}, err: &refused},
		message{at: 5 * day, verb: workflows.HandedBack, arg: workflows.Request{By: "support"}})
	require.Equal(t, []string{"01-05 09:00", "01-05 11:00", "01-05 19:00", "01-10 09:00"}, times(w, "order"))
	require.ErrorContains(t, refused, "contact support")
	require.NotEmpty(t, w.cases)
	require.Equal(t, cert.CAAForbids, w.cases[0].Problems[0].Code, "the case opens with its evidence")
	require.Contains(t, w.headlines(), cert.ContactSupport)
	require.Equal(t, cert.Removed, w.last().Status.Headline())
}

func TestB2_RenewalBeginsAtTwoThirdsOfTheLifetime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live(100 * day)
	require.Len(t, times(w, "order"), 2)
	due := w.snapshots[0].At.Add(60 * day)
	renewed := moments(t, w, "order")[1]
	require.False(t, renewed.After(due), "at two thirds, less up to a hundredth of the lifetime")
	require.True(t, renewed.After(due.Add(-22*hour)))
	require.Contains(t, strings.Join(w.effects, "\n"), "order /2 renewal=true")
	require.NotContains(t, w.headlines()[3:], cert.Issuing, "with a live certificate the tenant's headline stays")
}

// TestF12_AnOrderIsARenewalOnlyAtTheCAOfTheLiveCertificate: the CA chosen by a check alone, while another one is down, orders nothing.
func TestF12_AnOrderIsARenewalOnlyAtTheCAOfTheLiveCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	directory := "https://first.example"
	w.check = func(int) cert.Diagnosis {
		d := ready
		d.Directory = directory
		return d
	}
	w.order = func(n int) (cert.Certificate, error) {
		c := w.certificate(n, 90*day)
		c.Directory = directory
		return c, nil
	}
	w.live(20*day,
		message{at: 5 * day, verb: workflows.CheckNow, do: func() { directory = "https://second.example" }},
		message{at: 10 * day, verb: workflows.RequestCertificate},
		message{at: 15 * day, verb: workflows.RequestCertificate})
	require.Equal(t, []string{"01-05 09:00", "01-15 09:00", "01-20 09:00"}, times(w, "order"))
	text := strings.Join(w.effects, "\n")
	require.Contains(t, text, "order /2 at https://second.example renewal=false")
	require.Contains(t, text, "order /3 at https://second.example renewal=true")
}

// TestF12_AnOrderThatOneCACannotFulfilGoesToTheNextAtOnce: with a new issuance, after a check for that CA, and it counts as no failure.
func TestF12_AnOrderThatOneCACannotFulfilGoesToTheNextAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := false
	w.check = func(int) cert.Diagnosis {
		d := ready
		d.Directory = "https://first.example"
		if down {
			d.Directory = "https://second.example"
		}
		return d
	}
	w.order = func(n int) (cert.Certificate, error) {
		if !down {
			down = true
			return cert.Certificate{}, verdict(cert.NextCA, cert.CAUnavailable, 0)
		}
		return w.certificate(n, 90*day), nil
	}
	w.live(day)
	require.Equal(t, []string{"01-05 09:00", "01-05 09:00"}, times(w, "order"))
	text := strings.Join(w.effects, "\n")
	require.Contains(t, text, "order /1 at https://first.example renewal=false")
	require.Contains(t, text, "order /2 at https://second.example renewal=false")
	require.Len(t, events(w, cert.IssuanceMoved), 1)
	require.Empty(t, events(w, cert.IssuanceFailed))
	require.Contains(t, w.headlines(), cert.InstallationComplete)
}

func TestB3_RenewalIsHeldBackWithItsReasonAndResumesByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n > 1 && n < 5 {
			d := missing(cert.DNSWrongTarget)
			d.Pointed = cert.Wrong
			return d
		}
		return ready
	}
	w.live(80 * day)
	require.Contains(t, w.headlines(), cert.RenewalHeld)
	require.Equal(t, 2, w.orders)
	require.Len(t, events(w, cert.RenewalOnHoldEvent), 1, "one event, not one for each check")
	require.Len(t, events(w, cert.RenewalResumed), 1)
}

func TestD6_After72HoursWithoutRecordsTheCaseIsEscalatedAndChecksGoOnDaily(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(int) cert.Diagnosis {
		if w.env.Now().After(start.Add(6 * day)) {
			return ready
		}
		return missing(cert.DelegationMissing)
	}
	w.live(10 * day)
	require.Equal(t, "01-08 09:00", events(w, cert.EscalationOpened)[0][:11])
	var later []string
	for _, at := range moments(t, w, "check") {
		if at.After(start.Add(72 * hour)) {
			later = append(later, at.Format("01-02 15:04"))
		}
	}
	require.Equal(t, []string{"01-09 09:00", "01-10 09:00", "01-11 09:00", "01-12 09:00"}, later)
	require.Len(t, events(w, cert.EscalationClosed), 1)
	require.Equal(t, 1, w.orders)
}

func TestUnknownAnswersAndWaitsAreNeverFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n < 4 {
			return cert.Diagnosis{Verdict: cert.Unknown, Problems: []cert.Problem{{Code: cert.DNSLookupFailed}}}
		}
		return ready
	}
	w.order = func(n int) (cert.Certificate, error) {
		switch n {
		case 1:
			return cert.Certificate{}, verdict(cert.Wait, cert.RateLimited, 3*hour)
		case 2:
			return cert.Certificate{}, verdict(cert.OrderGone, cert.CARejected, 0)
		case 3:
			return cert.Certificate{}, verdict(cert.OrderGone, cert.CARejected, 0)
		}
		return w.certificate(n, 90*day), nil
	}
	w.live(day)
	for _, s := range w.snapshots {
		require.Zero(t, s.Failures)
	}
	require.Equal(t, []string{"01-05 09:21", "01-05 12:21", "01-05 12:21", "01-05 12:31"}, times(w, "order"))
	text := strings.Join(w.effects, "\n")
	require.Equal(t, 2, strings.Count(text, "order /1 "), "a wait goes on with the same issuance")
	require.Equal(t, 1, strings.Count(text, "order /3 "), "an order that is gone gets a new one")
}

// TestA3_AnInstallationIsShownWhenItTakesLongerThanAMoment: whichever half of it is slow; otherwise it is recorded together with its end.
func TestA3_AnInstallationIsShownWhenItTakesLongerThanAMoment(t *testing.T) {
	t.Parallel()
	for half, makeSlow := range map[string]func(w *world, slowly func() error){
		"install": func(w *world, slowly func() error) {
			w.database = func() error {
				if w.orders == 0 || w.installs > 0 {
					return nil
				}
				return slowly()
			}
		},
		"verify": func(w *world, slowly func() error) { w.verify = func(int, string) error { return slowly() } },
	} {
		w, tries := newWorld(t), 0
		makeSlow(w, func() error {
			if tries++; tries < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		w.live(day)
		require.Equal(t, []cert.Headline{cert.Issuing, cert.Installing, cert.InstallationComplete, cert.Removed}, w.headlines(), half)
	}
}

func TestAFailedInstallationIsTriedAgainWithoutASecondOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verify = func(n int, _ string) error {
		if n == 1 {
			return refusal(cert.ServedCertificateWrong)
		}
		return nil
	}
	w.live(day)
	require.Equal(t, 1, w.orders)
	require.Equal(t, []string{"01-05 09:00", "01-05 11:00"}, times(w, "install"))
	require.Len(t, events(w, cert.InstallationFailed), 1)
}

// TestA5_AfterAPauseIsLiftedTheVerbOfTheRemedyWorks: the case is handed back, and the name is ordered at once.
func TestA5_AfterAPauseIsLiftedTheVerbOfTheRemedyWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(n int) (cert.Certificate, error) {
		if n == 1 {
			return cert.Certificate{}, verdict(cert.Parked, cert.IdentifierPaused, 0)
		}
		return w.certificate(n, 90*day), nil
	}
	var refused error
	w.live(day, message{at: 3 * hour, verb: workflows.HandedBack, arg: workflows.Request{By: "support"}, err: &refused})
	require.NoError(t, refused)
	require.Equal(t, []string{"01-05 09:00", "01-05 12:00"}, times(w, "order"))
	require.Len(t, events(w, cert.EscalationClosed), 1)
}

// TestANamePausedByTheCAGoesToPeopleAtOnceAndIsTriedAgainDaily: the pause may end without a message to evercert. An order that is refused
// because of it costs nothing.
func TestANamePausedByTheCAGoesToPeopleAtOnceAndIsTriedAgainDaily(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(n int) (cert.Certificate, error) {
		if n < 4 {
			return cert.Certificate{}, verdict(cert.Parked, cert.IdentifierPaused, 0)
		}
		return w.certificate(n, 90*day), nil
	}
	w.live(30 * day)
	require.Equal(t, []string{"01-05 09:00", "01-06 09:00", "01-07 09:00", "01-08 09:00"}, times(w, "order"))
	require.Equal(t, []string{"01-05 09:00 event escalation.opened"}, events(w, cert.EscalationOpened))
	require.Equal(t, cert.CAStopped, w.cases[0].Kind)
	require.Equal(t, []string{"01-08 09:00 event escalation.closed"}, events(w, cert.EscalationClosed))
}

func TestB6_ARejectedNameShowsTheSignatureHeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order = func(int) (cert.Certificate, error) { return cert.Certificate{}, refusal(cert.CSRRejected) }
	w.live(hour)
	require.Contains(t, w.headlines(), cert.InvalidSignature)
}

func TestPauseHoldsEverythingAndResumeGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n < 3 {
			return missing(cert.DNSNoRecords)
		}
		return ready
	}
	var refused error
	w.live(3*day,
		message{at: 2 * time.Minute, verb: workflows.Pause, arg: workflows.Request{By: "ops"}},
		message{at: hour, verb: workflows.RequestCertificate, arg: workflows.Request{}, err: &refused},
		message{at: day, verb: workflows.Resume, arg: workflows.Request{By: "ops"}})
	require.ErrorContains(t, refused, "paused")
	require.Equal(t, []string{"01-05 09:00", "01-05 09:01", "01-06 09:00"}, times(w, "check"))
}

func TestAnExpiredCertificateIsSeenAsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = func(n int) cert.Diagnosis {
		if n == 1 {
			return ready
		}
		return missing(cert.DNSWrongTarget)
	}
	w.live(100 * day)
	require.Contains(t, w.headlines(), cert.Expired)
	require.Len(t, events(w, cert.CertificateExpiredEvent), 1)
	looks := moments(t, w, "check")
	require.Greater(t, len(looks), 20, "checks are more frequent towards the end")
}

// TestTheSameStoryAtEveryCadence runs a domain through every kind of event, with a new run after every n steps (figure 10).
func TestTheSameStoryAtEveryCadence(t *testing.T) {
	t.Parallel()
	tell := func(cadence int) *world {
		w := newWorld(t)
		w.cadence = cadence
		w.check = func(n int) cert.Diagnosis {
			if n < 4 || (n > 8 && n < 12) {
				return missing(cert.DelegationMissing)
			}
			return ready
		}
		w.order = func(n int) (cert.Certificate, error) {
			switch n {
			case 1, 4, 5:
				return cert.Certificate{}, refusal(cert.CAAForbids)
			case 2:
				return cert.Certificate{}, verdict(cert.Wait, cert.RateLimited, hour)
			case 6:
				return cert.Certificate{}, errors.New("the network is down") // retried by Temporal
			}
			return w.certificate(n, 90*day), nil
		}
		w.live(200*day,
			message{at: 3 * day, verb: workflows.Pause, arg: workflows.Request{By: "ops"}},
			message{at: 4 * day, verb: workflows.Resume, arg: workflows.Request{By: "ops"}},
			message{at: 5 * day, verb: workflows.SetRedirect, arg: workflows.RedirectRequest{On: true}},
			message{at: 150 * day, verb: workflows.RequestCertificate, arg: workflows.Request{By: "tenant"}})
		return w
	}
	want := tell(1000)
	require.GreaterOrEqual(t, want.orders, 5)
	for _, cadence := range []int{1, 2, 3, 5, 7} {
		got := tell(cadence)
		require.Equal(t, want.effects, got.effects, "cadence %d", cadence)
		require.Greater(t, got.runs, want.runs, "cadence %d must cut the story more often", cadence)
		require.Equal(t, want.last().Status, got.last().Status)
	}
}

func times(w *world, effect string) (at []string) {
	for _, e := range w.effects {
		if strings.HasPrefix(e[12:], effect) {
			at = append(at, e[:11])
		}
	}
	return at
}

func moments(t *testing.T, w *world, effect string) (at []time.Time) {
	for _, s := range times(w, effect) {
		m, err := time.Parse("2006 01-02 15:04", "2026 "+s)
		require.NoError(t, err)
		at = append(at, m)
	}
	return at
}

func events(w *world, e cert.EventType) (found []string) {
	for _, effect := range w.effects {
		if strings.HasSuffix(effect, "event "+string(e)) {
			found = append(found, effect)
		}
	}
	return found
}
