package reach

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/evercert/evercert/cert"
)

// maxURL bounds the address that a redirect leads to; Let's Encrypt follows paths of up to 2,000 bytes.
const maxURL = 2000

// followed are the statuses that a CA may follow (Baseline Requirements §3.2.2.4.19); 303 is none of them.
var followedStatuses = []int{301, 302, 307, 308}

// next is where a redirect leads, if a CA follows it there. The rules are those of Let's Encrypt, which the Baseline
// Requirements §3.2.2.4.19 ask of all: schemes http and https, their two ports, a bounded number. Redirects to bare addresses
// are refused, too: not every CA follows them.
func (w *walk) next(got *page) (*url.URL, *fault) {
	location := got.header.Get("Location")
	if location == "" {
		return nil, wrong(cert.HTTPBadRedirect, fmt.Sprintf("the answer has status %d and doesn't say where to go", got.status), stepRedirect)
	}
	if len(location) > maxURL {
		return nil, wrong(cert.HTTPBadRedirect, fmt.Sprintf("it goes to an address of more than %d bytes", maxURL), stepRedirect)
	}
	u, err := got.url.Parse(location)
	if err != nil {
		return nil, wrong(cert.HTTPBadRedirect, "it goes to what is no address: "+quoted(location), stepRedirect)
	}
	u.Host, u.Scheme, u.User, u.Fragment, u.RawFragment = strings.ToLower(u.Host), strings.ToLower(u.Scheme), nil, "", ""
	if !slices.Contains(followedStatuses, got.status) {
		return nil, w.badRedirect(u, fmt.Sprintf("with status %d, which CAs don't follow; 301, 302, 307 and 308 they do", got.status))
	}
	if f := w.refuseTarget(u); f != nil {
		return nil, f
	}
	if slices.Contains(w.visited, u.String()) {
		return nil, wrong(cert.HTTPBadRedirect, "it goes in a circle", stepRedirect).with("redirect to " + u.String() + " again")
	}
	if len(w.followed) >= w.prober.cfg.MaxRedirects {
		return nil, wrong(cert.HTTPBadRedirect, fmt.Sprintf("it is sent on more than %d times", w.prober.cfg.MaxRedirects), stepRedirect).
			with("at last to " + u.String())
	}
	return u, nil
}

// refuseTarget refuses what no CA would connect to, before anything is resolved.
func (w *walk) refuseTarget(u *url.URL) *fault {
	host := strings.TrimSuffix(u.Hostname(), ".")
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return w.badRedirect(u, "which is neither http nor https")
	case strings.HasSuffix(host, ".well-known"):
		return w.badRedirect(u, "because a slash is missing after the host name in the redirect rule of the web server").
			mendedBy(stepSlash)
	case !w.isPort(u.Port()):
		return w.badRedirect(
			u,
			fmt.Sprintf("on port %s; CAs follow to ports %d and %d only", cert.Line(u.Port(), maxTold), w.prober.cfg.HTTPPort, w.prober.cfg.HTTPSPort),
		)
	case isAddress(host):
		return w.badRedirect(u, "which is a bare address, not the name of a host")
	case !isHostname(host):
		return w.badRedirect(u, "which is no name that a host can have")
	default:
		return nil
	}
}

const (
	stepSlash = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"end the target of the redirect rule there with a slash, as in \"Redirect / https://{name}/\"."
	stepPlainHTTP = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"switch TLS (SSL) off for port 80 on that web server; it belongs on port 443."
	stepFirewall = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"let the ACME protocol through the firewall in front of it; Palo Alto Networks call this application \"acme-protocol\"."
)

func (w *walk) isPort(port string) bool {
	return port == "" || port == portText(w.prober.cfg.HTTPPort) || port == portText(w.prober.cfg.HTTPSPort)
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }

func (w *walk) badRedirect(u *url.URL, why string) *fault {
	return wrong(cert.HTTPBadRedirect, fmt.Sprintf("it goes to %s, %s", addressOf(u), why), stepRedirect)
}

// leadsNowhere is the fault of a redirect to where nothing answers.
func (w *walk) leadsNowhere(u *url.URL, addresses []netip.Addr, failed *failure) *fault {
	cause := fmt.Sprintf("it goes to %s, and there %s", addressOf(u), failed.cause)
	if failed.ours {
		return untold(cert.HTTPBadRedirect, cause)
	}
	f := wrong(cert.HTTPBadRedirect, cause, stepRedirect)
	f.late = failed.late
	if failed.alert != "" && w.prober.cdnAt(addresses[0]) == cloudflare {
		f.cause, f.step = cause+"; "+noCertificateYet, stepCloudflareTLS
	}
	return f
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

func quoted(text string) string { return strconv.QuoteToASCII(cert.Line(text, maxTold)) }

func (f *fault) mendedBy(step string) *fault {
	f.step = step
	return f
}

// isAddress recognises addresses however they are written; 0x7f.1 and 2130706433 are some to many programs.
func isAddress(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	last := host[strings.LastIndex(host, ".")+1:]
	_, err := strconv.ParseUint(last, 0, 64) // no top-level domain is a number (RFC 3696 §2)
	return err == nil
}

// isHostname tells whether DNS can be asked for a host: letters, digits, hyphens and underscores between dots.
func isHostname(host string) bool {
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
