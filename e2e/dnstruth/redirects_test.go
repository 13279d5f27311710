package dnstruth

import "github.com/evercert/evercert/cert"

// brokenRedirects are web servers that send a CA on to where it doesn't follow (Baseline Requirements §3.2.2.4.19; Boulder, va/http.go).
func brokenRedirects() []row {
	table := []row{
		{name: "redirects with status 303", text: "shop A " + hostSeeOther + "\n", codes: codes(cert.HTTPBadRedirect), says: []string{"303"}},
		{
			name: "redirects and does not say where to", text: "shop A " + hostNowhere + "\n", codes: codes(cert.HTTPBadRedirect),
			says: []string{"where to go"},
		},
		{
			name: "redirects to a host that does not exist", text: "shop A " + hostGone + "\n", codes: codes(cert.HTTPBadRedirect),
			says: []string{"gone.stranger.org"},
		},
		{
			name: "redirects to HTTPS where nobody listens", text: "shop A " + hostToHTTPS + "\n", codes: codes(cert.HTTPBadRedirect),
			says: []string{"https://shop.$DOMAIN"},
		},
		{name: "the web server is busy", text: "shop A " + hostBusy + "\n", codes: codes(cert.HTTPUnexpectedResponse), says: []string{"503"}},
	}
	for i := range table {
		table[i].methods, table[i].bare, table[i].verdict, table[i].acts = http01, true, cert.Wrong, cert.TenantActs
	}
	return table
}

// healthyRedirects are followed; certificates on the way are not looked at (Boulder, va/http.go, InsecureSkipVerify).
func healthyRedirects() []row {
	table := []row{
		{name: "healthy with a redirect to HTTPS and a certificate that nobody trusts", text: "shop A " + hostSecure + "\n"},
		{name: "healthy with nine redirects", text: "shop A " + hostNine + "\n"},
		{name: "healthy with a redirect to another host", text: "shop A " + hostToOther + "\n"},
	}
	for i := range table {
		table[i].methods, table[i].bare, table[i].chosen = http01, true, http01
	}
	return table
}
