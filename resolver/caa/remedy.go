package caa

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
)

// remedy returns the record that lets the CA issue, spelled as every CA accepts it. It keeps what the refused records demanded and can be
// met, so that a tenant's policy is not widened more than it must be.
func (s Set) remedy(name string, r Request) cert.Record {
	value := r.CA.Domains[0]
	if r.CA.AccountURI != "" && s.demands("accounturi", r) {
		value += "; accounturi=" + r.CA.AccountURI
	}
	if s.demands("validationmethods", r) {
		value += "; validationmethods=" + string(r.Method)
	}
	owner := s.Owner
	if s.isAbove(name) {
		owner = cert.RegisteredDomain(name) // nearer records count (RFC 8659 §3)
	}
	return cert.Record{Name: owner, Type: "CAA", Value: fmt.Sprintf("0 %s %q", r.tag(), value), Hostname: strings.TrimPrefix(name, "*.")}
}

// isAbove reports whether the records stand above what the tenant of a name can change, as those of a top-level domain do.
func (s Set) isAbove(name string) bool { return len(s.Owner) < len(cert.RegisteredDomain(name)) }

// demands reports whether a record that is meant for this CA has the parameter, however it is spelled.
func (s Set) demands(tag string, r Request) bool {
	for _, value := range slices.Concat(s.values("issue"), s.values("issuewild")) {
		read, ok := asWritten.parse(value)
		named := slices.ContainsFunc(r.CA.Domains, func(d string) bool { return strings.EqualFold(read.issuer, d) })
		if ok && named && len(asWritten.values(read, tag)) > 0 {
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

// withoutCritical returns the set as it is when no record of it stops the CA any more.
func (s Set) withoutCritical(p profile) Set {
	s.Records = slices.DeleteFunc(slices.Clone(s.Records), p.stopsAt)
	return s
}
