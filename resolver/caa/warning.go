package caa

import (
	"fmt"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// Warning returns what to say of records by which the CA issues, though they would not let it if it read them as the RFCs are written:
// another CA refuses them, and this one may some day. It reports false where nothing is to be said.
func Warning(name string, sets []Set, request Request) (cert.Problem, bool) {
	for _, set := range sets {
		// Records at the end of an alias are not the tenant's, and harm nobody here.
		if set.Err != nil || set.Alias != "" || set.judge(request, profileOf(request.CA)) != permitted {
			continue
		}
		if refused := set.judge(request, asWritten); refused != permitted && refused != unknownAccount {
			return set.tolerated(name, request, refused), true
		}
	}
	return cert.Problem{}, false
}

// tolerated says what the RFCs make of records that this CA accepts.
func (s Set) tolerated(name string, r Request, refused refusal) cert.Problem {
	p := cert.Problem{
		Code: codeOf(refused), Severity: cert.Warns, WhoActs: cert.TenantActs, Found: s.list(func(*dns.CAA) bool { return true }),
		Message: fmt.Sprintf("The CA %s accepts the CAA records of %s for %s, but other CAs may not: ", r.CA.Name, s.Owner, cert.Unicode(name)),
	}
	want := s.remedy(name, r)
	p.Remediation = atProvider + r.toAdd(want) + ", in place of the record that is meant for this CA."
	switch refused {
	case unknownCritical:
		critical := s.list(asWritten.stopsAt)
		p.Message += fmt.Sprintf("the record %s is marked as critical, and not every CA knows what it means.", critical)
		p.Remediation = fmt.Sprintf("Nothing has to change for this CA. To let others issue: at your DNS provider change the flags of "+
			"this CAA record %s to 0: %s.", cert.FormName(s.Owner), critical)
		return p
	case otherAccount:
		p.Message += "the tag accounturi is not in lower case. This CA takes no notice of it, so that each of its accounts may issue; " +
			"for others it binds the name to that account."
	case otherMethod:
		p.Message += "they name validation methods in a way that this CA takes no notice of, or reads in part."
	default:
		p.Message += "a record is not well formed."
	}
	p.Record = &want
	return p
}
