package authority

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

const (
	maxNameservers = 32 // NS records of one zone that are used; the root has 13
	maxAddresses   = 8  // of one name server
)

// kind is what a reply of a zone's server means to somebody who walks.
type kind int

const (
	lame     kind = iota // nothing: this server can't speak for the zone
	answer               // what the zone has for the name, which may be nothing
	referral             // the name is in a zone below
)

// meaning is a reply, understood.
type meaning struct {
	kind kind
	cut  string // of a referral: the zone below; of an answer: a zone below that this server holds too; else empty
	why  string // the server is lame, in words
}

// understand reads the reply of a server of a zone to a question about a name in it.
//
// Some servers leave out the AA bit. Their answers are taken all the same when they hold something about the name, as Unbound takes them
// (its response_type_from_server): a record, NXDOMAIN, or the SOA record of a zone that the name is in.
func understand(m *dns.Msg, zone, name string) meaning {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return meaning{why: "it answers " + rcode(m)}
	}
	below := Referral(m, zone, name)
	soa := soaOf(m.Ns)
	fromZone := soa != nil && dns.IsSubDomain(zone, soa.Hdr.Name) && dns.IsSubDomain(soa.Hdr.Name, name)
	switch {
	case below != "":
		return meaning{kind: referral, cut: below}
	case m.Authoritative, len(m.Answer) > 0, m.Rcode == dns.RcodeNameError, fromZone:
		return meaning{kind: answer, cut: hidden(m, zone, name)}
	case has(m.Ns, dns.TypeNS):
		return meaning{why: "it points to other servers instead of answering"}
	default:
		return meaning{why: "it answers without authority"}
	}
}

// fromCache reports whether a server answers as a resolver does, for others' zones too. Resolvers ask such a server last.
func fromCache(m *dns.Msg) bool { return m.RecursionAvailable && !m.Authoritative }

// Refers reports whether a message names other servers in place of an answer (RFC 2308 §2.2). The AA bit doesn't count: only an
// authority for the name should set it (RFC 1035 §4.1.1), and some servers set it on referrals all the same.
func Refers(m *dns.Msg) bool {
	return m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 && has(m.Ns, dns.TypeNS) && !has(m.Ns, dns.TypeSOA)
}

// Referral returns the zone to which a server of a zone refers those who ask about name: below its own, and with the name in it.
// It is empty when the message is none, or refers to anywhere else, which is none of this server's business. Names are
// canonical, as those in the messages of Tree.Ask are.
func Referral(m *dns.Msg, zone, name string) string {
	if !Refers(m) {
		return ""
	}
	for _, rr := range m.Ns {
		h := rr.Header()
		if h.Rrtype == dns.TypeNS && h.Class == dns.ClassINET && strictlyBelow(zone, h.Name) && dns.IsSubDomain(h.Name, name) {
			return h.Name
		}
	}
	return ""
}

// hidden returns the zone that an answer is from, when that is not the one that was asked but one below. A server that holds
// both gives no referral; the SOA record shows it (RFC 2308 §2.1, §2.2). Behind an alias the SOA record is of another name.
func hidden(m *dns.Msg, zone, name string) string {
	section := m.Ns
	if soa := recordsAt(m.Answer, name, dns.TypeSOA); len(soa) > 0 {
		section = soa
	} else if len(m.Answer) > 0 {
		return ""
	}
	for _, rr := range section {
		if h := rr.Header(); h.Rrtype == dns.TypeSOA && strictlyBelow(zone, h.Name) && dns.IsSubDomain(h.Name, name) {
			return h.Name
		}
	}
	return ""
}

// soaOf returns the SOA record that a negative answer comes with.
func soaOf(section []dns.RR) *dns.SOA {
	for _, rr := range section {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}

// nameserversOf lists the names in the NS records of a zone, sorted.
func nameserversOf(section []dns.RR, zone string) []string {
	var names []string
	for _, rr := range recordsAt(section, zone, dns.TypeNS) {
		if ns, ok := rr.(*dns.NS); ok && len(names) < maxNameservers {
			names = append(names, dns.CanonicalName(ns.Ns))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// glueOf gathers the addresses that a referral of a zone's server brings for name servers. Those outside the zone are not
// believed (RFC 5452 §6).
func glueOf(m *dns.Msg, zone string, names []string) map[string][]netip.Addr {
	glue := map[string][]netip.Addr{}
	for _, rr := range m.Extra {
		owner := rr.Header().Name
		if !slices.Contains(names, owner) || !dns.IsSubDomain(zone, owner) || len(glue[owner]) >= maxAddresses {
			continue
		}
		if address := AddressOf(rr); address.IsValid() && !slices.Contains(glue[owner], address) {
			glue[owner] = append(glue[owner], address)
		}
	}
	return glue
}

// AddressOf is the address in an A or AAAA record; it is not valid for any other.
func AddressOf(rr dns.RR) netip.Addr {
	var address netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		address, _ = netip.AddrFromSlice(rr.A)
		address = address.Unmap() // package dns keeps IPv4 addresses in 16 bytes
	case *dns.AAAA:
		address, _ = netip.AddrFromSlice(rr.AAAA)
	}
	return address // an AAAA record with an IPv4-mapped address stays what it is: no CA connects to it
}

// proofOf keeps what a referral says about DNSSEC: the DS records of the zone below or, from a signed zone, that there are
// none (RFC 4035 §3.1.4).
func proofOf(section []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(section), func(rr dns.RR) bool {
		switch rr.Header().Rrtype {
		case dns.TypeDS, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeRRSIG:
			return false
		}
		return true
	})
}

// recordsAt picks the records of a name and type.
func recordsAt(section []dns.RR, name string, rrtype uint16) []dns.RR {
	var found []dns.RR
	for _, rr := range section {
		if h := rr.Header(); h.Rrtype == rrtype && h.Class == dns.ClassINET && h.Name == name {
			found = append(found, rr)
		}
	}
	return found
}

func has(section []dns.RR, rrtype uint16) bool {
	return slices.ContainsFunc(section, func(rr dns.RR) bool { return rr.Header().Rrtype == rrtype })
}

func strictlyBelow(zone, name string) bool {
	return name != zone && dns.IsSubDomain(zone, name)
}

func rcode(m *dns.Msg) string {
	if name, ok := dns.RcodeToString[m.Rcode]; ok {
		return name
	}
	return fmt.Sprintf("with the unknown code %d", m.Rcode)
}

// above is the name without its first label.
func above(name string) string {
	next, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}
