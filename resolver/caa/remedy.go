package caa

import (
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
)

// remedy returns the record that lets the CA issue. It keeps what the refused records demanded and can be met, so that a tenant's
// policy is not widened more than it must be.
func (s Set) remedy(name string, r Request, refused refusal) cert.Record {
	value := r.CA.Domains[0]
	if r.CA.AccountURI != "" && (refused == otherAccount || s.mentions("accounturi", r)) {
		value += "; accounturi=" + r.CA.AccountURI
	}
	if refused == otherMethod || s.mentions("validationmethods", r) {
		value += "; validationmethods=" + string(r.Method)
	}
	owner := s.Owner
	if registered := cert.RegisteredDomain(name); len(owner) < len(registered) {
		owner = registered // the records stand above what the tenant can change; nearer ones count (RFC 8659 §3)
	}
	return cert.Record{Name: owner, Type: "CAA", Value: fmt.Sprintf("0 %s %q", r.tag(), value), Hostname: strings.TrimPrefix(name, "*.")}
}

// mentions reports whether a record for this CA has the parameter.
func (s Set) mentions(parameter string, r Request) bool {
	for _, record := range s.Records {
		if p, ok := parseProperty(record.Value); ok && r.isFor(p.issuer) && len(p.parameters[parameter]) > 0 {
			return true
		}
	}
	return false
}

// tag returns the property that governs the request: a wildcard has its own where the domain has any (RFC 8659 §4.3).
func (r Request) tag() string {
	if r.Wildcard {
		return "issuewild"
	}
	return "issue"
}
