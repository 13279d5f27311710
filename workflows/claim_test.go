package workflows_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// contested answers checks of ownership only: what a tenant shows at an age of the domain. Other checks find all that is needed, or
// nothing.
func contested(w *world, verified bool, shows func(tenant string, age time.Duration) cert.Verdict) {
	w.check = func(int) cert.Diagnosis {
		if r := w.checked[len(w.checked)-1]; r.OwnershipOnly {
			return cert.Diagnosis{Ownership: shows(r.Tenant, w.env.Now().Sub(start))}
		}
		if verified {
			return ready
		}
		return missing(cert.OwnershipMissing)
	}
}

func only(tenants ...string) func(string, time.Duration) cert.Verdict {
	return func(tenant string, _ time.Duration) cert.Verdict {
		if slices.Contains(tenants, tenant) {
			return cert.OK
		}
		return cert.Wrong
	}
}

func contest(at time.Duration, tenant string) message {
	return message{at: at, verb: workflows.Contest, arg: workflows.ContestRequest{Tenant: tenant, Names: shop.Names}}
}

func TestF19_AClaimWithoutAnyRecordEndsAfterAWeekWithAWarning(t *testing.T) {
	t.Parallel()
	for _, cadence := range []int{0, 1, 3} {
		w := newWorld(t)
		w.check, w.cadence = never, cadence
		w.live(20 * day)
		require.Equal(t, []string{"01-10 09:00 event domain.claim_ending"}, events(w, cert.DomainClaimEnding), "two days before")
		require.Equal(t, []string{"01-12 09:00 event domain.claim_ended"}, events(w, cert.DomainClaimEnded))
		require.Equal(t, []string{"01-12 09:00 event domain.removed"}, events(w, cert.DomainRemovedEvent), "by the way of every removal")
		require.Contains(
			t, actions(w),
			"the DNS records are late; DNS is checked again; without any record seen, the domain is removed at 2026-01-12 09:00:00 UTC",
		)
		require.Contains(t, w.last().Events, cert.Event{
			Type: cert.DomainRemovedEvent, Detail: "removed by evercert: never verified, and no DNS record was seen for 168h",
		})
		require.False(t, w.last().Verified)
		require.Nil(t, w.last().Heir)
	}
}

// TestF19_ARecordThatIsSeenKeepsAClaim: so do checks without a result, and a policy without a limit.
func TestF19_ARecordThatIsSeenKeepsAClaim(t *testing.T) {
	t.Parallel()
	seen := missing(cert.OwnershipMissing)
	seen.Records = []cert.RecordState{{Record: cert.Record{Purpose: cert.ForAddress}, Verdict: cert.OK}}
	for what, c := range map[string]struct {
		check    func(age time.Duration) cert.Diagnosis
		lifetime time.Duration
		ended    []string
	}{
		"one record is there":   {func(time.Duration) cert.Diagnosis { return seen }, 7 * day, nil},
		"no check has a result": {func(time.Duration) cert.Diagnosis { return cert.Diagnosis{Verdict: cert.Unknown} }, 7 * day, nil},
		"claims have no end":    {func(time.Duration) cert.Diagnosis { return never(0) }, 0, nil},
		"it was there for a week": {func(age time.Duration) cert.Diagnosis {
			if age < 7*day {
				return seen
			}
			return never(0)
		}, 7 * day, []string{"01-18 09:00 event domain.claim_ended"}},
		"verified, then nothing": {func(age time.Duration) cert.Diagnosis {
			if age == 0 {
				return ready
			}
			return never(0)
		}, 7 * day, nil},
	} {
		w := newWorld(t)
		w.policy.ClaimLifetime = c.lifetime
		w.order = func(int) (cert.Certificate, error) { return cert.Certificate{}, errors.New("no answer") }
		w.check = func(int) cert.Diagnosis { return c.check(w.env.Now().Sub(start)) }
		w.live(29 * day)
		require.Equal(t, c.ended, events(w, cert.DomainClaimEnded), what)
	}
}

func TestF19_AHandBackAndAPauseBeginAClaimAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.check = never
	w.live(20*day,
		message{at: 6 * day, verb: workflows.HandedBack, arg: workflows.Request{By: "support"}},
		message{at: 8 * day, verb: workflows.Pause, arg: workflows.Request{By: "kim"}},
		message{at: 9 * day, verb: workflows.Resume, arg: workflows.Request{By: "kim"}},
	)
	require.Equal(t, []string{"01-19 09:00 event domain.claim_ended"}, events(w, cert.DomainClaimEnded), "six days, and seven, and one")
}

func TestF19_AnUnverifiedClaimYieldsToWhoShowsTheRecord(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{false, true} {
		w := newWorld(t)
		contested(w, false, func(tenant string, age time.Duration) cert.Verdict {
			if tenant == "buyer" && age >= hour {
				return cert.OK
			}
			return cert.Wrong
		})
		messages := []message{contest(10*time.Minute, "buyer"), contest(20*time.Minute, "other"), contest(hour, "buyer")}
		if paused {
			messages = append([]message{{at: time.Minute, verb: workflows.Pause, arg: workflows.Request{By: "squatter"}}}, messages...)
		}
		w.live(day, messages...)
		require.Equal(t, []string{"01-05 10:00 event domain.claim_ended"}, events(w, cert.DomainClaimEnded), "paused %t", paused)
		require.Equal(t, &cert.Heir{Tenant: "buyer", Names: shop.Names}, w.last().Heir)
		require.Equal(t, cert.DomainRemoved, w.last().Status.Domain)
		require.Equal(t, 3, ownershipChecks(w), "one check for each that asks")
		require.Zero(t, w.orders)
	}
}

