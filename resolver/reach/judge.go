package reach

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
)

// judge says whether the answer at the end of a walk is what a CA asks for.
func judge(t Target, last *page, cdn string) *fault {
	if t.Probe != nil && last.status == http.StatusOK && isKeyAuthorization(last.body, t.Probe.KeyAuthorization) {
		return nil
	}
	if w := recognise(last); w != nil {
		return w.fault(last)
	}
	answered := fmt.Sprintf("it answers with status %d", last.status)
	if text := http.StatusText(last.status); text != "" {
		answered += fmt.Sprintf(" (%s)", text)
	}
	if cdn != "" {
		answered += " by way of " + cdn
	}
	plausible := last.status >= 200 && last.status < 300 || last.status == http.StatusNotFound
	switch {
	case t.Probe == nil && plausible:
		return nil
	case t.Probe == nil:
		return wrong(cert.HTTPUnexpectedResponse, answered, stepResponse).with(tellPage(last))
	case last.status != http.StatusOK:
		return wrong(cert.HTTPUnexpectedResponse, answered+", so requests don't get to us", stepResponse).with(tellPage(last))
	default:
		return wrong(cert.HTTPUnexpectedResponse, answered+" and another page than ours, so requests don't get to us", stepResponse).with(tellPage(last))
	}
}

// isKeyAuthorization ignores white space at the end, as CAs do (RFC 8555 §8.3).
func isKeyAuthorization(body []byte, expected string) bool {
	return expected != "" && string(bytes.TrimRight(body, " \t\r\n")) == expected
}

// tellPage is an answer in a line.
func tellPage(p *page) string {
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
	return wrong(cert.HTTPUnexpectedResponse, w.cause, step).with(tellPage(p))
}
