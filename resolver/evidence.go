package resolver

import (
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
	"github.com/evercert/evercert/resolver/caa"
	"github.com/evercert/evercert/resolver/lookup"
)

// evidence is what all views show together, and what the zones, the registries and the web servers said.
type evidence struct {
	question   cert.Question
	hosted     []string  // the platform's name servers, where tenants must use them
	cutOff     bool      // the domain's own servers could not be asked from here
	records    []finding // of each expected record, as decided
	pointed    []finding // of each name
	proofs     []finding // of each name: can _acme-challenge be looked up; only where no record is expected
	caa        [][]caa.Set
	homes      []home
	registered []*cert.Problem // of each name: the registry's word
	reached    []reached
	seen       [][]cert.Sighting // of each expected record
}

// bare tells whether nothing is expected: somebody looks at a domain that isn't connected.
func (e evidence) bare() bool { return len(e.question.Expected) == 0 }

// defaultMethods are those of a question that names none.
var defaultMethods = []cert.Method{cert.DNS01, cert.HTTP01}

func (e evidence) methods() []cert.Method {
	if len(e.question.Methods) == 0 {
		return defaultMethods
	}
	return e.question.Methods
}

func (e evidence) allows(m cert.Method) bool { return slices.Contains(e.methods(), m) }

// weigh puts the views together. The authoritative servers decide, because a CA asks them, and all of them must show what is
// needed; resolvers tell how far a change has come. They decide where the roots can't be reached from here.
func weigh(q cert.Question, homes []home, authoritative, recursive []sight) evidence {
	deciding, judge := authoritative, decided
	if len(authoritative) == 0 {
		deciding, judge = recursive, func(all, _ []finding) finding { return merge(all) }
	}
	e := evidence{question: q, homes: homes, reached: make([]reached, len(q.Names)), registered: make([]*cert.Problem, len(q.Names))}
	for i := range q.Expected {
		of := func(l sight) finding { return l.records[i] }
		e.records = append(e.records, judge(pick(deciding, of), pick(recursive, of)))
		e.seen = append(e.seen, e.sightings(i, authoritative, recursive))
	}
	for i := range q.Names {
		pointed, proof := func(l sight) finding { return l.pointed[i] }, func(l sight) finding { return l.proofs[i] }
		e.pointed = append(e.pointed, judge(pick(deciding, pointed), pick(recursive, pointed)))
		e.proofs = append(e.proofs, judge(pick(deciding, proof), pick(recursive, proof)))
		e.caa = append(e.caa, pick(deciding, func(l sight) caa.Set { return l.caa[i] }))
	}
	return e
}

// decided is the finding of those who decide. The first of them alone has looked at the platform's own names, to which records lead. And
// where every resolver that tells anything says that DNSSEC keeps the answer from it, a CA won't see it either.
func decided(deciding, recursive []finding) finding {
	m := merge(deciding)
	if m.usable != cert.OK {
		return m
	}
	if first := deciding[0]; first.record == cert.OK && first.usable == cert.Unknown {
		return first
	}
	told := slices.DeleteFunc(slices.Clone(recursive), func(f finding) bool { return f.usable == cert.Unknown })
	if len(told) > 0 && !slices.ContainsFunc(told, func(f finding) bool { return f.problem.Code != cert.DNSSECBogus }) {
		return merge(told)
	}
	return m
}

func pick[T any](looks []sight, of func(sight) T) []T {
	picked := make([]T, len(looks))
	for i, l := range looks {
		picked[i] = of(l)
	}
	return picked
}

// sightings tells the ith record server by server: the zone's own, those of them that tell nothing, the resolvers.
func (e evidence) sightings(i int, authoritative, recursive []sight) []cert.Sighting {
	want := e.question.Expected[i]
	var all []cert.Sighting
	shown := func(l sight) {
		f := l.records[i]
		all = append(all, cert.Sighting{Server: l.host(want.Name), Role: l.role, Verdict: f.record, Found: f.found, Error: f.fault})
	}
	for _, l := range authoritative {
		shown(l)
	}
	all = append(all, e.silentServers(want)...)
	for _, l := range recursive {
		shown(l)
	}
	var seen []cert.Sighting // each server once: a zone may have fewer servers than there are views
	for _, s := range all {
		if !slices.ContainsFunc(seen, func(other cert.Sighting) bool { return other.Server == s.Server && other.Role == s.Role }) {
			seen = append(seen, s)
		}
	}
	return seen
}

// silentServers are those of a record's zone that tell nothing.
func (e evidence) silentServers(want cert.Record) []cert.Sighting {
	var silent []cert.Sighting
	for _, h := range e.homes {
		if h.name != base(subject(want)) || h.zone == nil {
			continue
		}
		for _, s := range h.zone.Servers {
			if s.State != authority.Answers && s.State != authority.NotAsked {
				silent = append(silent, cert.Sighting{Server: lookup.ServerText(s), Role: cert.Authoritative, Verdict: cert.Unknown, Error: string(s.State)})
			}
		}
	}
	return silent
}

// diagnosis puts everything into words.
func (e evidence) diagnosis(requireOwnership bool) cert.Diagnosis {
	d := e.decide(requireOwnership)
	d.CheckedAt = time.Now().UTC()
	for i, want := range e.question.Expected {
		d.Records = append(d.Records, cert.RecordState{Record: want, Verdict: e.records[i].record, Found: e.records[i].found, Seen: e.seen[i]})
	}
	d.CAA = e.caaStates()
	var zones []string
	for _, h := range e.homes {
		if servers := h.servers(); len(servers) > 0 && !slices.Contains(zones, servers[0].Zone) && servers[0].Zone != "" {
			zones = append(zones, servers[0].Zone)
			d.Servers = append(d.Servers, servers...)
		}
	}
	return d
}

// caaStates says of every CA whether it may issue for all the names by some method that is allowed here.
func (e evidence) caaStates() []cert.CAAState {
	states := make([]cert.CAAState, len(e.question.CAs))
	for n, ca := range e.question.CAs {
		states[n] = cert.CAAState{CA: ca.Name, Verdict: cert.OK}
		for i, name := range e.question.Names {
			best, request := cert.Wrong, caa.Request{}
			for _, m := range e.methods() {
				r := caa.NewRequest(ca, name, m)
				if v := caa.Verdict(e.caa[i], r); request.CA.Name == "" || better(best, v) != best {
					best, request = better(best, v), r
				}
			}
			states[n].Verdict = states[n].Verdict.Worse(best)
			if best == cert.Wrong && states[n].Record == nil {
				states[n].Record = caa.Problem(name, e.caa[i], request).Record
			}
		}
	}
	return states
}
