package authority

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

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
