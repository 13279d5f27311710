package reach

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

func TestALPNIsNegotiated(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	var asked []string
	cfg := selfSigned(t, shop)
	cfg.NextProtos = []string{"h2", "http/1.1", acmeProtocol}
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		asked = append(asked, hello.ServerName)
		asked = append(asked, hello.SupportedProtos...)
		return nil, nil
	}
	n.tls("127.0.0.1", cfg, notFound)
	results := n.prober().TLSALPN(t.Context(), target("127.0.0.1"))
	require.Equal(t, cert.OK, results.Verdict())
	require.Empty(t, results.Problems())
	require.Equal(t, &Handshake{Version: "TLS 1.3", ACME: Negotiated}, results[0].TLS)
	require.Equal(t, []string{shop, acmeProtocol}, asked, "a CA offers nothing beside it (RFC 8737 §3)")
}

func TestALPNIsRefused(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.tls("127.0.0.1", selfSigned(t, shop), notFound) // knows http/1.1, and ends the handshake with no_application_protocol
	aborting := selfSigned(t, shop)
	aborting.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.SupportedProtos[0] == acmeProtocol {
			return nil, errors.New("no challenge is open") // internal_error
		}
		return nil, nil
	}
	n.tls("127.0.0.2", aborting, notFound)
	results := n.prober().TLSALPN(t.Context(), target("127.0.0.1", "127.0.0.2"))
	require.Equal(t, cert.Unknown, results.Verdict(), "an edge with no challenge for the name does the same")
	requireProblem(t, results, cert.TLSALPNRefused, "is refused now")
	p := results.Problems()[0]
	require.Equal(t, cert.Warns, p.Severity)
	require.Equal(t, cert.PlatformActs, p.WhoActs)
	for _, r := range results {
		require.Equal(t, &Handshake{Version: "TLS 1.3", Protocol: "http/1.1", ACME: Refused}, r.TLS)
	}
}

func TestALPNIsIgnored(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	cfg := selfSigned(t, shop)
	cfg.NextProtos = nil
	n.tls("127.0.0.1", cfg, notFound)
	results := n.prober().TLSALPN(t.Context(), target("127.0.0.1"))
	require.Equal(t, cert.Wrong, results.Verdict())
	requireProblem(t, results, cert.TLSALPNRefused, "as if a browser had asked")
	require.Equal(t, &Handshake{Version: "TLS 1.3", ACME: Ignored}, results[0].TLS)
}

func TestNoTLSOnPort443(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(net.Conn)
		says   string
	}{
		"plain HTTP": {
			func(conn net.Conn) { _, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, "speaks plain HTTP on the port of HTTPS",
		},
		"SSH":         {func(conn net.Conn) { _, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2p1\r\n")) }, "doesn't speak TLS"},
		"silence":     {func(net.Conn) {}, "TLS didn't begin within a second"},
		"closing":     {func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)); _ = conn.Close() }, "closed when TLS begins"},
		"old version": {alert(70), `refuses TLS for this name ("protocol version not supported")`},
		"other names": {alert(112), `refuses TLS for this name ("unrecognized name")`},
		"nothing":     {nil, "the connection is refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			if name == "silence" {
				n.cfg.Timeout = time.Second
			}
			if c.answer != nil {
				n.raw("127.0.0.1", n.https, c.answer)
			}
			results := n.prober().TLSALPN(t.Context(), target("127.0.0.1"))
			require.Equal(t, cert.Wrong, results.Verdict())
			requireProblem(t, results, cert.HTTPSUnreachable, "From here, shop.example.com can't be reached over HTTPS", c.says, "port 443")
			p := results.Problems()[0]
			require.Equal(t, cert.Blocks, p.Severity)
			require.Nil(t, results[0].TLS)

			results = n.prober().HTTPS(t.Context(), target("127.0.0.1"))
			requireProblem(t, results, cert.HTTPSUnreachable, c.says)
			require.Equal(t, cert.Warns, results.Problems()[0].Severity)
		})
	}
}

// alert ends a handshake as a server does that won't have it (RFC 8446 §6).
func alert(description byte) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096)) // the client's hello fits
		_, _ = conn.Write([]byte{21, 3, 3, 0, 2, 2, description})
		_, _ = io.Copy(io.Discard, conn)
	}
}

func TestPort443OfACDN(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.change = func(p *Prober) {
		p.cdns = []cdn{{cloudflare, prefixes("127.0.0.1/32", "127.0.0.2/32")}}
	}
	n.raw("127.0.0.1", n.https, alert(40))
	n.tls("127.0.0.2", selfSigned(t, shop), notFound)
	n.web("127.0.0.1", n.to(301, "https://shop.example.com{path}"))

	// letsdebug's CloudflareSSLNotProvisioned
	for _, results := range []Results{n.prober().TLSALPN(
		t.Context(), target("127.0.0.1"),
	), n.prober().HTTPS(t.Context(), target("127.0.0.1"))} {
		require.Equal(t, cert.Wrong, results.Verdict())
		requireProblem(t, results, cert.HTTPSUnreachable, "Cloudflare has no certificate for this name yet", "Universal SSL")
		require.Equal(t, "Cloudflare", results[0].CDN)
	}
	problems := n.prober().HTTP(t.Context(), target("127.0.0.1")).Problems()
	require.Equal(t, cert.HTTPBadRedirect, problems[0].Code)
	require.Contains(t, problems[0].Message, "Cloudflare has no certificate for this name yet")

	results := n.prober().TLSALPN(t.Context(), target("127.0.0.2"))
	require.Equal(t, cert.Wrong, results.Verdict())
	requireProblem(t, results, cert.TLSALPNRefused, "Cloudflare answers on port 443 itself", `"DNS only"`)
}

