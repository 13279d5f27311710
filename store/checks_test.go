package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

var (
	delegation = cert.Record{Name: "_acme-challenge.www.example.com", Type: "CNAME", Value: "x.dcv.example.net", Purpose: cert.ForDelegation}
	address    = cert.Record{Name: "www.example.com", Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress}
	noon       = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
)

// seen is what one authoritative server shows.
func seen(server string, v cert.Verdict, found ...string) cert.Sighting {
	return cert.Sighting{Server: server, Role: cert.Authoritative, Verdict: v, Found: found}
}

// checked returns a check of the delegation record, some minutes after noon.
func checked(minute int, sightings ...cert.Sighting) cert.Diagnosis {
	return cert.Diagnosis{
		CheckedAt: noon.Add(time.Duration(minute) * time.Minute), Verdict: cert.Wrong,
		Records: []cert.RecordState{{Record: delegation, Verdict: cert.Wrong, Seen: sightings}},
	}
}

// checks stores the checks of one domain.
type checks struct {
	*database
	domain string
}

func newChecks(t *testing.T) checks { return checks{open(t), uuid.NewString()} }

// keep stores a check and returns its only record as each server shows it.
func (c checks) keep(d cert.Diagnosis) []cert.Sighting {
	c.t.Helper()
	kept, err := c.KeepCheck(c.t.Context(), c.domain, d)
	require.NoError(c.t, err)
	stored, err := c.Check(c.t.Context(), c.domain)
	require.NoError(c.t, err)
	require.Equal(c.t, stored, kept, "what is returned is what is stored")
	return kept.Records[0].Seen
}

// changes lists what changed, newest first, as "minute server from>to".
func (c checks) changes() (lines []string) {
	c.t.Helper()
	changes, err := c.Changes(c.t.Context(), c.domain, 0)
	require.NoError(c.t, err)
	for _, change := range changes {
		require.Equal(c.t, delegation, change.Record)
		lines = append(lines, fmt.Sprintf("%v %s %s>%s %v", change.At.Sub(noon).Minutes(), change.Server, change.From, change.To, change.Found))
	}
	return lines
}

func at(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }

func TestD3_EachServersSightingsHaveTheirTimes(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	require.Equal(
		t, []cert.Sighting{{Server: "ns1", Role: cert.Authoritative, Verdict: cert.Wrong}}, c.keep(checked(0, seen("ns1", cert.Wrong))),
	)

	first := c.keep(checked(1, seen("ns1", cert.OK, "CNAME x.dcv.example.net")))[0]
	require.Equal(t, []time.Time{at(1), at(1), at(1)}, []time.Time{first.FirstSeen, first.LastSeen, first.ChangedAt}, "it appeared")

	again := c.keep(checked(2, seen("ns1", cert.OK, "CNAME x.dcv.example.net")))[0]
	require.Equal(t, []time.Time{at(1), at(2), at(1)}, []time.Time{again.FirstSeen, again.LastSeen, again.ChangedAt}, "it is still there")

	gone := c.keep(checked(3, seen("ns1", cert.Wrong)))[0]
	require.Equal(t, []time.Time{at(1), at(2), at(3)}, []time.Time{gone.FirstSeen, gone.LastSeen, gone.ChangedAt}, "it was there from 1 to 2")

	other := c.keep(checked(4, seen("ns1", cert.Wrong, "CNAME elsewhere.example")))[0]
	require.Equal(t, at(4), other.ChangedAt, "something else stands there now")

	back := c.keep(checked(5, seen("ns1", cert.OK, "CNAME x.dcv.example.net")))[0]
	require.Equal(t, []time.Time{at(5), at(5), at(5)}, []time.Time{back.FirstSeen, back.LastSeen, back.ChangedAt}, "it appeared anew")

	require.Equal(t, []string{
		"5 ns1 wrong>ok [CNAME x.dcv.example.net]", "4 ns1 wrong>wrong [CNAME elsewhere.example]", "3 ns1 ok>wrong []",
		"1 ns1 wrong>ok [CNAME x.dcv.example.net]",
	}, c.changes())
}

