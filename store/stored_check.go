package store

import (
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
)

// memory is how long the last answer of a server is kept when it does not answer any more, or is not asked because the servers of its zone
// can't be found. So a zone that was unreachable for a day has no changes afterwards.
const memory = 30 * 24 * time.Hour

// storedCheck is a check as it is stored: the whole diagnosis, and the last answers of servers that did not answer in it.
type storedCheck struct {
	cert.Diagnosis
	Silent []cert.LastAnswer `json:"silent,omitempty"`
}

// place is a record at one server.
type place struct {
	record wanted
	server string
	role   cert.ServerRole
}

type wanted struct{ name, kind, value string }

func wantedOf(r cert.Record) wanted { return wanted{r.Name, r.Type, r.Value} }

func placeOf(r cert.Record, s cert.Sighting) place { return place{wantedOf(r), s.Server, s.Role} }

// joined returns the stored check after one more check, and what changed with it.
//
// Only answers count. A server that does not answer (unknown) changes nothing: its times stay, its last answer is kept, and its next answer
// is compared with that one. So a time-out between two equal answers is not a change. The first answer of a server, because the zone moved
// or the record is a new one, is not a change either.
func (p storedCheck) joined(d cert.Diagnosis) (storedCheck, []cert.RecordChange) {
	answers := p.answers()
	before := map[place]cert.Sighting{}
	for _, a := range answers {
		before[placeOf(a.Record, a.Sighting)] = a.Sighting
	}
	after := storedCheck{Diagnosis: d}
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
			answered[at] = answered[at] || hasAnswer(now)
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

// answers returns the last answer of each server.
func (p storedCheck) answers() []cert.LastAnswer {
	var all []cert.LastAnswer
	for _, r := range p.Records {
		for _, s := range r.Seen {
			if hasAnswer(s) {
				all = append(all, cert.LastAnswer{Record: r.Record, Sighting: s, At: p.CheckedAt})
			}
		}
	}
	return append(all, p.Silent...)
}

// timed returns a sighting with its times. was is what the server showed before; the zero Sighting if that is not known.
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

// changed reports whether two answers of a server differ. Servers give the records of an answer in any order (RFC 1034 §3.6).
func changed(now, was cert.Sighting) bool {
	if !hasAnswer(now) || !hasAnswer(was) {
		return false
	}
	return now.Verdict != was.Verdict || !slices.Equal(sorted(now.Found), sorted(was.Found))
}

// hasAnswer reports whether a server answered.
func hasAnswer(s cert.Sighting) bool { return s.Verdict == cert.OK || s.Verdict == cert.Wrong }

func sorted(found []string) []string { return slices.Sorted(slices.Values(found)) }
