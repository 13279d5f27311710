package resolver

import "github.com/evercert/evercert/cert"

// problems lists what stands in the way, and address records that lead elsewhere even where they don't stand in the way
// of the certificate: visitors follow them. A missing delegation is left out for a name that http-01 serves.
func (e evidence) problems(best plan, requireOwnership bool) []cert.Problem {
	var l list
	for i, want := range e.question.Expected {
		if requireOwnership && want.Purpose == cert.ForOwnership {
			l.add(subject(want), e.records[i])
		}
	}
	for i, name := range e.question.Names {
		if best.names[i] == cert.OK {
			if e.pointed[i].usable == cert.Wrong {
				l.add(name, e.pointed[i])
			}
			continue
		}
		onlyCAA := e.pointed[i].usable == cert.OK && e.permitted(i, best.request(name, cert.DNS01)) != cert.OK
		if f := e.delegation(name); f != nil && !onlyCAA {
			l.add(name, *f)
		}
		l.add(name, e.pointed[i])
		if request, stands := e.caaInTheWay(i, best); stands {
			l.problems = append(l.problems, caaProblem(name, e.caa[i], request))
		}
	}
	return l.problems
}

// caaInTheWay tells whether CAA keeps the ith name from being validated: no method is permitted, or none of those that would
// work. A name that has its method already has nothing in its way. The request is for the method to ask permission for.
func (e evidence) caaInTheWay(i int, best plan) (caaRequest, bool) {
	name := e.question.Names[i]
	if best.names[i] == cert.OK {
		return caaRequest{}, false
	}
	var refused []cert.Method
	anyPermitted := false
	for _, m := range []cert.Method{cert.DNS01, cert.HTTP01} {
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
		return caaRequest{}, false
	}
	return best.request(name, refused[0]), true
}

// list collects problems, and says only once of a name that its DNS could not be looked up.
type list struct {
	problems []cert.Problem
	silent   map[string]bool
}

func (l *list) add(name string, f finding) {
	if f.usable == cert.OK || f.problem.Code == "" {
		return
	}
	if f.problem.Code == cert.DNSLookupFailed {
		if l.silent[name] {
			return
		}
		if l.silent == nil {
			l.silent = map[string]bool{}
		}
		l.silent[name] = true
	}
	l.problems = append(l.problems, f.problem)
}
