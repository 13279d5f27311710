package resolver

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/caa"
)

// report puts evidence and decision into the words that people and programs read. What servers show is anybody's text, and is made fit
// to print.
func (e *evidence) report(d decision) cert.Diagnosis {
	report := cert.Diagnosis{
		CheckedAt: time.Now().UTC(), Directory: d.plan.ca.Directory,
		Verdict: d.verdict, Ownership: d.ownership, Pointed: d.pointed,
		Problems: e.problems(d.plan), CAA: e.caaStates(),
	}
	if d.verdict == cert.OK {
		for i := range report.Problems {
			report.Problems[i].Severity = cert.Warns // none of them stands in the way
		}
	}
	for _, n := range d.plan.names {
		report.Names = append(report.Names, e.nameResult(n, d, report.Problems))
	}
	for _, r := range e.records {
		report.Records = append(report.Records, cert.RecordState{Record: r.want, Verdict: r.finding.record, Found: r.finding.found, Seen: r.seen})
	}
	report.Servers = e.servers()
	if e.question.Once {
		for i, p := range report.Problems {
			report.Problems[i].Remediation = once.Replace(p.Remediation)
		}
	}
	return report.Clean()
}

// once replaces what problems promise for connected domains, which are checked again and again.
var once = strings.NewReplacer(
	cert.NothingToDo, "There is nothing to change: ask again in a minute.",
	mayPass, "It may pass by itself: ask again in a minute.",
	" We go on by ourselves when the registry shows it.", "",
)

// nameResult gives the method of a name and the reason for it, or what is waited for.
func (e *evidence) nameResult(n namePlan, d decision, problems []cert.Problem) cert.NameResult {
	if n.verdict != cert.OK || d.verdict != cert.OK {
		return cert.NameResult{Name: n.name, Reason: waitsFor(problems)}
	}
	result := cert.NameResult{Name: n.name, Method: n.method}
	switch {
	case n.method == cert.DNS01 && e.unconnected():
		result.Reason = "the challenge's name can be looked up"
	case n.method == cert.DNS01 && n.zone.hostedAt(e.config.HostedNameservers):
		result.Reason = "the zone is hosted with the platform, and its CNAME record delegates the challenge"
	case n.method == cert.DNS01:
		result.Reason = "by delegation: the CNAME record serves this and every later certificate"
	case n.method == cert.HTTP01 && n.web.cdn() != "":
		result.Reason = fmt.Sprintf("%s through %s, and %s", e.led(), n.web.cdn(), e.notByDNS(n))
	case n.method != cert.HTTP01 && e.allows(cert.HTTP01):
		result.Reason = e.led() + ", http-01 will not do, and " + e.notByDNS(n)
	default:
		result.Reason = e.led() + ", and " + e.notByDNS(n)
	}
	return result
}

// waitsFor returns the first problem that keeps an order from being placed.
func waitsFor(problems []cert.Problem) string {
	for _, p := range problems {
		if p.Severity != cert.Warns {
			return p.Message
		}
	}
	return "DNS gave no answer"
}

// led says what is known of the address by which a name is validated. Where no record is expected, nobody knows where it should lead.
func (e *evidence) led() string {
	if e.unconnected() {
		return "the name's address can be reached"
	}
	return "the name leads here"
}

// notByDNS says why a name is not validated by dns-01.
func (e *evidence) notByDNS(n namePlan) string {
	switch {
	case !e.allows(cert.DNS01):
		return "dns-01 is not among the methods allowed"
	case e.unconnected():
		return "the challenge's name of dns-01 can't be looked up"
	case !cert.CanDelegate(n.name):
		return "the name is too long for dns-01: its _acme-challenge name would not fit into DNS"
	case n.delegation == nil:
		return "whether dns-01 is delegated was not compared"
	default:
		return "dns-01 is not delegated"
	}
}

// caaStates says of every CA of the question whether it may issue for all the names by some method that is allowed here.
func (e *evidence) caaStates() []cert.CAAState {
	states := make([]cert.CAAState, len(e.question.CAs))
	for i, ca := range e.question.CAs {
		states[i] = cert.CAAState{CA: ca.Name, Verdict: cert.OK}
		for _, n := range e.names {
			best, request := e.bestPermission(n, ca)
			states[i].Verdict = states[i].Verdict.Worse(best)
			if best == cert.Wrong && states[i].Record == nil {
				states[i].Record = caa.Problem(n.name, n.caa, request).Record
			}
		}
	}
	return states
}

// bestPermission returns the verdict of CAA on the method that comes off best, the first of equals, and the request for it.
func (e *evidence) bestPermission(n *nameEvidence, ca cert.CAIdentity) (cert.Verdict, caa.Request) {
	best, request := cert.Wrong, caa.NewRequest(ca, n.name, e.methods()[0])
	for _, m := range e.methods() {
		r := caa.NewRequest(ca, n.name, m)
		if v := caa.Verdict(n.caa, r); better(best, v) != best {
			best, request = v, r
		}
	}
	return best, request
}

// servers lists the name servers of the zones that the names are in, each zone once.
func (e *evidence) servers() []cert.Nameserver {
	var zones []string
	var all []cert.Nameserver
	for _, n := range e.names {
		if servers := n.zone.servers(); len(servers) > 0 && !slices.Contains(zones, servers[0].Zone) && servers[0].Zone != "" {
			zones = append(zones, servers[0].Zone)
			all = append(all, servers...)
		}
	}
	return all
}
