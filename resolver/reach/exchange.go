package reach

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
)

// Firewalls that hold back a CA's requests know them by these words and the path (Palo Alto Networks' "acme-protocol"), so
// that a probe without the words would pass where the CA doesn't.
const (
	userAgent      = "Mozilla/5.0 (compatible; evercert emulating Let's Encrypt validation server; +https://github.com/evercert/evercert)"
	plainUserAgent = "Mozilla/5.0 (compatible; evercert; +https://github.com/evercert/evercert)"
)

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

func portText(port uint16) string { return strconv.Itoa(int(port)) }
