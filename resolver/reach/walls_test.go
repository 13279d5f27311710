package reach

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// seen are answers in the shape in which they have been seen in the wild, without what doesn't matter.
var seen = []struct {
	name, answer, cause string
}{
	{
		"testcookie",
		"HTTP/1.1 200 OK\r\nServer: openresty\r\n\r\n" +
			`<html><body><script type="text/javascript" src="/aes.js" ></script><script>function toNumbers(d){}</script>`,
		"(testcookie)",
	},
	{"testcookie inline", "HTTP/1.1 200 OK\r\n\r\n<script>var a=toNumbers(\"f655ba9d09a112d4968c63579db590b4\")</script>", "(testcookie)"},
	{
		"TLS: nginx",
		"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>",
		"speaks TLS on port 80",
	},
	{
		"TLS: Apache",
		"HTTP/1.1 400 Bad Request\r\nServer: Apache\r\n\r\n<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
		"speaks TLS on port 80",
	},
	{"TLS: Tomcat", "HTTP/1.1 400 \r\n\r\nBad Request\nThis combination of host and port requires TLS.\n", "speaks TLS on port 80"},
	{"router: micro_httpd", "HTTP/1.0 404 Not Found\r\nServer: micro_httpd\r\n\r\n<TITLE>404 Not Found</TITLE>", "a router or modem"},
	{
		"router: Cisco", "HTTP/1.1 401 Unauthorized\r\nServer: cisco-IOS\r\nWWW-Authenticate: Basic realm=\"level_15\"\r\n\r\n",
		"a router or modem",
	},
	{"router: ZTE", "HTTP/1.1 404 Not Found\r\nServer: Mini web server 1.0 ZTE corp 2005.\r\n\r\n", "a router or modem"},
	{"router: LANCOM", "HTTP/1.1 404 Not Found\r\nServer: LANCOM\r\n\r\n", "a router or modem"},
	{"router: RomPager", "HTTP/1.1 404 Not Found\r\nServer: RomPager/4.07 UPnP/1.0\r\n\r\n", "a router or modem"},
	{"router: MikroTik", "HTTP/1.1 200 OK\r\n\r\n<title>RouterOS router configuration page</title>", "a router or modem"},
	{
		"firewall: Palo Alto",
		"HTTP/1.1 503 Service Unavailable\r\n\r\n" +
			"<html><head><title>Application Blocked</title></head><h1>Application Blocked</h1><b>Application:</b> acme-protocol",
		"says \"blocked\"",
	},
	{
		"firewall: Palo Alto URL",
		"HTTP/1.1 503 Service Unavailable\r\n\r\n" +
			"<p>Access to the web page you were trying to visit has been blocked in accordance with company policy.",
		"says \"blocked\"",
	},
	{"Cloudflare 1014", "HTTP/1.1 403 Forbidden\r\nServer: cloudflare\r\n\r\nerror code: 1014", "error 1014"},
	{"Cloudflare 1000", "HTTP/1.1 403 Forbidden\r\nServer: cloudflare\r\n\r\nerror code: 1000", "error 1000"},
	{"Cloudflare 522", "HTTP/1.1 522 \r\nServer: cloudflare\r\n\r\nerror code: 522", "the server behind it doesn't"},
	{
		"Cloudflare challenge", "HTTP/1.1 403 Forbidden\r\nServer: cloudflare\r\nCF-Mitigated: challenge\r\n\r\n<title>Just a moment...</title>",
		"whether a person asks",
	},
	{
		"Cloudflare block", "HTTP/1.1 403 Forbidden\r\nServer: cloudflare\r\n\r\n<title>Attention Required! | Cloudflare</title>",
		"whether a person asks",
	},
	{
		"Imperva",
		"HTTP/1.1 200 OK\r\nX-Iinfo: 9-1\r\n\r\n" +
			"<html><head><META NAME=\"robots\" CONTENT=\"noindex,nofollow\"><script src=\"/_Incapsula_Resource?SWJIYLWA=5\"></script>",
		"Imperva",
	},
	{
		"Sucuri",
		"HTTP/1.1 403 Forbidden\r\nServer: Sucuri/Cloudproxy\r\nX-Sucuri-ID: 1\r\n\r\n<title>Sucuri WebSite Firewall - Access Denied</title>",
		"Sucuri's firewall",
	},
	{"DDoS-Guard", "HTTP/1.1 403 Forbidden\r\nServer: ddos-guard\r\n\r\n<title>DDoS-Guard</title>", "DDoS-Guard first checks"},
	{"AWS WAF", "HTTP/1.1 202 Accepted\r\nServer: awselb/2.0\r\nx-amzn-waf-action: challenge\r\n\r\n", "AWS WAF"},
	{"Vercel", "HTTP/1.1 429 Too Many Requests\r\nServer: Vercel\r\nX-Vercel-Mitigated: challenge\r\n\r\n", "Vercel's firewall"},
	{"DataDome", "HTTP/1.1 403 Forbidden\r\nX-DataDome: protected\r\n\r\n", "DataDome"},
	{"Akamai", "HTTP/1.1 403 Forbidden\r\nServer: AkamaiGHost\r\n\r\n<TITLE>Access Denied</TITLE> Reference&#32;&#35;18", "Akamai's firewall"},
	{
		"parking", "HTTP/1.1 200 OK\r\n\r\n<script>window.park=1</script><script src=\"https://img.sedoparking.com/x.js\"></script>",
		"parks domains",
	},
	{
		"basic auth", "HTTP/1.1 401 Unauthorized\r\nServer: nginx\r\nWWW-Authenticate: Basic realm=\"staging\"\r\n\r\n",
		"a user and a password (status 401)",
	},
}

