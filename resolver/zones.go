package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
	"github.com/evercert/evercert/resolver/lookup"
)

// home is the zone that one of the tenant's names is in, as the walk from the roots found it.
type home struct {
	name     string // the tenant's name, without a wildcard's label
	zone     *authority.Zone
	dnssec   authority.Validation
	err      error // the walk's
	unwalked bool  // the roots can't be reached, and nothing is known of zones
}

// missing tells whether the registered domain isn't there, or has no name servers of its own.
func (h home) missing() bool {
	_, absent := errors.AsType[*authority.NoDomainError](h.err)
	return absent || h.zone != nil && h.zone.Registry
}

// homesOf walks to every name of the question.
func homesOf(ctx context.Context, tree *authority.Tree, names []string) []home {
	homes := make([]home, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			h := home{name: base(name)}
			if h.zone, h.err = tree.Zone(ctx, dns.Fqdn(h.name)); h.err == nil {
				h.dnssec = tree.CheckZone(ctx, h.zone)
			}
			homes[i] = h
		})
	}
	wg.Wait()
	return homes
}

// unwalkedHomes is what resolvers alone tell of the zones: that a registered domain doesn't exist, if all that answer say so.
func unwalkedHomes(ctx context.Context, views []*lookup.View, q cert.Question) []home {
	homes := make([]home, len(q.Names))
	qtype := dns.TypeSOA
	if len(q.CAs) > 0 {
		qtype = dns.TypeCAA // which is asked for anyway
	}
	var wg sync.WaitGroup
	for i, name := range q.Names {
		homes[i] = home{name: base(name), unwalked: true}
		wg.Go(func() {
			domain := cert.RegisteredDomain(name)
			denied, known := false, false
			for _, v := range views {
				exists, err := v.Exists(ctx, domain, qtype)
				denied = denied || err == nil && !exists
				known = known || err == nil && exists
			}
			if denied && !known {
				homes[i].err = &authority.NoDomainError{Name: dns.Fqdn(domain)}
			}
		})
	}
	wg.Wait()
	return homes
}

// base is a name without a wildcard's label.
func base(name string) string { return strings.TrimPrefix(name, "*.") }

// walked tells whether the walk led anywhere. Where it did not, port 53 of the world can't be reached from here, or the roots are down, and
// the resolvers' word must do.
func walked(homes []home) bool {
	return slices.ContainsFunc(homes, func(h home) bool { return h.zone != nil || h.missing() })
}

// signedZones are the zones that the walk found.
func signedZones(homes []home) []lookup.SignedZone {
	var zones []lookup.SignedZone
	for _, h := range homes {
		if h.zone != nil {
			zones = append(zones, lookup.SignedZone{Zone: h.zone, Validation: h.dnssec})
		}
	}
	return zones
}

// verdict is what the zone itself allows: nothing can be right in one that is not there or that none of its servers knows.
func (h home) verdict() cert.Verdict {
	switch {
	case h.missing():
		return cert.Wrong
	case h.unwalked:
		return cert.OK
	case h.err != nil:
		return cert.Unknown
	case h.dnssec.Security == authority.Bogus:
		return cert.Wrong
	case len(h.zone.Answering()) > 0:
		return cert.OK
	case slices.ContainsFunc(h.zone.Servers, func(s authority.Server) bool {
		return s.State == authority.Unreachable || s.State == authority.NotAsked || s.State == authority.Failing
	}):
		return cert.Unknown
	default:
		return cert.Wrong // every server says that it doesn't know the zone, or none has an address
	}
}

// broken tells whether the zone's own problem stands for all that could be said of the names in it.
func (h home) broken() bool {
	return h.missing() || h.zone != nil && h.verdict() != cert.OK && !h.failing()
}

// failing tells whether all servers that speak answer SERVFAIL: as little is known then as when none answers, record by record.
func (h home) failing() bool {
	return len(h.zone.Answering()) == 0 && slices.ContainsFunc(h.zone.Servers, func(s authority.Server) bool { return s.State == authority.Failing })
}

