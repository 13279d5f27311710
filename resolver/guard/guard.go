// Package guard keeps requests to addresses that strangers name on the public internet.
//
// A tenant's DNS, and a redirect of a tenant's web server, may name any address: the platform's own database, the metadata
// service of its cloud, a neighbour in its network (server-side request forgery, CWE-918). Who connects to such an address
// asks a Guard first, and gives its Control to the net.Dialer as well, which sees the very address that is dialled.
package guard

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// Guard permits the addresses of public unicast, and of the networks that the platform allows in addition. Its zero value
// allows no others. It is safe for use by several goroutines.
type Guard struct{ allowed []netip.Prefix }

// New returns a Guard that also permits the addresses inside allow: a platform's own networks, or loopback in tests.
func New(allow []netip.Prefix) Guard {
	g := Guard{allowed: slices.Clone(allow)}
	for i, prefix := range g.allowed {
		g.allowed[i] = unmapped(prefix)
	}
	return g
}

// Permits reports whether addr may be connected to.
func (g Guard) Permits(addr netip.Addr) bool { return g.Why(addr) == "" }

// Why says what an address that isn't permitted belongs to, as in "a private network, RFC 1918"; of one that is permitted
// it is empty.
func (g Guard) Why(addr netip.Addr) string {
	if !addr.IsValid() {
		return "no address"
	}
	if addr.Zone() != "" {
		return "an address within one network segment, RFC 4007" // a zone names an interface of this machine
	}
	// The kernel connects to ::ffff:192.0.2.1 over IPv4, so a network that is allowed is allowed in this form too. No other
	// address of this form is, public or not: a CA refuses an AAAA record that has one.
	ipv4 := addr.Unmap()
	if slices.ContainsFunc(g.allowed, func(allowed netip.Prefix) bool { return allowed.Contains(ipv4) }) {
		return ""
	}
	return special(addr)
}

// Refused is the error of a connection that a Guard didn't let happen.
type Refused struct {
	Address netip.Addr
	Why     string // see Guard.Why
}

func (r *Refused) Error() string { return fmt.Sprintf("%s is not public: %s", r.Address, r.Why) }

// Control refuses the addresses that aren't permitted. It is for net.Dialer.Control: that is called with the address that the
// name was resolved to, after every resolution and before the first packet, so that no second answer of the DNS gets past.
func (g Guard) Control(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return &Refused{Why: "no address"}
	}
	if why := g.Why(target.Addr()); why != "" {
		return &Refused{Address: target.Addr(), Why: why}
	}
	return nil
}

func unmapped(prefix netip.Prefix) netip.Prefix {
	const mappedBits = 96 // of ::ffff:0:0/96
	if prefix.Addr().Is4In6() && prefix.Bits() >= mappedBits {
		return netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mappedBits)
	}
	return prefix
}
