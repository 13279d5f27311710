package resolver

import (
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/caa"
	"github.com/evercert/evercert/resolver/reach"
)

// decision is the conclusion from the evidence: whether an order placed now will succeed, and how.
type decision struct {
	plan      plan
	verdict   cert.Verdict // of the plan, and of ownership where that is required
	ownership cert.Verdict
	pointed   cert.Verdict
}

// plan is how one CA could validate every name.
type plan struct {
	ca      cert.CAIdentity
	names   []namePlan
	verdict cert.Verdict
}

// namePlan is how one CA could validate a name.
type namePlan struct {
	*nameEvidence
	method  cert.Method // the first that will do; empty where none will for sure
	verdict cert.Verdict
}

// decide draws the conclusion: an order may be placed where ownership is shown and there is a CA that may issue for every name and can
// validate it by some method. Methods are tried in the order of the question: dns-01 comes first, because it works before visitors are led
// here, and at every renewal.
func (e *evidence) decide() decision {
	d := decision{plan: e.bestPlan(), ownership: e.ownership(), pointed: e.allPointed()}
	d.verdict = d.plan.verdict
	if e.config.RequireOwnership {
		d.verdict = d.verdict.Worse(d.ownership)
	}
	return d
}

func (e *evidence) ownership() cert.Verdict {
	v := cert.OK
	for _, r := range e.records {
		if r.want.Purpose == cert.ForOwnership {
			v = v.Worse(r.finding.usable)
		}
	}
	return v
}

// allPointed is the verdict on the names that have address records to add; without any, nothing is known.
func (e *evidence) allPointed() cert.Verdict {
	v, judged := cert.OK, false
	for _, n := range e.names {
		if n.expected {
			v, judged = v.Worse(n.pointed.usable), true
		}
	}
	if !judged {
		return cert.Unknown
	}
	return v
}

// bestPlan tries each CA. One order goes to one CA, so that a CA must do for all the names.
func (e *evidence) bestPlan() plan {
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
// they are there, so that nobody is asked to change CAA records that another CA does not mind.
func (e *evidence) isBetter(p, than plan) bool {
	if p.verdict != than.verdict {
		return than.verdict.Worse(p.verdict) == than.verdict
	}
	return e.refusals(p) < e.refusals(than)
}

// refusals counts the names for which nothing but CAA, or CAA as well, keeps the plan from working.
func (e *evidence) refusals(p plan) int {
	count := 0
	for _, n := range p.names {
		if _, refused := e.refusedByCAA(n, p.ca); refused {
			count++
		}
	}
	return count
}

func (e *evidence) planFor(ca cert.CAIdentity) plan {
	p := plan{ca: ca, verdict: cert.OK}
	for _, n := range e.names {
		planned := e.planName(n, ca)
		p.names = append(p.names, planned)
		p.verdict = p.verdict.Worse(planned.verdict)
	}
	return p
}

// planName chooses the method for a name. One that will do is enough; the name can't be validated for sure only if all methods are wrong.
func (e *evidence) planName(n *nameEvidence, ca cert.CAIdentity) namePlan {
	p := namePlan{nameEvidence: n, verdict: cert.Wrong}
	for _, m := range e.methods() {
		v := e.provable(n, m).Worse(e.permitted(n, caa.NewRequest(ca, n.name, m)))
		if v == cert.OK && p.verdict != cert.OK {
			p.method = m
		}
		p.verdict = better(p.verdict, v)
	}
	p.verdict = p.verdict.Worse(e.zoneVerdict(n))
	return p
}

// better is the verdict of two ways of which one is enough.
func better(v, w cert.Verdict) cert.Verdict {
	if v.Worse(w) == v {
		return w
	}
	return v
}

// zoneVerdict is what the zone of a name, its registration and the platform's rule about name servers allow.
func (e *evidence) zoneVerdict(n *nameEvidence) cert.Verdict {
	switch {
	case n.registered != nil && n.registered.Severity != cert.Warns, n.zone.hostedElsewhere(e.config.HostedNameservers):
		return cert.Wrong
	case n.zone.broken():
		return n.zone.verdict()
	default:
		return cert.OK
	}
}

// provable decides whether control over a name could be shown by the method, whatever CAA says.
func (e *evidence) provable(n *nameEvidence, m cert.Method) cert.Verdict {
	switch {
	case m == cert.DNS01:
		return e.provableByDNS(n)
	case strings.HasPrefix(n.name, "*."):
		return cert.Wrong // only DNS shows control over all names below (Baseline Requirements §3.2.2.4.19 and §3.2.2.4.20)
	case m == cert.HTTP01 && len(n.web.http) > 0:
		return n.led(n.web.http).Worse(n.web.http.Verdict())
	case m == cert.TLSALPN01:
		return e.provableByTLS(n)
	default:
		return n.pointed.usable
	}
}

// provableByDNS decides about dns-01: by the delegation record, or for a domain that isn't connected by whether the name can be looked up.
func (e *evidence) provableByDNS(n *nameEvidence) cert.Verdict {
	switch {
	case e.unconnected():
		return n.challenge.usable
	case n.delegation != nil:
		return n.delegation.usable
	default:
		return cert.Wrong
	}
}

// provableByTLS decides about tls-alpn-01. Where the name leads to the platform, a TLS server that answers there is enough: the platform's
// edge speaks the protocol only while a challenge is open. A CDN ends the connection that the CA makes (RFC 8737 §3), so that the
// challenge never gets here.
func (e *evidence) provableByTLS(n *nameEvidence) cert.Verdict {
	led := n.led(n.web.alpn) == cert.OK
	switch {
	case (e.unconnected() || led) && len(n.web.alpn) > 0:
		if v := n.web.alpn.Verdict(); v == cert.Wrong || e.unconnected() || !n.web.alpn.AnswersTLS() {
			return v
		}
		return cert.OK
	case n.web.cdn() != "":
		return cert.Wrong
	default:
		return n.pointed.usable
	}
}

// led decides whether the CA is led to the platform by the addresses that it asks: it does without some of those that lead elsewhere.
func (n *nameEvidence) led(answers reach.Results) cert.Verdict {
	if len(n.pointed.strays) > 0 && answers.PassesOver(n.pointed.strays) {
		return cert.OK
	}
	return n.pointed.usable
}

// permitted decides whether CAA records let the CA issue. With no CA in the question, CAA is left out.
func (e *evidence) permitted(n *nameEvidence, request caa.Request) cert.Verdict {
	if len(e.question.CAs) == 0 {
		return cert.OK
	}
	return caa.Verdict(n.caa, request)
}

// refusedByCAA reports whether CAA keeps a name from being validated: no method is permitted, or none of those that would
// work. A name that has its method already is not refused. The request is for the method to ask permission for.
func (e *evidence) refusedByCAA(n namePlan, ca cert.CAIdentity) (caa.Request, bool) {
	if n.verdict == cert.OK {
		return caa.Request{}, false
	}
	var refused []caa.Request
	anyPermitted := false
	for _, m := range e.methods() {
		request := caa.NewRequest(ca, n.name, m)
		switch {
		case e.permitted(n.nameEvidence, request) == cert.OK:
			anyPermitted = true
		case e.provable(n.nameEvidence, m) == cert.OK:
			return request, true // nothing but CAA is in the way
		default:
			refused = append(refused, request)
		}
	}
	if anyPermitted {
		return caa.Request{}, false
	}
	return refused[0], true
}
