package caa

import (
	"errors"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// Request is a certificate as CAA records see it.
type Request struct {
	CA       cert.CAIdentity // its domains in lower case
	Method   cert.Method
	Wildcard bool
}

// NewRequest returns the request for a name, which may be a wildcard, validated by a method.
func NewRequest(ca cert.CAIdentity, name string, method cert.Method) Request {
	ca.Domains = slices.Clone(ca.Domains)
	for i, domain := range ca.Domains {
		ca.Domains[i] = strings.ToLower(domain)
	}
	return Request{CA: ca, Method: method, Wildcard: strings.HasPrefix(name, "*.")}
}

// Fault is an error of a look-up whose cause is known, such as a signature that has expired: the CA gets no answer either. Any other
// error means only that no answer came here.
type Fault interface {
	error
	// Problem returns what is wrong with the DNS of the name, and who fixes it.
	Problem(name string) cert.Problem
}

// Verdict reports whether the CA may issue, by what all servers show. One that shows a refusal is enough for Wrong, because the CA may ask
// that one; those that gave no answer do not count unless none did.
func Verdict(sets []Set, request Request) cert.Verdict {
	verdict := cert.Unknown
	for _, set := range sets {
		switch set.verdict(request) {
		case cert.Wrong:
			return cert.Wrong
		case cert.OK:
			verdict = cert.OK
		case cert.Unknown:
		}
	}
	return verdict
}

func (s Set) verdict(r Request) cert.Verdict {
	if _, known := errors.AsType[Fault](s.Err); known {
		return cert.Wrong
	}
	if s.Err != nil {
		return cert.Unknown
	}
	switch s.judge(r, profileOf(r.CA)) {
	case permitted:
		return cert.OK
	case unknownAccount:
		return cert.Unknown
	default:
		return cert.Wrong
	}
}

// refusal is why CAA records keep a CA from issuing. Of several records that each refuse, the reason that comes last here is the one to
// report: it is the nearest to a permission.
type refusal int

const (
	permitted       refusal = iota
	unknownCritical         // a property is critical, and the CA does not know it (RFC 8659 §4.1)
	notListed               // no record names the CA
	otherSpelling           // one does, in capitals, and the CA compares letter by letter
	unreadable              // one does, with parameters that can't be read (RFC 8659 §4.2)
	otherMethod             // one does, for other validation methods (RFC 8657 §4)
	otherAccount            // one does, for another account (RFC 8657 §3)
	unknownAccount          // one does, for one account; which account will order is not known
)

// judge decides as the CA does, in this order.
func (s Set) judge(r Request, p profile) refusal {
	// No records anywhere on the way up: every CA may issue (RFC 8659 §3).
	//
	// A critical property that the CA does not know counts before all others: it could mean anything (§4.1).
	if slices.ContainsFunc(s.Records, p.stopsAt) {
		return unknownCritical
	}
	// issue properties govern, but for a wildcard where there are issuewild properties: then these alone do (§4.3). For other names,
	// issuewild means nothing.
	values := s.values("issue")
	if wild := s.values("issuewild"); r.Wildcard && len(wild) > 0 {
		values = wild
	}
	// Records that say nothing of issuance, such as iodef alone, restrict nobody (§4.2). A CA that publishes no issuer domain name
	// (RFC 8555 §7.1.1) is not restricted by records that name CAs.
	if len(values) == 0 || len(r.CA.Domains) == 0 {
		return permitted
	}
	// One property that permits is enough (§4.2).
	nearest := notListed
	for _, value := range values {
		refused := p.judgeProperty(value, r)
		if refused == permitted {
			return permitted
		}
		nearest = max(nearest, refused)
	}
	return nearest
}

// stopsAt reports whether a record alone keeps the CA from issuing.
func (p profile) stopsAt(record *dns.CAA) bool {
	return p.isCritical(record.Flag) && !p.understands(record.Tag)
}

// values returns the values of all records with the property tag.
func (s Set) values(tag string) []string {
	var values []string
	for _, record := range s.Records {
		if strings.EqualFold(record.Tag, tag) { // RFC 8659 §4.1
			values = append(values, record.Value)
		}
	}
	return values
}

// judgeProperty decides what one issue or issuewild property says of the CA.
func (p profile) judgeProperty(value string, r Request) refusal {
	// An empty issuer lets nobody issue, and is nobody's name (RFC 8659 §4.2).
	issuer := issuerOf(value)
	if !slices.ContainsFunc(r.CA.Domains, func(d string) bool { return p.sameIssuer(issuer, d) }) {
		if slices.ContainsFunc(r.CA.Domains, func(d string) bool { return strings.EqualFold(issuer, d) }) {
			return otherSpelling
		}
		return notListed
	}
	// A value that does not match the grammar is as one with an empty issuer, even where the name is the CA's (RFC 8659 §4.2).
	read, ok := p.parse(value)
	if !ok {
		return unreadable
	}
	// Two accounts in one property can't be met, and neither can an empty one. URIs are compared as they stand (RFC 8657 §3).
	accounts := p.values(read, "accounturi")
	accountUnknown := len(accounts) == 1 && accounts[0] != "" && r.CA.AccountURI == ""
	if !accountUnknown && len(accounts) > 0 && (len(accounts) > 1 || accounts[0] == "" || accounts[0] != r.CA.AccountURI) {
		return otherAccount
	}
	// RFC 8657 §4 does not say what two lists of methods mean; Let's Encrypt refuses, and so may others.
	if lists := p.values(read, "validationmethods"); len(lists) > 0 && (len(lists) > 1 || !p.listsMethod(lists[0], string(r.Method))) {
		return otherMethod
	}
	if accountUnknown {
		return unknownAccount
	}
	return permitted // further parameters mean something to the CA alone, or nothing (RFC 8659 §4.2)
}
