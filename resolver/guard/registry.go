package guard

import "net/netip"

// network is a row of IANA's special-purpose address registries.
type network struct {
	prefix netip.Prefix
	what   string
}

// networks are those of the IANA IPv4 and IPv6 Special-Purpose Address Registries that aren't globally reachable (RFC 6890;
// as of October 2025), and the multicast and reserved ranges. A narrower one stands before the one that holds it.
//
// 192.31.196.0/24, 192.175.48.0/24 and 2620:4f:8000::/48 (AS112) and 192.52.193.0/24 (AMT) are missing because they are
// globally reachable. Inside 2001::/23 some are as well; none of them is a place for a web or a name server.
var networks = []network{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network, RFC 791"},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private network, RFC 1918"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a provider's shared addresses, RFC 6598"},
	{netip.MustParsePrefix("127.0.0.0/8"), "the machine itself (loopback), RFC 1122"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local addresses, RFC 3927"},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private network, RFC 1918"},
	{netip.MustParsePrefix("192.0.0.0/24"), "addresses for protocols, RFC 6890"},
	{netip.MustParsePrefix("192.0.2.0/24"), "addresses for documentation, RFC 5737"},
	{netip.MustParsePrefix("192.88.99.0/24"), "the abandoned 6to4 relays, RFC 7526"},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private network, RFC 1918"},
	{netip.MustParsePrefix("198.18.0.0/15"), "addresses for measurements, RFC 2544"},
	{netip.MustParsePrefix("198.51.100.0/24"), "addresses for documentation, RFC 5737"},
	{netip.MustParsePrefix("203.0.113.0/24"), "addresses for documentation, RFC 5737"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast, RFC 5771"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast, RFC 919"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved addresses, RFC 1112"},

	{netip.MustParsePrefix("::/128"), "no address, RFC 4291"},
	{netip.MustParsePrefix("::1/128"), "the machine itself (loopback), RFC 4291"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a network's own translation to IPv4, RFC 8215"},
	{netip.MustParsePrefix("100::/64"), "addresses that discard, RFC 6666"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "a placeholder for routers, RFC 9780"},
	{netip.MustParsePrefix("2001::/32"), "Teredo tunnels, RFC 4380"},
	{netip.MustParsePrefix("2001:2::/48"), "addresses for measurements, RFC 5180"},
	{netip.MustParsePrefix("2001:10::/28"), "identifiers that look like addresses, RFC 4843"},
	{netip.MustParsePrefix("2001:20::/28"), "identifiers that look like addresses, RFC 7343"},
	{netip.MustParsePrefix("2001:30::/28"), "identifiers that look like addresses, RFC 9374"},
	{netip.MustParsePrefix("2001::/23"), "addresses for protocols, RFC 2928"},
	{netip.MustParsePrefix("2001:db8::/32"), "addresses for documentation, RFC 3849"},
	{netip.MustParsePrefix("3fff::/20"), "addresses for documentation, RFC 9637"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing, RFC 9602"},
	{netip.MustParsePrefix("fc00::/7"), "a private network (unique local), RFC 4193"},
	{netip.MustParsePrefix("fe80::/10"), "link-local addresses, RFC 4291"},
	{netip.MustParsePrefix("fec0::/10"), "abandoned site-local addresses, RFC 3879"},
	{netip.MustParsePrefix("ff00::/8"), "multicast, RFC 4291"},
}

// IPv6 addresses that a translator or relay turns into the IPv4 address inside them, and so are as public as that one is.
var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052 §2.1
	sixToFour = netip.MustParsePrefix("2002::/16")    // RFC 3056 §2
)

// global is the part of IPv6 from which unicast addresses are given out. All the rest is kept back (RFC 4291 §2.4).
var global = netip.MustParsePrefix("2000::/3")

// special says what addr belongs to, unless that is public unicast.
func special(addr netip.Addr) string {
	for _, n := range networks {
		if n.prefix.Contains(addr) {
			return n.what
		}
	}
	if addr.Is4() {
		return ""
	}
	bytes := addr.As16()
	switch {
	case nat64.Contains(addr):
		return inside("translation to IPv4", [4]byte(bytes[12:16]))
	case sixToFour.Contains(addr):
		return inside("a 6to4 tunnel", [4]byte(bytes[2:6]))
	case !global.Contains(addr):
		return "addresses that are not in use, RFC 4291"
	default:
		return ""
	}
}

// inside judges the IPv4 address that an IPv6 address leads to. No allowed network is asked: what allows 10.0.0.0/8 doesn't
// mean it by way of somebody's translator.
func inside(way string, ipv4 [4]byte) string {
	if what := special(netip.AddrFrom4(ipv4)); what != "" {
		return way + " to " + what
	}
	return ""
}
