package reach

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

const shop = "shop.example.com"

var known = &cert.Probe{
	Token:            "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
	KeyAuthorization: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI",
}

// internet is a few addresses of loopback that share two ports, and what DNS says of names.
type internet struct {
	t           testing.TB
	http, https uint16
	names       map[string][]netip.Addr
	failing     map[string]bool // names whose lookup fails
	lookups     atomic.Int64
	connections sync.Map // *atomic.Int64 by address
	cfg         Config
	change      func(*Prober)
}

func newInternet(t testing.TB) *internet {
	n := &internet{t: t, names: map[string][]netip.Addr{}, failing: map[string]bool{}}
	n.http, n.https = freePort(t), freePort(t)
	n.cfg = Config{
		HTTPPort: n.http, HTTPSPort: n.https, Timeout: 20 * time.Second,
		Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/16"), netip.MustParsePrefix("2001:db8::/32")},
	}
	return n
}

// freePort finds a port on which nothing listens at any address, and keeps it from other tests. It is one below those that the
// kernel gives to connections.
func freePort(t testing.TB) uint16 {
	for {
		port := uint16(20000 + mathrand.IntN(12000))
		everywhere, err := net.Listen("tcp", netip.AddrPortFrom(netip.IPv4Unspecified(), port).String())
		if err != nil {
			continue
		}
		require.NoError(t, everywhere.Close())
		kept, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.255.1"), port).String())
		if err != nil {
			continue // another one was faster
		}
		t.Cleanup(func() { _ = kept.Close() })
		return port
	}
}

func (n *internet) listen(address string, port uint16) net.Listener {
	listener, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr(address), port).String())
	require.NoError(n.t, err)
	counter, _ := n.connections.LoadOrStore(address, new(atomic.Int64))
	counted := &countingListener{Listener: listener, count: counter.(*atomic.Int64)}
	n.t.Cleanup(func() { _ = counted.Close() })
	return counted
}

func (n *internet) taken(address string) int64 {
	counter, there := n.connections.Load(address)
	require.True(n.t, there, "nothing listens on %s", address)
	return counter.(*atomic.Int64).Load()
}

type countingListener struct {
	net.Listener
	count *atomic.Int64
}

func (c *countingListener) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.count.Add(1)
	}
	return conn, err
}

// web serves HTTP on port "80" of an address.
func (n *internet) web(address string, handler http.HandlerFunc) {
	n.serve(n.listen(address, n.http), handler)
}

func (n *internet) serve(listener net.Listener, handler http.HandlerFunc) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = server.Serve(listener) }() // ends with the listener
	n.t.Cleanup(func() { _ = server.Close() })
}

// raw answers every connection to a port by a function.
func (n *internet) raw(address string, port uint16, answer func(net.Conn)) {
	listener := n.listen(address, port)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n.t.Cleanup(func() { _ = conn.Close() })
			go answer(conn)
		}
	}()
}

// tls serves HTTPS on port "443" of an address.
func (n *internet) tls(address string, cfg *tls.Config, handler http.HandlerFunc) {
	n.serve(tls.NewListener(n.listen(address, n.https), cfg), handler)
}

func (n *internet) prober() *Prober {
	p := New(n.cfg, func(_ context.Context, host string) ([]netip.Addr, error) {
		n.lookups.Add(1)
		if n.failing[host] {
			return nil, fmt.Errorf("lookup %s on 192.0.2.53: SERVFAIL", host)
		}
		return n.names[host], nil
	})
	if n.change != nil {
		n.change(p)
	}
	return p
}

// over makes addresses lead to others, or nowhere with an error: loopback has one IPv6 address at most, and no time-outs.
func over(ways map[string]any) func(*Prober) {
	return func(p *Prober) {
		dial := p.dialer
		p.dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
			target := netip.MustParseAddrPort(address)
			switch way := ways[target.Addr().String()].(type) {
			case string:
				return dial(ctx, network, netip.AddrPortFrom(netip.MustParseAddr(way), target.Port()).String())
			case error:
				return nil, &net.OpError{Op: "dial", Net: network, Err: way}
			default:
				return dial(ctx, network, address)
			}
		}
	}
}

func target(addresses ...string) Target {
	t := Target{Name: shop}
	for _, address := range addresses {
		t.Addresses = append(t.Addresses, netip.MustParseAddr(address))
	}
	return t
}

func (t Target) knowing() Target {
	t.Probe = known
	return t
}

// answer is what the platform's edge does.
func answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != challengePath+known.Token {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write([]byte(known.KeyAuthorization))
}

func notFound(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// requireProblem checks that there is one problem, of this code, which says all of these.
func requireProblem(t *testing.T, results Results, code cert.Code, says ...string) {
	t.Helper()
	problems := results.Problems()
	for _, p := range problems {
		t.Logf("%s, %s acts, %s\n%s\n%s\nfound: %s", p.Code, p.WhoActs, p.Severity, p.Message, p.Remediation, p.Found)
		requireFitForPeople(t, p)
	}
	require.Len(t, problems, 1)
	require.Equal(t, code, problems[0].Code)
	for _, part := range says {
		require.Contains(t, problems[0].Message+"\n"+problems[0].Remediation+"\n"+problems[0].Found, part)
	}
}

// requireFitForPeople checks what holds for every problem.
func requireFitForPeople(t testing.TB, p cert.Problem) {
	t.Helper()
	require.NotEmpty(t, p.Found)
	require.NotEmpty(t, p.Severity)
	for _, text := range []string{p.Message, p.Remediation} {
		require.NotEmpty(t, text)
		require.NotContains(t, text, "%!")
		require.NotContains(t, text, "{")
		require.True(t, strings.HasSuffix(text, "."), text)
	}
	require.Less(t, len(p.Message+p.Remediation), 2000)
	require.LessOrEqual(t, len([]rune(p.Found)), maxFound+1)
	for _, r := range p.Message + p.Remediation + p.Found {
		require.True(t, unicode.IsPrint(r), "%q", r)
	}
	for _, dump := range []string{"dial tcp", "context deadline", "read tcp", "tls:", "x509:", "i/o timeout"} {
		require.NotContains(t, p.Message+p.Found, dump)
	}
	if p.WhoActs == cert.TenantActs {
		require.True(t, strings.HasPrefix(p.Remediation, "At your DNS provider, "), p.Remediation)
	} else {
		require.NotContains(t, p.Remediation, "At your DNS provider")
	}
}

// authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serials atomic.Int64

// issue makes a certificate; parent signs it, or it itself when there is none.
func issue(t testing.TB, parent *authority, change func(*x509.Certificate)) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	change(template)
	signer := &authority{cert: template, key: key}
	if parent != nil {
		signer = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, &key.PublicKey, signer.key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{cert: parsed, key: key}
}

func caNamed(common string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.IsCA = pkix.Name{CommonName: common, Organization: []string{"Example Trust"}}, true
	}
}

func leafFor(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

// served is the TLS set-up of a server that shows these certificates, the first one's key in hand.
func served(chain ...*authority) *tls.Config {
	shown := tls.Certificate{PrivateKey: chain[0].key}
	for _, c := range chain {
		shown.Certificate = append(shown.Certificate, c.cert.Raw)
	}
	return &tls.Config{Certificates: []tls.Certificate{shown}, NextProtos: []string{"http/1.1"}}
}

func selfSigned(t testing.TB, names ...string) *tls.Config {
	return served(issue(t, nil, leafFor(names...)))
}
