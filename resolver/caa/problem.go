package caa

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// Problem returns why a Verdict is not OK: the first refusal that a server shows, or that no answer came.
func Problem(name string, sets []Set, request Request) cert.Problem {
	var fault error
	for _, set := range sets {
		if set.Err != nil {
			if fault == nil {
				fault = set.Err
			}
			continue
		}
		if refused := set.judge(request); refused != permitted {
			return set.refused(name, request, refused)
		}
	}
	if proven, ok := errors.AsType[Fault](fault); ok {
		return proven.Problem(name)
	}
	p := cert.Problem{Code: cert.CAALookupFailed, WhoActs: cert.PlatformActs, Remediation: cert.NothingToDo}
	p.Message = fmt.Sprintf("We could not check which CAs may issue certificates for %s (its CAA records): no answer came. A CA issues nothing then.", cert.Unicode(name))
	if fault != nil {
		p.Found = fault.Error()
	}
	return p
}

// refused says which CAA records keep the CA from issuing and which one would let it.
func (s Set) refused(name string, r Request, refused refusal) cert.Problem {
	p := cert.Problem{Code: cert.CAAForbids, WhoActs: cert.TenantActs, Found: s.list(func(*dns.CAA) bool { return true })}
	where := s.Owner
	if s.Alias != "" {
		where = s.Alias
	}
	switch refused {
	case otherAccount:
		p.Code = cert.CAAAccountBound
		p.Message = fmt.Sprintf("The CAA records of %s let another account of the CA %s issue certificates for %s, not ours.", where, r.CA.Name, cert.Unicode(name))
	case otherMethod:
		p.Message = fmt.Sprintf("The CAA records of %s let the CA %s issue certificates for %s, but not after the check that works here (%s).", where, r.CA.Name, cert.Unicode(name), r.Method)
	case unknownCritical:
		p.Message = fmt.Sprintf("The CAA records of %s hold one that every CA must understand and none does, so none may issue a certificate for %s.", where, cert.Unicode(name))
	default:
		p.Message = fmt.Sprintf("The CAA records of %s say which CAs may issue certificates for %s, and the CA %s isn't among them.", where, cert.Unicode(name), r.CA.Name)
	}
	if s.Alias != "" {
		return s.behindAlias(p, name)
	}
	if refused == unknownCritical {
		p.Remediation = fmt.Sprintf("%sdelete this CAA record %s: %s.", atProvider, cert.FormName(s.Owner), s.list(isUnknownCritical))
		return p
	}
	want := s.remedy(name, r, refused)
	p.Record = &want
	p.Remediation = fmt.Sprintf("%sadd a CAA record %s with the value %s; in a form with three fields: flags 0, tag %s, value %s. Other CAA records may stay.",
		atProvider, cert.FormName(want.Name), want.Value, r.tag(), strings.Trim(strings.TrimPrefix(want.Value, "0 "+r.tag()+" "), `"`))
	return p
}

const atProvider = "At your DNS provider "

// behindAlias gives the step for records that the tenant can't change, because the name is an alias and they stand at its end.
func (s Set) behindAlias(p cert.Problem, name string) cert.Problem {
	p.Remediation = fmt.Sprintf("The records stand at %s, to which the CNAME record of %s leads: ask whoever runs that name to change them, or lead yours elsewhere.", s.Alias, s.Owner)
	if s.Platform {
		p.WhoActs = cert.PlatformActs
		p.Remediation = fmt.Sprintf("There is nothing for you to do: the records stand at %s, which is the platform's, and keep it from getting a certificate for %s.", s.Alias, cert.Unicode(name))
	}
	return p
}

// list formats the records for which the condition holds, each once, as in a zone file.
func (s Set) list(which func(*dns.CAA) bool) string {
	var found []string
	for _, record := range s.Records {
		if text := "CAA " + strings.TrimPrefix(record.String(), record.Header().String()); which(record) && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	return strings.Join(cert.Values(found), ", ")
}
