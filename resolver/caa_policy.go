package resolver

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// caaRequest is a certificate as CAA records see it.
type caaRequest struct {
	ca       cert.CAIdentity
	method   cert.Method
	wildcard bool
}

// caaRefusal is why CAA records keep a CA from issuing.
type caaRefusal int

const (
	permitted       caaRefusal = iota
	unknownCritical            // a property that must be understood and isn't (RFC 8659 §4.1)
	notListed                  // the CA isn't among those named
	otherMethod                // it is, for other validation methods (RFC 8657 §4)
	otherAccount               // it is, for another account (RFC 8657 §3)
)

// criticalBits is the issuer critical flag, and the bit at the other end that many take for it; Let's Encrypt
// understands both as critical.
const criticalBits = 128 | 1

// judge applies RFC 8659 §4 and RFC 8657. A CA that publishes no issuer domain name (RFC 8555 §7.1.1, caaIdentities) can't
// be named in a CAA record, so that only what it must not understand keeps it from issuing.
func (s caaSet) judge(r caaRequest) caaRefusal {
	var issue, issueWild []string
	for _, record := range s.records {
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
	if r.wildcard && len(issueWild) > 0 { // §4.3: then issue properties don't count for wildcards
		values = issueWild
	}
	if len(values) == 0 || len(r.ca.Domains) == 0 {
		return permitted
	}
	nearest := notListed
	for _, value := range values {
		refusal := judgeProperty(value, r)
		if refusal == permitted {
			return permitted
		}
		nearest = max(nearest, refusal)
	}
	return nearest
}

// judgeProperty applies one issue or issuewild property.
func judgeProperty(value string, r caaRequest) caaRefusal {
	p, ok := parseProperty(value)
	if !ok || !r.isFor(p.issuer) {
		return notListed // §4.2: a value that can't be read names nobody
	}
	if accounts := p.parameters["accounturi"]; len(accounts) > 0 {
		// Several make the property unsatisfiable; URIs are compared as they stand (RFC 8657 §3).
		if len(accounts) > 1 || accounts[0] == "" || accounts[0] != r.ca.AccountURI {
			return otherAccount
		}
	}
	if lists := p.parameters["validationmethods"]; len(lists) > 0 {
		if len(lists) > 1 || !listsMethod(lists[0], r.method) {
			return otherMethod
		}
	}
	return permitted
}

// isUnknownCritical tells whether a CA that knows the properties of RFC 8659 only must stop at the record.
func isUnknownCritical(record *dns.CAA) bool {
	switch strings.ToLower(record.Tag) {
	case "issue", "issuewild", "iodef":
		return false
	}
	return record.Flag&criticalBits != 0
}

// isFor tells whether an issuer domain name is the CA's.
func (r caaRequest) isFor(issuer string) bool {
	return slices.ContainsFunc(r.ca.Domains, func(d string) bool { return strings.EqualFold(d, issuer) })
}

// listsMethod looks through a comma-separated list; one label that is none spoils all of it (RFC 8657 §4).
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

// property is the value of an issue or issuewild record.
type property struct {
	issuer     string              // issuer domain name; empty: nobody may issue
	parameters map[string][]string // values by tag in lower case, in their order
}

// parseProperty reads an issue-value (RFC 8659 §4.2): [issuer] [";" [tag=value *(";" tag=value)]].
func parseProperty(value string) (property, bool) {
	issuer, rest, more := strings.Cut(value, ";")
	p := property{issuer: trimBlanks(issuer), parameters: map[string][]string{}}
	if strings.ContainsFunc(p.issuer, isNotDomainCharacter) {
		return property{}, false
	}
	if !more || trimBlanks(rest) == "" {
		return p, true
	}
	for part := range strings.SplitSeq(rest, ";") {
		tag, parameter, ok := strings.Cut(part, "=")
		tag, parameter = strings.ToLower(trimBlanks(tag)), trimBlanks(parameter)
		if !ok || !isTag(tag) || strings.ContainsFunc(parameter, isNotVisible) {
			return property{}, false
		}
		p.parameters[tag] = append(p.parameters[tag], parameter)
	}
	return p, true
}

func trimBlanks(s string) string { return strings.Trim(s, " \t") }

func isTag(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !isAlphanumeric(c) && c != '-' })
}

func isNotDomainCharacter(c rune) bool { return !isAlphanumeric(c) && c != '-' && c != '.' }

func isNotVisible(c rune) bool { return c <= ' ' || c > '~' }

func isAlphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