func TestServedCertificates(t *testing.T) {
	t.Parallel()
	root := issue(t, nil, caNamed("Root X1"))
	stranger := issue(t, nil, caNamed("Unknown Root"))
	middle := issue(t, root, caNamed("Middle R1"))
	leaf := issue(t, middle, leafFor(shop, "www.example.com"))
	ended := issue(t, middle, func(c *x509.Certificate) {
		c.DNSNames, c.NotBefore, c.NotAfter = []string{shop}, time.Date(
			2020, 1, 1, 0, 0, 0, 0, time.UTC,
		), time.Date(2020, 4, 1, 0, 0, 0, 0, time.UTC)
	})
	early := issue(t, middle, func(c *x509.Certificate) {
		c.DNSNames, c.NotBefore, c.NotAfter = []string{shop}, time.Now().AddDate(1, 0, 0), time.Now().AddDate(2, 0, 0)
	})
	for name, c := range map[string]struct {
		chain []*authority
		says  string // of the fault; none when empty
		want  Served
	}{
		"right":     {[]*authority{leaf, middle}, "", Served{ForName: true, Current: true, Chained: true}},
		"of a root": {[]*authority{issue(t, root, leafFor("*.example.com"))}, "", Served{ForName: true, Current: true, Chained: true}},
		"other names": {
			[]*authority{issue(t, middle, leafFor("other.example", "www.other.example")), middle},
			"for other.example, www.other.example",
			Served{Current: true, Chained: true},
		},
		"ended": {
			[]*authority{ended, middle}, "it ended on 2020-04-01", Served{ForName: true, Chained: false},
		}, // its CA's certificate wasn't valid then
		"early":       {[]*authority{early, middle}, "it begins on ", Served{ForName: true, Chained: false}},
		"incomplete":  {[]*authority{leaf}, "the chain is incomplete", Served{ForName: true, Current: true}},
		"self-signed": {[]*authority{issue(t, nil, leafFor(shop))}, "the server made it itself", Served{ForName: true, Current: true}},
		"unknown root": {
			[]*authority{issue(t, stranger, leafFor(shop)), stranger}, "a CA that browsers don't know", Served{ForName: true, Current: true},
		},
		"hostile": {[]*authority{issue(t, stranger, leafFor(hostile()...))}, "it is for other names", Served{Current: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.cfg.Roots = x509.NewCertPool()
			n.cfg.Roots.AddCert(root.cert)
			n.tls("127.0.0.1", served(c.chain...), notFound)
			results := n.prober().HTTPS(t.Context(), target("127.0.0.1"))
			got := results[0].TLS.Served
			require.Equal(t, c.want, Served{ForName: got.ForName, Current: got.Current, Chained: got.Chained})
			require.Len(t, got.Fingerprint, 64)
			require.Equal(t, cert.SerialOf(c.chain[0].cert), got.Serial)
			require.Equal(t, c.chain[0].cert.NotAfter, got.NotAfter)
			require.LessOrEqual(t, len(got.Names), maxServedNames)
			if c.says == "" {
				require.Equal(t, cert.OK, results.Verdict())
				require.Empty(t, results.Problems())
				require.Contains(t, got.Issuer, "Example Trust ")
				return
			}
			require.Equal(t, cert.Wrong, results.Verdict())
			requireProblem(
				t, results, cert.ServedCertificateWrong, c.says, "Browsers refuse the certificate that shop.example.com shows at 127.0.0.1",
			)
			p := results.Problems()[0]
			require.Equal(t, cert.Warns, p.Severity, "before the first certificate is installed none fits")
		})
	}
}

// hostile are names as no CA would put them into a certificate, and anybody else may.
func hostile() []string {
	names := make([]string, 200)
	for i := range names {
		names[i] = "a.{name}\x1b[31m\x00%!s.example"
	}
	return names
}

func TestHTTPSAddressByAddress(t *testing.T) {
	t.Parallel()
	root := issue(t, nil, caNamed("Root X1"))
	n := newInternet(t)
	n.cfg.Roots = x509.NewCertPool()
	n.cfg.Roots.AddCert(root.cert)
	n.tls("127.0.0.1", served(issue(t, root, leafFor(shop))), func(http.ResponseWriter, *http.Request) {})
	n.change = over(map[string]any{"2001:db8::1": "127.0.0.3"})
	results := n.prober().HTTPS(t.Context(), target("127.0.0.1", "127.0.0.2", "2001:db8::1"))
	require.Equal(
		t, []cert.Verdict{cert.OK, cert.Wrong, cert.Wrong}, []cert.Verdict{results[0].Verdict, results[1].Verdict, results[2].Verdict},
	)
	problems := results.Problems()
	require.Len(t, problems, 2)
	require.Equal(t, cert.HTTPSUnreachable, problems[0].Code)
	require.Equal(t, cert.IPv6Unreachable, problems[1].Code)
	for _, p := range problems {
		requireFitForPeople(t, p)
		require.Equal(t, cert.Warns, p.Severity)
	}
	require.Equal(t, netip.MustParseAddr("127.0.0.1"), results[0].Address)
}
