package resolver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/caa"
)

// problems lists what stands in the way, and what harms visitors even where it doesn't stand in the way of the certificate. A missing
// delegation is left out for a name that http-01 serves. Of names in a broken zone only the zone's own problems are reported: all else
// follows from them.
func (e *evidence) problems(p plan) []cert.Problem {
	var l problemList
	for _, n := range e.names {
		for _, problem := range zoneProblems(n.zone, n.registered, e.config.HostedNameservers) {
			l.add(problem)
		}
	}
	if e.config.RequireOwnership {
		e.addOwnership(&l)
	}
	for _, n := range p.names {
		switch {
		case n.zone.broken():
		case n.verdict == cert.OK:
			e.addWarnings(&l, n, p.ca)
		default:
			e.addObstacles(&l, n, p.ca)
		}
	}
	e.addWildcards(&l)
	if e.cutOff {
		l.add(cutOff)
	}
	for _, r := range e.records {
		if problem, differ := serversDiffer(r); differ && !e.inBrokenZone(r.want.Hostname) {
			if p.verdict == cert.OK { // what still blocks is ownership, which has a problem of its own
				problem.Severity = cert.Warns
			}
			l.add(problem)
		}
	}
	return l.problems
}

// addWildcards warns where a record that a problem asks for would take a name off the wildcard record that leads its visitors.
func (e *evidence) addWildcards(l *problemList) {
	for _, n := range e.names {
		d := destinationOf(e.question, n.name)
		i := slices.IndexFunc(l.problems, func(p cert.Problem) bool {
			return p.Record != nil && p.Severity != cert.Warns && isBelow(p.Record.Name, n.name)
		})
		if n.wildcard != "" && i >= 0 && len(d.records) > 0 {
			l.add(siteWouldBreak(n, l.problems[i].Record.Name, d.records[0]))
		}
	}
}

func (e *evidence) addOwnership(l *problemList) {
	for _, r := range e.records {
		if r.want.Purpose == cert.ForOwnership && !e.inBrokenZone(r.want.Hostname) {
			l.addFinding(r.want.Hostname, e.assigned(r.want.Hostname, r.finding))
		}
	}
}

// addWarnings adds what harms visitors of a name that can be validated, and CAA records that other CAs than this one refuse.
func (e *evidence) addWarnings(l *problemList, n namePlan, ca cert.CAIdentity) {
	if n.pointed.usable == cert.Wrong || n.pointed.problem.Code == cert.ProxiedByCDN {
		l.addFinding(n.name, warning(n.pointed))
	}
	l.addWeb(n.web, n.method)
	if problem, warns := caa.Warning(n.name, n.caa, caa.NewRequest(ca, n.name, n.method)); warns {
		l.add(problem)
	}
}

// addObstacles adds what keeps a name from being validated. A delegation isn't asked for where the name leads here and only CAA is in
// the way.
func (e *evidence) addObstacles(l *problemList, n namePlan, ca cert.CAIdentity) {
	onlyCAA := n.pointed.usable == cert.OK && e.permitted(n.nameEvidence, caa.NewRequest(ca, n.name, cert.DNS01)) != cert.OK
	if n.delegation != nil && !onlyCAA && e.allows(cert.DNS01) {
		l.addFinding(n.name, e.assigned(n.name, *n.delegation))
	}
	switch {
	case !cert.CanDelegate(n.name) && !e.allowsByAddress():
		l.add(tooLongToDelegate(n.name))
	case strings.HasPrefix(n.name, "*.") && !e.allows(cert.DNS01):
		l.add(wildcardNeedsDNS(n.name))
	}
	if e.unconnected() && e.allows(cert.DNS01) {
		l.addFinding(n.name, n.challenge)
	}
	if e.allowsByAddress() {
		l.addFinding(n.name, n.pointed)
	} else {
		l.addFinding(n.name, warning(n.pointed)) // visitors suffer; the certificate doesn't depend on it
	}
	l.addWeb(n.web, "")
	if request, refused := e.refusedByCAA(n, ca); refused {
		problem := caa.Problem(n.name, n.caa, request)
		if problem.Code == cert.CAALookupFailed && l.unanswered[unanswerable{cert.DNSLookupFailed, n.name}] {
			return // reported already: no answer comes for this name
		}
		l.add(problem)
	}
}

// assigned gives a record that is missing in a zone that the platform hosts to the platform to add.
func (e *evidence) assigned(name string, f finding) finding {
	if z, known := e.zoneOf(name); known && z.hostedAt(e.config.HostedNameservers) && f.problem.WhoActs == cert.TenantActs {
		f.problem.WhoActs = cert.PlatformActs
	}
	return f
}

// serversDiffer returns the problem of an expected record that some servers of the zone show and others don't, as for a while after a
// change.
func serversDiffer(r *recordEvidence) (problem cert.Problem, differ bool) {
	var have, lack []string
	for _, s := range r.seen {
		switch {
		case s.Role != cert.Authoritative:
		case s.Verdict == cert.OK:
			have = append(have, s.Server)
		case s.Verdict == cert.Wrong:
			lack = append(lack, s.Server)
		}
	}
	if len(have) == 0 || len(lack) == 0 {
		return cert.Problem{}, false
	}
	right, not := strings.Join(have, ", "), strings.Join(lack, ", ")
	return cert.Problem{
		Code: cert.AnswersDiffer, WhoActs: cert.TenantActs, Record: &r.want, Found: "right at " + right + "; not at " + not,
		Message: fmt.Sprintf("The name servers of %s don't say the same about %s: it is right at %s, and not at %s.",
			cert.Unicode(cert.RegisteredDomain(r.want.Name)), r.want.Name, right, not),
		Remediation: "If you changed it within the last hour, just wait: the change is on its way. If not: " + atProvider +
			"ask why these name servers hold different versions of the domain. The record must be " + cert.FormName(r.want.Name) + ".",
	}, true
}

