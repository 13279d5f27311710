package reach

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
)

// walk is one request with the redirects that follow from it.
type walk struct {
	prober   *Prober
	target   Target
	address  netip.Addr // that the target's name stands for
	first    *page
	visited  []string
	followed []string
}

// fetch follows redirects from u to an answer that is none.
func (w *walk) fetch(ctx context.Context, u *url.URL) (*page, *fault) {
	for {
		got, f := w.get(ctx, u)
		if f != nil {
			return nil, f
		}
		if w.first == nil {
			w.first = got
		}
		w.visited = append(w.visited, u.String())
		if got.status < 300 || got.status > 399 {
			got.hops = len(w.followed)
			return got, nil
		}
		if u, f = w.next(got); f != nil {
			return nil, f
		}
		w.followed = append(w.followed, cert.Line(u.String(), maxTold))
	}
}

// get asks for one URL. Its faults say at which point of the walk nothing came.
func (w *walk) get(ctx context.Context, u *url.URL) (*page, *fault) {
	addresses, f := w.resolve(ctx, u)
	if f != nil {
		return nil, f
	}
	got, failed := w.prober.exchange(ctx, u, addresses, userAgent)
	switch {
	case failed == nil:
		return got, nil
	case len(w.visited) > 0:
		return nil, w.leadsNowhere(u, addresses, failed)
	case failed.cause == speaksTLS:
		return nil, wrong(cert.HTTPUnexpectedResponse, speaksTLS, stepPlainHTTP)
	case failed.closed && w.answersOthers(ctx, addresses):
		return nil, wrong(cert.HTTPUnexpectedResponse, "a firewall there closes the connections of CAs and answers those of others", stepFirewall)
	default:
		return nil, failed.unreachable(cert.HTTPUnreachable, stepPort80)
	}
}

// answersOthers reports whether an address that closed the connection of a CA's request answers one that doesn't look like it.
func (w *walk) answersOthers(ctx context.Context, addresses []netip.Addr) bool {
	_, failed := w.prober.exchange(ctx, &url.URL{Scheme: "http", Host: w.target.Name, Path: "/"}, addresses, plainUserAgent)
	return failed == nil
}

// resolve finds where a URL leads: the target's name to the address that is probed, any other to where DNS says, but only to
// public addresses.
func (w *walk) resolve(ctx context.Context, u *url.URL) ([]netip.Addr, *fault) {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == w.target.Name {
		return []netip.Addr{w.address}, nil
	}
	if w.prober.lookup == nil {
		return nil, w.unresolved(host)
	}
	addresses, err := w.prober.lookup(ctx, host)
	if err != nil {
		return nil, w.unresolved(host)
	}
	if len(addresses) == 0 {
		return nil, w.badRedirect(u, "which has no address")
	}
	public := slices.Collect(func(yield func(netip.Addr) bool) {
		for _, addr := range unique(addresses) {
			if w.prober.guard.Permits(addr) && !yield(addr) {
				return
			}
		}
	})
	if len(public) == 0 {
		return nil, w.badRedirect(u, "whose address belongs to "+w.prober.guard.Why(addresses[0]))
	}
	return preferred(public), nil
}

func (w *walk) unresolved(host string) *fault {
	return unknown(
		cert.DNSLookupFailed,
		"it sends requests on to "+cert.Line(host, maxTold)+", and we got no answer when we asked DNS for the address of that name",
	)
}

// preferred is the address that a CA asks, and the one that it falls back to.
func preferred(addresses []netip.Addr) []netip.Addr {
	var chosen []netip.Addr
	if i := slices.IndexFunc(addresses, netip.Addr.Is6); i >= 0 {
		chosen = append(chosen, addresses[i])
	}
	if i := slices.IndexFunc(addresses, netip.Addr.Is4); i >= 0 {
		chosen = append(chosen, addresses[i])
	}
	return chosen
}

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
			withStep(stepSlash)
	case !w.isPort(u.Port()):
		return w.badRedirect(
			u,
			fmt.Sprintf("on port %s; CAs follow to ports %d and %d only",
				cert.Line(u.Port(), maxTold), w.prober.cfg.HTTPPort, w.prober.cfg.HTTPSPort),
		)
	case isAddress(host):
		return w.badRedirect(u, "which is a bare address, not the name of a host")
	case !isHostname(host):
		return w.badRedirect(u, "which is no name that a host can have")
	default:
		return nil
	}
}

func (w *walk) isPort(port string) bool {
	return port == "" || port == portText(w.prober.cfg.HTTPPort) || port == portText(w.prober.cfg.HTTPSPort)
}

func (w *walk) badRedirect(u *url.URL, why string) *fault {
	return wrong(cert.HTTPBadRedirect, fmt.Sprintf("it goes to %s, %s", addressOf(u), why), stepRedirect)
}

// leadsNowhere is the fault of a redirect to where nothing answers.
func (w *walk) leadsNowhere(u *url.URL, addresses []netip.Addr, failed *failure) *fault {
	cause := fmt.Sprintf("it goes to %s, and there %s", addressOf(u), failed.cause)
	if failed.ours {
		return unknown(cert.HTTPBadRedirect, cause)
	}
	f := wrong(cert.HTTPBadRedirect, cause, stepRedirect)
	f.late = failed.late
	if failed.alert != "" && w.prober.cdnAt(addresses[0]) == cloudflare {
		f.cause, f.step = cause+"; "+noCertificateYet, stepCloudflareTLS
	}
	return f
}
