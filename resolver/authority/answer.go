package authority

import (
	"slices"
	"time"

	"github.com/miekg/dns"
)

// CheckAnswer validates what a server of a zone answered to a question about a name in it. zone is the result for that zone:
// where it is not Secure, neither is the answer, for the same reason.
//
// In a positive answer all records at the name that was asked for must be signed, or the DNAME that leads away from it; what an
// alias leads to may be in another zone, and is a question of its own. In a negative answer every SOA, NSEC and NSEC3 record
// must be signed and there must be an NSEC or NSEC3 record; whether these are the ones that prove the absence is not
// checked, nor is that no closer name stands in the way of a wildcard (RFC 4035 §5.4).
func (t *Tree) CheckAnswer(zone Validation, m *dns.Msg) Validation {
	if zone.Security != Secure {
		return zone
	}
	if len(m.Question) != 1 || understand(m, zone.Zone, m.Question[0].Name).kind != answer {
		return Validation{Security: Indeterminate, Zone: zone.Zone, Fault: NoAnswer, Detail: "the server gave no answer that could be checked"}
	}
	if b := verifyAnswer(m, zone.Zone, zone.keys, t.config.Now()); b != nil {
		return failed(zone.Zone, b)
	}
	return Validation{Security: Secure, Zone: zone.Zone, keys: zone.keys}
}

func verifyAnswer(m *dns.Msg, zone string, keys []*dns.DNSKEY, now time.Time) *breach {
	name := m.Question[0].Name
	for _, rr := range m.Answer { // a CNAME that comes with a DNAME is made up and not signed (RFC 6672 §3.1)
		if h := rr.Header(); h.Rrtype == dns.TypeDNAME && strictlyBelow(h.Name, name) && dns.IsSubDomain(zone, h.Name) {
			return newRRset(m.Answer, h.Name, dns.TypeDNAME).verify(zone, keys, now)
		}
	}
	var types []uint16
	for _, rr := range m.Answer {
		if h := rr.Header(); h.Name == name && h.Rrtype != dns.TypeRRSIG && !slices.Contains(types, h.Rrtype) {
			types = append(types, h.Rrtype)
		}
	}
	if len(types) == 0 {
		return verifyAbsence(m.Ns, zone, keys, now)
	}
	for _, rrtype := range types {
		if b := newRRset(m.Answer, name, rrtype).verify(zone, keys, now); b != nil {
			return b
		}
	}
	return nil
}

// verifyAbsence checks the records that a negative answer, or a referral to an unsigned zone, comes with.
func verifyAbsence(section []dns.RR, zone string, keys []*dns.DNSKEY, now time.Time) *breach {
	type owner struct {
		name   string
		rrtype uint16
	}
	var seen []owner
	proven := false
	for _, rr := range section {
		o := owner{rr.Header().Name, rr.Header().Rrtype}
		wanted := o.rrtype == dns.TypeSOA || o.rrtype == dns.TypeNSEC || o.rrtype == dns.TypeNSEC3
		if !wanted || !dns.IsSubDomain(zone, o.name) || slices.Contains(seen, o) {
			continue
		}
		if seen = append(seen, o); len(seen) > maxVerifications {
			break
		}
		if b := newRRset(section, o.name, o.rrtype).verify(zone, keys, now); b != nil {
			return b
		}
		proven = proven || o.rrtype != dns.TypeSOA
	}
	if !proven {
		return &breach{fault: NoProof, detail: "an answer that something is not there came without signed proof, although " + shown(zone) + " is signed"}
	}
	return nil
}