func TestWallsAreRecognised(t *testing.T) {
	t.Parallel()
	for _, c := range seen {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			page, _ := readPage(t, []byte(c.answer))
			require.NotNil(t, page)
			for _, asked := range []Target{target("192.0.2.1"), target("192.0.2.1").knowing()} {
				f := judge(asked, page, "")
				require.NotNil(t, f)
				require.Equal(t, cert.HTTPUnexpectedResponse, f.code)
				require.Contains(t, f.cause, c.cause)
				result := AddressResult{Address: netip.MustParseAddr("192.0.2.1"), target: asked, protocol: protocolHTTP, fault: f}
				result.explain()
				requireFitForPeople(t, *result.Problem)
			}
		})
	}
}

func TestLoginPagesAreRecognised(t *testing.T) {
	t.Parallel()
	for _, location := range []string{
		"/login?next=%2F", "/wp-login.php", "/users/sign_in", "https://team.cloudflareaccess.com/cdn-cgi/access/login/shop",
		"https://login.microsoftonline.com/common",
	} {
		n := newInternet(t)
		for _, host := range []string{"team.cloudflareaccess.com", "login.microsoftonline.com"} {
			n.names[host] = addresses("127.0.0.2")
		}
		page := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<form>who are you?</form>") }
		n.web("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, challengePath) {
				n.to(302, location)(w, r)
				return
			}
			page(w, r)
		})
		n.tls("127.0.0.2", selfSigned(t, "x.example"), page)
		requireProblem(t, n.prober().HTTP(t.Context(), target("127.0.0.1")), cert.HTTPUnexpectedResponse, "login")
	}
}

// Pages of ordinary sites that mention what walls are made of.
func TestOrdinaryPagesAreNoWalls(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"HTTP/1.1 404 Not Found\r\nServer: cloudflare\r\nCF-RAY: 8f\r\n\r\n" +
			"<title>404</title><script src=\"/cdn-cgi/challenge-platform/scripts/jsd/main.js\"></script>",
		"HTTP/1.1 404 Not Found\r\nServer: AkamaiGHost\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nServer: ddos-guard\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nX-DataDome: protected\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nX-Sucuri-ID: 11\r\n\r\n<title>Page not found</title>",
		"HTTP/1.1 200 OK\r\n\r\n<script src=\"/_Incapsula_Resource?a\"></script>" + strings.Repeat("<p>goods</p>", smallPage),
		"HTTP/1.1 200 OK\r\n\r\n<h1>What error code: 1014 means</h1>",
	} {
		page, _ := readPage(t, []byte(answer))
		require.NotNil(t, page)
		require.Nil(t, recognise(page), answer)
		require.Nil(t, judge(target("192.0.2.1"), page, ""), answer)
	}
}