// ownershipChecks counts the checks of ownership only.
func ownershipChecks(w *world) (n int) {
	for _, r := range w.checked {
		if r.OwnershipOnly {
			n++
		}
	}
	return n
}

func TestF19_AVerifiedDomainMovesAfterANoticeAndOnlyByProof(t *testing.T) {
	t.Parallel()
	goneAfter := func(age time.Duration, tenant string) func(string, time.Duration) cert.Verdict {
		return func(asks string, now time.Duration) cert.Verdict {
			if asks == tenant && now < age {
				return cert.OK
			}
			return cert.Wrong
		}
	}
	unknownUntil := func(age time.Duration, then func(string, time.Duration) cert.Verdict) func(string, time.Duration) cert.Verdict {
		return func(tenant string, now time.Duration) cert.Verdict {
			if now > 2*hour && now < age {
				return cert.Unknown
			}
			return then(tenant, now)
		}
	}
	announced, cancelled, gone := "01-05 10:00 event domain.move_announced", "event domain.move_cancelled", "event domain.removed"
	for what, c := range map[string]struct {
		shows func(string, time.Duration) cert.Verdict
		want  []string
	}{
		"no tenant shows a record":        {only(), nil},
		"the new tenant alone shows it":   {only("buyer"), []string{announced, "01-08 10:00 " + gone}},
		"the old tenant still shows it":   {only("buyer", "acme"), []string{announced, "01-08 10:00 " + cancelled}},
		"the new tenant's record is gone": {goneAfter(day, "buyer"), []string{announced, "01-08 10:00 " + cancelled}},
		"nobody can tell for some hours":  {unknownUntil(76*hour, only("buyer")), []string{announced, "01-08 14:00 " + gone}},
	} {
		w := newWorld(t)
		contested(w, true, c.shows)
		w.live(10*day, contest(hour, "buyer"), contest(2*hour, "buyer"), contest(3*hour, "third"))
		moves := append(events(w, cert.DomainMoveAnnounced), events(w, cert.DomainMoveCancelled)...)
		moved := w.last().Heir != nil
		if moved {
			moves = append(moves, events(w, cert.DomainRemovedEvent)...)
			require.Equal(t, &cert.Heir{Tenant: "buyer", Names: shop.Names}, w.last().Heir, what)
			require.True(t, w.last().Verified)
		}
		require.Equal(t, c.want, moves, what)
		for _, s := range w.snapshots {
			for _, e := range s.Events {
				require.NotContains(t, e.Detail, "buyer", "who wants it is confidential: %s", what)
			}
		}
	}
}

func TestF19_AContestThatMeansNothingIsRefused(t *testing.T) {
	t.Parallel()
	for what, request := range map[string]workflows.ContestRequest{
		"its own tenant":      {Tenant: "acme", Names: shop.Names},
		"no tenant":           {Names: shop.Names},
		"no names":            {Tenant: "buyer"},
		"a name it has not":   {Tenant: "buyer", Names: []string{"www.example.com"}},
		"its name and others": {Tenant: "buyer", Names: []string{"shop.example.com", "www.example.com"}},
	} {
		w := newWorld(t)
		contested(w, false, only("buyer", "acme"))
		var err error
		w.live(day, message{at: hour, verb: workflows.Contest, arg: request, err: &err})
		require.ErrorContains(t, err, "a contest names another tenant", what)
		require.Zero(t, ownershipChecks(w))
	}
}

// TestF19_WhoAsksAtWillCostsOneLookAMinute: refused updates are not in the history.
func TestF19_WhoAsksAtWillCostsOneLookAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contested(w, false, only())
	var messages []message
	errs := make([]error, 120)
	for i := range errs {
		m := contest(hour+time.Duration(i)*time.Second, "other")
		m.err = &errs[i]
		messages = append(messages, m)
	}
	w.live(day, messages...)
	require.LessOrEqual(t, ownershipChecks(w), 2)
	require.ErrorContains(t, errs[1], "a moment ago")
}

// TestF19_WhatWasVerifiedOnceGetsNotice: also without a certificate, and while its records are gone.
func TestF19_WhatWasVerifiedOnceGetsNotice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	contested(w, false, only("buyer"))
	later := w.check
	w.check = func(n int) cert.Diagnosis {
		if n == 1 {
			return ready
		}
		return later(n)
	}
	w.order = func(int) (cert.Certificate, error) { return cert.Certificate{}, errors.New("no answer") }
	w.live(day, contest(12*hour, "buyer"))
	require.Equal(t, cert.DomainActive, w.snapshots[len(w.snapshots)-2].Status.Domain)
	require.Equal(t, []string{"01-05 21:00 event domain.move_announced"}, events(w, cert.DomainMoveAnnounced))
	require.Empty(t, events(w, cert.DomainClaimEnded))
}
