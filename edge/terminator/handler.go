package terminator

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// The requests that the edge answers itself on plain HTTP.
const (
	challengePath = "/.well-known/acme-challenge/" // RFC 8555 §8.3
	healthPath    = "/.well-known/evercert/health"
)

// redirectLifetime limits how long browsers redirect after HTTPS redirect is switched off: they cache a 308 without a limit otherwise (RFC
// 9111 §4.2.2).
const redirectLifetime = "max-age=3600"

// serveHTTPS forwards a request if it is for the name of the TLS connection.
func (t *Terminator) serveHTTPS(w http.ResponseWriter, r *http.Request) {
	if host := hostname(r.Host); host != strings.ToLower(r.TLS.ServerName) && !t.sameCertificate(r, host) {
		// Browsers that use one HTTP/2 connection for several names open another one after this answer (RFC 9110 §15.5.20).
		refuse(w, r, http.StatusMisdirectedRequest, "This connection was opened for another name.")
		return
	}
	t.site.ServeHTTP(w, r)
}

// sameCertificate reports whether host is served with the certificate of this connection.
func (t *Terminator) sameCertificate(r *http.Request, host string) bool {
	opened, err := t.certificates.get(r.Context(), strings.ToLower(r.TLS.ServerName))
	if err != nil {
		return false
	}
	asked, err := t.certificates.get(r.Context(), host)
	return err == nil && asked.serial == opened.serial
}

// serveHTTP answers the CA and the health check, redirects where that is switched on, and forwards other requests for served names
// unchanged (row A3). Requests for names that are not served never reach the upstream: anybody can point a name here (row F19).
func (t *Terminator) serveHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == healthPath:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, "ok\n") //nolint:errcheck // the client may have closed the connection
	case t.challenges != nil && strings.HasPrefix(r.URL.Path, challengePath):
		t.challenges.ServeHTTP(w, r)
	default:
		t.serveName(w, r)
	}
}

func (t *Terminator) serveName(w http.ResponseWriter, r *http.Request) {
	e, err := t.certificates.get(r.Context(), hostname(r.Host))
	switch {
	case errors.Is(err, ErrNotServed):
		refuse(w, r, http.StatusMisdirectedRequest, "No site is served here under this name.")
	case err != nil && !errors.Is(err, errUnusable): // a name whose certificate is unusable is served
		w.Header().Set("Retry-After", "5") // seconds
		refuse(w, r, http.StatusServiceUnavailable, "This name can't be looked up at the moment.")
	case err == nil && e.redirect && strings.HasPrefix(r.URL.Path, "/"): // not OPTIONS *, CONNECT
		w.Header().Set("Cache-Control", redirectLifetime)
		http.Redirect(w, r, "https://"+t.publicAuthority(hostname(r.Host))+r.URL.RequestURI(), http.StatusPermanentRedirect)
	default:
		t.site.ServeHTTP(w, r)
	}
}

func (t *Terminator) publicAuthority(host string) string {
	if t.publicHTTPSPort == 443 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(t.publicHTTPSPort))
}

// hostname returns the name in a Host header field: lower case, without port and trailing dot.
func hostname(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
