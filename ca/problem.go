package ca

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"golang.org/x/net/publicsuffix"

	"github.com/evercert/evercert/cert"
)

// meaning is what an ACME error type means for people.
type meaning struct {
	code   cert.Code
	acts   cert.Actor
	remedy string
}

// meanings of the error types that refuse a name, a CSR or a validation (RFC 8555 §6.7).
var meanings = map[string]meaning{
	dnsFailed: {
		cert.DNSLookupFailed,
		cert.TenantActs,
		"check that every name server of the domain answers, with the records shown for it",
	},
	connectionFailed: {
		cert.HTTPUnreachable,
		cert.TenantActs,
		"check that the name's address records lead here and that no firewall is between",
	},
	tlsFailed: {cert.HTTPSUnreachable, cert.TenantActs, "check that the name's address records lead here and nowhere else"},
	unauthorized: {
		cert.CARejected,
		cert.TenantActs,
		"check that the records shown for the domain are in place on all of its name servers, and no older ones beside them",
	},
	incorrectResponse: {
		cert.CARejected,
		cert.TenantActs,
		"check that the records shown for the domain are in place on all of its name servers, and no older ones beside them",
	},
	rejectedIdentifier:    {cert.DomainNotAllowed, cert.TenantActs, "connect another name: the CA issues no certificate for this one"},
	unsupportedIdentifier: {cert.DomainNotAllowed, cert.TenantActs, "connect another name: the CA issues no certificate for this one"},
	badCSR:                {cert.CSRRejected, cert.PlatformActs, newCSRRemedy},
	badPublicKey:          {cert.CSRRejected, cert.PlatformActs, newCSRRemedy},
	rateLimited:           {cert.RateLimited, cert.PlatformActs, "evercert tries again later by itself"},
	serverInternal:        {cert.CAUnavailable, cert.CAActs, "evercert tries again by itself"},
}

// What the next attempt does by itself. None of these texts says "request a certificate": after the last attempt that is refused.
const (
	newCSRRemedy   = "the next attempt makes a new key and CSR; if it is refused again, contact support"
	newOrderRemedy = "the next attempt places a new order; if it happens again, contact support"
)

// problem describes what the CA refused, with the CA's own text. name is the name concerned, if it is only one.
func (s *session) problem(name string, p *acme.ProblemDetails) cert.Problem {
	if name == "" && len(p.SubProblems) == 1 {
		name = cert.Line(p.SubProblems[0].Identifier.Value, cert.MaxHostname)
	}
	message := fmt.Sprintf("%s refused the order: %s", s.name, detail(p))
	if name != "" {
		message = fmt.Sprintf("%s could not accept %s: %s", s.name, cert.Unicode(name), detail(p))
	}
	m := s.meaningOf(decidingKind(p), p.Detail)
	return cert.Problem{Code: m.code, WhoActs: m.acts, Message: message, Remediation: m.remedy}
}

// registryRetry is the wait before an order is repeated that failed at a public suffix: registries repair their name servers in minutes.
const registryRetry = 10 * time.Minute

// lookedUp finds the name whose records a CA could not look up (boulder bdns.Error: "DNS problem: SERVFAIL looking up CAA for net").
var lookedUp = regexp.MustCompile(
	`(?i)\b(?:looking up|look up|lookup|query|querying|resolving)\b[^;]*?\b(?:for|of|at) ["'“]?([a-z0-9-]+(?:\.[a-z0-9-]+)*)`,
)

// registryProblem reports whether the CA failed only to look up records of a public suffix, and returns the problem for people. A CA looks
// up CAA records of each parent of a name (RFC 8659 §3). The tenant can't repair what fails at net or co.uk, unless it is the very name of
// the order.
func (s *session) registryProblem(names []string, p *acme.ProblemDetails) (problem cert.Problem, elsewhere bool) {
	kind, said := decidingKind(p), p.Detail
	if kind != kindOf(p.Type) {
		said = p.SubProblems[0].Detail
	}
	found := lookedUp.FindAllStringSubmatch(said, -1)
	if kind != dnsFailed && kind != caaForbids || len(found) == 0 {
		return cert.Problem{}, false
	}
	var at string
	for _, m := range found {
		at = strings.ToLower(m[1])
		if suffix, _ := publicsuffix.PublicSuffix(at); suffix != at || slices.Contains(names, at) {
			return cert.Problem{}, false
		}
	}
	code := cert.DNSLookupFailed
	if strings.Contains(strings.ToLower(said), "caa") {
		code = cert.CAALookupFailed
	}
	return cert.Problem{
		Code: code, WhoActs: cert.CAActs, Remediation: "evercert orders again by itself; the domain's own records are not the cause",
		Message: fmt.Sprintf("%s could not look up records of %s, under which the name is registered: %s", s.name, at, detail(p)),
	}, true
}

// decidingKind returns the error type that decides: with several names, that of the first that failed (RFC 8555 §6.7.1).
func decidingKind(p *acme.ProblemDetails) string {
	kind := kindOf(p.Type)
	if len(p.SubProblems) > 0 && (kind == compound || kind == malformed) {
		return kindOf(p.SubProblems[0].Type)
	}
	return kind
}

func (s *session) meaningOf(kind, said string) meaning {
	if strings.Contains(strings.ToLower(said), "during secondary validation") { // boulder va: a remote perspective disagreed
		return meaning{
			cert.MultiPerspectiveFailed, cert.TenantActs,
			"make the domain's name servers and addresses answer the same from everywhere: the CA asks from several places in the world " +
				"(Baseline Requirements §3.2.2.9)",
		}
	}
	if kind == caaForbids {
		return meaning{cert.CAAForbids, cert.TenantActs, s.caaRemedy()}
	}
	if m, ok := meanings[kind]; ok {
		return m
	}
	return meaning{cert.CARejected, cert.PlatformActs, "contact support: the CA gives a reason that evercert has no cure for"}
}

func (s *session) caaRemedy() string {
	if len(s.issuers) == 0 {
		return "remove the CAA records that forbid this CA, or add one that allows it"
	}
	return fmt.Sprintf("add a CAA record that allows this CA (0 issue %q), or remove those that forbid it", s.issuers[0])
}

// detail returns what the CA said, for each name if it did so, in one line. It is shortened, since pages and logs show it: a CA may quote a
// whole web page that it found instead of its token.
func detail(p *acme.ProblemDetails) string {
	said := []string{p.Detail}
	for _, sub := range p.SubProblems {
		said = append(said, fmt.Sprintf("%s: %s", sub.Identifier.Value, sub.Detail))
	}
	text := strings.TrimPrefix(strings.Join(said, "; "), "; ")
	if text == "" {
		text = p.Type
	}
	return cert.Line(text, maxDetail)
}

// maxDetail is shorter than cert.MaxDetail, since it is part of a sentence.
const maxDetail = 300
