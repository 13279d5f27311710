package calendar_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert/calendar"
)

func TestF14_TheKnownDatesStandInTheCalendarByDate(t *testing.T) {
	t.Parallel()
	dates := map[string]string{}
	for _, r := range calendar.Rules() {
		require.NotContains(t, dates, r.ID)
		dates[r.ID] = r.Date.String()
	}
	require.Equal(t, map[string]string{
		"cab-200-days": "2026-03-15", "cab-dnssec": "2026-03-15", "cab-five-perspectives": "2026-12-15", "root-ksk-2017-revoked": "2027-01-11",
		"le-64-days": "2027-02-10", "cab-100-days": "2027-03-15", "cab-rfc8657": "2027-03-15", "le-45-days": "2028-02-16",
		"cab-no-email": "2028-03-15", "cab-47-days": "2029-03-15",
	}, dates)
	require.True(t, slices.IsSortedFunc(calendar.Rules(), func(a, b calendar.Rule) int { return a.Date.Compare(b.Date.Time) }))
}

func TestF14_EachRuleSaysWhatToDoByWhenAndWhereItIsWritten(t *testing.T) {
	t.Parallel()
	for _, r := range calendar.Rules() {
		require.NotEmpty(t, r.Who, r.ID)
		require.NotEmpty(t, r.Change, r.ID)
		require.NotEmpty(t, r.Counted, r.ID)
		require.NotEmpty(t, r.Do, r.ID)
		require.False(t, r.DoBy.After(r.Date.Time), "%s: what is to do is to be done by the date", r.ID)
		source, err := url.Parse(r.Source)
		require.NoError(t, err)
		require.Equal(t, "https", source.Scheme, r.ID)
	}
}

func TestF14_ARuleIsInForceFromItsDay(t *testing.T) {
	t.Parallel()
	r := calendar.Rule{Date: calendar.On(2027, time.February, 10)}
	require.False(t, r.InForce(time.Date(2027, 2, 9, 23, 59, 59, 0, time.UTC)))
	require.True(t, r.InForce(time.Date(2027, 2, 10, 0, 0, 0, 0, time.UTC)))
}

func TestF14_LetsEncryptsLongestLifetimeFollowsTheCalendar(t *testing.T) {
	t.Parallel()
	for at, days := range map[string]int{
		"2026-11-28": 90, "2027-02-09": 90, "2027-02-10": 64, "2028-02-15": 64, "2028-02-16": 45, "2029-03-15": 45,
	} {
		day, err := time.Parse(time.DateOnly, at)
		require.NoError(t, err)
		require.Equal(t, time.Duration(days)*24*time.Hour, calendar.LongestAt(day), at)
	}
}

func TestF14_ADateIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(calendar.On(2027, time.February, 10))
	require.NoError(t, err)
	require.JSONEq(t, `"2027-02-10"`, string(encoded))
	var read calendar.Date
	require.NoError(t, json.Unmarshal(encoded, &read))
	require.Equal(t, calendar.On(2027, time.February, 10), read)
	for _, wrong := range []string{`"10.2.2027"`, `7`, `"2027-02-30"`} {
		require.Error(t, json.Unmarshal([]byte(wrong), &read), wrong)
	}
}
