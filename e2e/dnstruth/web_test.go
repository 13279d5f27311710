package dnstruth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/e2e/dnslab"
)

// The web servers that names in the tests lead to.
const (
	edgeIPv4        = "127.0.54.10" // the platform's edge
	edgeIPv6        = "fd54::10"
	ipv6Dead        = "fd54::dead"  // nobody listens
	ipv6Silent      = "fd54::28"    // takes connections and says nothing
	ipv6Old         = "fd54::20"    // where a shop was before
	hostOld         = "127.0.54.20" // where a shop was before
	hostCircle      = "127.0.54.21" // redirects to itself
	hostOtherPort   = "127.0.54.22" // redirects to port 8080
	hostOtherScheme = "127.0.54.23" // redirects to an app's own scheme
	hostLostSlash   = "127.0.54.24" // redirects to shop.example.well-known
	hostWall        = "127.0.54.25" // answers 403
	hostTLSOn80     = "127.0.54.26"
	hostRefuses     = "127.0.54.27" // nobody listens
	hostSilent      = "127.0.54.28" // takes connections and says nothing
	hostEndless     = "127.0.54.29" // redirects on and on
	hostLogin       = "127.0.54.30" // answers 401
	hostPrivate     = "127.0.54.31" // redirects to a host with a private address
	hostBroken      = "127.0.54.32" // answers 500
	hostCDN         = "127.0.54.33" // a CDN that leads to the platform
	hostCDNAstray   = "127.0.54.34" // a CDN that leads elsewhere
	hostHTTPOn443   = "127.0.54.35"
	hostOnly80      = "127.0.54.36" // nobody listens on port 443
	hostNoALPN      = "127.0.54.37" // TLS that doesn't choose among protocols
	hostOtherALPN   = "127.0.54.38" // TLS that insists on HTTP
	hostSeeOther    = "127.0.54.41" // redirects with status 303
	hostNowhere     = "127.0.54.42" // redirects, and doesn't say where to
	hostGone        = "127.0.54.43" // redirects to a host that doesn't exist
	hostToHTTPS     = "127.0.54.44" // redirects to HTTPS, where nobody listens
	hostBusy        = "127.0.54.45" // answers 503
	hostSecure      = "127.0.54.46" // redirects to HTTPS
	hostNine        = "127.0.54.47" // redirects nine times
	hostToOther     = "127.0.54.48" // redirects to another host
	registry        = "127.0.54.40" // RDAP
)

