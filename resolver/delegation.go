package resolver

import (
	"context"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// checkDelegation decides whether the CNAME record is there by which evercert answers dns-01 for a tenant (RFC 8555 §8.4).
//
// It asks for TXT, as a CA does, and so sees the whole way to the answer and not the tenant's record alone.
func checkDelegation(ctx context.Context, v *lookup.View, want cert.Record) finding {
	a := v.Lookup(ctx, want.Name, dns.TypeTXT)
	switch {
	case a.LeadsTo(want.Value):
		if a.Err != nil {
			return rightButBroken(a.Text(), validationZoneSilent(want, a.Err))
		}
		return right(a.AliasText())
	case a.Err != nil:
		return delegationBehindFault(ctx, v, want, a.Err)
	case len(a.Aliases) > 0 || a.Endless:
		return wrong(a.AliasText(), delegationElsewhere(want, a))
	case len(a.Records) > 0:
		return wrong(a.Text(), delegationIsText(want, a.HasText(want.Value) || a.HasText(want.Value+".")))
	}
	for _, name := range doubledNames(want) {
		if doubled := v.Lookup(ctx, name, dns.TypeTXT); doubled.LeadsTo(want.Value) {
			return wrong([]string{name + " CNAME " + want.Value}, delegationDoubled(want, name))
		}
	}
	return wrong(nil, delegationMissing(want))
}

// delegationBehindFault decides again by the CNAME records alone, where the question for TXT has no answer: the tenant's record may be
// right, and the servers of the name that it leads to may be down.
func delegationBehindFault(ctx context.Context, v *lookup.View, want cert.Record, fault error) finding {
	a := v.LookupAliases(ctx, want.Name)
	switch {
	case a.LeadsTo(want.Value):
		return rightButBroken(a.AliasText(), validationZoneSilent(want, fault))
	case a.Err == nil && len(a.Aliases) > 0:
		return wrong(a.AliasText(), delegationElsewhere(want, a))
	default:
		return unanswered(want.Hostname, a.AliasText(), fault)
	}
}

func delegationMissing(want cert.Record) cert.Problem {
	return tenantActs(cert.DelegationMissing, want,
		fmt.Sprintf("We don't see the record by which we get and renew the certificate of %s.", cert.Unicode(want.Hostname)), toAdd(want))
}

func delegationDoubled(want cert.Record, stands string) cert.Problem {
	return tenantActs(cert.DelegationDoubledName, want,
		fmt.Sprintf("The record by which we get the certificate of %s is in the wrong place: "+addedTwice, cert.Unicode(want.Hostname), stands),
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

// delegationElsewhere names the cause where it can be seen: a provider that appended the tenant's domain to the value, because it had no
// dot at its end; a loop; or else another target.
func delegationElsewhere(want cert.Record, a lookup.Answer) cert.Problem {
	change := fmt.Sprintf("change the value of the CNAME record %s to %s", cert.FormName(want.Name), want.Value)
	if len(a.Aliases) > 0 && strings.HasPrefix(lookup.NoDot(a.Aliases[0]), want.Value+".") {
		return tenantActs(cert.DelegationWrongTarget, want,
			fmt.Sprintf("The value of the CNAME record %s has become %s: your DNS provider added your own domain to it.",
				want.Name, lookup.NoDot(a.Aliases[0])),
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

func validationZoneSilent(want cert.Record, fault error) cert.Problem {
	p := waiting(fmt.Sprintf("Your CNAME record %s is right, but we could not check what it leads to: "+
		"no answer came from the platform's own name servers.", want.Name), fault)
	p.Record = &want
	return p
}
