package dnstruth

import "github.com/evercert/evercert/cert"

// brokenWeb are names whose web servers keep a CA from its answer. Most are asked about by somebody who has not connected them: of
// those that are, the records have to lead to the platform first. A CDN may stand in front.
func brokenWeb() []row {
	at := func(host string) string { return owned + "shop A " + host + "\n" }
	unexpected, redirect := codes(cert.HTTPUnexpectedResponse), codes(cert.HTTPBadRedirect)
	web := []row{
		{name: "redirects to itself", text: at(hostCircle), codes: redirect, says: []string{"circle"}},
		{name: "redirects to another port", text: at(hostOtherPort), codes: redirect, says: []string{"8080"}},
		{name: "redirects to another scheme", text: at(hostOtherScheme), codes: redirect, says: []string{"neither http nor https"}},
		{name: "redirects without a slash", text: at(hostLostSlash), codes: redirect, says: []string{"slash"}},
		{name: "redirects on and on", text: at(hostEndless), codes: redirect, says: []string{"more than 10 times"}},
		{name: "redirects to a private host", text: at(hostPrivate) + "intranet.shop A 10.9.9.9\n", codes: redirect},
		{name: "a wall in front", text: at(hostWall), codes: unexpected, says: []string{"403"}},
		{name: "a login in front", text: at(hostLogin), codes: unexpected, says: []string{"401"}},
		{name: "the web server fails", text: at(hostBroken), codes: unexpected, says: []string{"500"}},
		{name: "TLS on port 80", text: at(hostTLSOn80), codes: unexpected, says: []string{"TLS on port 80"}},
		{name: "nobody listens on port 80", text: at(hostRefuses), codes: codes(cert.HTTPUnreachable), says: []string{"refused"}},
		{name: "port 80 never answers", text: at(hostSilent), codes: codes(cert.HTTPUnreachable)},
		{
			name: "only one address answers", text: at(edgeIPv4) + "shop A " + hostRefuses + "\n", codes: codes(cert.HTTPUnreachable),
			says: []string{hostRefuses},
		},
		{name: "another site answers the token", text: at(hostOld), probe: true, codes: unexpected},
	}
	for i := range web {
		web[i].methods, web[i].bare = http01, true
	}
	tls := []row{
		{name: "nobody listens on port 443", text: at(hostOnly80), codes: codes(cert.HTTPSUnreachable)},
		{name: "HTTP on port 443", text: at(hostHTTPOn443), codes: codes(cert.HTTPSUnreachable), says: []string{"plain HTTP"}},
		{name: "TLS that passes over the protocol of tls-alpn-01", text: at(hostNoALPN), codes: codes(cert.TLSALPNRefused)},
		{name: "a CDN that ends TLS itself", text: at(hostCDN), codes: codes(cert.TLSALPNRefused)},
		// Servers refuse the protocol while no CA is expected: it is not known before there is an order.
		{name: "TLS that refuses the protocol of tls-alpn-01", text: at(hostOtherALPN), verdict: cert.Unknown, warns: codes(cert.TLSALPNRefused)},
		{name: "port 443 never answers", text: at(hostSilent), codes: codes(cert.HTTPSUnreachable)},
	}
	for i := range tls {
		tls[i].methods, tls[i].bare = alpn01, true
	}
	table := append(web, tls...)
	table = append(
		table,
		row{
			name: "a CDN that leads elsewhere", text: owned + "shop A " + hostCDNAstray + "\n", methods: http01, probe: true,
			codes: codes(cert.HTTPUnexpectedResponse), warns: codes(cert.ProxiedByCDN), says: []string{"Cloudflare"},
		},
		row{
			name: "the platform's edge is down", text: owned + pointed, target: "silent.platform.net", methods: http01, verdict: cert.Unknown,
			acts: cert.PlatformActs, codes: codes(cert.HTTPUnreachable),
		},
		row{
			name: "the platform's edge is down over IPv6", text: owned + pointed, target: "v6dead.platform.net", methods: http01, verdict: cert.OK,
			chosen: http01, warns: codes(cert.IPv6Unreachable),
		},
	)
	for i := range table {
		if table[i].verdict == "" {
			table[i].verdict, table[i].acts = cert.Wrong, cert.TenantActs
		}
	}
	return table
}
