package authority

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// verifyAbsence checks the records that a negative answer, or a referral to an unsigned zone, comes with: first their signatures,
// then what they prove.
func verifyAbsence(
	section []dns.RR, zone string, keys []*dns.DNSKEY, now time.Time, prove func(*denial) string,
) (insecure bool, b *breach) {
	type owner struct {
		name   string
		rrtype uint16
	}
	var seen []owner
	var signed []dns.RR
	for _, rr := range section {
		o := owner{rr.Header().Name, rr.Header().Rrtype}
		wanted := o.rrtype == dns.TypeSOA || o.rrtype == dns.TypeNSEC || o.rrtype == dns.TypeNSEC3
		if !wanted || !dns.IsSubDomain(zone, o.name) || slices.Contains(seen, o) {
			continue
		}
		if seen = append(seen, o); len(seen) > maxVerifications {
			break
		}
		set := newRRset(section, o.name, o.rrtype)
		signature, b := set.verify(zone, keys, now)
		if b != nil {
			return false, b
		}
		// A record made from a wildcard would say of any name what it says of the wildcard.
		if int(signature.Labels) == dns.CountLabel(strings.TrimPrefix(o.name, "*.")) {
			signed = append(signed, set.records...)
		}
	}
	d := newDenial(zone, signed)
	if len(d.nsec) == 0 && len(d.nsec3) == 0 && !d.insecure {
		detail := "an answer that something doesn't exist came without signed proof (NSEC or NSEC3 records), although %s is signed"
		return false, &breach{fault: NoProof, detail: fmt.Sprintf(detail, shown(zone))}
	}
	if missing := prove(d); missing != "" {
		return false, &breach{fault: NoProof, detail: fmt.Sprintf("%s is signed, and %s", shown(zone), missing)}
	}
	return d.insecure, nil
}