// problems tells what is wrong with the zone; registered is the registry's word, where it was asked for.
func (h home) problems(registered *cert.Problem, hosted []string) []cert.Problem {
	if registered != nil {
		return []cert.Problem{*registered}
	}
	if h.missing() {
		return []cert.Problem{h.notRegistered()}
	}
	if h.zone == nil {
		return nil // what could not be looked up is told record by record
	}
	var problems []cert.Problem
	if h.dnssec.Security == authority.Bogus {
		problems = append(problems, (&lookup.BogusError{Zone: lookup.NoDot(h.zone.Name), Detail: h.dnssec.Detail}).Problem(h.name))
	}
	for _, fault := range h.zone.Faults() {
		if p, ok := h.faulty(fault); ok {
			problems = append(problems, p)
		}
	}
	if p, ok := h.hostedElsewhere(hosted); ok {
		problems = append(problems, p)
	}
	return problems
}

func (h home) notRegistered() cert.Problem {
	domain := cert.RegisteredDomain(h.name)
	p := cert.Problem{
		Code: cert.DomainNotRegistered, WhoActs: cert.TenantActs, Severity: cert.Blocks,
		Message:     fmt.Sprintf("The domain %s does not exist: it is not registered, or its registration has run out.", cert.Unicode(domain)),
		Remediation: fmt.Sprintf("Look whether %s is spelled right. If it is, register or renew it at a registrar.", cert.Unicode(domain)),
		Found:       "NXDOMAIN",
	}
	if h.zone != nil {
		p.Found = "no NS records for it at " + lookup.NoDot(h.zone.Name)
		p.Message = fmt.Sprintf("The domain %s has no name servers, so nothing in it can be found.", cert.Unicode(domain))
		p.Remediation = fmt.Sprintf("At your registrar, enter the name servers of your DNS provider for %s.", cert.Unicode(domain))
	}
	return p
}

// faulty is the problem of a fault that people should know of. One server that fails of several only warns: resolvers ask the others.
func (h home) faulty(f authority.Fault) (cert.Problem, bool) {
	domain := cert.Unicode(lookup.NoDot(h.zone.Name))
	p := cert.Problem{Severity: cert.Warns, WhoActs: cert.TenantActs}
	some := "Others answer; but some visitors wait or fail."
	if len(h.zone.Answering()) == 0 {
		p.Severity, some = cert.Blocks, "None of the others answers either, so nobody can look up the domain."
	}
	server := lookup.ServerText(f.Server)
	switch f.Kind {
	case authority.FailingServer:
		if p.Severity == cert.Blocks {
			return p, false
		}
		p.Code, p.Found = cert.NameserverLame, server+": "+f.Server.Detail
		p.Message = fmt.Sprintf("The name server %s of %s fails (SERVFAIL). %s", server, domain, some)
		p.Remediation = fmt.Sprintf("It may pass by itself: we look again. If it lasts: at your DNS provider, ask about %s.", lookup.NoDot(f.Server.Name))
	case authority.LameServer:
		p.Code, p.Found = cert.NameserverLame, server+": "+f.Server.Detail
		p.Message = fmt.Sprintf("The name server %s is listed for %s but does not know the domain. %s", server, domain, some)
		p.Remediation = fmt.Sprintf("At your DNS provider, ask why %s does not serve %s; or, at your registrar, list only the name servers that your DNS provider names.", lookup.NoDot(f.Server.Name), domain)
	case authority.UnreachableServer:
		p.Code, p.Found = cert.NameserverUnreachable, server+": "+f.Server.Detail
		p.Message = fmt.Sprintf("The name server %s of %s does not answer. %s", server, domain, some)
		p.Remediation = fmt.Sprintf("It may pass by itself: we look again. If it lasts: at your DNS provider, ask about %s.", lookup.NoDot(f.Server.Name))
		if p.Severity == cert.Blocks {
			p.WhoActs, p.Remediation = cert.PlatformActs, cert.NothingToDo+" If it lasts for hours, ask your DNS provider about "+lookup.NoDot(f.Server.Name)+"."
		}
	case authority.ServerNoAddress, authority.ForbiddenServer:
		p.Code, p.Found = cert.NameserverUnreachable, server+": "+f.Server.Detail
		p.Message = fmt.Sprintf("The name server %s of %s can't be asked: it has no address that the internet can reach. %s", server, domain, some)
		p.Remediation = fmt.Sprintf("At your registrar, list only the name servers that your DNS provider names for %s.", domain)
	case authority.NameserversDiffer:
		p.Code, p.Severity = cert.NameserversDiffer, cert.Warns
		p.Found = differing(f)
		p.Message = fmt.Sprintf("The registry and the domain's own zone name different name servers for %s: %s.", domain, p.Found)
		p.Remediation = fmt.Sprintf("At your registrar, list exactly the name servers that your DNS provider names for %s.", domain)
	case authority.SerialsDiffer: // told where it matters: record by record
		return p, false
	}
	return p, true
}

