package guard_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/guard"
)

func TestOnlyPublicUnicastIsPermitted(t *testing.T) {
	t.Parallel()
	for address, why := range map[string]string{
		"1.1.1.1":                     "",
		"8.8.8.8":                     "",
		"9.255.255.255":               "",
		"11.0.0.0":                    "",
		"100.63.255.255":              "",
		"100.128.0.0":                 "",
		"126.255.255.255":             "",
		"128.0.0.0":                   "",
		"169.253.255.255":             "",
		"169.255.0.0":                 "",
		"172.15.255.255":              "",
		"172.32.0.0":                  "",
		"192.0.1.0":                   "",
		"192.31.195.255":              "",
		"192.52.194.0":                "",
		"192.175.49.0":                "",
		"192.88.98.255":               "",
		"192.167.255.255":             "",
		"192.169.0.0":                 "",
		"198.17.255.255":              "",
		"198.20.0.0":                  "",
		"223.255.255.255":             "",
		"2001:4860:4860::8888":        "",
		"2606:4700:4700::1111":        "",
		"2a01:4f8::1":                 "",
		"2620:4f:7fff:ffff::1":        "",
		"2620:4f:8001::1":             "",
		"2003::1":                     "",
		"2001:200::1":                 "", // the first after 2001::/23
		"0.0.0.0":                     "this network, RFC 791",
		"0.255.255.255":               "this network, RFC 791",
		"10.0.0.0":                    "a private network, RFC 1918",
		"10.255.255.255":              "a private network, RFC 1918",
		"100.64.0.0":                  "a provider's shared addresses, RFC 6598",
		"100.127.255.255":             "a provider's shared addresses, RFC 6598",
		"127.0.0.1":                   "the machine itself (loopback), RFC 1122",
		"127.255.255.255":             "the machine itself (loopback), RFC 1122",
		"169.254.169.254":             "link-local addresses, RFC 3927",
		"172.16.0.0":                  "a private network, RFC 1918",
		"172.31.255.255":              "a private network, RFC 1918",
		"192.0.0.8":                   "addresses for protocols, RFC 6890",
		"192.0.2.1":                   "addresses for documentation, RFC 5737",
		"192.88.99.1":                 "the abandoned 6to4 relays, RFC 7526",
		"192.168.1.1":                 "a private network, RFC 1918",
		"198.18.0.0":                  "addresses for measurements, RFC 2544",
		"198.19.255.255":              "addresses for measurements, RFC 2544",
		"198.51.100.7":                "addresses for documentation, RFC 5737",
		"203.0.113.7":                 "addresses for documentation, RFC 5737",
		"224.0.0.1":                   "multicast, RFC 5771",
		"239.255.255.255":             "multicast, RFC 5771",
		"240.0.0.1":                   "reserved addresses, RFC 1112",
		"255.255.255.255":             "broadcast, RFC 919",
		"::":                          "no address, RFC 4291",
		"::1":                         "the machine itself (loopback), RFC 4291",
		"::8.8.8.8":                   "addresses that are not in use, RFC 4291", // IPv4-compatible
		"::ffff:0:8.8.8.8":            "addresses that are not in use, RFC 4291", // IPv4-translated
		"::ffff:127.0.0.1":            "an IPv4 address written as IPv6, RFC 4291",
		"::ffff:10.1.2.3":             "an IPv4 address written as IPv6, RFC 4291",
		"64:ff9b::7f00:1":             "translation to IPv4, RFC 6052",
		"64:ff9b::a9fe:a9fe":          "translation to IPv4, RFC 6052",
		"64:ff9b:1::808:808":          "a network's own translation to IPv4, RFC 8215",
		"64:ff9b:1:ffff::a00:1":       "a network's own translation to IPv4, RFC 8215",
		"100::1":                      "addresses that discard, RFC 6666",
		"100:0:0:1::1":                "a placeholder for routers, RFC 9780",
		"2001::1":                     "Teredo tunnels, RFC 4380",
		"2001:0:4136:e378::80ff:fffe": "Teredo tunnels, RFC 4380",
		"2001:1::1":                   "addresses for protocols, RFC 2928",
		"2001:2::1":                   "addresses for measurements, RFC 5180",
		"2001:10::1":                  "identifiers that look like addresses, RFC 4843",
		"2001:2f::1":                  "identifiers that look like addresses, RFC 7343",
		"2001:3f::1":                  "identifiers that look like addresses, RFC 9374",
		"2001:db8::1":                 "addresses for documentation, RFC 3849",
		"2002:7f00:1::":               "6to4 tunnels, RFC 3056",
		"2002:a00:1::1":               "6to4 tunnels, RFC 3056",
		"3fff::1":                     "addresses for documentation, RFC 9637",
		"3fff:fff::1":                 "addresses for documentation, RFC 9637",
		"4000::1":                     "addresses that are not in use, RFC 4291",
		"5f00::1":                     "segment routing, RFC 9602",
		"fc00::1":                     "a private network (unique local), RFC 4193",
		"fd00:ec2::254":               "a private network (unique local), RFC 4193",
		"fe80::1":                     "link-local addresses, RFC 4291",
		"fe80::1%eth0":                "an address within one network segment, RFC 4007",
		"2606:4700::1%eth0":           "an address within one network segment, RFC 4007",
		"fec0::1":                     "abandoned site-local addresses, RFC 3879",
		"ff02::1":                     "multicast, RFC 4291",
	} {
		addr := netip.MustParseAddr(address)
		require.Equal(t, why, guard.Guard{}.Why(addr), address)
		require.Equal(t, why == "", guard.New(nil).Permits(addr), address)
	}
	require.False(t, guard.New(nil).Permits(netip.Addr{}))
}

