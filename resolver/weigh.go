package resolver

import (
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
	"github.com/evercert/evercert/resolver/caa"
)

// weigh puts together what the servers show.
//
// The authoritative servers decide, because a CA asks them, and all of them must show what is needed. Resolvers show how far a change has
// come; they decide where the authoritative servers could not be asked from here.
func weigh(q cert.Question, config Config, g gathered) *evidence {
	e := &evidence{question: q, config: config, cutOff: g.cutOff()}
	for _, want := range q.Expected {
		e.records = append(e.records, &recordEvidence{
			want:    want,
			finding: g.judge(g.zones[base(want.Hostname)], func(o observation) finding { return *o.records[want] }),
			seen:    sightings(want, g),
		})
	}
	for _, name := range q.Names {
		n := &nameEvidence{name: name, zone: g.zones[base(name)], expected: len(destinationOf(q, name).records) > 0, wildcard: g.wildcards[name]}
		n.pointed = g.judge(n.zone, func(o observation) finding { return o.names[name].pointed })
		n.challenge = g.judge(n.zone, func(o observation) finding { return o.names[name].challenge })
		if r := e.record(base(name), cert.ForDelegation); r != nil {
			n.delegation = &r.finding
		}
		n.caa = pick(g.deciding(), func(o observation) caa.Set { return o.names[name].caa })
		e.names = append(e.names, n)
	}
	e.remember(time.Now())
	return e
}

// judge returns the finding of those who decide, about a name in the zone.
func (g gathered) judge(z zone, of func(observation) finding) finding {
	if len(g.authoritative) == 0 {
		return merge(pick(g.recursive, of))
	}
	return judge(z, pick(g.authoritative, of), pick(g.recursive, of))
}

// judge returns the finding of the authoritative servers, with two exceptions.
//
// The first view alone asks about the platform's own names, to which records lead: where the record is right and these give no answer,
// its finding counts. And where every resolver that answers reports a DNSSEC failure, a CA's resolver will fail, too; but not in a zone
// that is proved to be unsigned: no validation can fail there, so that it is the resolvers that fail.
func judge(z zone, authoritative, recursive []finding) finding {
	m := merge(authoritative)
	if m.usable != cert.OK {
		return m
	}
	if first := authoritative[0]; first.record == cert.OK && first.usable == cert.Unknown {
		return first
	}
	if z.unsigned() {
		return m
	}
	known := slices.DeleteFunc(slices.Clone(recursive), func(f finding) bool { return f.usable == cert.Unknown })
	if len(known) > 0 && !slices.ContainsFunc(known, func(f finding) bool { return f.problem.Code != cert.DNSSECBogus }) {
		return merge(known)
	}
	return m
}

func pick[T any](all []observation, of func(observation) T) []T {
	picked := make([]T, len(all))
	for i, o := range all {
		picked[i] = of(o)
	}
	return picked
}

// sightings lists an expected record server by server: the authoritative servers, those of the zone that give no answer, the resolvers.
func sightings(want cert.Record, g gathered) []cert.Sighting {
	var all []cert.Sighting
	for _, o := range g.authoritative {
		all = append(all, sighting(o, want))
	}
	all = append(all, silentServers(g.zones[base(want.Hostname)])...)
	for _, o := range g.recursive {
		all = append(all, sighting(o, want))
	}
	var seen []cert.Sighting // each server once: a zone may have fewer servers than there are views
	for _, s := range all {
		if !slices.ContainsFunc(seen, func(other cert.Sighting) bool { return other.Server == s.Server && other.Role == s.Role }) {
			seen = append(seen, s)
		}
	}
	return seen
}

func sighting(o observation, want cert.Record) cert.Sighting {
	f := o.records[want]
	return cert.Sighting{Server: o.view.Server(want.Name), Role: o.view.Role(), Verdict: f.record, Found: f.found, Error: f.fault}
}

// silentServers returns the sightings of the zone's servers that give no answer.
func silentServers(z zone) []cert.Sighting {
	if z.found == nil {
		return nil
	}
	var silent []cert.Sighting
	for _, s := range z.found.Servers {
		if s.State != authority.Answers && s.State != authority.NotAsked {
			silent = append(silent, cert.Sighting{
				Server: s.String(), Role: cert.Authoritative, Verdict: cert.Unknown, Error: string(s.State),
			})
		}
	}
	return silent
}