// tooLongToDelegate is the problem of a platform that validates by dns-01 only (RFC 1035 §2.3.4, RFC 8555 §8.4).
func tooLongToDelegate(name string) cert.Problem {
	return cert.Problem{
		Code: cert.NameInvalid, WhoActs: cert.PlatformActs,
		Message: fmt.Sprintf("%s is too long for dns-01: with _acme-challenge. before it, it has more than the 253 characters that DNS allows.",
			cert.Unicode(name)),
		Remediation: "Allow http-01, which works for it (VALIDATION_METHODS), or connect a shorter name.",
	}
}

// siteWouldBreak warns of the records that take a name off the wildcard that leads its visitors. record is the name's own, which prevents
// it.
func siteWouldBreak(n *nameEvidence, below string, record cert.Record) cert.Problem {
	shown := strings.Join(n.pointed.found, ", ")
	p := tenantActs(cert.SiteWouldBreak, record,
		fmt.Sprintf("A wildcard record %s leads the visitors of %s (%s). As soon as there is a record below that name, such as %s, "+
			"the wildcard answers for it no more, and visitors find nothing.", cert.FormName(n.wildcard), cert.Unicode(n.name), shown, below),
		fmt.Sprintf("first %s, or one with the value of the wildcard record as long as the site stays where it is; then the others",
			toAdd(record)))
	p.Severity, p.Found = cert.Warns, shown
	return p
}

// wildcardNeedsDNS is the problem of a platform that doesn't validate by dns-01 (Baseline Requirements §3.2.2.4.19 and §3.2.2.4.20).
func wildcardNeedsDNS(name string) cert.Problem {
	return cert.Problem{
		Code: cert.NameInvalid, WhoActs: cert.PlatformActs,
		Message: fmt.Sprintf(
			"CAs issue certificates for wildcards such as %s by dns-01 only, which is not allowed here.", cert.Unicode(name),
		),
		Remediation: "Allow dns-01 (VALIDATION_METHODS), or connect the names one by one.",
	}
}

// cutOff is reported where the walk from the root servers found nothing: the platform's network is the usual reason.
var cutOff = cert.Problem{
	Code: cert.DNSLookupFailed, Severity: cert.Warns, WhoActs: cert.PlatformActs,
	Message: "The domain's own name servers could not be asked from here, only public resolvers, which may be behind.",
	Remediation: "If every domain has this problem: let workers reach port 53 of the whole internet, by UDP and TCP, " +
		"or set DNS_ROOT_HINTS to none.",
}

// warning returns the finding with a problem that only warns.
func warning(f finding) finding {
	f.problem.Severity = cert.Warns
	if f.usable == cert.OK && f.problem.Code != "" {
		f.usable = cert.Wrong // so that it is reported
	}
	return f
}

// problemList collects problems, each once, and reports only once of a name that its DNS could not be looked up.
type problemList struct {
	problems   []cert.Problem
	unanswered map[unanswerable]bool
}

// unanswerable is a name for which no answer comes, or none that can be believed.
type unanswerable struct {
	code cert.Code // DNSLookupFailed or DNSSECBogus
	name string
}

// addFinding adds the problem of a finding about a name, unless it is usable.
func (l *problemList) addFinding(name string, f finding) {
	if f.usable == cert.OK || f.problem.Code == "" {
		return
	}
	if f.problem.Code == cert.DNSLookupFailed || f.problem.Code == cert.DNSSECBogus {
		key := unanswerable{f.problem.Code, name}
		if l.unanswered[key] {
			return
		}
		if l.unanswered == nil {
			l.unanswered = map[unanswerable]bool{}
		}
		l.unanswered[key] = true
	}
	l.add(f.problem)
}

// add adds a problem that isn't there yet. One record with a broken signature shows that the signing of its zone is broken; the next
// of that zone adds nothing. A problem that is there as a warning, and now stands in the way, blocks.
func (l *problemList) add(p cert.Problem) {
	i := slices.IndexFunc(l.problems, func(q cert.Problem) bool {
		return q.Code == p.Code && (q.Message == p.Message || p.Code == cert.DNSSECBogus && q.Remediation == p.Remediation)
	})
	switch {
	case i < 0:
		l.problems = append(l.problems, p)
	case l.problems[i].Severity == cert.Warns && p.Severity != cert.Warns:
		l.problems[i].Severity = p.Severity
	}
}

// addWeb adds what was seen of a name's web servers. chosen is the method that will do, if one will: then the problems of others only warn.
func (l *problemList) addWeb(w webAnswers, chosen cert.Method) {
	for _, p := range w.problems() {
		if p.Code == cert.TLSALPNRefused && chosen != "" && chosen != cert.TLSALPN01 {
			continue // as nearly every web server does: no harm to a name that is validated otherwise
		}
		if p.Code == cert.ProxiedByCDN && slices.ContainsFunc(l.problems, func(q cert.Problem) bool { return q.Code == p.Code }) {
			continue
		}
		if chosen != "" {
			p.Severity = cert.Warns
		}
		l.add(p)
	}
}