// registryBlocks are all rows of the IANA IPv4 and IPv6 Special-Purpose Address Registries (October 2025), and the two multicast
// blocks that Boulder adds to them (its package iana). A CA connects to no address in them.
var registryBlocks = []string{
	"0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.0.0/29",
	"192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"255.255.255.255/32",
	"::1/128", "::/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32",
	"2001:1::1/128",
	"2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28",
	"2001:db8::/32",
	"2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "ff00::/8",
}

func TestF1_EveryBlockOfIANAsRegistriesIsRefused(t *testing.T) {
	t.Parallel()
	for _, block := range registryBlocks {
		prefix := netip.MustParsePrefix(block)
		last := prefix.Addr().AsSlice()
		for bit := prefix.Bits(); bit < len(last)*8; bit++ {
			last[bit/8] |= 1 << (7 - bit%8)
		}
		end, _ := netip.AddrFromSlice(last)
		for _, addr := range []netip.Addr{prefix.Addr(), end} {
			require.False(t, guard.New(nil).Permits(addr), "%s of %s", addr, block)
			require.NotEmpty(t, guard.New(nil).Why(addr))
		}
	}
}

func TestAllowedNetworksArePermittedBesides(t *testing.T) {
	t.Parallel()
	allow := []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::ffff:10.1.0.0/112"), netip.MustParsePrefix("fd00:1::/32"),
		netip.MustParsePrefix("64:ff9b:1::/48"),
	}
	g := guard.New(allow)
	allow[0] = netip.MustParsePrefix("192.168.0.0/16") // a Guard keeps what it was made with
	for address, permitted := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::ffff:127.0.0.1": true, "10.1.2.3": true, "fd00:1::1": true, "64:ff9b:1::7f00:1": true,
		"8.8.8.8": true, "10.2.0.1": false, "192.168.0.1": false, "::1": false, "fd00:2::1": false,
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, // by way of a translator that isn't ours
		"fd00:1::1%eth0": false,
	} {
		require.Equal(t, permitted, g.Permits(netip.MustParseAddr(address)), address)
	}
}

// A dialer with the guard's Control must not send a packet to what the guard refuses, whatever the name resolves to.
func TestDialerIsRefusedBeforeTheFirstPacket(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close() //nolint:errcheck // nothing was written

	refusing := net.Dialer{Control: guard.New(nil).Control}
	_, err = refusing.DialContext(context.Background(), "tcp", listener.Addr().String())
	refused, ok := errors.AsType[*guard.Refused](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "127.0.0.1 is not public: the machine itself (loopback), RFC 1122", refused.Error())

	allowing := net.Dialer{Control: guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}).Control}
	conn, err := allowing.DialContext(context.Background(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	accepted, err := listener.Accept()
	require.NoError(t, err)
	require.Equal(t, conn.LocalAddr().String(), accepted.RemoteAddr().String(), "the refused dial must not have come first")
	require.NoError(t, accepted.Close())

	require.Error(t, guard.New(nil).Control("tcp", "no address", nil))
}
