package dnstruth

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
)

// The web servers of the inventions.
const (
	webToTLS        = "127.0.55.10" // redirects to its own https, whose certificate nobody trusts
	webToOldTLS     = "127.0.55.11" // redirects to its own https, which ends with TLS 1.1
	webTen          = "127.0.55.12" // redirects ten times
	webThirteen     = "127.0.55.13" // redirects thirteen times
	webSeeOther     = "127.0.55.14" // answers 303
	webPermanent    = "127.0.55.15" // answers 308, with a path only
	webSchemeless   = "127.0.55.16" // redirects without a scheme
	webExplicitPort = "127.0.55.17" // redirects to :443 by name
	webShouts       = "127.0.55.18" // redirects to its name in capitals
	webToIP         = "127.0.55.19" // redirects to an address
	webNowhere      = "127.0.55.20" // answers 301 without saying where to
	webToGone       = "127.0.55.21" // redirects to a name that isn't there
	webToElsewhere  = "127.0.55.22" // redirects to another domain of the tenant
	webSSH          = "127.0.55.23" // speaks SSH on port 80
	webMute         = "127.0.55.24" // takes the question and closes
	webOldHTTP      = "127.0.55.25" // answers in HTTP/1.0 without a length
	webCloudFront   = "127.0.55.26" // another CDN, which leads to the platform
	webCloudAstray  = "127.0.55.27" // and one that does not
	webQuery        = "127.0.55.28" // redirects with a query
	webToOutage     = "127.0.55.29" // redirects to a domain whose servers fail
	webUnavailable  = "127.0.55.30" // answers 503
	webTeapot       = "127.0.55.31" // answers 429
	ipv6Broken      = "fd54::55"    // answers 500
	ipv6Fine        = "fd54::56"
	ipv6Refuses     = "fd54::57" // nobody listens
)

// startInventedWeb starts them all; they end with the test.
func startInventedWeb(t *testing.T) {
	t.Helper()
	dnslab.AddAddress(t, ipv6Broken)
	dnslab.AddAddress(t, ipv6Fine)
	dnslab.AddAddress(t, ipv6Refuses)
	redirect := func(code int, to func(r *http.Request) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if where := to(r); where != "" {
				w.Header().Set("Location", where)
			}
			w.WriteHeader(code)
		}
	}
	host := func(r *http.Request) string { return strings.Split(r.Host, ":")[0] }
	steps := func(most int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			done, _ := strconv.Atoi(r.URL.Query().Get("n")) // none yet: 0
			if done == most {
				edge(w, r)
				return
			}
			http.Redirect(w, r, fmt.Sprintf("http://%s%s?n=%d", r.Host, r.URL.Path, done+1), http.StatusFound)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	cdn := func(behind http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "CloudFront")
			w.Header().Set("Via", "1.1 0123456789abcdef.cloudfront.net (CloudFront)")
			w.Header().Set("X-Amz-Cf-Id", "Yg0000000000000000000000000000000000000000000000000000==")
			behind(w, r)
		}
	}
	for address, handler := range map[string]http.HandlerFunc{
		webToTLS:        redirect(301, func(r *http.Request) string { return "https://" + r.Host + r.URL.Path }),
		webToOldTLS:     redirect(301, func(r *http.Request) string { return "https://" + r.Host + r.URL.Path }),
		webTen:          steps(10),
		webThirteen:     steps(13),
		webSeeOther:     redirect(303, func(r *http.Request) string { return "http://" + r.Host + r.URL.Path + "/there" }),
		webPermanent:    onceTo(308, func(r *http.Request) string { return r.URL.Path + "/there" }),
		webSchemeless:   onceTo(302, func(r *http.Request) string { return "//" + r.Host + r.URL.Path + "/there" }),
		webExplicitPort: redirect(307, func(r *http.Request) string { return "https://" + host(r) + ":443" + r.URL.Path }),
		webShouts:       onceTo(301, func(r *http.Request) string { return "http://" + strings.ToUpper(r.Host) + r.URL.Path + "/there" }),
		webToIP:         redirect(302, func(r *http.Request) string { return "http://" + hostOld + r.URL.Path }),
		webNowhere:      redirect(301, func(*http.Request) string { return "" }),
		webToGone:       redirect(301, func(r *http.Request) string { return "http://www." + r.Host + r.URL.Path }),
		webToElsewhere: redirect(301, func(r *http.Request) string {
			return "http://web." + strings.TrimSuffix(strings.TrimPrefix(host(r), "shop."), "example") + "org" + r.URL.Path
		}),
		webCloudFront:  cdn(edge),
		webCloudAstray: cdn(http.NotFound),
		webQuery:       onceTo(302, func(r *http.Request) string { return "http://" + r.Host + r.URL.Path + "/there?from=" + r.URL.Path }),
		webToOutage:    redirect(301, func(r *http.Request) string { return "http://www.outage.org" + r.URL.Path }),
		webUnavailable: status(http.StatusServiceUnavailable),
		webTeapot:      status(http.StatusTooManyRequests),
		ipv6Broken:     status(http.StatusInternalServerError),
		ipv6Fine:       edge,
	} {
		serve(t, listen(t, address, "80"), handler)
	}
	answerRaw(t, webSSH, "SSH-2.0-OpenSSH_9.2p1\r\n")
	answerRaw(t, webMute, "")
	answerRaw(t, webOldHTTP, "HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nnot here\n")
	offer := func(most uint16) *tls.Config {
		return &tls.Config{ //nolint:gosec // old on purpose
			Certificates: []tls.Certificate{selfSigned(t)}, MinVersion: tls.VersionTLS10, MaxVersion: most,
		}
	}
	serve(t, tls.NewListener(listen(t, webToTLS, "443"), offer(tls.VersionTLS13)), edge)
	serve(t, tls.NewListener(listen(t, webExplicitPort, "443"), offer(tls.VersionTLS12)), edge)
	serve(t, tls.NewListener(listen(t, webToOldTLS, "443"), offer(tls.VersionTLS11)), edge)
}