// startWeb starts them all; they end with the test.
func startWeb(t testing.TB) {
	t.Helper()
	for _, address := range []string{edgeIPv6, ipv6Dead, ipv6Silent, ipv6Old} {
		dnslab.AddAddress(t, address)
	}
	redirect := func(to func(*http.Request) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", to(r))
			w.WriteHeader(http.StatusMovedPermanently)
		}
	}
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprintln(w, body)
		}
	}
	cdn := func(behind http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "cloudflare")
			w.Header().Set("Cf-Ray", "8f0000000000dead-FRA")
			behind(w, r)
		}
	}
	for address, handler := range map[string]http.HandlerFunc{
		edgeIPv4: edge, edgeIPv6: edge, hostOld: http.NotFound, hostHTTPOn443: edge, hostOnly80: edge, hostNoALPN: edge, hostOtherALPN: edge,
		hostCircle:      redirect(func(r *http.Request) string { return "http://" + r.Host + r.URL.Path }),
		hostOtherPort:   redirect(func(r *http.Request) string { return "http://" + r.Host + ":8080" + r.URL.Path }),
		hostOtherScheme: redirect(func(r *http.Request) string { return "shopapp://" + r.Host + r.URL.Path }),
		hostLostSlash:   redirect(func(r *http.Request) string { return "https://" + r.Host + strings.TrimPrefix(r.URL.Path, "/") }),
		hostEndless:     redirect(func(r *http.Request) string { return "http://" + r.Host + r.URL.Path + "/on" }),
		hostPrivate:     redirect(func(r *http.Request) string { return "http://intranet." + r.Host + r.URL.Path }),
		hostWall:        status(http.StatusForbidden, "<html>Access denied</html>"),
		hostLogin:       status(http.StatusUnauthorized, "<html>Please log in</html>"),
		hostBroken:      status(http.StatusInternalServerError, "<html>Oops</html>"),
		hostCDN:         cdn(edge),
		ipv6Old:         http.NotFound,
		hostSeeOther:    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusSeeOther) },
		hostNowhere:     status(http.StatusMovedPermanently, ""),
		hostGone:        redirect(func(r *http.Request) string { return "http://gone.stranger.org" + r.URL.Path }),
		hostToHTTPS:     redirect(func(r *http.Request) string { return "https://" + r.Host + r.URL.Path }),
		hostBusy:        status(http.StatusServiceUnavailable, "<html>Back soon</html>"),
		hostSecure:      redirect(func(r *http.Request) string { return "https://" + r.Host + r.URL.Path }),
		hostToOther:     redirect(func(r *http.Request) string { return "http://www.stranger.org" + r.URL.Path }),
		hostNine: func(w http.ResponseWriter, r *http.Request) {
			if strings.Count(r.URL.Path, "/on") == 9 {
				http.NotFound(w, r)
				return
			}
			redirect(func(r *http.Request) string { return "http://" + r.Host + r.URL.Path + "/on" })(w, r)
		},
		hostCDNAstray: cdn(http.NotFound),
		registry:      rdap,
	} {
		serve(t, listen(t, address, "80"), handler)
	}
	offer := func(protocols ...string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, NextProtos: protocols, MinVersion: tls.VersionTLS12}
	}
	serve(t, tls.NewListener(listen(t, hostTLSOn80, "80"), offer()), edge)
	serve(t, listen(t, hostHTTPOn443, "443"), edge)
	serve(t, tls.NewListener(listen(t, hostOtherALPN, "443"), offer("http/1.1")), edge)
	for _, address := range []string{hostNoALPN, hostCDN, hostCDNAstray, hostOld, hostSecure} {
		serve(t, tls.NewListener(listen(t, address, "443"), offer()), edge)
	}
	for _, address := range []string{edgeIPv4, edgeIPv6} {
		serve(t, tls.NewListener(listen(t, address, "443"), offer("acme-tls/1", "http/1.1")), edge)
	}
	listen(t, ipv6Silent, "80")
	listen(t, hostSilent, "80") // the kernel takes connections that nobody accepts
	listen(t, hostSilent, "443")
}

// edge answers the platform's token, and says that there is no other.
func edge(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/.well-known/acme-challenge/"+probe.Token {
		fmt.Fprint(w, probe.KeyAuthorization)
		return
	}
	http.NotFound(w, r)
}

// rdap is the registry of example (RFC 9083): what it says of a domain goes by how the name begins.
func rdap(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/domain/")
	state, expires := "active", time.Now().AddDate(1, 0, 0)
	switch {
	case strings.HasPrefix(name, "unregistered"):
		w.WriteHeader(http.StatusNotFound)
		return
	case strings.HasPrefix(name, "expired"):
		expires = time.Now().AddDate(0, 0, -20)
	case strings.HasPrefix(name, "on-hold"):
		state = "client hold"
	case strings.HasPrefix(name, "in-redemption"):
		state, expires = "redemption period", time.Now().AddDate(0, 0, -40)
	}
	w.Header().Set("Content-Type", "application/rdap+json")
	const events = `[{"eventAction":"registration","eventDate":"2020-01-01T00:00:00Z"},{"eventAction":"expiration","eventDate":%q}]`
	fmt.Fprintf(w, `{"objectClassName":"domain","ldhName":%q,"status":[%q],"events":`+events+`}`,
		name, state, expires.UTC().Format(time.RFC3339))
}

func listen(t testing.TB, address, port string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, port))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() }) // a server may have closed it
	return listener
}

func serve(t testing.TB, listener net.Listener, handler http.HandlerFunc) {
	t.Helper()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // strangers' connections may stay open
		_ = server.Close()
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
}

// selfSigned is a certificate that no browser trusts; CAs that validate don't look at it.
func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"edge.platform.net"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}
