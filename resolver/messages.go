package resolver

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// The sentences here are for people who have never heard of a CNAME: what is the matter, then the one step that mends it,
// with the record as DNS providers' forms ask for it.

// subject is the tenant's name that a record is about.
func subject(want cert.Record) string { return want.Hostname }

// zoneOf is the domain under which a provider's form takes names.
func zoneOf(name string) string { return cert.RegisteredDomain(name) }

func toAdd(want cert.Record) string {
	article := "a"
	if want.Type == "A" || want.Type == "AAAA" {
		article = "an"
	}
	return fmt.Sprintf("add %s %s record %s with the value %s", article, want.Type, cert.FormName(want.Name), want.Value)
}

const atProvider = "At your DNS provider "

func tenantActs(code cert.Code, want cert.Record, message, remediation string) cert.Problem {
	return cert.Problem{Code: code, WhoActs: cert.TenantActs, Message: message, Remediation: atProvider + remediation + ".", Record: &want}
}

// ownershipMissing offers the record of the registered domain as well, which covers all names below it.
func ownershipMissing(want cert.Record, above []cert.Record) cert.Problem {
	step := toAdd(want)
	if len(above) > 0 {
		top := above[len(above)-1]
		step += fmt.Sprintf("; or, once for all names below %s, %s", cert.Unicode(subject(top)), toAdd(top))
	}
	return tenantActs(cert.OwnershipMissing, want,
		fmt.Sprintf("We don't see the record that shows that %s is yours.", cert.Unicode(subject(want))), step)
}

func ownershipOfOtherName(want cert.Record, other string) cert.Problem {
	return tenantActs(cert.OwnershipMismatch, want,
		fmt.Sprintf("The record that should show that %s is yours has the value that belongs to %s: each name has its own.", cert.Unicode(subject(want)), cert.Unicode(other)),
		fmt.Sprintf("change the value of the TXT record %s to %s", cert.FormName(want.Name), want.Value))
}

func ownershipDoubled(want cert.Record, stands string) cert.Problem {
	return tenantActs(cert.OwnershipMissing, want,
		fmt.Sprintf("The record that shows that %s is yours is in the wrong place: your DNS provider added the domain to its name a second time, which made it %s.",
			cert.Unicode(subject(want)), stands),
		fmt.Sprintf("rename that record: it must be %s", cert.FormName(want.Name)))
}

func ownershipMismatch(want cert.Record) cert.Problem {
	return tenantActs(cert.OwnershipMismatch, want,
		fmt.Sprintf("The record that should show that %s is yours names another account.", cert.Unicode(subject(want))),
		fmt.Sprintf("change the value of the TXT record %s to %s; or connect the domain from the account that it names", cert.FormName(want.Name), want.Value))
}

// tooLongToDelegate is of a platform that validates by dns-01 only (RFC 1035 §2.3.4, RFC 8555 §8.4).
func tooLongToDelegate(name string) cert.Problem {
	return cert.Problem{
		Code: cert.NameInvalid, WhoActs: cert.PlatformActs,
		Message:     fmt.Sprintf("%s is too long for dns-01: with _acme-challenge. before it, it has more than the 253 characters that DNS allows.", cert.Unicode(name)),
		Remediation: "Allow http-01, which works for it (VALIDATION_METHODS), or connect a shorter name.",
	}
}

func delegationMissing(want cert.Record) cert.Problem {
	return tenantActs(cert.DelegationMissing, want,
		fmt.Sprintf("We don't see the record by which we get and renew the certificate of %s.", cert.Unicode(subject(want))), toAdd(want))
}

func delegationDoubled(want cert.Record, stands string) cert.Problem {
	return tenantActs(cert.DelegationDoubledName, want,
		fmt.Sprintf("The record by which we get the certificate of %s is in the wrong place: your DNS provider added the domain to its name a second time, which made it %s.",
			cert.Unicode(subject(want)), stands),
		fmt.Sprintf("rename that record: it must be %s", cert.FormName(want.Name)))
}

func delegationIsText(want cert.Record, sameValue bool) cert.Problem {
	message := fmt.Sprintf("There is a TXT record at %s, where a CNAME record must be.", want.Name)
	if sameValue {
		message = fmt.Sprintf("The record at %s has the right value but the wrong type: it is TXT and must be CNAME.", want.Name)
	}
	return tenantActs(cert.DelegationWrongTarget, want, message,
		fmt.Sprintf("delete the TXT record %s, then %s", cert.FormName(want.Name), toAdd(want)))
}

