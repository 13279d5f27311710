package resolver

import (
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
	"github.com/evercert/evercert/resolver/lookup"
)

// zoneProblems returns what is wrong with the zone itself. registered is what the registry says, where it was asked and found something
// wrong; then all else follows from that. platform are the name servers that the platform demands; none where any will do.
func zoneProblems(z zone, registered *cert.Problem, platform []string) []cert.Problem {
	switch {
	case registered != nil:
		return []cert.Problem{*registered}
	case z.missing():
		return []cert.Problem{notRegistered(z)}
	case z.found == nil:
		return nil // what could not be looked up is reported record by record
	}
	var problems []cert.Problem
	switch {
	case z.validation.Security == authority.Bogus:
		problems = append(problems, lookup.NewBogusError(z.validation).Problem(z.name))
	case z.unvalidated():
		problems = append(problems, keysMissing(z))
	}
	if !z.tenants() {
		return problems // the servers of a registry or of a company's suffix are not the tenant's to change
	}
	for _, fault := range z.found.Faults() {
		if p, ok := faultProblem(z, fault); ok {
			problems = append(problems, p)
		}
	}
	if z.hostedElsewhere(platform) {
		problems = append(problems, notHosted(z, platform))
	}
	return problems
}

// keysMissing is the problem of a zone that has a DS record, and whose keys, or those of a zone above it, could not be asked for. It is
// not known whether that passes.
func keysMissing(z zone) cert.Problem {
	at := cert.Unicode(lookup.ZoneText(z.validation.Zone))
	p := waiting(fmt.Sprintf("The signatures (DNSSEC) of %s can't be validated, so that CAs get no answer: the keys of %s could not be "+
		"asked for (%s).",
		cert.Unicode(lookup.NoDot(z.found.Name)), at, z.validation.Detail), nil)
	p.Severity, p.Found = cert.Blocks, z.validation.Detail
	p.Remediation = fmt.Sprintf("%s If it lasts for hours, ask the DNS provider of %s why its servers give no DNSKEY records.",
		cert.NothingToDo, at)
	return p
}

func notRegistered(z zone) cert.Problem {
	domain := cert.RegisteredDomain(z.name)
	p := cert.Problem{
		Code: cert.DomainNotRegistered, WhoActs: cert.TenantActs, Severity: cert.Blocks,
		Message:     fmt.Sprintf("The domain %s does not exist: it is not registered, or its registration has run out.", cert.Unicode(domain)),
		Remediation: fmt.Sprintf("Check whether %s is spelled right. If it is, register or renew it at a registrar.", cert.Unicode(domain)),
		Found:       "NXDOMAIN",
	}
	if z.found != nil {
		p.Found = "no NS records for it at " + lookup.NoDot(z.found.Name)
		p.Message = fmt.Sprintf("The domain %s has no name servers, so nothing in it can be found.", cert.Unicode(domain))
		p.Remediation = fmt.Sprintf("At your registrar, enter the name servers of your DNS provider for %s.", cert.Unicode(domain))
	}
	return p
}

// faultProblem returns the problem of a fault that people should know of. A faulty server warns while others answer, because resolvers ask
// those; it blocks where none does.
func faultProblem(z zone, f authority.Fault) (cert.Problem, bool) {
	domain := cert.Unicode(lookup.NoDot(z.found.Name))
	if f.Kind == authority.NameserversDiffer {
		return nameserversDiffer(domain, f), true
	}
	p := cert.Problem{Severity: cert.Warns, WhoActs: cert.TenantActs}
	others := "Others answer; but some visitors wait or fail."
	if len(z.found.Answering()) == 0 {
		p.Severity, others = cert.Blocks, "There is no other, so nobody can look up the domain."
		if len(z.found.Servers) > 1 {
			others = "None of the others answers either, so nobody can look up the domain."
		}
	}
	server, name := f.Server.String(), lookup.NoDot(f.Server.Name)
	p.Found = server + ": " + f.Server.Detail
	switch f.Kind {
	case authority.FailingServer:
		if p.Severity == cert.Blocks {
			return p, false // as little is known as when none answers: reported record by record
		}
		p.Code = cert.NameserverLame
		p.Message = fmt.Sprintf("The name server %s of %s fails (SERVFAIL). %s", server, domain, others)
		p.Remediation = fmt.Sprintf("%s If it lasts: at your DNS provider, ask about %s.", mayPass, name)
	case authority.LameServer:
		p.Code = cert.NameserverLame
		p.Message = fmt.Sprintf("The name server %s is listed for %s but does not know the domain. %s", server, domain, others)
		p.Remediation = fmt.Sprintf("At your DNS provider, ask why %s does not serve %s; or, at your registrar, list only the name servers "+
			"that your DNS provider names.", name, domain)
	case authority.UnreachableServer:
		p.Code = cert.NameserverUnreachable
		p.Message = fmt.Sprintf("The name server %s of %s does not answer. %s", server, domain, others)
		p.Remediation = fmt.Sprintf("%s If it lasts: at your DNS provider, ask about %s.", mayPass, name)
		if p.Severity == cert.Blocks {
			p.WhoActs, p.Remediation = cert.PlatformActs, cert.NothingToDo+" If it lasts for hours, ask your DNS provider about "+name+"."
		}
	case authority.ServerNoAddress, authority.ForbiddenServer:
		p.Code = cert.NameserverUnreachable
		p.Message = fmt.Sprintf("The name server %s of %s can't be asked: it has no address that the internet can reach. %s",
			server, domain, others)
		p.Remediation = fmt.Sprintf("At your registrar, list only the name servers that your DNS provider names for %s.", domain)
	case authority.SerialsDiffer, authority.NameserversDiffer: // the first is reported where it matters, record by record; the second above
		return p, false
	}
	return p, true
}

// mayPass is the remediation of what is often over at the next check.
const mayPass = "It may pass by itself: we check again."

func nameserversDiffer(domain string, f authority.Fault) cert.Problem {
	var parts []string
	if len(f.AtParent) > 0 {
		parts = append(parts, "only at the registry: "+namesText(f.AtParent))
	}
	if len(f.InZone) > 0 {
		parts = append(parts, "only in the zone: "+namesText(f.InZone))
	}
	found := strings.Join(parts, "; ")
	return cert.Problem{
		Code: cert.NameserversDiffer, WhoActs: cert.TenantActs, Severity: cert.Warns, Found: found,
		Message:     fmt.Sprintf("The registry and the domain's own zone name different name servers for %s: %s.", domain, found),
		Remediation: fmt.Sprintf("At your registrar, list exactly the name servers that your DNS provider names for %s.", domain),
	}
}

func namesText(names []string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = lookup.NoDot(name)
	}
	return strings.Join(lookup.Distinct(texts), ", ")
}

func notHosted(z zone, platform []string) cert.Problem {
	domain := cert.Unicode(cert.RegisteredDomain(z.name))
	return cert.Problem{
		Code: cert.NameserversNotHosted, WhoActs: cert.TenantActs, Severity: cert.Blocks, Found: "NS " + strings.Join(z.nameservers(), ", NS "),
		Message: fmt.Sprintf("The DNS of %s is not hosted here: its name servers are %s.", domain, strings.Join(z.nameservers(), ", ")),
		Remediation: fmt.Sprintf("At your registrar, change the name servers of %s to %s. It takes up to 48 hours until everybody sees it.",
			domain, strings.Join(platform, ", ")),
	}
}
