package dnstruth

import "github.com/evercert/evercert/cert"

// How Let's Encrypt chooses among the addresses of a name (Boulder, bdns/dns.go and va/http.go): reserved ones are left out as if they
// weren't there. Then the first IPv6 address is asked, else the first IPv4 address; and where no connection can be made to the IPv6 address
// (an error while dialling, nothing later), the first IPv4 address. The order of addresses is the resolver's, so that of several any may be
// first.

// brokenFallbacks are names of which a CA asks, or may ask, an address that doesn't answer.
func brokenFallbacks() []row {
	table := []row{
		{
			name: "only IPv6 and nobody listens", text: "shop AAAA " + ipv6Dead + "\n", bare: true, methods: http01,
			codes: codes(cert.HTTPUnreachable), says: []string{ipv6Dead},
		},
		{
			name: "IPv6 takes connections and says nothing", text: "shop A $EDGE4\nshop AAAA " + ipv6Silent + "\n", bare: true, methods: http01,
			codes: codes(cert.IPv6Unreachable), says: []string{ipv6Silent},
		},
		{
			name: "IPv6 leads to the old server", text: owned + "shop A $EDGE4\nshop AAAA " + ipv6Old + "\n", methods: http01,
			codes: codes(cert.DNSConflictingRecords), says: []string{ipv6Old},
		},
		{
			name: "IPv6 is dead and IPv4 leads to the old server", text: owned + elsewhere + "shop AAAA " + ipv6Dead + "\n", methods: http01,
			codes: codes(cert.DNSWrongTarget), warns: codes(cert.IPv6Unreachable),
		},
		{
			name: "IPv6 is reserved and IPv4 leads to the old server", text: owned + elsewhere + "shop AAAA fc00::7\n", methods: http01,
			codes: codes(cert.DNSWrongTarget), warns: codes(cert.ReservedAddress),
		},
		{
			name: "one of two IPv6 addresses is dead and there is no IPv4", text: owned + "shop AAAA $EDGE6\nshop AAAA " + ipv6Dead + "\n",
			methods: http01, codes: codes(cert.DNSConflictingRecords, cert.HTTPUnreachable), says: []string{ipv6Dead},
		},
		{
			name: "IPv6 is dead at one server of two and the other leads elsewhere", text: owned + "shop A $EDGE4\nshop AAAA " + ipv6Dead + "\n",
			on: onKnot(owned + elsewhere), methods: http01, codes: codes(cert.DNSWrongTarget), warns: codes(cert.IPv6Unreachable),
			says: []string{hostOld},
		},
		{
			name: "one of two IPv4 addresses is dead", text: owned + "shop A $EDGE4\nshop A " + hostRefuses + "\n", methods: http01,
			codes: codes(cert.DNSConflictingRecords, cert.HTTPUnreachable), says: []string{hostRefuses},
		},
		{
			name: "an old address beside ours and IPv6 of which the CA is not known to ask it first", cas: []cert.CAIdentity{google},
			text: owned + flat + elsewhere, methods: http01, codes: codes(cert.DNSConflictingRecords), says: []string{hostOld},
		},
		{
			name: "all addresses are reserved", text: "shop A 10.0.0.7\nshop AAAA fc00::7\n", bare: true, methods: http01,
			codes: codes(cert.ReservedAddress), says: []string{"10.0.0.7", "fc00::7"},
		},
		{
			name: "IPv6 is dead and so is IPv4", text: "shop A " + hostRefuses + "\nshop AAAA " + ipv6Dead + "\n", bare: true, methods: http01,
			codes: codes(cert.HTTPUnreachable),
		},
		{
			name: "IPv6 is dead on port 443 and IPv4 passes over tls-alpn-01", text: "shop A " + hostNoALPN + "\nshop AAAA " + ipv6Dead + "\n",
			bare: true, methods: alpn01, codes: codes(cert.TLSALPNRefused), warns: codes(cert.IPv6Unreachable),
		},
	}
	for i := range table {
		table[i].verdict, table[i].acts = cert.Wrong, cert.TenantActs
	}
	return table
}

// healthyFallbacks have an address that doesn't answer, and a CA gets through all the same.
func healthyFallbacks() []row {
	dead := codes(cert.DNSConflictingRecords, cert.IPv6Unreachable)
	reserved := codes(cert.DNSConflictingRecords, cert.ReservedAddress)
	return []row{
		{
			name: "healthy beside an old IPv6 address that is dead", text: owned + "shop A $EDGE4\nshop AAAA " + ipv6Dead + "\n", methods: http01,
			chosen: http01, warns: dead, says: []string{ipv6Dead},
		},
		{
			name: "healthy beside a private address", text: owned + flat + "shop A 192.168.1.10\n", methods: http01, chosen: http01, warns: reserved,
			says: []string{"192.168.1.10"},
		},
		{
			name: "healthy beside a private IPv6 address", text: owned + "shop A $EDGE4\nshop AAAA fc00::7\n", methods: http01, chosen: http01,
			warns: reserved, says: []string{"fc00::7"},
		},
		{
			name: "healthy beside a dead IPv6 address and ours", text: owned + flat + "shop AAAA " + ipv6Dead + "\n", methods: http01,
			chosen: http01, warns: dead,
		},
		{
			name: "healthy by tls-alpn-01 beside a dead IPv6 address", text: owned + "shop A $EDGE4\nshop AAAA " + ipv6Dead + "\n", methods: alpn01,
			chosen: alpn01, warns: dead,
		},
		{
			name: "healthy by tls-alpn-01 beside a private address", text: owned + flat + "shop A 10.1.1.1\n", methods: alpn01, chosen: alpn01,
			warns: reserved,
		},
		{
			name: "healthy for somebody who only asks though IPv6 is dead", text: "shop A " + hostOld + "\nshop AAAA " + ipv6Dead + "\n", bare: true,
			methods: http01, chosen: http01, warns: codes(cert.IPv6Unreachable),
		},
		{
			name: "healthy for somebody who only asks beside a private address", text: "shop A " + hostOld + "\nshop A 10.1.2.3\n", bare: true,
			methods: http01, chosen: http01, warns: codes(cert.ReservedAddress),
		},
		{
			name: "healthy beside an old address that is not asked", text: owned + flat + elsewhere, methods: http01, chosen: http01,
			warns: codes(cert.DNSConflictingRecords), says: []string{hostOld},
		},
		{
			name: "healthy with IPv6 here and IPv4 that is dead", text: owned + "shop AAAA $EDGE6\nshop A " + hostRefuses + "\n", methods: http01,
			chosen: http01, warns: codes(cert.DNSConflictingRecords, cert.HTTPUnreachable),
		},
		{
			name: "healthy with IPv6 here and IPv4 that is private", text: owned + "shop AAAA $EDGE6\nshop A 10.1.2.4\n", methods: http01,
			chosen: http01,
			warns:  reserved,
		},
		{name: "healthy over IPv6 only", text: owned + "shop AAAA $EDGE6\n", methods: http01, chosen: http01},
		{name: "healthy by tls-alpn-01 over IPv6 only", text: owned + "shop AAAA $EDGE6\n", methods: alpn01, chosen: alpn01},
	}
}
