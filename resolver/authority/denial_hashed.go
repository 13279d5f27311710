package authority

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// noNameHashed is noName by NSEC3 records (RFC 5155 §8.4).
func (d *denial) noNameHashed(name string) string {
	encloser, cover := d.enclosing(name)
	if encloser == "" {
		return fmt.Sprintf("no NSEC3 records show that %s doesn't exist", bare(name))
	}
	if wildcard := "*." + strings.TrimPrefix(encloser, "."); d.coveringHash(wildcard) == nil {
		return fmt.Sprintf("no NSEC3 record shows that the wildcard %s doesn't exist", bare(wildcard))
	}
	d.insecure = cover.Flags&optOut != 0 // there may be an unsigned delegation (RFC 5155 §9.2)
	return ""
}

// noDataHashed is noData by NSEC3 records (RFC 5155 §8.5 to §8.7).
func (d *denial) noDataHashed(name string, qtype uint16) string {
	if match := d.matchingHash(name); match != nil {
		return lacks(match.TypeBitMap, name, name, qtype)
	}
	encloser, cover := d.enclosing(name)
	if encloser != "" {
		wildcard := "*." + strings.TrimPrefix(encloser, ".")
		if match := d.matchingHash(wildcard); match != nil {
			return lacks(match.TypeBitMap, wildcard, name, qtype)
		}
		if cover.Flags&optOut != 0 { // the name may be, or be in, an unsigned delegation
			d.insecure = true
			return ""
		}
	}
	return fmt.Sprintf("no NSEC3 record shows that %s has no %s record", bare(name), dns.TypeToString[qtype])
}

// enclosing proves the closest encloser of a name that doesn't exist: the longest name above it that has an NSEC3 record, while
// another record covers the next closer name (RFC 5155 §8.3). It returns that other record, and an empty name without proof.
func (d *denial) enclosing(name string) (encloser string, cover *hashed) {
	for closer := name; closer != d.zone && dns.IsSubDomain(d.zone, closer); closer = encloser {
		encloser = above(closer)
		match := d.matchingHash(encloser)
		if match == nil {
			continue
		}
		cover = d.coveringHash(closer)
		if cover == nil || leadsAway(match.TypeBitMap) {
			return "", nil
		}
		return encloser, cover
	}
	return "", nil
}

// matchingHash is the NSEC3 record of a name.
func (d *denial) matchingHash(name string) *hashed {
	return d.pick(name, func(hash string, record hashed) bool { return hash == record.owner })
}

// coveringHash is an NSEC3 record that shows that a name doesn't exist. The next hash of the zone's last record is the first one's; a
// zone's only record covers all but its owner.
func (d *denial) coveringHash(name string) *hashed {
	return d.pick(name, func(hash string, record hashed) bool {
		after, before := record.owner < hash, hash < strings.ToUpper(record.NextDomain)
		if record.owner < strings.ToUpper(record.NextDomain) {
			return after && before
		}
		return hash != record.owner && (after || before)
	})
}

func (d *denial) pick(name string, fits func(hash string, record hashed) bool) *hashed {
	if len(d.nsec3) == 0 || !dns.IsSubDomain(d.zone, name) {
		return nil
	}
	hash := dns.HashName(name, d.nsec3[0].Hash, d.nsec3[0].Iterations, d.nsec3[0].Salt)
	if i := slices.IndexFunc(d.nsec3, func(record hashed) bool { return hash != "" && fits(hash, record) }); i >= 0 {
		return &d.nsec3[i]
	}
	return nil
}
