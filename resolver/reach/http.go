package reach

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
)

// Firewalls that hold back a CA's requests know them by these words and the path (Palo Alto Networks' "acme-protocol"), so
// that a probe without the words would pass where the CA doesn't.
const (
	userAgent      = "Mozilla/5.0 (compatible; evercert emulating Let's Encrypt validation server; +https://github.com/evercert/evercert)"
	plainUserAgent = "Mozilla/5.0 (compatible; evercert; +https://github.com/evercert/evercert)"
)

const challengePath = "/.well-known/acme-challenge/" // RFC 8555 §8.3

// HTTP asks each address of a name for a token, as a CA does for http-01 (RFC 8555 §8.3), and follows redirects as Let's
// Encrypt does. With a Probe the answer must be its key authorization. Without one the token is made up, and an answer that
// says "there is no such page", or shows one, is plausible.
func (p *Prober) HTTP(ctx context.Context, t Target) Results {
	return p.each(ctx, t, protocolHTTP, p.askHTTP)
}

func (p *Prober) askHTTP(ctx context.Context, t Target, addr netip.Addr) (AddressResult, *fault) {
	token := madeUp()
	if t.Probe != nil {
		token = t.Probe.Token
	}
	w := walk{prober: p, target: t, address: addr}
	last, f := w.fetch(ctx, &url.URL{Scheme: "http", Host: t.Name, Path: challengePath + token})
	result := AddressResult{CDN: p.cdnAt(addr)}
	if w.first != nil {
		if name := cdnIn(w.first.header); name != "" {
			result.CDN = name
		}
		result.Response = &Response{FirstStatus: w.first.status, Server: cert.Line(w.first.header.Get("Server"), maxTold), Redirects: w.followed}
	}
	if f != nil {
		return result, f
	}
	result.Response.Status = last.status
	return result, judge(t, last, result.CDN)
}

// madeUp is a token that nobody answers, of the length that CAs use.
func madeUp() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// page is an answer over HTTP.
type page struct {
	url    *url.URL
	status int
	header http.Header
	body   []byte // as much of it as is looked at; of a redirect nothing
	hops   int    // redirects that led here
}

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

// answersOthers tells whether an address that closed the connection of a CA's request answers one that doesn't look like it.
func (w *walk) answersOthers(ctx context.Context, addresses []netip.Addr) bool {
	_, failed := w.prober.exchange(ctx, &url.URL{Scheme: "http", Host: w.target.Name, Path: "/"}, addresses, plainUserAgent)
	return failed == nil
}

// exchange makes one request to one of the addresses. Connections are made here, not by the transport, so that each has its
// own failures, and none is used twice.
func (p *Prober) exchange(ctx context.Context, u *url.URL, addresses []netip.Addr, agent string) (*page, *failure) {
	conn, failed := p.dial(ctx, addresses, p.portOf(u))
	if failed != nil {
		return nil, failed
	}
	defer hangUp(conn)
	if u.Scheme == "https" {
		if conn, failed = p.secure(ctx, conn, u.Hostname()); failed != nil {
			return nil, failed
		}
	}
	recorded := record(conn)
	defer hangUp(recorded)
	transport := &http.Transport{
		DialContext:            once(recorded),
		DialTLSContext:         once(recorded),
		DisableKeepAlives:      true,
		DisableCompression:     true, // nothing is unpacked, so that nothing small can become big
		MaxResponseHeaderBytes: maxHeader,
	}
	req, err := http.NewRequestWithContext(
		ctx, http.MethodGet, (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).String(), nil,
	)
	if err != nil {
		return nil, &failure{cause: "its address can't be asked for"}
	}
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Accept", "*/*") // some firewalls refuse requests without it
	resp, err := transport.RoundTrip(req)
	if err != nil {
		begin, bytes := recorded.read()
		return nil, p.exchangeFailure(err, begin, bytes)
	}
	defer resp.Body.Close()
	got := &page{url: u, status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return got, nil
	}
	return got, p.readBody(got, resp.Body)
}

func (p *Prober) readBody(got *page, body io.Reader) *failure {
	var err error
	got.body, err = io.ReadAll(io.LimitReader(body, p.cfg.MaxBody))
	switch {
	case err == nil:
		return nil
	case isLate(err):
		return &failure{cause: "its answer begins, and didn't end within " + p.patience(), late: true}
	default:
		return &failure{cause: "its answer breaks off"}
	}
}

func (p *Prober) secure(ctx context.Context, conn net.Conn, name string) (net.Conn, *failure) {
	secured, failed := p.handshake(ctx, conn, name)
	if failed != nil {
		return conn, failed
	}
	return secured, nil
}

func (p *Prober) portOf(u *url.URL) uint16 {
	switch u.Port() {
	case portText(p.cfg.HTTPPort):
		return p.cfg.HTTPPort
	case portText(p.cfg.HTTPSPort):
		return p.cfg.HTTPSPort
	}
	if u.Scheme == "https" {
		return p.cfg.HTTPSPort
	}
	return p.cfg.HTTPPort
}

// once gives a transport its one connection.
func once(conn net.Conn) func(context.Context, string, string) (net.Conn, error) {
	given := make(chan net.Conn, 1)
	given <- conn
	return func(context.Context, string, string) (net.Conn, error) {
		select {
		case conn := <-given:
			return conn, nil
		default:
			return nil, errors.New("a connection is used once")
		}
	}
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
	return untold(
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