func TestD3_ATimeOutBetweenTwoAnswersIsNoChange(t *testing.T) {
	t.Parallel()
	for what, silence := range map[string][]cert.Sighting{
		"the server gave no answer":            {{Server: "ns1", Role: cert.Authoritative, Verdict: cert.Unknown, Error: "no answer within 2s"}},
		"the zone's servers were not found":    nil,
		"another server of the zone was asked": {seen("ns2", cert.OK, "CNAME x.dcv.example.net")},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := newChecks(t)
			c.keep(checked(0, seen("ns1", cert.OK, "CNAME x.dcv.example.net")))
			for minute := 1; minute <= 3; minute++ {
				c.keep(checked(minute, silence...))
			}
			if len(silence) > 0 && silence[0].Verdict == cert.Unknown {
				silent := c.keep(checked(4, silence...))[0]
				require.Equal(t, cert.Unknown, silent.Verdict, "the stored check says what this check saw")
				require.Equal(t, "no answer within 2s", silent.Error)
				require.Equal(t, []time.Time{at(0), at(0)}, []time.Time{silent.FirstSeen, silent.LastSeen})
			}
			back := c.keep(checked(5, seen("ns1", cert.OK, "CNAME x.dcv.example.net")))[0]
			require.Equal(t, []time.Time{at(0), at(5)}, []time.Time{back.FirstSeen, back.LastSeen})
			require.True(t, back.ChangedAt.IsZero())
			require.Empty(t, c.changes())

			c.keep(checked(6, silence...))
			gone := c.keep(checked(7, seen("ns1", cert.Wrong)))[0]
			require.Equal(t, at(7), gone.ChangedAt, "compared with its last answer")
			require.Equal(t, []string{"7 ns1 ok>wrong []"}, c.changes())
		})
	}
}

func TestD4_WhatAServerShowedLastIsRememberedWhileItIsSilent(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	last := func() (lines []string) {
		answers, err := c.LastAnswers(t.Context(), c.domain)
		require.NoError(t, err)
		for _, a := range answers {
			require.Equal(t, delegation, a.Record)
			lines = append(lines, fmt.Sprintf("%v %s %s %v", a.At.Sub(noon).Minutes(), a.Sighting.Server, a.Sighting.Verdict, a.Sighting.Found))
		}
		return lines
	}
	require.Empty(t, last(), "never checked")
	silent := cert.Sighting{Server: "ns2", Role: cert.Authoritative, Verdict: cert.Unknown, Error: "unreachable"}
	c.keep(checked(0, seen("ns1", cert.OK), seen("ns2", cert.Wrong, "CNAME old.example")))
	c.keep(checked(1, seen("ns1", cert.OK), silent))
	c.keep(checked(2, seen("ns1", cert.OK), silent))
	require.Equal(t, []string{"2 ns1 ok []", "0 ns2 wrong [CNAME old.example]"}, last())
	c.keep(checked(3, seen("ns1", cert.OK), seen("ns2", cert.OK)))
	require.Equal(t, []string{"3 ns1 ok []", "3 ns2 ok []"}, last())
}

func TestSilenceIsNotRememberedForEver(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	const day = 24 * 60
	c.keep(checked(0, seen("ns1", cert.OK)))
	c.keep(checked(29*day, cert.Sighting{Server: "ns1", Role: cert.Authoritative, Verdict: cert.Unknown}))
	c.keep(checked(31*day, cert.Sighting{Server: "ns1", Role: cert.Authoritative, Verdict: cert.Unknown}))
	require.Equal(t, 1, c.count(`SELECT count(*) FROM domain_checks WHERE NOT panel ? 'silent'`))
	c.keep(checked(32*day, seen("ns1", cert.Wrong)))
	require.Empty(t, c.changes())
}

func TestWhatIsSeenForTheFirstTimeIsNoChange(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	c.keep(checked(0, seen("ns1", cert.OK)))
	moved := c.keep(checked(1, seen("ns1.new.example", cert.OK))) // the zone moved to other name servers
	require.Equal(t, at(1), moved[0].FirstSeen)
	require.True(t, moved[0].ChangedAt.IsZero())

	recursive := seen("ns1.new.example", cert.Wrong)
	recursive.Role = cert.Recursive // the same address in another role is another server
	c.keep(checked(2, recursive))

	other := checked(3, seen("ns1.new.example", cert.Wrong)) // another record is expected, because the platform's target changed
	other.Records[0].Value = "y.dcv.example.org"
	c.keep(other)
	require.Empty(t, c.changes())
	require.Zero(t, c.count(`SELECT count(*) FROM domain_checks WHERE panel ? 'silent'`), "the old record is not checked any more")
}

func TestTheOrderOfAnAnswerIsNoChange(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	c.keep(checked(0, seen("ns1", cert.Wrong, "A 192.0.2.1", "A 192.0.2.2")))
	got := c.keep(checked(1, seen("ns1", cert.Wrong, "A 192.0.2.2", "A 192.0.2.1")))
	require.Equal(t, []string{"A 192.0.2.2", "A 192.0.2.1"}, got[0].Found, "shown as it came")
	require.Empty(t, c.changes())
}

