package authority

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxIterations is how many times more a name may be hashed for NSEC3. Resolvers treat a zone that demands more as unsigned: Unbound,
// which Let's Encrypt runs, above 150 (val-nsec3-keysize-iterations), BIND above 150 until 9.18 and 50 since 9.20 (RFC 9276 §3.2).
const maxIterations = 150

// denial is the NSEC and NSEC3 records of one zone that came with one answer, with good signatures. Its methods check whether they
// prove that something doesn't exist (RFC 4035 §5.4, RFC 5155 §8). Each method returns an empty text for a proof, and otherwise what
// is not proved.
type denial struct {
	zone  string
	nsec  []*dns.NSEC
	nsec3 []hashed
	// insecure is set where the records prove less than usual, which a resolver accepts as it does an unsigned answer: the zone's
	// NSEC3 records demand too many iterations, or leave out unsigned delegations (opt-out, RFC 5155 §6).
	insecure bool
}

// hashed is an NSEC3 record, with the hash of its owner.
type hashed struct {
	*dns.NSEC3
	owner string // upper case, as NextDomain
}

// newDenial sorts out the records that can be used.
func newDenial(zone string, records []dns.RR) *denial {
	d := &denial{zone: zone}
	for _, rr := range records {
		switch rr := rr.(type) {
		case *dns.NSEC:
			d.nsec = append(d.nsec, rr)
		case *dns.NSEC3:
			d.addHashed(rr)
		}
	}
	return d
}

// addHashed leaves out records of unknown kinds (RFC 5155 §8.1, §8.2), and those whose parameters differ from the first
// one's, which an answer must not mix (RFC 5155 §7.2). So each name is hashed once, however many records there are.
func (d *denial) addHashed(rr *dns.NSEC3) {
	label, zone, _ := strings.Cut(rr.Hdr.Name, ".")
	if zone = dns.Fqdn(zone); zone != d.zone || rr.Hash != dns.SHA1 || rr.Flags&^optOut != 0 {
		return
	}
	if rr.Iterations > maxIterations {
		d.insecure = true
		return
	}
	if len(d.nsec3) > 0 && (d.nsec3[0].Iterations != rr.Iterations || !strings.EqualFold(d.nsec3[0].Salt, rr.Salt)) {
		return
	}
	d.nsec3 = append(d.nsec3, hashed{rr, strings.ToUpper(label)})
}

// optOut is the flag of NSEC3 records that say nothing of unsigned delegations (RFC 5155 §3.1.2.1).
const optOut = 1

// noName checks the proof of NXDOMAIN: neither the name exists, nor a wildcard that would stand for it.
func (d *denial) noName(name string) string {
	if d.insecure {
		return ""
	}
	if len(d.nsec3) > 0 && d.covering(name) == nil {
		return d.noNameHashed(name)
	}
	cover := d.covering(name)
	if cover == nil {
		return fmt.Sprintf("no NSEC record shows that %s doesn't exist", bare(name))
	}
	if wildcard := "*." + strings.TrimPrefix(closestEncloser(cover, name), "."); d.covering(wildcard) == nil {
		return fmt.Sprintf("no NSEC record shows that the wildcard %s doesn't exist", bare(wildcard))
	}
	return ""
}

// noData checks the proof that a name has no record of a type: its own NSEC record lists neither the type nor an alias; or the name
// only has names below it; or it doesn't exist and the wildcard that stands for it has no such record.
func (d *denial) noData(name string, qtype uint16) string {
	if d.insecure {
		return ""
	}
	if match := d.matching(name); match != nil {
		return lacks(match.TypeBitMap, name, name, qtype)
	}
	if d.isEmpty(name) {
		return ""
	}
	cover := d.covering(name)
	if cover == nil && len(d.nsec3) > 0 {
		return d.noDataHashed(name, qtype)
	}
	if cover != nil {
		wildcard := "*." + strings.TrimPrefix(closestEncloser(cover, name), ".")
		if match := d.matching(wildcard); match != nil {
			return lacks(match.TypeBitMap, wildcard, name, qtype)
		}
		if d.isEmpty(wildcard) {
			return ""
		}
	}
	return fmt.Sprintf("no NSEC record shows that %s has no %s record", bare(name), dns.TypeToString[qtype])
}

// noCloser checks that an answer made from the wildcard below encloser is right: that no name which is closer to the one asked for
// exists (RFC 4035 §5.3.4, RFC 5155 §8.8).
func (d *denial) noCloser(name, encloser string) string {
	if d.insecure {
		return ""
	}
	if cover := d.covering(name); cover != nil && closestEncloser(cover, name) == encloser {
		return ""
	}
	if len(d.nsec3) > 0 {
		if cover := d.coveringHash(nextCloser(name, encloser)); cover != nil {
			d.insecure = cover.Flags&optOut != 0
			return ""
		}
	}
	return fmt.Sprintf("the answer about %s is made from the wildcard *.%s, and no NSEC or NSEC3 record shows that the name doesn't exist",
		bare(name), bare(encloser))
}

// noDS checks the proof that the zone delegates a name without DS records, so that the zone below counts as unsigned.
func (d *denial) noDS(child string) string {
	if d.insecure {
		return ""
	}
	if match := d.matching(child); match != nil {
		return delegates(match.TypeBitMap, child)
	}
	if match := d.matchingHash(child); match != nil {
		return delegates(match.TypeBitMap, child)
	}
	if d.covering(child) != nil {
		return fmt.Sprintf("its NSEC record says that %s is not delegated", bare(child))
	}
	encloser, cover := d.enclosing(child)
	switch {
	case encloser == "":
		return fmt.Sprintf("no NSEC or NSEC3 record shows that %s has no DS record", bare(child))
	case cover.Flags&optOut == 0:
		return fmt.Sprintf("its NSEC3 record says that %s is not delegated", bare(child))
	}
	return ""
}

