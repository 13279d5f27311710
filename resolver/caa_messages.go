package resolver

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

func caaLookupFailed(name string, fault error) cert.Problem {
	return waiting(cert.CAALookupFailed, fmt.Sprintf("We could not check which CAs may issue certificates for %s (its CAA records): no answer came. A CA issues nothing then.", cert.Unicode(name)), fault)
}

// caaRefused tells which CAA records keep the CA from issuing and which one would let it.
func caaRefused(name string, set caaSet, r caaRequest, refusal caaRefusal) cert.Problem {
	p := cert.Problem{Code: cert.CAAForbids, WhoActs: cert.TenantActs, Found: set.tell(func(*dns.CAA) bool { return true })}
	where := set.owner
	if set.alias != "" {
		where = set.alias
	}
	switch refusal {
	case otherAccount:
		p.Code = cert.CAAAccountBound
		p.Message = fmt.Sprintf("The CAA records of %s let another account of the CA %s issue certificates for %s, not ours.", where, r.ca.Name, cert.Unicode(name))
	case otherMethod:
		p.Message = fmt.Sprintf("The CAA records of %s let the CA %s issue certificates for %s, but not after the check that works here (%s).", where, r.ca.Name, cert.Unicode(name), r.method)
	case unknownCritical:
		p.Message = fmt.Sprintf("The CAA records of %s hold one that every CA must understand and none does, so none may issue a certificate for %s.", where, cert.Unicode(name))
	default:
		p.Message = fmt.Sprintf("The CAA records of %s say which CAs may issue certificates for %s, and the CA %s isn't among them.", where, cert.Unicode(name), r.ca.Name)
	}
	if set.alias != "" {
		return caaBehindAlias(p, name, set)
	}
	if refusal == unknownCritical {
		p.Remediation = fmt.Sprintf("%sdelete this CAA record %s: %s.", atProvider, cert.FormName(set.owner), set.tell(isUnknownCritical))
		return p
	}
	want := set.remedy(name, r, refusal)
	p.Record = &want
	p.Remediation = fmt.Sprintf("%sadd a CAA record %s with the value %s; in a form with three fields: flags 0, tag %s, value %s. Other CAA records may stay.",
		atProvider, cert.FormName(want.Name), want.Value, r.tag(), strings.Trim(strings.TrimPrefix(want.Value, "0 "+r.tag()+" "), `"`))
	return p
}

// caaBehindAlias is told of records that the tenant can't change, because the name is an alias and they stand at its end.
func caaBehindAlias(p cert.Problem, name string, set caaSet) cert.Problem {
	p.Remediation = fmt.Sprintf("The records stand at %s, to which the CNAME record of %s leads: ask whoever runs that name to change them, or lead yours elsewhere.", set.alias, set.owner)
	if set.platform {
		p.WhoActs = cert.PlatformActs
		p.Remediation = fmt.Sprintf("There is nothing for you to do: the records stand at %s, which is the platform's, and keep it from getting a certificate for %s.", set.alias, cert.Unicode(name))
	}
	return p
}

// remedy is the record that lets the CA issue. It keeps what the refused records demanded and can be met, so that a tenant's
// policy is not widened more than it must be.
func (s caaSet) remedy(name string, r caaRequest, refusal caaRefusal) cert.Record {
	value := r.ca.Domains[0]
	if r.ca.AccountURI != "" && (refusal == otherAccount || s.mentions("accounturi", r)) {
		value += "; accounturi=" + r.ca.AccountURI
	}
	if refusal == otherMethod || s.mentions("validationmethods", r) {
		value += "; validationmethods=" + string(r.method)
	}
	owner := s.owner
	if zone := zoneOf(name); len(owner) < len(zone) { // found above what the tenant can change; nearer records count (RFC 8659 §3)
		owner = zone
	}
	return cert.Record{Name: owner, Type: "CAA", Value: fmt.Sprintf("0 %s %q", r.tag(), value), Hostname: base(name)}
}

// mentions tells whether a record for this CA has the parameter.
func (s caaSet) mentions(parameter string, r caaRequest) bool {
	for _, record := range s.records {
		if p, ok := parseProperty(record.Value); ok && r.isFor(p.issuer) && len(p.parameters[parameter]) > 0 {
			return true
		}
	}
	return false
}

// tag is the property that governs the request: a wildcard has its own where the domain has any (RFC 8659 §4.3).
func (r caaRequest) tag() string {
	if r.wildcard {
		return "issuewild"
	}
	return "issue"
}
