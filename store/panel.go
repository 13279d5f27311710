package store

import (
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
)

// memory is how long it is remembered what a server showed that gives no answer any more, or isn't asked because
// the servers of its zone can't be found. A zone that is away for a day comes back as it was.
const memory = 30 * 24 * time.Hour

// panel is a check as it is stored: the whole diagnosis, and what the servers that told nothing in it had shown before.
type panel struct {
	cert.Diagnosis
	Silent []cert.LastAnswer `json:"silent,omitempty"`
}

// place is where a record is looked for: at one server.
type place struct {
	record wanted
	server string
	role   cert.ServerRole
}

type wanted struct{ name, kind, value string }

func wantedOf(r cert.Record) wanted { return wanted{r.Name, r.Type, r.Value} }

func placeOf(r cert.Record, s cert.Sighting) place { return place{wantedOf(r), s.Server, s.Role} }

// joined is the panel after one more check, and what changed with it.
//
// Only what a server told counts. One that tells nothing (unknown) changes nothing: its times stay, what it showed before is
// remembered, and its next answer is compared with that, so that a time-out between two equal answers is no change. A server that is
// asked for the first time, because the zone moved or the record is a new one, changes nothing either.
func (p panel) joined(d cert.Diagnosis) (panel, []cert.RecordChange) {
	answers := p.answers()
	before := map[place]cert.Sighting{}
	for _, a := range answers {
		before[placeOf(a.Record, a.Sighting)] = a.Sighting
	}
	after := panel{Diagnosis: d}
	after.Records = slices.Clone(d.Records)
	expected, answered := map[wanted]bool{}, map[place]bool{}
	var changes []cert.RecordChange
	for i := range after.Records {
		r := &after.Records[i]
		r.Seen = slices.Clone(r.Seen)
		expected[wantedOf(r.Record)] = true
		for j, now := range r.Seen {
			at := placeOf(r.Record, now)
			was := before[at]
			r.Seen[j] = timed(now, was, d.CheckedAt)
			answered[at] = answered[at] || told(now)
			if changed(now, was) {
				changes = append(changes, cert.RecordChange{
					At: d.CheckedAt, Record: r.Record, Server: now.Server, Role: now.Role, From: was.Verdict, To: now.Verdict, Found: now.Found,
				})
			}
		}
	}
	for _, a := range answers {
		if expected[wantedOf(a.Record)] && !answered[placeOf(a.Record, a.Sighting)] && d.CheckedAt.Sub(a.At) < memory {
			after.Silent = append(after.Silent, a)
		}
	}
	return after, changes
}

// answers is what each server showed when it last told anything.
func (p panel) answers() []cert.LastAnswer {
	var all []cert.LastAnswer
	for _, r := range p.Records {
		for _, s := range r.Seen {
			if told(s) {
				all = append(all, cert.LastAnswer{Record: r.Record, Sighting: s, At: p.CheckedAt})
			}
		}
	}
	return append(all, p.Silent...)
}

// timed is a sighting with its times. was is what the server showed before; the zero Sighting if that isn't known.
func timed(now, was cert.Sighting, at time.Time) cert.Sighting {
	now.FirstSeen, now.LastSeen, now.ChangedAt = was.FirstSeen, was.LastSeen, was.ChangedAt
	if changed(now, was) {
		now.ChangedAt = at
	}
	if now.Verdict == cert.OK {
		now.LastSeen = at
		if was.Verdict != cert.OK {
			now.FirstSeen = at
		}
	}
	return now
}

// changed tells whether a server told something else than before. Servers give the records of an answer in any order (RFC 1034 §3.6).
func changed(now, was cert.Sighting) bool {
	if !told(now) || !told(was) {
		return false
	}
	return now.Verdict != was.Verdict || !slices.Equal(sorted(now.Found), sorted(was.Found))
}

// told tells whether a server gave an answer that shows something.
func told(s cert.Sighting) bool { return s.Verdict == cert.OK || s.Verdict == cert.Wrong }

func sorted(found []string) []string { return slices.Sorted(slices.Values(found)) }
