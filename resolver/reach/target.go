package reach

import (
	"net/netip"
	"slices"

	"github.com/evercert/evercert/cert"
)

const (
	maxAddresses = 20 // of one name are probed; the others are left out
	atOnce       = 5
	maxHeader    = 32 << 10 // bytes of an answer's header
)

// Target is a name and what its DNS shows.
type Target struct {
	Name      string       // in A-labels, without "*."
	Addresses []netip.Addr // of its A and AAAA records
	IPv6First bool         // the CA asks IPv4 addresses only where those of IPv6 can't be connected to
	Own       []netip.Addr // those addresses that are the platform's: what is wrong there, the platform fixes
	Probe     *cert.Probe  // what the platform's edges answer now; without one any plausible answer will do

	visiting bool // as visitors do, not a CA
}

// unique leaves out repetitions, and those that are too many to ask. An IPv4 address written as IPv6 stays one: CAs refuse it.
func unique(addresses []netip.Addr) []netip.Addr {
	var kept []netip.Addr
	for _, addr := range addresses {
		if !slices.Contains(kept, addr) && len(kept) < maxAddresses {
			kept = append(kept, addr)
		}
	}
	return kept
}
