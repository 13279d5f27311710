package cert_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

func TestA2_ChecksAreDenseAtFirstThenEveryTwoHours(t *testing.T) {
	t.Parallel()
	p := cert.DefaultPolicy()
	var waits []time.Duration
	for checks := 1; checks <= 7; checks++ {
		waits = append(waits, p.NextCheck(checks, 3*hour, false))
	}
	require.Equal(t, []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, hour, 2 * hour, 2 * hour, 2 * hour}, waits)
	require.Equal(t, 2*hour, p.NextCheck(0, 0, false), "before any check there is no place in the schedule")
	require.Equal(t, 2*hour, cert.Policy{CheckInterval: 2 * hour, DormantAfter: day}.NextCheck(1, 0, false), "a schedule without first checks")
}

func TestD6_ChecksSlowDownForEscalatedAndDormantDomains(t *testing.T) {
	t.Parallel()
	p := cert.DefaultPolicy()
	require.Equal(t, day, p.NextCheck(40, 72*hour, true))
	require.Equal(t, day, p.NextCheck(1, 72*hour, true), "also after few checks")
	require.Equal(t, day, p.NextCheck(60, 30*day-1, true))
	require.Equal(t, 7*day, p.NextCheck(60, 30*day, true))
	require.Equal(t, 7*day, p.NextCheck(2, 31*day, false))
}

func TestRetriesWaitLongerAfterEachFailure(t *testing.T) {
	t.Parallel()
	p := cert.DefaultPolicy()
	for failures, want := range map[int]time.Duration{1: 2 * hour, 2: 8 * hour, 3: day, 4: day, 100: day} {
		require.Equal(t, want, p.RetryAfter(failures), "after failure %d", failures)
	}
	require.Equal(t, 2*hour, p.RetryAfter(0), "before any failure: as after the first")
	p.RetryAfterFailures = nil
	require.Equal(t, p.CheckInterval, p.RetryAfter(1), "without a list, with the next check")
}

func TestTriesGetDenserTowardsExpiry(t *testing.T) {
	t.Parallel()
	p := cert.DefaultPolicy()
	require.Equal(t, day, p.BeforeExpiry(day, 0), "no live certificate: nothing to hurry for")
	require.Equal(t, day, p.BeforeExpiry(day, 30*day))
	require.Equal(t, day, p.BeforeExpiry(day, 4*day))
	require.Equal(t, 6*hour, p.BeforeExpiry(day, day))
	require.Equal(t, time.Minute, p.BeforeExpiry(day, 2*time.Minute), "never under a minute")
	require.Equal(t, time.Minute, p.BeforeExpiry(time.Second, day))
}

func TestB2_RenewalFollowsTheLifetimeWhateverItIs(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		life     time.Duration
		fraction float64
		want     time.Duration
	}{
		{90 * day, 0, 60 * day},
		{90 * day, 0.5, 60*day - 90*day/200},
		{45 * day, 0, 30 * day},
		{10 * day, 0, 10 * day * 2 / 3},
		{10*day - 1, 0, (10*day - 1) / 2},
		{6 * day, 0, 3 * day},
		{6 * day, 0.5, 3*day - 6*day/200},
	} {
		require.Equal(t, from.Add(c.want), cert.RenewAt(from, from.Add(c.life), c.fraction), "%s, fraction %v", c.life, c.fraction)
	}
}

func TestB2_RenewalStaysWithinAHundredthOfTheLifetime(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	for _, life := range []time.Duration{hour, 6 * day, 47 * day, 90 * day, 398 * day} {
		latest := cert.RenewAt(from, from.Add(life), 0)
		earliest := cert.RenewAt(from, from.Add(life), 0.999999)
		require.True(t, earliest.Before(latest), "certificates issued together do not renew together")
		require.LessOrEqual(t, latest.Sub(earliest), life/100)
		require.True(t, earliest.After(from))
		require.True(t, latest.Before(from.Add(life)))
	}
}

func TestNextBusinessDayLeavesOutTheWeekend(t *testing.T) {
	t.Parallel()
	at := func(d int) time.Time { return time.Date(2026, 1, d, 15, 30, 0, 0, time.UTC) } // 5 January 2026 is a Monday
	for from, to := range map[int]int{5: 6, 6: 7, 7: 8, 8: 9, 9: 12, 10: 12, 11: 12, 12: 13} {
		require.Equal(t, at(to), cert.NextBusinessDay(at(from)), at(from).Weekday())
	}
	seoul := time.FixedZone("KST", 9*3600)
	require.Equal(t, time.Date(2026, 1, 9, 15, 30, 0, 0, time.UTC), cert.NextBusinessDay(time.Date(2026, 1, 9, 0, 30, 0, 0, seoul)),
		"Friday in Seoul is still Thursday in UTC")
}

func TestA2_TheDefaultsOfTheTagsAreInEffect(t *testing.T) {
	t.Parallel()
	require.Equal(t, cert.Policy{
		FirstChecks: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, hour}, CheckInterval: 2 * hour,
		LateAfter: 48 * hour, EscalateDNSAfter: 72 * hour, EscalatedInterval: day, DormantAfter: 30 * day, DormantInterval: 7 * day,
		MaxFailures: 3, RetryAfterFailures: []time.Duration{2 * hour, 8 * hour, day}, HoldInterval: day,
		ClaimLifetime: 7 * day, ClaimWarning: 48 * hour, MoveNotice: 72 * hour,
	}, cert.DefaultPolicy())
	read, err := config.LoadFrom[cert.Policy](nil)
	require.NoError(t, err)
	require.Equal(t, cert.DefaultPolicy(), read, "a process without settings has the same")
	_, err = config.LoadFrom[cert.Policy](map[string]string{"DNS_CHECK_INTERVAL": "0s", "MAX_FAILURES": "0"})
	require.ErrorContains(t, err, "DNS_CHECK_INTERVAL is 0s; it expects at least 1s")
	require.ErrorContains(t, err, "MAX_FAILURES is 0; it expects at least 1")
}