func TestTheWholeDiagnosisIsKept(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	d := checked(0, seen("ns1", cert.OK))
	d.Records = append(d.Records, cert.RecordState{Record: address, Verdict: cert.Unknown})
	d.Names = []cert.NameResult{{Name: "www.example.com", Method: cert.DNS01, Reason: "the delegation is in place"}}
	d.Problems = []cert.Problem{{Code: cert.IPv6Unreachable, Message: "m", WhoActs: cert.TenantActs, Severity: cert.Warns}}
	d.CAA = []cert.CAAState{{CA: "a", Verdict: cert.Wrong, Record: &cert.Record{Name: "example.com", Type: "CAA", Value: "0 issue \"a\""}}}
	d.Servers = []cert.Nameserver{{Zone: "example.com", Name: "ns1", Address: "192.0.2.53", State: "answers"}}
	c.keep(d)
	stored, err := c.Check(t.Context(), c.domain)
	require.NoError(t, err)
	d.Records[0].Seen[0].FirstSeen, d.Records[0].Seen[0].LastSeen = noon, noon
	require.Equal(t, d, stored)
}

func TestAnOlderCheckChangesNothing(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	c.keep(checked(1, seen("ns1", cert.OK)))
	newest := checked(2, seen("ns1", cert.Wrong))
	newest.CheckedAt = newest.CheckedAt.Add(999 * time.Nanosecond).In(time.FixedZone("", 3600)) // the database has microseconds
	c.keep(newest)
	for _, late := range []cert.Diagnosis{
		checked(0, seen("ns1", cert.OK)), checked(1, seen("ns1", cert.Wrong)), checked(2, seen("ns1", cert.OK)), newest,
	} {
		got := c.keep(late)
		require.Equal(t, cert.Wrong, got[0].Verdict)
		require.Equal(t, at(2), got[0].ChangedAt)
	}
	require.Equal(t, []string{"2 ns1 ok>wrong []"}, c.changes())
}

func TestACheckWithoutATimeIsRefused(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, err := db.KeepCheck(t.Context(), uuid.NewString(), cert.Diagnosis{})
	require.ErrorContains(t, err, "no time")
	_, err = db.Check(t.Context(), uuid.NewString())
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestTheNewestChangesAreKept(t *testing.T) {
	t.Parallel()
	c, other := newChecks(t), uuid.NewString()
	flip := func(minute int) cert.Diagnosis {
		var all []cert.Sighting
		for n := range 70 {
			all = append(all, seen(fmt.Sprintf("ns%d", n), []cert.Verdict{cert.OK, cert.Wrong}[minute%2]))
		}
		return checked(minute, all...)
	}
	for minute := range 2 {
		_, err := c.KeepCheck(t.Context(), other, flip(minute))
		require.NoError(t, err)
	}
	for minute := range 7 {
		c.keep(flip(minute))
		require.Equal(t, min(minute*70, 200), c.count(`SELECT count(*) FROM record_changes WHERE domain_id = $1`, c.domain))
	}
	require.Equal(t, 70, c.count(`SELECT count(*) FROM record_changes WHERE domain_id = $1`, other), "of this domain only")
	changes, err := c.Changes(t.Context(), c.domain, 71)
	require.NoError(t, err)
	require.Len(t, changes, 71)
	require.Equal(t, []time.Time{at(6), at(6), at(5)}, []time.Time{changes[0].At, changes[69].At, changes[70].At})
	require.Equal(t, []string{"ns0", "ns69", "ns0"}, []string{changes[0].Server, changes[69].Server, changes[70].Server})
}

func TestChecksKeptAtOnceLeaveTheNewestAndEveryStepOnce(t *testing.T) {
	t.Parallel()
	c := newChecks(t)
	const minutes = 20
	var wg sync.WaitGroup
	errs := make([]error, 3*minutes)
	for i, n := range rand.Perm(3 * minutes) { // each three times, in random order
		minute := n / 3
		wg.Go(func() {
			_, errs[i] = c.KeepCheck(context.WithoutCancel(t.Context()), c.domain, checked(minute, seen("ns1", cert.Wrong, fmt.Sprint(minute))))
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	newest, err := c.Check(t.Context(), c.domain)
	require.NoError(t, err)
	require.Equal(t, at(minutes-1), newest.CheckedAt)
	changes, err := c.Changes(t.Context(), c.domain, 0)
	require.NoError(t, err)
	for i, change := range changes {
		require.Equal(t, []string{fmt.Sprint(change.At.Sub(noon).Minutes())}, change.Found)
		require.True(t, i == 0 || change.At.Before(changes[i-1].At), "one a check")
	}
	if len(changes) > 0 { // none if the newest came first
		require.Equal(t, at(minutes-1), changes[0].At)
	}
}