func TestCDNsAreRecognisedByHeaders(t *testing.T) {
	t.Parallel()
	for header, name := range map[string]string{
		"Server: cloudflare": "Cloudflare", "CF-RAY: 8f0-FRA": "Cloudflare", "X-Served-By: cache-fra-1, cache-fra-2": "Fastly",
		"X-Fastly-Request-ID: 1":                  "Fastly",
		"Via: 1.1 5f.cloudfront.net (CloudFront)": "Amazon CloudFront", "X-Amz-Cf-Id: x": "Amazon CloudFront", "Server: AkamaiGHost": "Akamai",
		"Server: AkamaiNetStorage": "Akamai", "Server: Sucuri/Cloudproxy": "Sucuri", "X-Sucuri-ID: 1": "Sucuri", "X-Iinfo: 1": "Imperva",
		"X-CDN: Incapsula": "Imperva",
		"X-Azure-Ref: 1":   "Azure Front Door", "Server: BunnyCDN-DE1-1": "bunny.net", "Via: 1.1 google": "Google Cloud",
		"Server: nginx": "", "X-Served-By: web3": "", "Via: 1.1 varnish": "",
	} {
		page, _ := readPage(t, []byte("HTTP/1.1 404 Not Found\r\n"+header+"\r\n\r\n"))
		require.Equal(t, name, cdnIn(page.header), header)
	}
}

func TestCDNsAreRecognisedByAddress(t *testing.T) {
	t.Parallel()
	p := New(Config{}, nil)
	for address, name := range map[string]string{
		"104.16.132.229": "Cloudflare", "172.67.1.1": "Cloudflare", "188.114.97.3": "Cloudflare", "2606:4700::6810:84e5": "Cloudflare",
		"2a06:98c1::1": "Cloudflare",
		"151.101.1.57": "Fastly", "199.232.1.1": "Fastly", "146.75.1.1": "Fastly", "2a04:4e42::81": "Fastly",
		"104.32.0.1": "", "172.63.255.255": "", "2606:4701::1": "", "8.8.8.8": "",
	} {
		require.Equal(t, name, p.cdnAt(netip.MustParseAddr(address)), address)
	}
}

func TestBehindACDN(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	behind := func(handler http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "cloudflare")
			handler(w, r)
		}
	}
	n.web("127.0.0.1", behind(answer))
	n.web("127.0.0.2", behind(answer))
	n.web("127.0.0.3", behind(notFound))

	results := n.prober().HTTP(t.Context(), target("127.0.0.1", "127.0.0.2").knowing())
	require.Equal(t, cert.OK, results.Verdict())
	require.Equal(t, "Cloudflare", results[0].CDN)
	require.Empty(t, results.Problems(), "a token that came back right shows where the CDN leads")

	results = n.prober().HTTP(t.Context(), target("127.0.0.1", "127.0.0.2"))
	require.Equal(t, cert.OK, results.Verdict())
	requireProblem(t, results, cert.ProxiedByCDN, "is behind Cloudflare, at 127.0.0.1 and 127.0.0.2", `"DNS only"`)
	p := results.Problems()[0]
	require.Equal(t, cert.Warns, p.Severity)

	results = n.prober().HTTP(t.Context(), target("127.0.0.3").knowing())
	require.Equal(t, cert.Wrong, results.Verdict())
	problems := results.Problems()
	require.Len(t, problems, 2)
	require.Equal(t, cert.HTTPUnexpectedResponse, problems[0].Code)
	require.Contains(t, problems[0].Message, "status 404 (Not Found) by way of Cloudflare")
	require.Equal(t, cert.ProxiedByCDN, problems[1].Code)

	own := target("127.0.0.1")
	own.Own = own.Addresses
	require.Empty(t, n.prober().HTTP(t.Context(), own).Problems(), "the platform's own CDN is no news")
}
