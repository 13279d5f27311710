package reach

import (
	"bytes"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
)

// wall is a known thing that answers in the place of a web server. A page is one that bears any of its marks, and has one of
// the statuses if there are such.
type wall struct {
	cause, step string

	server   []string // the Server header begins with one of these
	header   string   // is there
	body     []string // stands in the body
	host     []string // the last host is one of these, or below it
	path     []string // the path that a redirect led to begins with one of these
	statuses []int
	small    bool // the page is too small to be one that only mentions the mark
}

const smallPage = 8 << 10

func (w *wall) fits(p *page) bool {
	if len(w.statuses) > 0 && !slices.Contains(w.statuses, p.status) || w.small && len(p.body) > smallPage {
		return false
	}
	server := strings.ToLower(p.header.Get("Server"))
	for _, begin := range w.server {
		if strings.HasPrefix(server, strings.ToLower(begin)) {
			return true
		}
	}
	if w.header != "" && p.header.Get(w.header) != "" {
		return true
	}
	for _, mark := range w.body {
		if bytes.Contains(p.body, []byte(mark)) {
			return true
		}
	}
	return p.hops > 0 && w.fitsURL(p)
}

func (w *wall) fitsURL(p *page) bool {
	host, path := p.url.Hostname(), strings.ToLower(p.url.Path)
	for _, known := range w.host {
		if host == known || strings.HasSuffix(host, "."+known) {
			return true
		}
	}
	for _, known := range w.path {
		if path == known || strings.HasPrefix(path, known+"/") || strings.HasPrefix(path, known+".") {
			return true
		}
	}
	return false
}

// recognise finds what kind of wall a page is, or nil.
func recognise(p *page) *wall {
	for i := range walls {
		if walls[i].fits(p) {
			return &walls[i]
		}
	}
	return nil
}

func (w *wall) fault(p *page) *fault {
	step := w.step
	if step == "" {
		step = stepResponse
	}
	return wrong(cert.HTTPUnexpectedResponse, w.cause, step).with(pageText(p))
}

// walls are tried in order. Those of letsdebug's checks PortForwarding, BlockedByNginxTestCookie, HttpOnHttpsPort and
// BlockedByFirewall are among them.
var walls = []wall{
	{
		cause: speaksTLS, step: stepPlainHTTP,
		body: []string{
			"speaking plain HTTP to an SSL-enabled server port", // Apache httpd
			"The plain HTTP request was sent to HTTPS port",     // nginx
			"Client sent an HTTP request to an HTTPS server",    // Go, Caddy, Traefik
			"This combination of host and port requires TLS",    // Tomcat
		},
	},
	{
		cause: "nginx there first checks with a script and a cookie whether a person asks (testcookie), and CAs run no scripts",
		step:  stepTestCookie,
		body:  []string{`src="/aes.js"`, `src="/aes.min.js"`, "var a=toNumbers", "slowAES.decrypt("}, small: true,
	},
	{
		cause: "what answers is a router or modem, not a web server behind it", step: stepRouter,
		server: []string{
			"micro_httpd", "cisco-IOS", "LANCOM", "Mini web server 1.0 ZTE", "RomPager", "Allegro-Software-RomPager",
			"Router Webserver", "Mikrotik HttpProxy",
		},
		body: []string{
			"RouterOS router configuration page", "<title>FRITZ!Box", "LuCI - Lua Configuration Interface", "<title>pfSense - Login",
			"| OPNsense</title>",
		},
	},
	{
		cause: "a firewall there answers with a page that says \"blocked\"", step: stepFirewall,
		body: []string{
			"<title>Application Blocked</title>", "<title>Web Page Blocked", // Palo Alto Networks, Fortinet
			"application you were trying to use has been blocked in accordance with company policy",
			"web page you were trying to visit has been blocked in accordance with company policy",
			"FortiGuard Intrusion Prevention", "This site has been blocked by the network administrator", // Fortinet, SonicWall
		},
	},
	{
		cause: "Cloudflare refuses it, because the record of one Cloudflare customer is proxied to the name of another (error 1014)",
		step:  stepUnproxied,
		body:  []string{"error code: 1014", "CNAME Cross-User Banned"}, statuses: []int{403, 409, 530},
	},
	{
		cause: "Cloudflare refuses it, because the record behind the proxy leads to Cloudflare itself or to a private address (error 1000)",
		step:  stepUnproxied,
		body:  []string{"error code: 1000", "DNS points to prohibited IP"}, statuses: []int{403, 409, 530},
	},
	{
		cause: "Cloudflare answers that the server behind it doesn't", step: stepOrigin,
		body:     []string{"error code: 1016"},
		server:   []string{"cloudflare"},
		statuses: []int{520, 521, 522, 523, 524, 525, 526, 530},
	},
	{
		cause: "Cloudflare asks for a login before it lets requests through (Cloudflare Access)", step: stepRobots,
		host: []string{"cloudflareaccess.com"},
	},
	{
		cause: "Cloudflare first checks whether a person asks", step: stepRobots,
		header: "Cf-Mitigated", body: []string{"window._cf_chl_opt", "Attention Required! | Cloudflare"},
	},
	{
		cause: "Imperva first checks whether a person asks", step: stepRobots,
		body: []string{"_Incapsula_Resource", "Incapsula incident ID"}, small: true,
	},
	{
		cause: "Sucuri's firewall refuses it", step: stepRobots,
		header: "X-Sucuri-Block", body: []string{"Sucuri WebSite Firewall - Access Denied", "Access Denied - Sucuri Website Firewall"},
	},
	{
		cause: "DDoS-Guard first checks whether a person asks", step: stepRobots,
		server: []string{"ddos-guard"}, body: []string{"<title>DDoS-Guard</title>"}, statuses: []int{403, 429, 503},
	},
	{
		cause: "Amazon's firewall (AWS WAF) first checks whether a person asks", step: stepRobots,
		header: "X-Amzn-Waf-Action",
	},
	{
		cause: "Vercel's firewall first checks whether a person asks", step: stepRobots,
		header: "X-Vercel-Mitigated",
	},
	{
		cause: "DataDome first checks whether a person asks", step: stepRobots,
		header: "X-Datadome", statuses: []int{401, 403, 405, 429},
	},
	{
		cause: "Akamai's firewall refuses it", step: stepRobots,
		server: []string{"AkamaiGHost"}, statuses: []int{403},
	},
	{
		cause: "a page of a company that parks domains answers", step: stepParked,
		body: []string{"sedoparking.com", "parkingcrew.net", "wsimg.com/parking-lander", "cdn.bodis.com", "hugedomains.com/domain_profile"},
	},
	{
		cause:    "it asks for a user and a password (status 401)",
		header:   "Www-Authenticate",
		statuses: []int{401},
	},
	{
		cause: "it sends requests on to a login page",
		host:  []string{"accounts.google.com", "login.microsoftonline.com", "okta.com", "auth0.com", "onelogin.com", "authelia.com"},
		path: []string{
			"/login", "/signin", "/sign-in", "/sign_in", "/users/sign_in", "/wp-login", "/account/login", "/accounts/login", "/auth/login",
			"/oauth2/start",
		},
	},
}
