package resolver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// checkDelegation decides whether the CNAME record is there by which evercert answers dns-01 for a tenant (RFC 8555 §8.4).
//
// It asks for TXT, as a CA does, and so sees the whole way to the answer and not the tenant's record alone.
func checkDelegation(ctx context.Context, v *lookup.View, want cert.Record, q cert.Question) finding {
	a := v.Lookup(ctx, want.Name, dns.TypeTXT)
	if !a.LeadsTo(want.Value) {
		if wildcard := wildcardText(ctx, v, want.Name, a); wildcard != "" {
			return wrong(a.Text(), delegationOnWildcard(want, wildcard, a.Text()))
		}
	}
	servers := v.DelegatedTo(want.Name)
	switch {
	case a.LeadsTo(want.Value):
		if a.Err != nil {
			return rightButBroken(a.Text(), validationZoneSilent(want, a.Err))
		}
		return right(a.AliasText())
	case len(servers) > 0:
		return wrong(nameserverTexts(servers), delegationIsZone(want, servers, a))
	case a.Err != nil:
		return delegationBehindFault(ctx, v, want, q, a.Err)
	case len(a.Aliases) > 0 || a.Endless:
		return wrong(a.AliasText(), delegationElsewhere(want, a, q))
	case len(a.Records) > 0:
		return wrong(a.Text(), delegationIsText(want, a.HasText(want.Value) || a.HasText(want.Value+".")))
	default:
		return noDelegation(ctx, v, want, a)
	}
}

// noDelegation is the finding of a name at which there is neither a CNAME nor a TXT record. What may be there, or nearby, in its place:
// addresses, which a provider's proxy shows instead of the CNAME record, and the record at a name that has the domain twice.
func noDelegation(ctx context.Context, v *lookup.View, want cert.Record, a lookup.Answer) finding {
	for _, name := range doubledNames(want) {
		if doubled := v.Lookup(ctx, name, dns.TypeTXT); doubled.LeadsTo(want.Value) && wildcardText(ctx, v, name, doubled) == "" {
			return wrong([]string{name + " CNAME " + want.Value}, delegationDoubled(want, name))
		}
	}
	if !a.Absent {
		if shown := v.LookupAddresses(ctx, want.Name); len(shown.All()) > 0 && wildcardAddress(ctx, v, want.Name, shown) == "" {
			return wrong(shown.Text(), delegationIsAddress(want, shown.Text()))
		}
	}
	return wrong(nil, delegationMissing(want))
}

// delegationBehindFault decides again by the CNAME records alone, where the question for TXT has no answer: the tenant's record may be
// right, and the servers of the name that it leads to may be down.
func delegationBehindFault(ctx context.Context, v *lookup.View, want cert.Record, q cert.Question, fault error) finding {
	a := v.LookupAliases(ctx, want.Name)
	switch {
	case a.LeadsTo(want.Value):
		return rightButBroken(a.AliasText(), validationZoneSilent(want, fault))
	case a.Err == nil && len(a.Aliases) > 0:
		return wrong(a.AliasText(), delegationElsewhere(want, a, q))
	default:
		return unanswered(want.Hostname, a.AliasText(), fault)
	}
}

func delegationMissing(want cert.Record) cert.Problem {
	return tenantActs(cert.DelegationMissing, want,
		fmt.Sprintf("We don't see the record by which we get and renew the certificate of %s.", cert.Unicode(want.Hostname)), toAdd(want))
}

func delegationOnWildcard(want cert.Record, wildcard string, found []string) cert.Problem {
	p := delegationMissing(want)
	p.Message += fmt.Sprintf(" What answers at %s (%s) comes from the wildcard record %s, and is for other names.",
		want.Name, strings.Join(found, ", "), cert.FormName(wildcard))
	return p
}

// delegationIsZone is the problem of NS records where the CNAME record must be: no CNAME record can stand at a zone's own name (RFC 1034
// §3.6.2), so that no answer of these servers would do.
func delegationIsZone(want cert.Record, servers []string, a lookup.Answer) cert.Problem {
	silent := ""
	if a.Err != nil {
		silent = ", and no answer comes from there"
	}
	return tenantActs(cert.DelegationWrongTarget, want,
		fmt.Sprintf(
			"NS records make %s a zone of its own, on the name servers %s%s. There must be a CNAME record instead.", want.Name,
			strings.Join(servers, ", "), silent,
		),
		fmt.Sprintf("delete the NS records %s, then %s", cert.FormName(want.Name), toAdd(want)))
}

func nameserverTexts(servers []string) []string {
	texts := make([]string, len(servers))
	for i, server := range servers {
		texts[i] = "NS " + server
	}
	return lookup.Distinct(texts)
}

func delegationIsAddress(want cert.Record, found []string) cert.Problem {
	return tenantActs(cert.DelegationWrongTarget, want,
		fmt.Sprintf("%s shows addresses and no CNAME record (%s). Either a proxy of your DNS provider hides the CNAME record, "+
			"or the record was entered with the wrong type.",
			want.Name, strings.Join(found, ", ")),
		fmt.Sprintf("switch the proxy off for that record (at Cloudflare: \"DNS only\"); if it is an A or AAAA record, delete it and %s",
			toAdd(want)))
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
func delegationElsewhere(want cert.Record, a lookup.Answer, q cert.Question) cert.Problem {
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
	if service := rivalIn(a.Aliases); service != "" {
		return delegationOfRival(want, a, service, change, q)
	}
	return tenantActs(cert.DelegationWrongTarget, want,
		fmt.Sprintf("The CNAME record %s leads to %s, not to the name by which we get the certificate.", want.Name, lookup.NoDot(a.End())),
		change)
}

// delegationOfRival offers first what leaves the other service its record: http-01, where it is allowed and can work for the name, or
// another name.
func delegationOfRival(want cert.Record, a lookup.Answer, service, change string, q cert.Question) cert.Problem {
	name := cert.Unicode(want.Hostname)
	step := fmt.Sprintf("keep that record and connect another name here; or, if %s serves %s no longer, %s", service, name, change)
	if d := destinationOf(q, want.Hostname); len(d.records) > 0 && slices.Contains(methodsOf(q), cert.HTTP01) {
		step = fmt.Sprintf("keep that record and %s, by which we get the certificate over HTTP; or connect another name here; "+
			"or, if %s serves %s no longer, %s",
			toAddAll(d.records), service, name, change)
	}
	return tenantActs(cert.RivalDelegation, want,
		fmt.Sprintf("%s gets its own certificates for %s by the CNAME record %s, which leads to %s. Only one such record can exist.",
			service, name, want.Name, lookup.NoDot(a.Aliases[len(a.Aliases)-1])), step)
}

func validationZoneSilent(want cert.Record, fault error) cert.Problem {
	p := waiting(fmt.Sprintf("Your CNAME record %s is right, but we could not check what it leads to: "+
		"no answer came from the platform's own name servers.", want.Name), fault)
	p.Record = &want
	return p
}
