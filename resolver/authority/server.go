package authority

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// State is what became of asking a server for the SOA record of its zone.
type State string

// The states of a server.
const (
	Answers     State = "answers"
	Lame        State = "lame"           // it speaks, but not for this zone: REFUSED, without authority, a referral to elsewhere
	Failing     State = "fails"          // it answers SERVFAIL: it may know the zone or not
	Unreachable State = "unreachable"    // no answer in time, or its address can't be looked up
	NoAddress   State = "has no address" // its name has none, doesn't exist, or can't be resolved because glue is missing
	Forbidden   State = "forbidden"      // Config.Allow refuses its address; nothing was sent
	NotAsked    State = "not asked"      // there are more servers than MaxServers, or this machine has no way to it. No fault
)

// Server is one address of one name server of a zone.
type Server struct {
	Name    string         // as in the NS record; empty for a server from Config.Roots
	Address netip.AddrPort // not valid without an address
	State   State
	Detail  string   // why it doesn't answer, in words that a tenant may read
	SOA     *dns.SOA // as this server has it; nil when it gave none

	cause  error    // why its address is not known
	cached bool     // it answers, but as a resolver does, from a cache
	refers []string // the name servers that it, being the parent's, leaves the zone to
}

// String is a server as people know it: "ns1.example.com (192.0.2.1)".
func (s Server) String() string {
	switch {
	case !s.Address.IsValid():
		return bare(s.Name)
	case s.Name == "":
		return s.Address.Addr().String()
	}
	return fmt.Sprintf("%s (%s)", bare(s.Name), s.Address.Addr())
}

// bare is a name as people write it: no trailing dot.
func bare(name string) string { return strings.TrimSuffix(name, ".") }

// shown is a zone as people call it.
func shown(zone string) string {
	if zone == "." {
		return "the root of DNS"
	}
	return bare(zone)
}
