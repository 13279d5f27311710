package resolver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/caa"
)

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
	d := cert.Diagnosis{Directory: best.ca.Directory, Verdict: best.verdict, Ownership: e.ownership(), Pointed: e.allPointed()}
	if requireOwnership {
		d.Verdict = d.Verdict.Worse(d.Ownership)
	}
	d.Problems = e.problems(best, requireOwnership)
	if d.Verdict == cert.OK {
		for i := range d.Problems {
			d.Problems[i].Severity = cert.Warns // none of them stands in the way
		}
	}
	d.Names = e.nameResults(best, d)
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
		for _, m := range e.methods() {
			v := e.provable(i, m).Worse(e.permitted(i, p.request(name, m)))
			if v == cert.OK && verdict != cert.OK {
				p.methods[name] = m
			}
			verdict = better(verdict, v)
		}
		verdict = verdict.Worse(e.zoneVerdict(i))
		p.names = append(p.names, verdict)
		p.verdict = p.verdict.Worse(verdict)
	}
	return p
}

func (p plan) request(name string, m cert.Method) caa.Request {
	return caa.NewRequest(p.ca, name, m)
}

// better is the verdict of two ways of which one is enough.
func better(v, w cert.Verdict) cert.Verdict {
	if v.Worse(w) == v {
		return w
	}
	return v
}

// zoneVerdict is what the zone of the ith name, its registration and the platform's rule about name servers allow.
func (e evidence) zoneVerdict(i int) cert.Verdict {
	h := e.homes[i]
	v := cert.OK
	if h.broken() {
		v = h.verdict()
	}
	if p := e.registered[i]; p != nil && p.Severity != cert.Warns {
		v = cert.Wrong
	}
	if _, elsewhere := h.hostedElsewhere(e.hosted); elsewhere {
		v = cert.Wrong
	}
	return v
}

// provable says whether control over the ith name could be shown by the method, whatever CAA says.
func (e evidence) provable(i int, m cert.Method) cert.Verdict {
	name := e.question.Names[i]
	switch {
	case m == cert.DNS01 && e.bare():
		return e.proofs[i].usable
	case m == cert.DNS01:
		if f := e.delegation(name); f != nil {
			return f.usable
		}
		return cert.Wrong
	case strings.HasPrefix(name, "*."):
		return cert.Wrong // wildcards are validated by DNS only (Baseline Requirements §3.2.2.4.19)
	case m == cert.HTTP01 && len(e.reached[i].http) > 0:
		return e.pointed[i].usable.Worse(e.reached[i].http.Verdict())
	case m == cert.TLSALPN01 && (e.bare() || e.pointed[i].usable == cert.OK) && len(e.reached[i].alpn) > 0:
		if v := e.reached[i].alpn.Verdict(); v == cert.Wrong || e.bare() || !e.reached[i].alpn.AnswersTLS() {
			return v
		}
		return cert.OK // the platform's edge answers the protocol once a challenge is open, not before
	case m == cert.TLSALPN01 && e.reached[i].cdn() != "":
		return cert.Wrong // a CDN ends the connection that the CA makes
	default:
		return e.pointed[i].usable
	}
}

// nameResults returns for each name which method was chosen and why, or what is waited for.
func (e evidence) nameResults(best plan, d cert.Diagnosis) []cert.NameResult {
	results := make([]cert.NameResult, len(e.question.Names))
	for i, name := range e.question.Names {
		r := &results[i]
		r.Name = name
		if d.Verdict == cert.OK {
			r.Method = best.methods[name]
		}
		switch {
		case best.names[i] != cert.OK || d.Verdict != cert.OK:
			r.Reason = e.waitsFor(d)
		case best.methods[name] == cert.DNS01 && e.bare():
			r.Reason = "the challenge's name can be looked up"
		case best.methods[name] == cert.DNS01 && e.homes[i].hostedHere(e.hosted):
			r.Reason = "the zone is hosted with the platform, and its CNAME record delegates the challenge"
		case best.methods[name] == cert.DNS01:
			r.Reason = "by delegation: the CNAME record serves this and every later certificate"
		case best.methods[name] == cert.HTTP01 && e.reached[i].cdn() != "":
			r.Reason = fmt.Sprintf("%s through %s, and %s", e.led(), e.reached[i].cdn(), e.notByDNS(name))
		case best.methods[name] == cert.HTTP01:
			r.Reason = e.led() + ", and " + e.notByDNS(name)
		case e.allows(cert.HTTP01):
			r.Reason = e.led() + ", http-01 will not do, and " + e.notByDNS(name)
		default:
			r.Reason = e.led() + ", and " + e.notByDNS(name)
		}
	}
	return results
}

// led says of a name that is validated over its address what is known of that. Where nothing is expected, nobody knows where it should lead.
func (e evidence) led() string {
	if e.bare() {
		return "the name's address can be reached"
	}
	return "the name leads here"
}

// notByDNS says why a name is not validated by dns-01.
func (e evidence) notByDNS(name string) string {
	switch {
	case !e.allows(cert.DNS01):
		return "dns-01 is not among the methods allowed"
	case e.bare():
		return "the challenge's name of dns-01 can't be looked up"
	case !cert.CanDelegate(name):
		return "the name is too long for dns-01: its _acme-challenge name would not fit into DNS"
	case e.delegation(name) == nil:
		return "whether dns-01 is delegated was not compared"
	default:
		return "dns-01 is not delegated"
	}
}

// waitsFor is the first thing that keeps an order from being placed.
func (e evidence) waitsFor(d cert.Diagnosis) string {
	for _, p := range d.Problems {
		if p.Severity != cert.Warns {
			return p.Message
		}
	}
	return "DNS gave no answer"
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

func (e evidence) permitted(i int, r caa.Request) cert.Verdict {
	if len(e.question.CAs) == 0 {
		return cert.OK
	}
	return caa.Verdict(e.caa[i], r)
}
