package fleet_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert/fleet"
)

const day = 24 * time.Hour

// small is a fleet of 1,000 domains below a limit of 3 new orders in 3 hours, 24 a day.
func small() fleet.Plan {
	return fleet.Plan{
		CA: fleet.LetsEncrypt, Start: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Days: 150, Lifetime: 47 * day, Seed: 1,
		Domains: 1000, ConnectedPerDay: 20, Tenants: 10, NamesPerDomain: 2, PerRegistered: 1, MoveOn: fleet.Never, OverrideOrders: 3,
	}
}

func run(t *testing.T, p fleet.Plan) fleet.Result {
	t.Helper()
	require.NoError(t, p.Check())
	r, err := p.Run(t.Context(), nil)
	require.NoError(t, err)
	return r
}

func TestF20_AFleetThatGrowsBelowTheLimitIsServedAtOnce(t *testing.T) {
	t.Parallel()
	p := small()
	p.OverrideOrders = 0 // Let's Encrypt's 300
	r := run(t, p)
	require.Zero(t, r.Expired)
	require.Zero(t, r.Waited)
	require.Equal(t, 1000, r.Counted, "first certificates only: renewals are not counted")
	require.Greater(t, r.Replaced, 2000, "each certificate is replaced after 31 days")
	require.Greater(t, r.Margin, 15*day)
	require.Less(t, r.Margin, 16*day, "a third of the lifetime is left at two thirds of it")
	connected := 0
	for _, d := range r.Days {
		connected += d.Connected
	}
	require.Equal(t, 1000, connected)
	require.Equal(t, 20, r.Days[49].Connected)
	require.Zero(t, r.Days[50].Connected)
}

func TestF20_NewDomainsBeyondTheLimitWaitAndNothingExpires(t *testing.T) {
	t.Parallel()
	p := small()
	p.ConnectedPerDay = 100
	r := run(t, p)
	require.Zero(t, r.Expired)
	require.Greater(t, r.LongestWait, 20*day, "1,000 domains in 10 days, and 24 orders a day")
	require.Greater(t, r.Days[10].Waiting, 700)
	require.Zero(t, r.Waiting, "in the end each has its certificate")
	for n, d := range r.Days {
		require.LessOrEqual(t, d.Counted, 24+3, "day %d: the rate of a day and a full bucket", n)
	}
}

func TestF20_AMoveToAnotherAccountLetsCertificatesExpireAndTheSmallestOverrideHelps(t *testing.T) {
	t.Parallel()
	p := small()
	p.Connected, p.MoveOn = p.Domains, 20
	p.OverrideOrders = 2 // 16 a day, where 1,000 are due within 31 days
	r := run(t, p)
	require.Greater(t, r.Expired, 100)
	require.Negative(t, r.Margin)
	expired := 0
	for n, d := range r.Days {
		expired += d.Expired
		if d.Expired > 0 {
			require.GreaterOrEqual(t, n, int(r.FirstExpiry.Sub(p.Start)/day), "day %d", n)
		}
	}
	require.Equal(t, r.Expired, expired)

	orders, found, err := p.SmallestOverride(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 3, orders, "1,000 orders in 47 days are 21.3 a day: 24, not 16")
	p.OverrideOrders = orders
	require.Zero(t, run(t, p).Expired)
}

func TestF20_ACertificateWhosePlaceIsTooLateCountsBeforeItsPlaceHasCome(t *testing.T) {
	t.Parallel()
	p := small()
	p.Connected, p.MoveOn, p.OverrideOrders, p.Days = p.Domains, 5, 1, 50 // 8 orders a day: the last place is 125 days away
	r := run(t, p)
	require.Greater(t, r.Expired, r.Counted, "most of them have ordered nothing in these 50 days")
	require.Greater(t, r.Waiting, 600)
}

func TestF20_TheSearchFindsTheNumberBelowWhichSomethingExpires(t *testing.T) {
	t.Parallel()
	p := small()
	p.Domains, p.Days = 4000, 120
	p.Connected, p.MoveOn = p.Domains, 5
	orders, found, err := p.SmallestOverride(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, found)
	p.OverrideOrders = orders
	require.Zero(t, run(t, p).Expired, "%d", orders)
	p.OverrideOrders = orders - 1
	require.Positive(t, run(t, p).Expired, "%d", orders-1)
}

