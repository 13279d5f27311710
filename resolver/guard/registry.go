package guard

import "net/netip"

// network is a row of IANA's special-purpose address registries.
type network struct {
	prefix netip.Prefix
	what   string
}

// networks are all blocks of the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890; as of October 2025), and the
// multicast and reserved ranges. A narrower block stands before the one that contains it.
//
// Some blocks are globally reachable, such as AS112 and AMT. They are refused all the same, because a CA refuses them: the Baseline
// Requirements (§4.2.2) know no exception for a block of these registries, and Boulder connects to none (its package iana). So no
// certificate can be validated over such an address.
var networks = []network{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network, RFC 791"},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private network, RFC 1918"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a provider's shared addresses, RFC 6598"},
	{netip.MustParsePrefix("127.0.0.0/8"), "the machine itself (loopback), RFC 1122"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local addresses, RFC 3927"},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private network, RFC 1918"},
	{netip.MustParsePrefix("192.0.0.0/24"), "addresses for protocols, RFC 6890"},
	{netip.MustParsePrefix("192.0.2.0/24"), "addresses for documentation, RFC 5737"},
	{netip.MustParsePrefix("192.31.196.0/24"), "name servers for private zones (AS112), RFC 7535"},
	{netip.MustParsePrefix("192.52.193.0/24"), "multicast tunnels (AMT), RFC 7450"},
	{netip.MustParsePrefix("192.88.99.0/24"), "the abandoned 6to4 relays, RFC 7526"},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private network, RFC 1918"},
	{netip.MustParsePrefix("192.175.48.0/24"), "name servers for private zones (AS112), RFC 7534"},
	{netip.MustParsePrefix("198.18.0.0/15"), "addresses for measurements, RFC 2544"},
	{netip.MustParsePrefix("198.51.100.0/24"), "addresses for documentation, RFC 5737"},
	{netip.MustParsePrefix("203.0.113.0/24"), "addresses for documentation, RFC 5737"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast, RFC 5771"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast, RFC 919"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved addresses, RFC 1112"},

	{netip.MustParsePrefix("::/128"), "no address, RFC 4291"},
	{netip.MustParsePrefix("::1/128"), "the machine itself (loopback), RFC 4291"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "an IPv4 address written as IPv6, RFC 4291"},
	{netip.MustParsePrefix("64:ff9b::/96"), "translation to IPv4, RFC 6052"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a network's own translation to IPv4, RFC 8215"},
	{netip.MustParsePrefix("100::/64"), "addresses that discard, RFC 6666"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "a placeholder for routers, RFC 9780"},
	{netip.MustParsePrefix("2001::/32"), "Teredo tunnels, RFC 4380"},
	{netip.MustParsePrefix("2001:2::/48"), "addresses for measurements, RFC 5180"},
	{netip.MustParsePrefix("2001:3::/32"), "multicast tunnels (AMT), RFC 7450"},
	{netip.MustParsePrefix("2001:4:112::/48"), "name servers for private zones (AS112), RFC 7535"},
	{netip.MustParsePrefix("2001:10::/28"), "identifiers that look like addresses, RFC 4843"},
	{netip.MustParsePrefix("2001:20::/28"), "identifiers that look like addresses, RFC 7343"},
	{netip.MustParsePrefix("2001:30::/28"), "identifiers that look like addresses, RFC 9374"},
	{netip.MustParsePrefix("2001::/23"), "addresses for protocols, RFC 2928"},
	{netip.MustParsePrefix("2001:db8::/32"), "addresses for documentation, RFC 3849"},
	{netip.MustParsePrefix("2002::/16"), "6to4 tunnels, RFC 3056"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "name servers for private zones (AS112), RFC 7534"},
	{netip.MustParsePrefix("3fff::/20"), "addresses for documentation, RFC 9637"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing, RFC 9602"},
	{netip.MustParsePrefix("fc00::/7"), "a private network (unique local), RFC 4193"},
	{netip.MustParsePrefix("fe80::/10"), "link-local addresses, RFC 4291"},
	{netip.MustParsePrefix("fec0::/10"), "abandoned site-local addresses, RFC 3879"},
	{netip.MustParsePrefix("ff00::/8"), "multicast, RFC 4291"},
}

// global is the part of IPv6 from which unicast addresses are given out. IANA reserves the rest (RFC 4291 §2.4).
var global = netip.MustParsePrefix("2000::/3")

// special says what addr belongs to. It is empty for public unicast.
func special(addr netip.Addr) string {
	for _, n := range networks {
		if n.prefix.Contains(addr) {
			return n.what
		}
	}
	if addr.Is6() && !global.Contains(addr) {
		return "addresses that are not in use, RFC 4291"
	}
	return ""
}
