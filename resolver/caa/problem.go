package caa

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// Problem returns why a Verdict is not OK: the first refusal that a server shows, else what is known to be wrong, else that no answer came.
func Problem(name string, sets []Set, request Request) cert.Problem {
	profile := profileOf(request.CA)
	var silence error
	var fault Fault
	var undecided *Set
	for _, set := range sets {
		if known, ok := errors.AsType[Fault](set.Err); ok {
			fault = known
			continue
		}
		if set.Err != nil {
			silence = cmp.Or(silence, set.Err)
			continue
		}
		switch refused := set.judge(request, profile); refused {
		case permitted:
		case unknownAccount:
			undecided = &set
		default:
			return set.refused(name, request, refused)
		}
	}
	switch {
	case fault != nil:
		return fault.Problem(name)
	case undecided != nil:
		return undecided.refused(name, request, unknownAccount)
	default:
		return lookupFailed(name, silence)
	}
}

func lookupFailed(name string, silence error) cert.Problem {
	p := cert.Problem{
		Code: cert.CAALookupFailed, WhoActs: cert.PlatformActs, Remediation: cert.NothingToDo,
		Message: fmt.Sprintf("We could not check which CAs may issue certificates for %s (its CAA records): no answer came. "+
			"A CA issues nothing then.", cert.Unicode(name)),
	}
	if silence != nil {
		p.Found = silence.Error()
	}
	return p
}

// refused says which records keep the CA from issuing, and the step that lets it.
func (s Set) refused(name string, r Request, refused refusal) cert.Problem {
	p := cert.Problem{
		Code: codeOf(refused), WhoActs: cert.TenantActs, Found: s.list(func(*dns.CAA) bool { return true }),
		Message: s.message(name, r, refused),
	}
	switch {
	case refused == unknownAccount:
		p.WhoActs = cert.PlatformActs
		p.Remediation = "Compare that account with the one that orders, or ask again with its URL (--account-uri)."
	case s.Alias != "":
		s.behindAlias(&p, name, r, refused)
	case refused == unknownCritical && (!s.isAbove(name) || len(r.CA.Domains) == 0):
		s.uncritical(&p, name, r)
	default:
		want := s.remedy(name, r)
		p.Record, p.Remediation = &want, atProvider+r.toAdd(want)+". Other CAA records may stay."
	}
	return p
}

func codeOf(refused refusal) cert.Code {
	if refused == otherAccount || refused == unknownAccount {
		return cert.CAAAccountBound
	}
	return cert.CAAForbids
}

// message says what the records keep the CA from, and why.
func (s Set) message(name string, r Request, refused refusal) string {
	where, ca, name := s.stand(), r.CA.Name, cert.Unicode(name)
	switch refused {
	case unknownCritical:
		return fmt.Sprintf("A CAA record of %s is marked as critical, and the CA %s does not know what it means: %s. "+
			"So it may not issue a certificate for %s.", where, ca, s.list(profileOf(r.CA).stopsAt), name)
	case otherSpelling:
		return fmt.Sprintf("The CAA records of %s say which CAs may issue certificates for %s, and name the CA %s in capitals. "+
			"It accepts only %s, letter by letter.", where, name, ca, r.CA.Domains[0])
	case unreadable:
		return fmt.Sprintf("The CAA records of %s say which CAs may issue certificates for %s, and the one for the CA %s can't be read, "+
			"so that it counts for nobody.", where, name, ca)
	case otherMethod:
		return fmt.Sprintf("The CAA records of %s let the CA %s issue certificates for %s, but not after the check that works here (%s).",
			where, ca, name, r.Method)
	case otherAccount:
		return fmt.Sprintf("The CAA records of %s let another account of the CA %s issue certificates for %s, not ours: "+
			"they bind the name to an account (accounturi).", where, ca, name)
	case unknownAccount:
		return fmt.Sprintf("The CAA records of %s let one account of the CA %s issue certificates for %s (accounturi), "+
			"and we don't know whether it is the one that will order.", where, ca, name)
	case permitted, notListed:
	}
	return fmt.Sprintf("The CAA records of %s say which CAs may issue certificates for %s, and the CA %s isn't among them.", where, name, ca)
}

// stand returns the name at which the records really stand.
func (s Set) stand() string {
	if s.Alias != "" {
		return s.Alias
	}
	return s.Owner
}

const atProvider = "At your DNS provider "

// toAdd gives the step in a form's words.
func (r Request) toAdd(want cert.Record) string {
	value := strings.Trim(strings.TrimPrefix(want.Value, "0 "+r.tag()+" "), `"`)
	return fmt.Sprintf("add a CAA record %s with the value %s; in a form with three fields: flags 0, tag %s, value %s",
		cert.FormName(want.Name), want.Value, r.tag(), value)
}

// uncritical gives the step for records that are critical: flags 0 keep what they say for the CAs that know them. Where the other records
// forbid as well, it gives both steps.
func (s Set) uncritical(p *cert.Problem, name string, r Request) {
	profile := profileOf(r.CA)
	p.Remediation = fmt.Sprintf("%schange the flags of this CAA record %s to 0, or delete it: %s",
		atProvider, cert.FormName(s.Owner), s.list(profile.stopsAt))
	rest := s.withoutCritical(profile)
	if refused := rest.judge(r, profile); refused != permitted && refused != unknownAccount {
		want := rest.remedy(name, r)
		p.Record, p.Remediation = &want, p.Remediation+"; then "+r.toAdd(want)
	}
	p.Remediation += "."
}

// behindAlias gives the step for records that the tenant can't change, because the name is an alias and they stand at its end.
func (s Set) behindAlias(p *cert.Problem, name string, r Request, refused refusal) {
	if s.Platform {
		p.WhoActs = cert.PlatformActs
		p.Remediation = fmt.Sprintf("There is nothing for you to do: the records stand at %s, which is the platform's, and keep it from "+
			"getting a certificate for %s.", s.Alias, cert.Unicode(name))
		return
	}
	change := "change them"
	if refused != unknownCritical {
		change = fmt.Sprintf("add the CAA record %s there", s.remedy(name, r).Value)
	}
	p.Remediation = fmt.Sprintf("The records stand at %s, to which the CNAME record of %s leads: ask whoever runs that name to %s, "+
		"or lead yours elsewhere.", s.Alias, s.Owner, change)
}

// list formats the records for which the condition holds, as in a zone file.
func (s Set) list(which func(*dns.CAA) bool) string {
	var found []string
	for _, record := range s.Records {
		if which(record) {
			found = append(found, "CAA "+strings.TrimPrefix(record.String(), record.Header().String()))
		}
	}
	return strings.Join(cert.Values(found), ", ")
}
