package dcv

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// stableTTL is for what changes only with the configuration.
	stableTTL = 3600
	// negativeTTL is for how long resolvers remember that a name has no value (RFC 2308 §5). A name is asked for before it
	// has one, by evercert's own checks and by curious people, and the CA asks through resolvers that remember: a
	// second is the least that still spares us a resolver's storm of one and the same question.
	negativeTTL = 1
	// labelLength is that of cert.DelegationLabel: 128 bits in base32.
	labelLength = 26
)

// zone is the part of the validation zone that does not change: all but the values.
type zone struct {
	apex        string // canonical
	nameservers []string
	hosts       map[string][]dns.RR // addresses of name servers inside the zone, by canonical name
	issuers     []*dns.CAA          // without a header
	valueTTL    uint32
}

func newZone(c Config) zone {
	z := zone{
		apex: dns.CanonicalName(c.Zone), nameservers: c.nameservers(), hosts: map[string][]dns.RR{},
		valueTTL: uint32(c.TTL / time.Second), //nolint:gosec // Validate bounds it
	}
	for _, name := range z.nameservers {
		if dns.IsSubDomain(z.apex, name) {
			z.hosts[name] = nil
		}
	}
	for _, entry := range c.Addresses {
		name, address, err := parseAddress(entry)
		if err != nil {
			continue // Validate has refused it
		}
		var rr dns.RR = &dns.A{Hdr: header(name, dns.TypeA, stableTTL), A: address.AsSlice()}
		if address.Is6() {
			rr = &dns.AAAA{Hdr: header(name, dns.TypeAAAA, stableTTL), AAAA: address.AsSlice()}
		}
		z.hosts[name] = append(z.hosts[name], rr)
	}
	z.issuers, _ = parseCAA(c.CAA) // Validate has refused what can't be read
	return z
}

// unreachable lists name servers inside the zone whose addresses are not known: strict resolvers find no way to them.
func (z zone) unreachable() []string {
	var names []string
	for name, addresses := range z.hosts {
		if len(addresses) == 0 {
			names = append(names, bare(name))
		}
	}
	slices.Sort(names)
	return names
}

// holdsValues tells whether a name may be a delegation's target. All such names exist, with or without a value: a resolver
// that was told NXDOMAIN would keep it for everything at the name, and whoever guesses learns nothing about tenants.
func (z zone) holdsValues(name string) bool {
	label, rest, _ := strings.Cut(name, ".")
	return rest == z.apex && len(label) == labelLength && strings.Trim(label, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// exists tells whether a canonical name inside the zone is there, be it only on the way to another (RFC 8020).
func (z zone) exists(name string) bool {
	if name == z.apex || z.holdsValues(name) {
		return true
	}
	for host := range z.hosts {
		if dns.IsSubDomain(name, host) {
			return true
		}
	}
	return false
}

// records are those of a canonical name that don't change, as answers to a question spelled as owner.
func (z zone) records(name, owner string, qtype uint16) (answer, extra []dns.RR) {
	switch {
	case qtype == dns.TypeANY && z.exists(name):
		// All there is would be an amplifier's delight; RFC 8482 §4.2 lets us say this in its place.
		return []dns.RR{&dns.HINFO{Hdr: header(owner, dns.TypeHINFO, stableTTL), Cpu: "RFC8482"}}, nil
	case name == z.apex && qtype == dns.TypeSOA:
		return []dns.RR{z.soa(owner, stableTTL)}, nil
	case name == z.apex && qtype == dns.TypeNS:
		for _, server := range z.nameservers {
			answer = append(answer, &dns.NS{Hdr: header(owner, dns.TypeNS, stableTTL), Ns: server})
			extra = append(extra, z.hosts[server]...)
		}
		return answer, extra
	case name == z.apex && qtype == dns.TypeCAA:
		for _, issuer := range z.issuers {
			rr := *issuer
			rr.Hdr = header(owner, dns.TypeCAA, stableTTL)
			answer = append(answer, &rr)
		}
		return answer, nil
	}
	for _, rr := range z.hosts[name] {
		if rr.Header().Rrtype == qtype {
			rr = dns.Copy(rr)
			rr.Header().Name = owner
			answer = append(answer, rr)
		}
	}
	return answer, nil
}

// soa is the zone's SOA record. The serial stays 1: nothing transfers this zone.
func (z zone) soa(owner string, ttl uint32) dns.RR {
	return &dns.SOA{
		Hdr: header(owner, dns.TypeSOA, ttl), Ns: z.nameservers[0], Mbox: "hostmaster." + z.apex,
		Serial: 1, Refresh: 86400, Retry: 7200, Expire: 3600000, Minttl: negativeTTL,
	}
}

// values makes TXT records of a name's values.
func (z zone) values(owner string, values []string) []dns.RR {
	records := make([]dns.RR, len(values))
	for i, value := range values {
		records[i] = &dns.TXT{Hdr: header(owner, dns.TypeTXT, z.valueTTL), Txt: characterStrings(value)}
	}
	return records
}

// characterStrings cuts a value into pieces of at most 255 octets (RFC 1035 §3.3.14), escaped as package dns wants them.
func characterStrings(value string) []string {
	var pieces []string
	for piece := range slices.Chunk([]byte(value), 255) {
		pieces = append(pieces, strings.ReplaceAll(string(piece), `\`, `\\`))
	}
	return pieces
}

func header(owner string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}
