package cert_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// ninety is a certificate of 90 days.
var (
	ninetyBegins = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	ninetyEnds   = ninetyBegins.AddDate(0, 0, 90)
)

// days is a window by the days since the certificate begins.
func days(from, to float64) cert.Window {
	at := func(n float64) time.Time { return ninetyBegins.Add(time.Duration(n * float64(24*time.Hour))) }
	return cert.Window{Start: at(from), End: at(to)}
}

func year(y int) time.Time { return time.Date(y, 12, 1, 0, 0, 0, 0, time.UTC) }

func TestF3_WhichWindowsAreFollowed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		window cert.Window
		err    string // empty: it is followed
	}{
		"Boulder's: two thirds, a hundredth to each side": {days(59.1, 60.9), ""},
		"earlier, because the CA is busy later":           {days(10, 11), ""},
		"renew now, after an incident":                    {days(19.96, 19.98), ""},
		"renew now, of a certificate of this minute":      {days(-0.04, -0.02), ""},
		"a tenth is left":                                 {days(80, 81), ""},
		"a nanosecond long":                               {cert.Window{Start: ninetyBegins, End: ninetyBegins.Add(1)}, ""},
		"none":                                            {cert.Window{}, "lacks its start or its end"},
		"without an end":                                  {cert.Window{Start: ninetyBegins}, "lacks its start or its end"},
		"without a start":                                 {cert.Window{End: ninetyBegins}, "lacks its start or its end"},
		"the end is the start":                            {days(60, 60), "does not start before"},
		"the end is before the start":                     {days(61, 59), "does not start before"},
		"a day and more before the certificate":           {days(-1.01, 60), "long before the certificate"},
		"of 1970":                                         {cert.Window{Start: year(1970), End: year(1971)}, "long before the certificate"},
		"less than a tenth is left":                       {days(60, 81.01), "less than a tenth"},
		"after the certificate":                           {days(91, 92), "less than a tenth"},
		"of the year 9999":                                {cert.Window{Start: year(2026), End: year(9999)}, "less than a tenth"},
	} {
		err := test.window.Check(ninetyBegins, ninetyEnds)
		if test.err != "" {
			require.ErrorContains(t, err, test.err, name)
			continue
		}
		require.NoError(t, err, name)
	}
}

func TestF3_WithoutAWindowThatCanBeFollowedTheRuleOfThirdsHolds(t *testing.T) {
	t.Parallel()
	require.Equal(t, ninetyBegins.AddDate(0, 0, 60), cert.RenewIn(days(61, 59), "0a", ninetyBegins, ninetyEnds, 0))
	require.Equal(t, ninetyBegins.AddDate(0, 0, 60), cert.RenewIn(cert.Window{}, "0a", ninetyBegins, ninetyEnds, 0))
	short := ninetyBegins.Add(160 * time.Hour)
	require.Equal(t, ninetyBegins.Add(80*time.Hour), cert.RenewIn(cert.Window{}, "0a", ninetyBegins, short, 0), "half of one under ten days")
}

func TestF3_TheInstantIsPickedOnceAndAgainWhenTheWindowMoves(t *testing.T) {
	t.Parallel()
	picked := days(59, 61).Pick("0a")
	require.Equal(t, picked, days(59, 61).Pick("0a"))
	inParis := days(59, 61)
	inParis.Start, inParis.End = inParis.Start.In(time.FixedZone("", 3600)), inParis.End.In(time.FixedZone("", 3600))
	require.True(t, picked.Equal(inParis.Pick("0a")), "the same window, written in another zone")
	require.NotEqual(t, picked, days(59, 61.5).Pick("0a"))
	require.NotEqual(t, picked, days(59, 61).Pick("0b"))
}

func TestF3_InstantsAreUniformOverTheWindow(t *testing.T) {
	t.Parallel()
	w, parts := days(50, 60), make([]int, 10)
	for n := range 20_000 {
		parts[int(w.Pick(fmt.Sprintf("%040x", n)).Sub(w.Start)/(24*time.Hour))]++
	}
	require.Greater(t, slices.Min(parts), 1800, "%v", parts)
	require.Less(t, slices.Max(parts), 2200, "%v", parts)
}

func TestF3_TheCAIsAskedAgainWithinBounds(t *testing.T) {
	t.Parallel()
	require.Equal(t, 6*time.Hour, cert.NextWindowPoll(0, false))
	require.Equal(t, time.Minute, cert.NextWindowPoll(0, true))
	require.Equal(t, time.Minute, cert.NextWindowPoll(-time.Hour, true))
	require.Equal(t, 5*time.Hour, cert.NextWindowPoll(5*time.Hour, true))
	require.Equal(t, 24*time.Hour, cert.NextWindowPoll(7*24*time.Hour, true))
}

// FuzzF3_ARenewalIsNeverLateAndNeverBeforeItsWindow: whatever a CA suggests, a tenth of the lifetime is left, and an instant lies inside
// its window.
func FuzzF3_ARenewalIsNeverLateAndNeverBeforeItsWindow(f *testing.F) {
	f.Add(int64(5_100_000), int64(5_260_000), int64(7_776_000), "0a", 0.5)
	f.Add(int64(-3600), int64(-1800), int64(576_000), "ff", 0.0)
	f.Add(int64(1<<40), int64(-1<<40), int64(1), "", 0.999)
	f.Fuzz(func(t *testing.T, from, to, seconds int64, serial string, fraction float64) {
		const longest = 400 * 24 * 3600
		if seconds < 1 || seconds > longest || from < -1<<33 || from > 1<<33 || to < -1<<33 || to > 1<<33 || !(fraction >= 0 && fraction < 1) {
			return
		}
		ends := ninetyBegins.Add(time.Duration(seconds) * time.Second)
		w := cert.Window{Start: ninetyBegins.Add(time.Duration(from) * time.Second), End: ninetyBegins.Add(time.Duration(to) * time.Second)}
		at := cert.RenewIn(w, serial, ninetyBegins, ends, fraction)
		if left := ends.Sub(at); left < ends.Sub(ninetyBegins)/10 {
			t.Fatalf("%s are left", left)
		}
		if at.Before(ninetyBegins.Add(-24 * time.Hour)) {
			t.Fatalf("renewal at %s, the certificate begins at %s", at, ninetyBegins)
		}
		if w.Check(ninetyBegins, ends) == nil && (at.Before(w.Start) || at.After(w.End)) {
			t.Fatalf("%s is outside of %s to %s", at, w.Start, w.End)
		}
	})
}
