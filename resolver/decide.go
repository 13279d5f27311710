package resolver

import (
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
)

// evidence is what all views show together.
type evidence struct {
	question cert.Question
	records  []finding  // of each expected record
	pointed  []finding  // of each name
	caa      [][]caaSet // of each name, one for each view
}

// weigh puts the views together.
func weigh(q cert.Question, looks []look) evidence {
	e := evidence{question: q}
	for i := range q.Expected {
		e.records = append(e.records, merge(pick(looks, func(l look) finding { return l.records[i] })))
	}
	for i := range q.Names {
		e.pointed = append(e.pointed, merge(pick(looks, func(l look) finding { return l.pointed[i] })))
		e.caa = append(e.caa, pick(looks, func(l look) caaSet { return l.caa[i] }))
	}
	return e
}

func pick[T any](looks []look, of func(look) T) []T {
	picked := make([]T, len(looks))
	for i, l := range looks {
		picked[i] = of(l)
	}
	return picked
}

// plan is how one CA could validate every name.
type plan struct {
	ca      cert.CAIdentity
	names   []cert.Verdict // of each name: can it be validated
	verdict cert.Verdict
	methods map[string]cert.Method
}

// decide draws the conclusion: ownership is shown, and there is a CA that may issue for every name and can validate it by
// some method. dns-01 comes first because it works before visitors are led here, and at every renewal.
func (e evidence) decide(requireOwnership bool) cert.Diagnosis {
	best := e.bestPlan()
	d := cert.Diagnosis{Verdict: best.verdict, Ownership: e.ownership(), Pointed: e.allPointed()}
	if requireOwnership {
		d.Verdict = d.Verdict.Worse(d.Ownership)
	}
	if d.Verdict == cert.OK {
		d.Methods = best.methods
	}
	for i, want := range e.question.Expected {
		d.Records = append(d.Records, cert.RecordState{Record: want, Verdict: e.records[i].record, Found: e.records[i].found})
	}
	d.Problems = e.problems(best, requireOwnership)
	return d
}

func (e evidence) ownership() cert.Verdict {
	v := cert.OK
	for i, want := range e.question.Expected {
		if want.Purpose == cert.ForOwnership {
			v = v.Worse(e.records[i].usable)
		}
	}
	return v
}

// allPointed judges the names that have address records to add; without any, nothing is known.
func (e evidence) allPointed() cert.Verdict {
	v, judged := cert.OK, false
	for i, name := range e.question.Names {
		if _, indexes := pointingOf(e.question, name); len(indexes) > 0 {
			v, judged = v.Worse(e.pointed[i].usable), true
		}
	}
	if !judged {
		return cert.Unknown
	}
	return v
}

// bestPlan tries each CA. One order has one CA, so that a CA must do for all the names.
func (e evidence) bestPlan() plan {
	if len(e.question.CAs) == 0 {
		return e.planFor(cert.CAIdentity{})
	}
	best := e.planFor(e.question.CAs[0])
	for _, ca := range e.question.CAs[1:] {
		if p := e.planFor(ca); e.isBetter(p, best) {
			best = p
		}
	}
	return best
}

// isBetter compares the plans for two CAs. Where records are missing, no plan works; then the one is better that will once
// they are there, so that nobody is sent to change CAA records that another CA does not mind.
func (e evidence) isBetter(p, than plan) bool {
	if p.verdict != than.verdict {
		return than.verdict.Worse(p.verdict) == than.verdict
	}
	return e.barred(p) < e.barred(than)
}

// barred counts the names for which CAA stands in the plan's way.
func (e evidence) barred(p plan) int {
	n := 0
	for i := range e.question.Names {
		if _, stands := e.caaInTheWay(i, p); stands {
			n++
		}
	}
	return n
}

func (e evidence) planFor(ca cert.CAIdentity) plan {
	p := plan{ca: ca, verdict: cert.OK, methods: map[string]cert.Method{}}
	for i, name := range e.question.Names {
		// A name has a method if any will do; it has none for sure only if all are surely wrong.
		verdict := cert.Wrong
		for _, m := range []cert.Method{cert.DNS01, cert.HTTP01} {
			v := e.provable(i, m).Worse(e.permitted(i, p.request(name, m)))
			if v == cert.OK && verdict != cert.OK {
				p.methods[name] = m
			}
			verdict = better(verdict, v)
		}
		p.names = append(p.names, verdict)
		p.verdict = p.verdict.Worse(verdict)
	}
	return p
}

func (p plan) request(name string, m cert.Method) caaRequest {
	return caaRequest{ca: p.ca, method: m, wildcard: strings.HasPrefix(name, "*.")}
}

// better is the verdict of two ways of which one is enough.
func better(v, w cert.Verdict) cert.Verdict {
	if v.Worse(w) == v {
		return w
	}
	return v
}

// provable says whether control over the ith name could be shown by the method, whatever CAA says.
func (e evidence) provable(i int, m cert.Method) cert.Verdict {
	name := e.question.Names[i]
	if m == cert.HTTP01 {
		if strings.HasPrefix(name, "*.") {
			return cert.Wrong // wildcards are validated by DNS only (Baseline Requirements §3.2.2.4.19)
		}
		return e.pointed[i].usable
	}
	if f := e.delegation(name); f != nil {
		return f.usable
	}
	return cert.Wrong
}

// delegation is the finding of a name's delegation record, nil if none is expected.
func (e evidence) delegation(name string) *finding {
	i := slices.IndexFunc(e.question.Expected, func(want cert.Record) bool {
		return want.Purpose == cert.ForDelegation && want.Name == cert.DelegationName(name)
	})
	if i < 0 {
		return nil
	}
	return &e.records[i]
}

func (e evidence) permitted(i int, r caaRequest) cert.Verdict {
	if len(e.question.CAs) == 0 {
		return cert.OK
	}
	return permission(e.caa[i], r)
}
