package resolver

import (
	"context"
	"fmt"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// What is judged of a domain that nobody has connected: could a CA validate it at all.

// challengeName looks whether the name of the dns-01 challenge can be looked up. Nothing need stand there.
func challengeName(ctx context.Context, v *lookup.View, name string) finding {
	at := cert.DelegationName(name)
	a := v.Lookup(ctx, at, dns.TypeTXT)
	switch {
	case a.Err != nil:
		return untold(name, a.Err)
	case a.Endless:
		return wrong(a.Text(), cert.Problem{
			Code: cert.DelegationWrongTarget, WhoActs: cert.TenantActs,
			Message:     fmt.Sprintf("The CNAME record %s leads in a circle or through too many names, so that a CA never gets to its end.", at),
			Remediation: atProvider + fmt.Sprintf("delete the CNAME record %s, or correct its value.", cert.FormName(at)),
		})
	case len(a.Aliases) == 0 && len(a.Records) == 0:
		for _, doubled := range doubledNames(cert.Record{Name: at, Purpose: cert.ForDelegation, Hostname: base(name)}) {
			if d := v.Lookup(ctx, doubled, dns.TypeTXT); len(d.Aliases) > 0 || len(d.Records) > 0 {
				return wrong(d.Text(), cert.Problem{
					Code: cert.DelegationDoubledName, WhoActs: cert.TenantActs,
					Message:     fmt.Sprintf("There is a record at %s: the DNS provider added the domain to its name a second time. A CA looks at %s.", doubled, at),
					Remediation: atProvider + fmt.Sprintf("rename that record: it must be %s.", cert.FormName(at)),
				})
			}
		}
	}
	return right(a.Text())
}

// anyAddress looks whether the name has an address.
func anyAddress(ctx context.Context, v *lookup.View, name string) finding {
	shown := v.LookupAddresses(ctx, name)
	switch {
	case len(shown.A.Records)+len(shown.AAAA.Records) > 0:
		return right(shown.Text())
	case shown.Err() != nil:
		return untold(name, shown.Err())
	}
	return wrong(shown.Text(), noAddress(name))
}

func noAddress(name string) cert.Problem {
	return cert.Problem{
		Code: cert.DNSNoRecords, WhoActs: cert.TenantActs,
		Message:     fmt.Sprintf("%s has no address, so visitors and CAs can't reach it.", cert.Unicode(name)),
		Remediation: atProvider + fmt.Sprintf("add an A, AAAA or CNAME record %s that leads to the web server.", cert.FormName(name)),
	}
}
