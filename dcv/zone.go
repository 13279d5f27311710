package dcv

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// stableTTL is for records that change only with the configuration.
	stableTTL = 3600
	// negativeTTL limits how long resolvers cache that a name has no value (RFC 2308 §5). evercert's own checks and other people ask for names
	// before a value exists, and the CA may use a resolver that has cached this answer. One second is the lowest TTL that still protects the
	// server from a resolver that repeats the same question many times.
	negativeTTL = 1
	// labelLength is the length of cert.DelegationLabel: 128 bits in base32.
	labelLength = 26
)

// zone holds the part of the validation zone that does not change: everything except the values.
type zone struct {
	apex        string // in canonical form
	nameservers []string
	hosts       map[string][]dns.RR // addresses of name servers inside the zone, by canonical name
	issuers     []*dns.CAA          // without a header
	valueTTL    uint32
}

func newZone(c Config) zone {
	z := zone{
		apex: dns.CanonicalName(c.Zone), nameservers: c.nameservers(), hosts: map[string][]dns.RR{},
		valueTTL: uint32(c.TTL / time.Second), //nolint:gosec // Validate limits it
	}
	for _, name := range z.nameservers {
		if dns.IsSubDomain(z.apex, name) {
			z.hosts[name] = nil
		}
	}
	for _, entry := range c.Addresses {
		name, address, err := parseAddress(entry)
		if err != nil {
			continue // Validate refuses it
		}
		var rr dns.RR = &dns.A{Hdr: header(name, dns.TypeA, stableTTL), A: address.AsSlice()}
		if address.Is6() {
			rr = &dns.AAAA{Hdr: header(name, dns.TypeAAAA, stableTTL), AAAA: address.AsSlice()}
		}
		z.hosts[name] = append(z.hosts[name], rr)
	}
	z.issuers, _ = parseCAA(c.CAA) // Validate refuses what does not parse
	return z
}

// unreachable lists the name servers inside the zone whose addresses are not configured: strict resolvers can't reach them.
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

// holdsValues reports whether a name may be the target of a delegation. All such names exist, with or without a value. A resolver that got
// NXDOMAIN would cache it for all types at the name. Also, whoever guesses names learns nothing about tenants.
func (z zone) holdsValues(name string) bool {
	label, rest, _ := strings.Cut(name, ".")
	return rest == z.apex && len(label) == labelLength && strings.Trim(label, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// exists reports whether a canonical name exists in the zone. An empty non-terminal exists too (RFC 8020).
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

// records returns the fixed records of a canonical name. The owner of each is spelled as in the question.
func (z zone) records(name, owner string, qtype uint16) (answer, extra []dns.RR) {
	switch {
	case qtype == dns.TypeANY && z.exists(name):
		// An answer with all records would amplify forged questions. RFC 8482 §4.2 allows this HINFO record instead.
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

// soa returns the zone's SOA record. The serial stays 1 because no server transfers this zone.
func (z zone) soa(owner string, ttl uint32) dns.RR {
	return &dns.SOA{
		Hdr: header(owner, dns.TypeSOA, ttl), Ns: z.nameservers[0], Mbox: "hostmaster." + z.apex,
		Serial: 1, Refresh: 86400, Retry: 7200, Expire: 3600000, Minttl: negativeTTL,
	}
}

// values returns the TXT records of a name's values.
func (z zone) values(owner string, values []string) []dns.RR {
	records := make([]dns.RR, len(values))
	for i, value := range values {
		records[i] = &dns.TXT{Hdr: header(owner, dns.TypeTXT, z.valueTTL), Txt: characterStrings(value)}
	}
	return records
}

// characterStrings cuts a value into pieces of at most 255 octets (RFC 1035 §3.3.14), escaped as package dns requires.
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
