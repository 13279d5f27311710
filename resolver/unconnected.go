package resolver

import (
	"context"
	"fmt"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// The checks of a domain that isn't connected: no record is expected, and the question is whether a CA could validate it at all.

// checkChallengeName decides whether a CA could look up the name of the dns-01 challenge. No record need be there.
func checkChallengeName(ctx context.Context, v *lookup.View, name string) finding {
	at := cert.DelegationName(name)
	a := v.Lookup(ctx, at, dns.TypeTXT)
	switch {
	case a.Err != nil:
		return unanswered(name, nil, a.Err)
	case a.Endless:
		return wrong(a.Text(), cert.Problem{
			Code: cert.DelegationWrongTarget, WhoActs: cert.TenantActs,
			Message:     fmt.Sprintf("The CNAME record %s leads in a circle or through too many names, so that a CA never gets to its end.", at),
			Remediation: atProvider + fmt.Sprintf("delete the CNAME record %s, or correct its value.", cert.FormName(at)),
		})
	case a.Empty():
		for _, doubled := range doubledNames(cert.Record{Name: at, Hostname: name}) {
			if d := v.Lookup(ctx, doubled, dns.TypeTXT); !d.Empty() && wildcardText(ctx, v, doubled, d) == "" {
				return wrong(d.Text(), cert.Problem{
					Code: cert.DelegationDoubledName, WhoActs: cert.TenantActs,
					Message: fmt.Sprintf("There is a record at %s: the DNS provider added the domain to its name a second time. A CA looks at %s.",
						doubled, at),
					Remediation: atProvider + fmt.Sprintf("rename that record: it must be %s.", cert.FormName(at)),
				})
			}
		}
	}
	return right(a.Text())
}

// checkAnyAddress decides whether the name has an address, of whatever server.
func checkAnyAddress(ctx context.Context, v *lookup.View, name string) finding {
	shown := v.LookupAddresses(ctx, name)
	switch {
	case len(shown.All()) > 0:
		return right(shown.Text())
	case shown.Err() != nil:
		return unanswered(name, nil, shown.Err())
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
