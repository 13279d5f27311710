package resolver

import (
	"context"
	"fmt"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// What is judged of a domain that nobody has connected: could a CA validate it at all.

// challengeName looks whether the name of the dns-01 challenge can be looked up. Nothing need stand there.
func (v *view) challengeName(ctx context.Context, name string) finding {
	at := cert.DelegationName(name)
	a := v.lookup(ctx, at, dns.TypeTXT)
	switch {
	case a.err != nil:
		return untold(name, a.err)
	case a.endless:
		return wrong(a.tell(), cert.Problem{
			Code: cert.DelegationWrongTarget, WhoActs: cert.TenantActs,
			Message:     fmt.Sprintf("The CNAME record %s leads in a circle or through too many names, so that a CA never gets to its end.", at),
			Remediation: atProvider + fmt.Sprintf("delete the CNAME record %s, or correct its value.", cert.FormName(at)),
		})
	case len(a.aliases) == 0 && len(a.records) == 0:
		for _, doubled := range doubledNames(cert.Record{Name: at, Purpose: cert.ForDelegation, Hostname: base(name)}) {
			if d := v.lookup(ctx, doubled, dns.TypeTXT); len(d.aliases) > 0 || len(d.records) > 0 {
				return wrong(d.tell(), cert.Problem{
					Code: cert.DelegationDoubledName, WhoActs: cert.TenantActs,
					Message:     fmt.Sprintf("There is a record at %s: the DNS provider added the domain to its name a second time. A CA looks at %s.", doubled, at),
					Remediation: atProvider + fmt.Sprintf("rename that record: it must be %s.", cert.FormName(at)),
				})
			}
		}
	}
	return right(a.tell())
}

// anyAddress looks whether the name has an address.
func (v *view) anyAddress(ctx context.Context, name string) finding {
	a, aaaa := v.bothFamilies(ctx, name)
	seen := distinct(append(a.tell(), aaaa.tell()...))
	switch {
	case len(a.records)+len(aaaa.records) > 0:
		return right(seen)
	case firstError(a.err, aaaa.err) != nil:
		return untold(name, firstError(a.err, aaaa.err))
	}
	return wrong(seen, noAddress(name))
}

func noAddress(name string) cert.Problem {
	return cert.Problem{
		Code: cert.DNSNoRecords, WhoActs: cert.TenantActs,
		Message:     fmt.Sprintf("%s has no address, so visitors and CAs can't reach it.", cert.Unicode(name)),
		Remediation: atProvider + fmt.Sprintf("add an A, AAAA or CNAME record %s that leads to the web server.", cert.FormName(name)),
	}
}
