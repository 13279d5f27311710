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
	told := fmt.Sprintf("status %d", p.status)
	if server := p.header.Get("Server"); server != "" {
		told += ", Server: " + server
	}
	if p.hops > 0 {
		told += ", from " + addressOf(p.url)
	}
	const most = 60
	if text := strings.Join(strings.Fields(string(p.body[:min(len(p.body), most)])), " "); text != "" {
		told += ", " + strings.ToValidUTF8(text, "·")
	}
	return told
}

// addressOf tells a URL without the token, so that addresses that behave alike are told of alike, and what a query holds
// stays out of sight.
func addressOf(u *url.URL) string {
	told := *u
	if at := strings.Index(told.Path, challengePath); at >= 0 {
		told.Path, told.RawPath = told.Path[:at+len(challengePath)]+"…", ""
	}
	if u.RawQuery != "" {
		told.RawQuery = "…"
	}
	text, err := url.PathUnescape(told.String())
	if err != nil {
		text = told.String()
	}
	return cert.Line(text, maxTold)
}