func differing(f authority.Fault) string {
	var parts []string
	if len(f.AtParent) > 0 {
		parts = append(parts, "only at the registry: "+tellNames(f.AtParent))
	}
	if len(f.InZone) > 0 {
		parts = append(parts, "only in the zone: "+tellNames(f.InZone))
	}
	return strings.Join(parts, "; ")
}

func tellNames(names []string) string {
	told := make([]string, len(names))
	for i, name := range names {
		told[i] = lookup.NoDot(name)
	}
	return strings.Join(lookup.Distinct(told), ", ")
}

// hostedHere tells whether every name server of the zone is one of the platform's.
func (h home) hostedHere(hosted []string) bool {
	if h.zone == nil || h.zone.Registry || len(hosted) == 0 {
		return false
	}
	return !slices.ContainsFunc(h.nameservers(), func(name string) bool { return !slices.Contains(hosted, name) })
}

// nameservers are those that count: the registry's, which every resolver meets first.
func (h home) nameservers() []string {
	list := h.zone.ParentNS
	if len(list) == 0 {
		list = h.zone.ChildNS
	}
	names := make([]string, len(list))
	for i, name := range list {
		names[i] = lookup.NoDot(name)
	}
	return names
}

// hostedElsewhere is the problem of a tenant who must host DNS with the platform and doesn't (rows B3 and B7).
func (h home) hostedElsewhere(hosted []string) (cert.Problem, bool) {
	if len(hosted) == 0 || h.zone == nil || h.zone.Registry || h.hostedHere(hosted) {
		return cert.Problem{}, false
	}
	domain := cert.Unicode(cert.RegisteredDomain(h.name))
	return cert.Problem{
		Code: cert.NameserversNotHosted, WhoActs: cert.TenantActs, Severity: cert.Blocks, Found: "NS " + strings.Join(h.nameservers(), ", NS "),
		Message:     fmt.Sprintf("The DNS of %s is not hosted here: its name servers are %s.", domain, strings.Join(h.nameservers(), ", ")),
		Remediation: fmt.Sprintf("At your registrar, change the name servers of %s to %s. It takes up to 48 hours until everybody sees it.", domain, strings.Join(hosted, ", ")),
	}, true
}

// servers lists the zone's servers for people.
func (h home) servers() []cert.Nameserver {
	if h.zone == nil || h.zone.Registry {
		return nil
	}
	list := make([]cert.Nameserver, len(h.zone.Servers))
	for i, s := range h.zone.Servers {
		list[i] = cert.Nameserver{Zone: lookup.NoDot(h.zone.Name), Name: lookup.NoDot(s.Name), State: cert.ServerState(s.State), Detail: s.Detail}
		if s.Address.IsValid() {
			list[i].Address = s.Address.Addr().String()
		}
	}
	return list
}
