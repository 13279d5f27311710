package reach

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/evercert/evercert/resolver/guard"
)

// cdnAt names the CDN that an address belongs to, or nothing.
func (p *Prober) cdnAt(addr netip.Addr) string {
	for _, c := range p.cdns {
		if slices.ContainsFunc(c.networks, func(network netip.Prefix) bool { return network.Contains(addr) }) {
			return c.name
		}
	}
	return ""
}

// Config bounds the probes. Its zero value is what CAs do.
type Config struct {
	HTTPPort, HTTPSPort uint16         // of http-01 and tls-alpn-01; 80 and 443 when zero
	Timeout             time.Duration  // for the whole probe of one address; 10 s when zero, about as long as CAs wait
	MaxBody             int64          // bytes read of an answer; 64 KiB when zero. A key authorization has fewer than 200
	MaxRedirects        int            // followed; when zero 10, as Let's Encrypt does (letsencrypt.org/docs/challenge-types)
	Allowed             []netip.Prefix // networks that may be asked although they are not public
	Roots               *x509.CertPool // what a visitor's browser trusts; the system's when nil
}

// Lookup finds the addresses of the host that a redirect leads to. A host that has none is no error: an error means that it
// is not known.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// Prober asks addresses. It is safe for use by several goroutines.
type Prober struct {
	cfg    Config
	lookup Lookup
	guard  guard.Guard
	cdns   []cdn
	dialer func(ctx context.Context, network, address string) (net.Conn, error)
	now    func() time.Time
}

// New returns a Prober that follows redirects to where lookup says their hosts are.
func New(cfg Config, lookup Lookup) *Prober {
	if cfg.HTTPPort == 0 {
		cfg.HTTPPort = 80
	}
	if cfg.HTTPSPort == 0 {
		cfg.HTTPSPort = 443
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 64 << 10
	}
	if cfg.MaxRedirects <= 0 {
		cfg.MaxRedirects = 10
	}
	g := guard.New(cfg.Allowed)
	dialer := net.Dialer{Control: g.Control, KeepAlive: -1}
	return &Prober{cfg: cfg, lookup: lookup, guard: g, cdns: publishedCDNs, dialer: dialer.DialContext, now: time.Now}
}
