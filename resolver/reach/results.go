package reach

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
)

// Results are what the addresses of a name answer, in the order in which they were given.
type Results []AddressResult

// Verdict puts the addresses together: one that is wrong is enough, because the CA may ask it; those that gave no answer don't
// count unless all are such, and those that a CA passes over don't count at all.
func (r Results) Verdict() cert.Verdict {
	verdict := cert.Unknown
	for _, result := range r {
		if result.passed {
			continue
		}
		switch result.Verdict {
		case cert.Wrong:
			return cert.Wrong
		case cert.OK:
			verdict = cert.OK
		case cert.Unknown:
		}
	}
	return verdict
}

// AnswersTLS reports whether a TLS server answered Prober.TLSALPN at one of the addresses, if only to refuse the question.
func (r Results) AnswersTLS() bool {
	return slices.ContainsFunc(r, func(a AddressResult) bool { return a.answered && !a.passed })
}

// Problems returns what is wrong, once for all the addresses where it is, and what is worth knowing besides.
func (r Results) Problems() []cert.Problem {
	var problems []cert.Problem
	said := map[string]bool{}
	for i, result := range r {
		if result.fault == nil || said[result.fault.kind()] {
			continue
		}
		said[result.fault.kind()] = true
		alike := slices.Collect(func(yield func(AddressResult) bool) {
			for _, other := range r[i:] {
				if other.fault != nil && other.fault.kind() == result.fault.kind() && !yield(other) {
					return
				}
			}
		})
		problems = append(problems, problemOf(alike))
	}
	if p, differ := r.differ(); differ {
		problems = append(problems, p)
	}
	return append(problems, r.behindCDN()...)
}

// explain fills in what the fault of a result says.
func (a *AddressResult) explain() {
	if a.fault == nil {
		a.Verdict = cert.OK
		return
	}
	switch {
	case a.target.visiting:
		a.fault = a.fault.visitors(a.own())
	case a.own():
		a.fault = a.fault.platforms()
	}
	p := problemOf([]AddressResult{*a})
	a.Verdict, a.Problem = a.fault.verdict, &p
}

// PassesOver reports whether a CA does without all of the addresses.
func (r Results) PassesOver(addresses []netip.Addr) bool {
	return !slices.ContainsFunc(addresses, func(addr netip.Addr) bool {
		return !slices.ContainsFunc(r, func(a AddressResult) bool { return a.Address == addr.Unmap() && a.passed })
	})
}

// passOver marks the addresses that a CA does without, and lets what is wrong there only warn: visitors may still be sent there.
// Several addresses of a family are alike: the resolver's answer has them in any order, and the first is asked. Boulder, which Let's
// Encrypt runs, chooses so (bdns.LookupHost, va.newHTTPValidationTarget, va.fallbackErr, va.tryGetChallengeCert):
//   - reserved addresses are left out as if DNS didn't have them,
//   - then IPv6 is asked, and IPv4 only where no connection could be made to that (http-01) or where anything went wrong (tls-alpn-01).
//
// No CA can be expected to ask reserved addresses, or to fail because IPv6 is dead. That IPv6 alone is asked where it works is known of
// some CAs only.
func (r Results) passOver(protocol string) {
	public := slices.ContainsFunc(r, func(a AddressResult) bool { return !a.reserved() })
	answersOverIPv4, worksOverIPv6 := r.answerOverIPv4(), r.workOverIPv6()
	for i := range r {
		a := &r[i]
		switch {
		case a.reserved():
			a.passed = public
		case a.Address.Is4():
			a.passed = a.target.IPv6First && worksOverIPv6
		default:
			a.passed = answersOverIPv4 && a.fault != nil && a.fault.verdict == cert.Wrong && (a.fault.undialed || protocol == protocolHTTPS)
		}
		if a.passed && a.fault != nil {
			a.fault = a.fault.passedOver()
		}
	}
}

// answerOverIPv4 reports whether something answers at an IPv4 address, be it right or wrong.
func (r Results) answerOverIPv4() bool {
	return slices.ContainsFunc(r, func(a AddressResult) bool {
		return a.Address.Is4() && !a.reserved() && (a.fault == nil || !a.fault.unreachable())
	})
}

// workOverIPv6 reports whether there are IPv6 addresses, and nothing is wrong at any of them.
func (r Results) workOverIPv6() bool {
	works := false
	for _, a := range r {
		if !a.Address.Is6() || a.reserved() {
			continue
		}
		if a.fault != nil && (a.fault.verdict == cert.Wrong || !a.answered) {
			return false
		}
		works = true
	}
	return works
}

// blameIPv6 distinguishes "nothing answers here" from "nothing answers here over IPv6", which most people who look don't notice:
// their browsers fall back to IPv4, and not every CA does.
func (r Results) blameIPv6() {
	answersOverIPv4 := r.answerOverIPv4()
	for i := range r {
		f := r[i].fault
		if r[i].Address.Is6() && f != nil && f.verdict == cert.Wrong && f.unreachable() && answersOverIPv4 {
			f := *f
			f.code, f.step = cert.IPv6Unreachable, stepIPv6
			r[i].fault = &f
		}
	}
}

// differ reports plausible answers that can't be those of one set-up: with a token known to the platform's edges there is
// only one answer that is right, and this isn't asked.
func (r Results) differ() (cert.Problem, bool) {
	seen := map[string][]netip.Addr{}
	var order []string
	for _, result := range r {
		if result.Verdict != cert.OK || result.Response == nil || result.target.Probe != nil || result.target.visiting {
			continue
		}
		answer := result.Response.summary()
		if seen[answer] == nil {
			order = append(order, answer)
		}
		seen[answer] = append(seen[answer], result.Address)
	}
	if len(order) < 2 {
		return cert.Problem{}, false
	}
	found := make([]string, len(order))
	for i, answer := range order {
		found[i] = fmt.Sprintf("%s: %s", list(seen[answer]), answer)
	}
	name := r[0].target.Name
	return cert.Problem{
		Code: cert.HTTPUnexpectedResponse, Severity: cert.Warns, WhoActs: cert.TenantActs, Found: cert.Line(strings.Join(found, "; "), maxFound),
		Message: fmt.Sprintf(
			"The addresses of %s answer differently, so they may belong to different servers, and a CA may ask any of them.", cert.Unicode(name),
		),
		Remediation: fmt.Sprintf("At your DNS provider, delete the records %s that lead to a server which isn't meant to answer for %s.",
			cert.FormName(name), cert.Unicode(name)),
	}, true
}

// behindCDN reports CDNs in front of the name. Where a token came back right, one does no harm.
func (r Results) behindCDN() []cert.Problem {
	behind := map[string][]netip.Addr{}
	var order []string
	for _, result := range r {
		right := result.target.Probe != nil && result.Verdict == cert.OK
		if result.CDN == "" || result.protocol != protocolHTTP || result.own() || right {
			continue
		}
		if behind[result.CDN] == nil {
			order = append(order, result.CDN)
		}
		behind[result.CDN] = append(behind[result.CDN], result.Address)
	}
	problems := make([]cert.Problem, len(order))
	for i, name := range order {
		problems[i] = proxied(r[0].target.Name, name, behind[name])
	}
	return problems
}