func delegationElsewhere(want cert.Record, a lookup.Answer) cert.Problem {
	change := fmt.Sprintf("change the value of the CNAME record %s to %s", cert.FormName(want.Name), want.Value)
	if became, ok := completedBy(a, want); ok {
		return tenantActs(cert.DelegationWrongTarget, want,
			fmt.Sprintf("The value of the CNAME record %s has become %s: your DNS provider added your own domain to it.", want.Name, became),
			change+", with a dot at its end if the form takes it as it stands")
	}
	if a.Endless {
		return tenantActs(cert.DelegationWrongTarget, want,
			fmt.Sprintf("The CNAME record %s leads in a circle or through too many names, so that nobody gets to its end.", want.Name), change)
	}
	return tenantActs(cert.DelegationWrongTarget, want,
		fmt.Sprintf("The CNAME record %s leads to %s, not to the name by which we get the certificate.", want.Name, lookup.NoDot(a.End())),
		change+". If you see no such record there, one named * stands in for it; adding the CNAME record mends that too")
}

func addressMissing(p pointing) cert.Problem {
	return tenantActs(cert.DNSNoRecords, p.records[0],
		fmt.Sprintf("%s has no address, so visitors can't reach it.", cert.Unicode(p.name)), p.toAdd())
}

func addressElsewhere(p pointing, seen []string) cert.Problem {
	return tenantActs(cert.DNSWrongTarget, p.records[0],
		fmt.Sprintf("%s leads somewhere else: %s.", cert.Unicode(p.name), strings.Join(seen, ", ")),
		fmt.Sprintf("delete the records %s of type A, AAAA and CNAME, then %s", cert.FormName(p.name), p.toAdd()))
}

func addressEndless(p pointing) cert.Problem {
	return tenantActs(cert.DNSWrongTarget, p.records[0],
		fmt.Sprintf("The CNAME record of %s leads in a circle or through too many names, so visitors can't reach it.", cert.Unicode(p.name)),
		fmt.Sprintf("delete the CNAME record %s, then %s", cert.FormName(p.name), p.toAdd()))
}

func addressConflict(p pointing, strays []netip.Addr) cert.Problem {
	return tenantActs(cert.DNSConflictingRecords, p.records[0],
		fmt.Sprintf("%s leads here, but some visitors are still sent elsewhere: %s.", cert.Unicode(p.name), tellAddresses(strays)),
		fmt.Sprintf("delete these records %s: %s", cert.FormName(p.name), tellAddresses(strays)))
}

func (p pointing) toAdd() string {
	steps := make([]string, len(p.records))
	for i, want := range p.records {
		steps[i] = toAdd(want)
	}
	return strings.Join(steps, ", and ")
}

// waiting is a problem that is never the tenant's and passes by itself.
func waiting(code cert.Code, message string, fault error) cert.Problem {
	p := cert.Problem{Code: code, WhoActs: cert.PlatformActs, Message: message, Remediation: cert.NothingToDo}
	if fault != nil {
		p.Found = fault.Error()
	}
	return p
}

// once takes back what problems promise for connected domains, which are looked at again, and what evercert then does by itself.
var once = strings.NewReplacer(
	cert.NothingToDo, "There is nothing to change: ask again in a minute.",
	"It may pass by itself: we look again.", "It may pass by itself: ask again in a minute.",
	" We go on by ourselves when the registry shows it.", "",
)

func lookupFailed(name string, fault error) cert.Problem {
	return waiting(cert.DNSLookupFailed, fmt.Sprintf("We could not check the DNS records of %s: no answer came.", cert.Unicode(name)), fault)
}

func validationZoneSilent(want cert.Record, fault error) cert.Problem {
	p := waiting(cert.DNSLookupFailed, fmt.Sprintf("Your CNAME record %s is right, but we could not check what it leads to: no answer came from the platform's own name servers.", want.Name), fault)
	p.Record = &want
	return p
}

func targetSilent(p pointing, fault error) cert.Problem {
	return waiting(cert.DNSLookupFailed, fmt.Sprintf("Your record for %s is right, but the platform's own name that it leads to has no address now.", cert.Unicode(p.name)), fault)
}

// cutOff is told where the way down from the roots leads nowhere: the platform's network is the usual reason.
var cutOff = cert.Problem{
	Code: cert.DNSLookupFailed, Severity: cert.Warns, WhoActs: cert.PlatformActs,
	Message:     "The domain's own name servers could not be asked from here, only public resolvers, which may be behind.",
	Remediation: "If this is told of every domain: let workers reach port 53 of the whole internet, by UDP and TCP, or set DNS_ROOT_HINTS to none.",
}

// notYetEverywhere adds that the views differ, as they do for a while after a change.
func notYetEverywhere(p cert.Problem) cert.Problem {
	p.Message += " Some servers show the right records already, others don't yet."
	p.Remediation = "If you changed it within the last day, just wait: the change is on its way. If not: " + p.Remediation
	return p
}
