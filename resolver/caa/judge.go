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
	CA       cert.CAIdentity
	Method   cert.Method
	Wildcard bool
}

// NewRequest returns the request for a name, which may be a wildcard, validated by a method.
func NewRequest(ca cert.CAIdentity, name string, method cert.Method) Request {
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
		switch v := set.verdict(request); v {
		case cert.Wrong:
			return cert.Wrong
		case cert.OK:
			verdict = cert.OK
		case cert.Unknown:
		}
	}
	return verdict
}

func (s Set) verdict(request Request) cert.Verdict {
	if _, proven := errors.AsType[Fault](s.Err); proven {
		return cert.Wrong
	}
	switch {
	case s.Err != nil:
		return cert.Unknown
	case s.judge(request) == permitted:
		return cert.OK
	default:
		return cert.Wrong
	}
}

// refusal is why CAA records keep a CA from issuing.
type refusal int

const (
	permitted       refusal = iota
	unknownCritical         // a property that must be understood and isn't (RFC 8659 §4.1)
	notListed               // the CA isn't among those named
	otherMethod             // it is, for other validation methods (RFC 8657 §4)
	otherAccount            // it is, for another account (RFC 8657 §3)
)

// criticalBits is the issuer critical flag, and the bit at the other end that many take for it; Let's Encrypt
// understands both as critical.
const criticalBits = 128 | 1

// judge applies RFC 8659 §4 and RFC 8657. A CA that publishes no issuer domain name (RFC 8555 §7.1.1, caaIdentities) can't
// be named in a CAA record, so that only what it must not understand keeps it from issuing.
func (s Set) judge(r Request) refusal {
	var issue, issueWild []string
	for _, record := range s.Records {
		switch strings.ToLower(record.Tag) {
		case "issue":
			issue = append(issue, record.Value)
		case "issuewild":
			issueWild = append(issueWild, record.Value)
		}
		if isUnknownCritical(record) {
			return unknownCritical
		}
	}
	values := issue
	if r.Wildcard && len(issueWild) > 0 { // §4.3: then issue properties don't count for wildcards
		values = issueWild
	}
	if len(values) == 0 || len(r.CA.Domains) == 0 {
		return permitted
	}
	nearest := notListed
	for _, value := range values {
		refused := judgeProperty(value, r)
		if refused == permitted {
			return permitted
		}
		nearest = max(nearest, refused)
	}
	return nearest
}

// judgeProperty applies one issue or issuewild property.
func judgeProperty(value string, r Request) refusal {
	p, ok := parseProperty(value)
	if !ok || !r.isFor(p.issuer) {
		return notListed // §4.2: a value that can't be read names nobody
	}
	if accounts := p.parameters["accounturi"]; len(accounts) > 0 {
		// Several make the property unsatisfiable; URIs are compared as they stand (RFC 8657 §3).
		if len(accounts) > 1 || accounts[0] == "" || accounts[0] != r.CA.AccountURI {
			return otherAccount
		}
	}
	if lists := p.parameters["validationmethods"]; len(lists) > 0 {
		if len(lists) > 1 || !listsMethod(lists[0], r.Method) {
			return otherMethod
		}
	}
	return permitted
}

// isUnknownCritical reports whether a CA that knows the properties of RFC 8659 only must stop at the record.
func isUnknownCritical(record *dns.CAA) bool {
	switch strings.ToLower(record.Tag) {
	case "issue", "issuewild", "iodef":
		return false
	}
	return record.Flag&criticalBits != 0
}

// isFor reports whether an issuer domain name is the CA's.
func (r Request) isFor(issuer string) bool {
	return slices.ContainsFunc(r.CA.Domains, func(d string) bool { return strings.EqualFold(d, issuer) })
}

// listsMethod reports whether a comma-separated list has the method; one label that can't be read makes the whole list useless (RFC 8657 §4).
func listsMethod(list string, method cert.Method) bool {
	found := false
	for label := range strings.SplitSeq(list, ",") {
		if !isTag(label) {
			return false
		}
		found = found || strings.EqualFold(label, string(method))
	}
	return found
}
