// Package reach asks the addresses of a name, one by one, for what a CA's http-01 and tls-alpn-01 requests and a visitor's
// browser would meet there.
//
// HTTP (http.go, redirect.go, judge.go) asks for a token as Let's Encrypt does, TLSALPN (tls.go) offers the protocol of
// tls-alpn-01, and HTTPS (certificate.go) looks at the certificate that is served and asks for the front page. Each result is ok, wrong or unknown, and
// says what is wrong in a cert.Problem; Results puts those of all addresses together (results.go, problem.go).
//
// The addresses, and all that answers there, are strangers'. Nothing but public addresses is connected to (package guard),
// at every hop and again at the dial; the ports are two; time, bytes and redirects are bounded; no cookie, no proxy and no
// compression is used; and what is told of an answer is short and printable.
package reach

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/guard"
)

// Config bounds the probes. Its zero value is what CAs do.
type Config struct {
	HTTPPort, HTTPSPort uint16         // of http-01 and tls-alpn-01; 80 and 443 when zero
	Timeout             time.Duration  // for the whole probe of one address; 10 s when zero, about as long as CAs wait
	MaxBody             int64          // bytes read of an answer; 64 KiB when zero. A key authorization has fewer than 200
	MaxRedirects        int            // followed; when zero 9, because Let's Encrypt makes ten requests at most
	Allowed             []netip.Prefix // networks that may be asked although they are not public
	Roots               *x509.CertPool // what a visitor's browser trusts; the system's when nil
}

const (
	maxAddresses = 20 // of one name are probed; the others are left out
	atOnce       = 5
	maxHeader    = 32 << 10 // bytes of an answer's header
)

// Lookup finds the addresses of the host that a redirect leads to. A host that has none is no error: an error means that it
// could not be told.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// Target is a name and what its DNS shows.
type Target struct {
	Name      string       // in A-labels, without "*."
	Addresses []netip.Addr // of its A and AAAA records
	IPv6First bool         // the CA asks IPv4 addresses only where those of IPv6 can't be connected to
	Own       []netip.Addr // those addresses that are the platform's: what is wrong there, the platform mends
	Probe     *cert.Probe  // what the platform's edges answer now; without one any plausible answer will do

	visiting bool // as visitors do, not a CA
}

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
		cfg.MaxRedirects = 9
	}
	g := guard.New(cfg.Allowed)
	dialer := net.Dialer{Control: g.Control, KeepAlive: -1}
	return &Prober{cfg: cfg, lookup: lookup, guard: g, cdns: publishedCDNs, dialer: dialer.DialContext, now: time.Now}
}

// probe asks one address. It returns what it saw and what is wrong with it, which is nil when nothing is.
type probe func(ctx context.Context, t Target, addr netip.Addr) (AddressResult, *fault)

// each runs a probe against the addresses of a target that may be asked, and keeps their order.
func (p *Prober) each(ctx context.Context, t Target, protocol string, ask probe) Results {
	t.Name = strings.TrimSuffix(strings.ToLower(t.Name), ".")
	addresses := unique(t.Addresses)
	results := make(Results, len(addresses))
	var probes errgroup.Group
	probes.SetLimit(atOnce)
	for i, addr := range addresses {
		probes.Go(func() error {
			results[i] = p.one(ctx, t, addr, ask)
			results[i].target, results[i].protocol = t, protocol
			return nil
		})
	}
	_ = probes.Wait() // a probe that fails is a result as well
	results.blameIPv6()
	if !t.visiting {
		results.passOver(protocol)
	}
	for i := range results {
		results[i].tell()
	}
	return results
}

func (p *Prober) one(ctx context.Context, t Target, addr netip.Addr, ask probe) AddressResult {
	if why := p.guard.Why(addr); why != "" {
		return AddressResult{Address: addr, fault: reserved(why)}
	}
	probing, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	deadline, _ := probing.Deadline()
	last, limited := ctx.Deadline()
	result, f := ask(probing, t, addr)
	// The time that a CA would have waited may not be over, when the caller's is.
	if f != nil && (ctx.Err() != nil || f.late && limited && !deadline.Before(last)) {
		f = untold(f.code, "we stopped looking before its answer could come")
	}
	result.Address, result.fault = addr, f
	if result.CDN == "" {
		result.CDN = p.cdnAt(addr)
	}
	return result
}

// unique leaves out repetitions and more than anybody asks.
func unique(addresses []netip.Addr) []netip.Addr {
	var kept []netip.Addr
	for _, addr := range addresses {
		if addr = addr.Unmap(); !slices.Contains(kept, addr) && len(kept) < maxAddresses {
			kept = append(kept, addr)
		}
	}
	return kept
}