// delegates checks the types of a delegation without DS records (RFC 4035 §5.2, RFC 5155 §8.9).
func delegates(types []uint16, child string) string {
	switch {
	case slices.Contains(types, dns.TypeSOA):
		return fmt.Sprintf("the NSEC or NSEC3 record of %s is the zone's own, not that of the zone above", bare(child))
	case slices.Contains(types, dns.TypeDS):
		return fmt.Sprintf("the NSEC or NSEC3 record of %s says that there is a DS record, and none came", bare(child))
	case !slices.Contains(types, dns.TypeNS):
		return fmt.Sprintf("the NSEC or NSEC3 record of %s says that it is not delegated", bare(child))
	}
	return ""
}

// lacks checks that the types at an owner leave out the one asked for, and CNAME, which would have been the answer.
func lacks(types []uint16, owner, name string, qtype uint16) string {
	delegation := slices.Contains(types, dns.TypeNS) && !slices.Contains(types, dns.TypeSOA)
	switch {
	case slices.Contains(types, qtype):
		return fmt.Sprintf("the NSEC or NSEC3 record of %s says that there is a %s record, and none came for %s",
			bare(owner), dns.TypeToString[qtype], bare(name))
	case slices.Contains(types, dns.TypeCNAME):
		return fmt.Sprintf("the NSEC or NSEC3 record of %s says that there is a CNAME record, and none came for %s", bare(owner), bare(name))
	case delegation && qtype != dns.TypeDS:
		return fmt.Sprintf("the NSEC or NSEC3 record of %s is that of the zone above, which can't speak for it", bare(owner))
	}
	return ""
}

// matching is the NSEC record of a name.
func (d *denial) matching(name string) *dns.NSEC {
	for _, nsec := range d.nsec {
		if nsec.Hdr.Name == name {
			return nsec
		}
	}
	return nil
}

// isEmpty reports whether an NSEC record shows that a name exists without records of its own, because there are names below it.
func (d *denial) isEmpty(name string) bool {
	return slices.ContainsFunc(d.nsec, func(nsec *dns.NSEC) bool {
		return d.spans(nsec, name) && strictlyBelow(name, canonical(nsec.NextDomain))
	})
}

// covering is an NSEC record that shows that a name doesn't exist. A record whose next name is below this one shows that it does,
// without records of its own. The record of a delegation or a DNAME above the name can't speak for it (RFC 6840 §4.1).
func (d *denial) covering(name string) *dns.NSEC {
	for _, nsec := range d.nsec {
		if !d.spans(nsec, name) || dns.IsSubDomain(name, canonical(nsec.NextDomain)) {
			continue
		}
		if strictlyBelow(nsec.Hdr.Name, name) && leadsAway(nsec.TypeBitMap) {
			continue
		}
		return nsec
	}
	return nil
}

// leadsAway reports whether names below an owner with these types belong to another zone, or are redirected.
func leadsAway(types []uint16) bool {
	return slices.Contains(types, dns.TypeDNAME) || slices.Contains(types, dns.TypeNS) && !slices.Contains(types, dns.TypeSOA)
}

// spans reports whether a name stands between the owner of an NSEC record and its next name. The next name of the zone's last record
// is the zone's own (RFC 4034 §4.1.1).
func (d *denial) spans(nsec *dns.NSEC, name string) bool {
	next := canonical(nsec.NextDomain)
	return dns.IsSubDomain(d.zone, name) && inOrder(nsec.Hdr.Name, name) && (next == d.zone || inOrder(name, next))
}

// closestEncloser is the longest name above one that doesn't exist which does exist, by the NSEC record that covers it.
func closestEncloser(cover *dns.NSEC, name string) string {
	labels := max(dns.CompareDomainName(cover.Hdr.Name, name), dns.CompareDomainName(canonical(cover.NextDomain), name))
	return suffixOf(name, labels)
}

// suffixOf is the part of a name with that many labels.
func suffixOf(name string, labels int) string {
	starts := dns.Split(name)
	if labels <= 0 || len(starts) == 0 {
		return "."
	}
	return name[starts[max(0, len(starts)-labels)]:]
}

// nextCloser is the name with one label more than encloser, on the way to name.
func nextCloser(name, encloser string) string { return suffixOf(name, dns.CountLabel(encloser)+1) }

// inOrder reports whether a name comes before another in the canonical order (RFC 4034 §6.1): label by label from the right, by octets.
func inOrder(before, after string) bool {
	a, b := octets(before), octets(after)
	for len(a) > 0 && len(b) > 0 {
		if c := bytes.Compare(a[len(a)-1], b[len(b)-1]); c != 0 {
			return c < 0
		}
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) < len(b)
}

// octets are the labels of a canonical name as on the wire: escapes such as \000 are one octet.
func octets(name string) [][]byte {
	wire := make([]byte, 256)
	end, err := dns.PackDomainName(name, wire, 0, nil, false)
	if err != nil {
		return nil
	}
	var labels [][]byte
	for at := 0; at < end && wire[at] > 0; at += int(wire[at]) + 1 {
		labels = append(labels, wire[at+1:at+1+int(wire[at])])
	}
	return labels
}

func canonical(name string) string { return dns.CanonicalName(name) }