// onceTo redirects once; there it answers as an edge does.
func onceTo(code int, to func(r *http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/there") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Location", to(r))
		w.WriteHeader(code)
	}
}

// answerRaw sends a text to everybody who asks on port 80, and closes.
func answerRaw(t *testing.T, address, text string) {
	t.Helper()
	listener := listen(t, address, "80")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			go func(conn net.Conn) {
				defer conn.Close() //nolint:errcheck // who asked has seen it
				head := bufio.NewScanner(conn)
				for head.Scan() && head.Text() != "" { // an empty line ends the head of a request
					continue
				}
				fmt.Fprint(conn, text)
			}(conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
}

// inventedWeb are web servers between a CA and its answer. Somebody who has not connected the names asks about most of them.
func inventedWeb() []invention {
	const (
		methods = "BR 3.2.2.4.19: 301, 302, 307 and 308 are followed, 303 is not; Boulder va/http.go acceptableRedirects"
		follow  = "letsencrypt.org/docs/challenge-types: up to 10 redirects, to http and https on ports 80 and " +
			"443; certificates are not looked at"
		target = "Boulder va/http.go extractRequestTarget"
		falls  = "Boulder va/http.go fallbackErr: IPv4 is tried where IPv6 can't be connected to, and nowhere else"
	)
	asked := func(name, host string, texts ...string) row {
		return row{name: name, bare: true, methods: http01, chosen: http01, text: "shop A " + host + "\n" + strings.Join(texts, "")}
	}
	yes := func(source, name, host string, texts ...string) invention {
		return ready(source, asked(name, host, texts...))
	}
	no := func(source, name, host string, texts ...string) invention {
		r := asked(name, host, texts...)
		r.says = []string{"shop.$DOMAIN"}
		return doomed(source, r)
	}
	elsewhere := asked("redirects to another domain that answers", webToElsewhere)
	elsewhere.second = "web A $EDGE4\n"
	lost := asked("redirects to another domain that isn't registered", webToElsewhere)
	lost.says = []string{"web.$SECOND"}
	return []invention{
		yes(follow, "redirects to https with a certificate of its own", webToTLS),
		no(
			"Boulder va/http.go: a redirect to TLS below 1.2 fails", "redirects to https with old TLS", webToOldTLS,
		).oneOf(cert.HTTPBadRedirect, cert.HTTPSUnreachable, cert.HTTPUnexpectedResponse, cert.HTTPUnreachable),
		yes(follow, "redirects ten times", webTen),
		no(follow, "redirects thirteen times", webThirteen).oneOf(cert.HTTPBadRedirect),
		no(methods, "redirects with 303", webSeeOther).oneOf(cert.HTTPBadRedirect, cert.HTTPUnexpectedResponse),
		yes(methods, "redirects with 308 and a path", webPermanent),
		yes("RFC 3986 §4.2", "redirects without a scheme", webSchemeless),
		yes(follow, "redirects to port 443 by its number", webExplicitPort),
		yes("Boulder va/http.go lowers the host's letters", "redirects to its name in capitals", webShouts),
		yes(follow, "redirects with a query", webQuery),
		no(target, "redirects to an address", webToIP).oneOf(cert.HTTPBadRedirect),
		no(
			"net/http Client.do: a 301 without Location is an error; Boulder uses it", "redirects to nowhere", webNowhere,
		).oneOf(cert.HTTPBadRedirect, cert.HTTPUnexpectedResponse),
		no(
			"Boulder va/http.go newHTTPValidationTarget looks the redirect's host up", "redirects to www that isn't there",
			webToGone,
		).oneOf(cert.HTTPBadRedirect),
		yes("Boulder va/http.go newHTTPValidationTarget", "redirects to www that is there", webToGone, "www.shop A $EDGE4\n"),
		ready(follow, elsewhere),
		doomed("Boulder va/http.go newHTTPValidationTarget looks the redirect's host up", lost).oneOf(cert.HTTPBadRedirect),
		unsure(
			"Boulder va/http.go: the look-up of the redirect's host fails while that domain's servers do",
			asked("redirects to a domain whose servers fail", webToOutage),
		).oneOf(cert.HTTPBadRedirect, cert.DNSLookupFailed, cert.HTTPUnreachable).orNo(),
		no(
			"Boulder va/http.go: an answer that isn't HTTP", "SSH on port 80", webSSH,
		).oneOf(cert.HTTPUnexpectedResponse, cert.HTTPUnreachable),
		no(
			"Boulder va/http.go: no answer", "port 80 takes the question and closes", webMute,
		).oneOf(cert.HTTPUnexpectedResponse, cert.HTTPUnreachable),
		yes("RFC 9112 §6.3: without a length the answer ends with the connection", "web server of HTTP 1 0", webOldHTTP),
		no(
			"Boulder va/http.go: the token must come with 200", "web server is closed for repairs", webUnavailable,
		).oneOf(cert.HTTPUnexpectedResponse),
		no(
			"Boulder va/http.go: the token must come with 200", "web server counts questions", webTeapot,
		).oneOf(cert.HTTPUnexpectedResponse),
		no(
			falls, "IPv6 answers with an error", edgeIPv4, "shop AAAA "+ipv6Broken+"\n",
		).oneOf(cert.HTTPUnexpectedResponse, cert.IPv6Unreachable),
		yes(falls, "IPv6 refuses and IPv4 answers", edgeIPv4, "shop AAAA "+ipv6Refuses+"\n").warned(cert.IPv6Unreachable),
		yes(falls, "IPv6 answers and IPv4 does too", edgeIPv4, "shop AAAA "+ipv6Fine+"\n"),
		ready("docs/diagnosis.md: a CDN that leads to the platform passes the token on", row{
			name: "behind CloudFront that leads to us", text: owned + "shop A " + webCloudFront + "\n", methods: http01,
			probe: true, chosen: http01,
		}).may(cert.ProxiedByCDN),
		doomed("Boulder va/http.go: the token must come from the CDN", row{
			name: "behind CloudFront that leads elsewhere", text: owned + "shop A " + webCloudAstray + "\n", methods: http01,
			probe: true,
		}).oneOf(cert.HTTPUnexpectedResponse).may(cert.ProxiedByCDN, cert.DNSWrongTarget),
		ready("RFC 8555 §8.4: dns-01 asks no web server", row{
			name: "delegated behind a web server that is closed", text: owned + delegated + "shop A " + webUnavailable + "\n",
			warns: codes(cert.DNSWrongTarget),
		}),
	}
}

// orNo is the same set-up where "wrong" is as good an answer as "unknown".
func (i invention) orNo() invention {
	i.orWrong = true
	return i
}

// warned is the same set-up with something to say that doesn't block.
func (i invention) warned(of ...cert.Code) invention {
	i.warns = of
	return i
}
