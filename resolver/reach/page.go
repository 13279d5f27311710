package reach

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/evercert/evercert/cert"
)

const challengePath = "/.well-known/acme-challenge/" // RFC 8555 §8.3

// page is an answer over HTTP.
type page struct {
	url    *url.URL
	status int
	header http.Header
	body   []byte // as much of it as is looked at; of a redirect nothing
	hops   int    // redirects that led here
}

// pageText formats an answer in one line.
func pageText(p *page) string {
	said := fmt.Sprintf("status %d", p.status)
	if server := p.header.Get("Server"); server != "" {
		said += ", Server: " + server
	}
	if p.hops > 0 {
		said += ", from " + addressOf(p.url)
	}
	const most = 60
	if text := strings.Join(strings.Fields(string(p.body[:min(len(p.body), most)])), " "); text != "" {
		said += ", " + strings.ToValidUTF8(text, "·")
	}
	return said
}

// addressOf formats a URL without the token, so that addresses that behave alike are reported alike, and what a query holds
// stays out of sight.
func addressOf(u *url.URL) string {
	said := *u
	if at := strings.Index(said.Path, challengePath); at >= 0 {
		said.Path, said.RawPath = said.Path[:at+len(challengePath)]+"…", ""
	}
	if u.RawQuery != "" {
		said.RawQuery = "…"
	}
	text, err := url.PathUnescape(said.String())
	if err != nil {
		text = said.String()
	}
	return cert.Line(text, maxTold)
}
