package resolver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/caa"
)

// problems lists what stands in the way, and address records that lead elsewhere even where they don't stand in the way
// of the certificate: visitors follow them. A missing delegation is left out for a name that http-01 serves. Of names in a zone that
// is broken only the zone's own problems are told: all else follows from them.
func (e evidence) problems(best plan, requireOwnership bool) []cert.Problem {
	var l list
	for i, h := range e.homes {
		for _, p := range h.problems(e.registered[i], e.hosted) {
			l.addProblem(p)
		}
	}
	for i, want := range e.question.Expected {
		if requireOwnership && want.Purpose == cert.ForOwnership && !e.inBrokenZone(subject(want)) {
			l.add(subject(want), e.hostedWork(subject(want), e.records[i]))
		}
	}
	for i, name := range e.question.Names {
		if e.homes[i].broken() {
			continue
		}
		if best.names[i] == cert.OK {
			if e.pointed[i].usable == cert.Wrong || e.pointed[i].problem.Code == cert.ProxiedByCDN {
				l.add(name, warned(e.pointed[i]))
			}
			l.addReached(e.reached[i], best.methods[name])
			continue
		}
		onlyCAA := e.pointed[i].usable == cert.OK && e.permitted(i, best.request(name, cert.DNS01)) != cert.OK
		if f := e.delegation(name); f != nil && !onlyCAA && e.allows(cert.DNS01) {
			l.add(name, e.hostedWork(name, *f))
		}
		if !cert.CanDelegate(name) && !e.allows(cert.HTTP01) && !e.allows(cert.TLSALPN01) {
			l.addProblem(tooLongToDelegate(name))
		}
		if e.bare() && e.allows(cert.DNS01) {
			l.add(name, e.proofs[i])
		}
		if e.allows(cert.HTTP01) || e.allows(cert.TLSALPN01) {
			l.add(name, e.pointed[i])
		} else {
			l.add(name, warned(e.pointed[i])) // visitors suffer; the certificate doesn't depend on it
		}
		l.addReached(e.reached[i], "")
		if request, stands := e.caaInTheWay(i, best); stands {
			p := caa.Problem(name, e.caa[i], request)
			if p.Code == cert.CAALookupFailed && l.silent[silenceOf(cert.DNSLookupFailed, name)] {
				continue // said already: no answer comes for this name
			}
			l.addProblem(p)
		}
	}
	if e.cutOff {
		l.addProblem(cutOff)
	}
	for i, want := range e.question.Expected {
		if p := e.differing(i); p != nil && !e.inBrokenZone(subject(want)) {
			if best.verdict == cert.OK { // what still blocks is ownership, and told as such
				p.Severity = cert.Warns
			}
			l.addProblem(*p)
		}
	}
	return l.problems
}

// caaInTheWay tells whether CAA keeps the ith name from being validated: no method is permitted, or none of those that would
// work. A name that has its method already has nothing in its way. The request is for the method to ask permission for.
func (e evidence) caaInTheWay(i int, best plan) (caa.Request, bool) {
	name := e.question.Names[i]
	if best.names[i] == cert.OK {
		return caa.Request{}, false
	}
	var refused []cert.Method
	anyPermitted := false
	for _, m := range e.methods() {
		switch {
		case e.permitted(i, best.request(name, m)) == cert.OK:
			anyPermitted = true
		case e.provable(i, m) == cert.OK:
			return best.request(name, m), true // nothing but CAA is in the way
		default:
			refused = append(refused, m)
		}
	}
	if anyPermitted {
		return caa.Request{}, false
	}
	return best.request(name, refused[0]), true
}

func (e evidence) inBrokenZone(name string) bool {
	return slices.ContainsFunc(e.homes, func(h home) bool { return h.name == base(name) && h.broken() })
}

// hostedWork gives a record that is missing in a zone that the platform hosts to the platform to add.
func (e evidence) hostedWork(name string, f finding) finding {
	for _, h := range e.homes {
		if h.name == base(name) && h.hostedHere(e.hosted) && f.problem.WhoActs == cert.TenantActs {
			f.problem.WhoActs = cert.PlatformActs
		}
	}
	return f
}

// differing is the problem of an expected record that some servers of the zone show and others don't, as for a while after a change.
func (e evidence) differing(i int) *cert.Problem {
	var have, lack []string
	for _, s := range e.seen[i] {
		switch {
		case s.Role != cert.Authoritative:
		case s.Verdict == cert.OK:
			have = append(have, s.Server)
		case s.Verdict == cert.Wrong:
			lack = append(lack, s.Server)
		}
	}
	if len(have) == 0 || len(lack) == 0 {
		return nil
	}
	want := e.question.Expected[i]
	return &cert.Problem{
		Code: cert.AnswersDiffer, WhoActs: cert.TenantActs, Record: &want, Found: "right at " + strings.Join(have, ", ") + "; not at " + strings.Join(lack, ", "),
		Message:     fmt.Sprintf("The name servers of %s don't say the same about %s: it is right at %s, and not at %s.", cert.Unicode(zoneOf(want.Name)), want.Name, strings.Join(have, ", "), strings.Join(lack, ", ")),
		Remediation: "If you changed it within the last hour, just wait: the change is on its way. If not: " + atProvider + "ask why these name servers hold different versions of the domain. The record must be " + cert.FormName(want.Name) + ".",
	}
}

func warned(f finding) finding {
	f.problem.Severity = cert.Warns
	if f.usable == cert.OK && f.problem.Code != "" {
		f.usable = cert.Wrong // so that it is told
	}
	return f
}

// list collects problems, each once, and says only once of a name that its DNS could not be looked up.
type list struct {
	problems []cert.Problem
	silent   map[string]bool
}

func (l *list) add(name string, f finding) {
	if f.usable == cert.OK || f.problem.Code == "" {
		return
	}
	if f.problem.Code == cert.DNSLookupFailed || f.problem.Code == cert.DNSSECBogus {
		key := silenceOf(f.problem.Code, name)
		if l.silent[key] {
			return
		}
		if l.silent == nil {
			l.silent = map[string]bool{}
		}
		l.silent[key] = true
	}
	l.addProblem(f.problem)
}

// silenceOf is the key under which it is noted that a name's lookups fail.
func silenceOf(code cert.Code, name string) string { return string(code) + " " + name }

// addProblem adds a problem that isn't there yet. One record with a broken signature shows that its zone's signing is broken; the next
// of that zone adds nothing.
func (l *list) addProblem(p cert.Problem) {
	if !slices.ContainsFunc(l.problems, func(q cert.Problem) bool {
		return q.Code == p.Code && (q.Message == p.Message || p.Code == cert.DNSSECBogus && q.Remediation == p.Remediation)
	}) {
		l.problems = append(l.problems, p)
	}
}

// addReached adds what was seen of a name's web servers. chosen is the method that will do, if one will: then the others' troubles
// only warn.
func (l *list) addReached(r reached, chosen cert.Method) {
	for _, p := range slices.Concat(r.http.Problems(), r.alpn.Problems()) {
		if p.Code == cert.TLSALPNRefused && chosen != "" && chosen != cert.TLSALPN01 {
			continue // as nearly every web server does: no harm to a name that is validated otherwise
		}
		if p.Code == cert.ProxiedByCDN && slices.ContainsFunc(l.problems, func(q cert.Problem) bool { return q.Code == p.Code }) {
			continue
		}
		if chosen != "" {
			p.Severity = cert.Warns
		}
		l.addProblem(p)
	}
}