func TestF20_NoOverrideHelpsAgainstTheLimitOfOneSetOfNames(t *testing.T) {
	t.Parallel()
	p := small()
	p.Domains, p.Days, p.Lifetime = 5, 14, day // renewed every 12 hours, and 5 certificates a week
	require.Positive(t, run(t, p).Expired)
	_, found, err := p.SmallestOverride(t.Context(), nil)
	require.NoError(t, err)
	require.False(t, found)
}

func TestF20_DomainsBelowOneRegisteredDomainShareItsLimit(t *testing.T) {
	t.Parallel()
	p := small()
	p.Domains, p.ConnectedPerDay, p.PerRegistered, p.OverrideOrders = 120, 120, 120, 0
	r := run(t, p)
	require.Greater(t, r.Waited, 120-50-7, "50 in a week: a full bucket, and at most one each 3 h 22 min of the first day")
	require.Less(t, r.Waited, 120-50)
	require.Greater(t, r.LongestWait, 8*day)
	p.PerRegistered = 1
	require.Zero(t, run(t, p).Waited)
}

func TestF20_CertificatesBecomeShorterOnTheCAsDay(t *testing.T) {
	t.Parallel()
	p := small()
	p.Start, p.Lifetime, p.Days = time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), 90*day, 150
	p.Connected = p.Domains
	r := run(t, p)
	require.Greater(t, r.Days[1].Margin, 29*day)
	require.Less(t, r.Days[140].Margin, 22*day, "certificates since 2027-02-10 have 64 days, and 21 at their renewal")
	require.Greater(t, r.Days[140].Margin, 21*day)
}

func TestF20_ASeedGivesOneAnswer(t *testing.T) {
	t.Parallel()
	p := small()
	p.ConnectedPerDay, p.Connected, p.MoveOn = 60, 300, 60
	first := run(t, p)
	require.Equal(t, first, run(t, p))
	p.Seed = 2
	require.NotEqual(t, first, run(t, p))
}

func TestF20_ImpossibleFiguresAreRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*fleet.Plan){
		"domains is 0":                           func(p *fleet.Plan) { p.Domains = 0 },
		"domains is -7":                          func(p *fleet.Plan) { p.Domains = -7 },
		"domains is 1000001":                     func(p *fleet.Plan) { p.Domains = 1_000_001 },
		"connected is 1001":                      func(p *fleet.Plan) { p.Connected = 1001 },
		"connected-per-day is 0":                 func(p *fleet.Plan) { p.ConnectedPerDay = 0 },
		"tenants is 0":                           func(p *fleet.Plan) { p.Tenants = 0 },
		"names-per-domain is 101":                func(p *fleet.Plan) { p.NamesPerDomain = 101 },
		"per-registered-domain is 0":             func(p *fleet.Plan) { p.PerRegistered = 0 },
		"days is 3651":                           func(p *fleet.Plan) { p.Days = 3651 },
		"move-on is 150":                         func(p *fleet.Plan) { p.MoveOn = 150 },
		"override-orders is -1":                  func(p *fleet.Plan) { p.OverrideOrders = -1 },
		"a lifetime of 0s is under a day":        func(p *fleet.Plan) { p.Lifetime = 0 },
		"a lifetime of 23h59m59s is under a day": func(p *fleet.Plan) { p.Lifetime = day - time.Second },
		"Let's Encrypt issues no certificate of more than 90 days on 2026-11-28": func(p *fleet.Plan) { p.Lifetime = 91 * day },
		"Let's Encrypt issues no certificate of more than 45 days on 2028-02-16": func(p *fleet.Plan) {
			p.Start = time.Date(2028, 2, 16, 0, 0, 0, 0, time.UTC)
		},
	} {
		p := small()
		change(&p)
		var impossible fleet.Impossible
		require.ErrorAs(t, p.Check(), &impossible, want)
		require.Equal(t, want, impossible.Message)
		require.NotEmpty(t, impossible.Remediation)
	}
	_, err := fleet.FindCA("buypass")
	require.EqualError(t, err, `the limits of the CA "buypass" are not known`)
	known, err := fleet.FindCA("letsencrypt")
	require.NoError(t, err)
	require.Equal(t, 300, known.Limits.OrdersPer3Hours)
}

func TestF20_ASimulationStopsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	p := small()
	_, err := p.Run(ctx, func(day int) {
		if day == 7 {
			stop()
		}
		require.Less(t, day, 9)
	})
	require.ErrorIs(t, err, context.Canceled)
	p.Connected, p.MoveOn = p.Domains, 20
	_, found, err := p.SmallestOverride(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, found)
}
