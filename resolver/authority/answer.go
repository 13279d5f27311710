package authority

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// AskValidated asks a server as Ask does, and validates what it answers with the keys of the zone that the answer is from. That may
// be a zone below the one given, which the same server holds.
//
// The message has the records that the zone can speak for: of the name that was asked about and, in an unsigned zone, of the names in
// that zone to which aliases lead. Every other name that an alias leads to is a question of its own, to servers of its own zone. A
// referral, or another message that is no answer, comes unchanged and not validated: it is Indeterminate, without a fault. The detail of a
// fault in the answer itself, not in the zone's keys, names the server.
func (t *Tree) AskValidated(ctx context.Context, zone *Zone, server int, qname string, qtype uint16) (*dns.Msg, Validation, error) {
	m, err := t.Ask(ctx, zone, server, qname, qtype)
	if err != nil {
		return nil, Validation{}, err
	}
	name := dns.CanonicalName(qname)
	if got := understand(m, zone.Name, name); got.kind != answer {
		return m, Validation{Security: Indeterminate, Zone: zone.Name}, nil
	}
	of := t.validate(ctx, zone.cut)
	v := t.CheckAnswer(of, m)
	if of.Security == Secure && v.Security == Bogus && soaOf(recordsAt(m.Ns, zone.Name, dns.TypeSOA)) == nil {
		// The answer may be from a zone below that the server holds too. Only a walk shows it, and whether its parent has DS records.
		at, err := t.find(ctx, name, nil)
		if err != nil && ours(err) {
			return nil, Validation{}, err
		}
		if err == nil && strictlyBelow(zone.Name, at.cut.name) {
			of = t.validate(ctx, at.cut)
			v = t.CheckAnswer(of, m)
		}
	}
	if of.Security == Secure && v.Security == Bogus {
		v.Detail += ", at " + zone.Servers[server].String()
	}
	if err := ctx.Err(); err != nil {
		return nil, Validation{}, err
	}
	return spokenFor(m, zone.Name, v.Security == Insecure), v, nil
}

// spokenFor leaves out of a message what the zone that it is from can't speak for; see AskValidated. The rcode, and the records that
// prove an absence, are of the name at the end of the aliases: they go when that name does.
func spokenFor(m *dns.Msg, zone string, wholeZone bool) *dns.Msg {
	name := m.Question[0].Name
	isFor := func(owner string) bool { return owner == name || wholeZone && dns.IsSubDomain(zone, owner) }
	end, complete := name, true
	for range len(m.Answer) {
		alias := aliasAt(m.Answer, end)
		if alias == "" || m.Question[0].Qtype == dns.TypeCNAME {
			break
		}
		end, complete = alias, complete && isFor(alias)
	}
	if complete {
		return m
	}
	trimmed := *m
	trimmed.Rcode, trimmed.Ns = dns.RcodeSuccess, nil
	trimmed.Answer = slices.DeleteFunc(slices.Clone(m.Answer), func(rr dns.RR) bool {
		return !isFor(rr.Header().Name) && rr.Header().Rrtype != dns.TypeDNAME
	})
	return &trimmed
}

// aliasAt is where the CNAME record of a name leads; empty without one.
func aliasAt(section []dns.RR, name string) string {
	for _, rr := range recordsAt(section, name, dns.TypeCNAME) {
		if alias, ok := rr.(*dns.CNAME); ok {
			return dns.CanonicalName(alias.Target)
		}
	}
	return ""
}

// CheckAnswer validates what a server of a zone answered to a question about a name in it. zone is the result for that zone:
// where it is not Secure, neither is the answer, for the same reason.
//
// In a positive answer the records of the type asked for, or the CNAME record in their place, must be signed; if they are made from a
// wildcard, it must be proved that the name itself doesn't exist. A DNAME record must be signed, and the CNAME record that comes with
// it must be the one that it makes. In a negative answer every SOA, NSEC and NSEC3 record must be signed, and the NSEC or NSEC3
// records must prove the absence (see denial). What an alias leads to is a question of its own.
func (t *Tree) CheckAnswer(zone Validation, m *dns.Msg) Validation {
	if zone.Security != Secure {
		return zone
	}
	if len(m.Question) != 1 || understand(m, zone.Zone, m.Question[0].Name).kind != answer {
		return Validation{Security: Indeterminate, Zone: zone.Zone, Fault: NoAnswer, Detail: "the server gave no answer that could be checked"}
	}
	insecure, b := verifyAnswer(m, zone.Zone, zone.keys, t.config.Now())
	switch {
	case b != nil:
		return failed(zone.Zone, b)
	case insecure:
		return Validation{Security: Insecure, Zone: zone.Zone}
	}
	return Validation{Security: Secure, Zone: zone.Zone, keys: zone.keys}
}

// verifyAnswer reports whether the answer only counts as an unsigned one, and why a resolver throws it away.
func verifyAnswer(m *dns.Msg, zone string, keys []*dns.DNSKEY, now time.Time) (insecure bool, b *breach) {
	name, qtype := m.Question[0].Name, m.Question[0].Qtype
	for _, rr := range m.Answer {
		if dname, ok := rr.(*dns.DNAME); ok && strictlyBelow(dname.Hdr.Name, name) && dns.IsSubDomain(zone, dname.Hdr.Name) {
			return false, verifyRedirect(m, dname, zone, keys, now)
		}
	}
	for _, rrtype := range []uint16{qtype, dns.TypeCNAME} {
		set := newRRset(m.Answer, name, rrtype)
		if len(set.records) == 0 {
			continue
		}
		signature, b := set.verify(zone, keys, now)
		if b != nil {
			return false, b
		}
		// Fewer labels than the name has: the records were made from a wildcard (RFC 4035 §5.3.4).
		if labels := int(signature.Labels); labels < dns.CountLabel(strings.TrimPrefix(name, "*.")) {
			return verifyAbsence(m.Ns, zone, keys, now, func(d *denial) string { return d.noCloser(name, suffixOf(name, labels)) })
		}
		return false, nil
	}
	return verifyAbsence(m.Ns, zone, keys, now, func(d *denial) string {
		if m.Rcode != dns.RcodeNameError {
			return d.noData(name, qtype)
		}
		// Some servers deny a name that only has no records of the type. What is signed counts, as it does for Unbound
		// (validate_nameerror_response): then the answer is that there is no such record.
		missing := d.noName(name)
		if missing != "" && d.matching(name) != nil && d.noData(name, qtype) == "" {
			return ""
		}
		return missing
	})
}

// verifyRedirect checks a DNAME record and the CNAME record that it makes for the name, which is not signed (RFC 6672 §3.1, §5.3.1).
func verifyRedirect(m *dns.Msg, dname *dns.DNAME, zone string, keys []*dns.DNSKEY, now time.Time) *breach {
	if _, b := newRRset(m.Answer, dname.Hdr.Name, dns.TypeDNAME).verify(zone, keys, now); b != nil {
		return b
	}
	name := m.Question[0].Name
	made := strings.TrimSuffix(name, dname.Hdr.Name) + strings.TrimPrefix(canonical(dname.Target), ".")
	if alias := aliasAt(m.Answer, name); alias != "" && alias != made {
		detail := fmt.Sprintf("the CNAME record of %s leads to %s, and the DNAME record of %s to %s",
			bare(name), bare(alias), bare(dname.Hdr.Name), bare(made))
		return &breach{fault: InvalidSignature, detail: detail}
	}
	return nil
}
