package reach

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/guard"
)

// to redirects every request; {path}, {http} and {https} stand for the path that was asked for and the two ports.
func (n *internet) to(status int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fill := strings.NewReplacer("{path}", r.URL.Path, "{http}", portText(n.http), "{https}", portText(n.https))
		if location != "" {
			w.Header().Set("Location", fill.Replace(location))
		}
		w.WriteHeader(status)
	}
}

func addresses(texts ...string) []netip.Addr { return target(texts...).Addresses }

func TestRedirectsAreFollowed(t *testing.T) {
	t.Parallel()
	for location, followed := range map[string]string{
		"http://edge.example.net{path}":          "http://edge.example.net/.well-known/acme-challenge/",
		"https://edge.example.net{path}":         "https://edge.example.net/.well-known/acme-challenge/",
		"HTTP://Edge.Example.NET:{http}{path}":   "http://edge.example.net:",
		"https://edge.example.net:{https}{path}": "https://edge.example.net:",
		"//edge.example.net{path}":               "http://edge.example.net/",
		"https://shop.example.com{path}":         "https://shop.example.com/",
	} {
		for _, status := range []int{301, 302, 307, 308} {
			n := newInternet(t)
			n.names["edge.example.net"] = addresses("127.0.0.2")
			n.web("127.0.0.1", n.to(status, location))
			n.tls("127.0.0.1", selfSigned(t, "anything.example"), answer)
			n.web("127.0.0.2", answer)
			n.tls("127.0.0.2", selfSigned(t, "anything.example"), answer)
			results := n.prober().HTTP(t.Context(), target("127.0.0.1").knowing())
			require.Empty(t, results.Problems(), location)
			require.Equal(t, cert.OK, results.Verdict(), location)
			require.Equal(t, status, results[0].Response.FirstStatus)
			require.Equal(t, 200, results[0].Response.Status)
			require.Len(t, results[0].Response.Redirects, 1)
			require.True(t, strings.HasPrefix(results[0].Response.Redirects[0], followed), results[0].Response.Redirects[0])
		}
	}
}

func TestBadRedirects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status   int
		location string
		says     []string
	}{
		{
			301, "https://shop.example.com.well-known/acme-challenge/abc",
			[]string{"a slash is missing after the host name", `"Redirect / https://shop.example.com/"`},
		},
		{302, "http://shop.example.com:8080{path}", []string{"on port 8080; CAs follow to ports"}},
		{302, "http://shop.example.com:080{path}", []string{"on port 080"}},
		{302, "ftp://shop.example.com{path}", []string{"neither http nor https"}},
		{302, "file:///etc/passwd", []string{"neither http nor https"}},
		{302, "gopher://127.0.0.2:{http}/_GET", []string{"neither http nor https"}},
		{302, "javascript:alert(1)", []string{"neither http nor https"}},
		{302, "http://127.0.0.2{path}", []string{"a bare address"}},
		{302, "http://8.8.8.8{path}", []string{"a bare address"}},
		{302, "http://[2606:4700::1]{path}", []string{"a bare address"}},
		{302, "http://[fe80::1%25eth0]{path}", []string{"a bare address"}},
		{302, "http://2130706434{path}", []string{"a bare address"}}, // 127.0.0.2, as some programs read it
		{302, "http://0x7f.0.0.2{path}", []string{"a bare address"}},
		{302, "http://127.2{path}", []string{"a bare address"}},
		{302, "http://127.0.0.0x2{path}", []string{"a bare address"}},
		{302, "http://münchen.example{path}", []string{"no name that a host can have"}},
		{302, "http://a..example{path}", []string{"no name that a host can have"}},
		{302, "http:///path", []string{"no name that a host can have"}},
		{302, "http://nowhere.example{path}", []string{"http://nowhere.example/.well-known/acme-challenge/…, which has no address"}},
		{302, "http://inside.example.net{path}", []string{"whose address belongs to a private network, RFC 1918"}},
		{302, "https://metadata.example.net/latest/", []string{"whose address belongs to link-local addresses"}},
		{
			302, "http://dead.example.net{path}?q=secret",
			[]string{"http://dead.example.net/.well-known/acme-challenge/…?…, and there the connection is refused"},
		},
		{302, "https://dead.example.net{path}", []string{"and there the connection is refused"}},
		{302, "https://plain.example.net{path}", []string{"speaks plain HTTP on the port of HTTPS"}},
		{302, "http://plain.example.net:{https}{path}", nil}, // plain HTTP on port 443 is odd, and CAs take it
		{303, "http://edge.example.net{path}", []string{"with status 303"}},
		{300, "http://edge.example.net{path}", []string{"with status 300"}},
		{304, "", []string{"status 304 and doesn't say where to go"}},
		{302, "http://edge.example.net/" + strings.Repeat("a", maxURL), []string{"more than 2000 bytes"}},
		{302, "http://%zz", []string{"what is no address"}},
		{302, "{path}", []string{"in a circle"}},
		{302, "http://circle.example.net{path}", []string{"in a circle"}},
	} {
		t.Run(fmt.Sprint(c.status, " ", c.location[:min(len(c.location), 60)]), func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.names = map[string][]netip.Addr{
				"edge.example.net": addresses("127.0.0.2"), "dead.example.net": addresses("127.0.0.3"), "plain.example.net": addresses("127.0.0.4"),
				"inside.example.net": addresses("10.0.0.1"), "metadata.example.net": addresses(
					"169.254.169.254", "fd00:ec2::254",
				), "circle.example.net": addresses("127.0.0.5"),
			}
			n.web("127.0.0.1", n.to(c.status, c.location))
			n.web("127.0.0.2", answer)
			n.serve(n.listen("127.0.0.4", n.https), answer)
			n.web("127.0.0.5", n.to(301, "http://shop.example.com{path}"))
			results := n.prober().HTTP(t.Context(), target("127.0.0.1").knowing())
			if c.says == nil {
				require.Equal(t, cert.OK, results.Verdict(), results.Problems())
				return
			}
			require.Equal(t, cert.Wrong, results.Verdict())
			requireProblem(t, results, cert.HTTPBadRedirect, c.says...)
			require.Zero(t, n.taken("127.0.0.2"), "nothing is asked of where a redirect must not lead")
		})
	}
}

func TestTooManyRedirects(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	var asked atomic.Int64
	n.web("127.0.0.1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", fmt.Sprintf("/step/%d", asked.Add(1)))
		w.WriteHeader(http.StatusFound)
	})
	requireProblem(t, n.prober().HTTP(t.Context(), target("127.0.0.1")), cert.HTTPBadRedirect, "more than 10 times", "/step/11")
	require.EqualValues(t, 11, asked.Load(), "Let's Encrypt follows ten redirects")
}

func TestLookupOfARedirectFails(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.failing["dark.example.net"] = true
	n.web("127.0.0.1", n.to(302, "http://dark.example.net/"))
	results := n.prober().HTTP(t.Context(), target("127.0.0.1"))
	require.Equal(t, cert.Unknown, results.Verdict())
	requireProblem(t, results, cert.DNSLookupFailed, "dark.example.net")
	p := results.Problems()[0]
	require.NotContains(t, p.Message+p.Found, "192.0.2.53")
}

// A redirect into the platform's network must not cost a single packet there.
func TestRedirectInsideSendsNoPacket(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.cfg.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	n.names["inside.example.net"] = addresses("127.0.0.2", "::1")
	n.web("127.0.0.1", n.to(302, "http://inside.example.net/admin"))
	n.web("127.0.0.2", answer)
	requireProblem(t, n.prober().HTTP(t.Context(), target("127.0.0.1")), cert.HTTPBadRedirect, "the machine itself (loopback)")
	require.Zero(t, n.taken("127.0.0.2"))
}

// A name that is public when it is looked at and private when it is connected to (DNS rebinding) is refused twice over: each
// hop is resolved once and looked at then, and the dial refuses whatever got past that.
func TestRebindingIsRefused(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.cfg.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("127.0.0.3/32")}
	n.web("127.0.0.1", n.to(302, "http://turning.example.net/1"))
	n.web("127.0.0.3", n.to(302, "http://turning.example.net/2"))
	n.web("127.0.0.2", answer)
	p := n.prober()
	var asked atomic.Int64
	p.lookup = func(context.Context, string) ([]netip.Addr, error) {
		if asked.Add(1) == 1 {
			return addresses("127.0.0.3"), nil
		}
		return addresses("127.0.0.2"), nil
	}
	requireProblem(t, p.HTTP(t.Context(), target("127.0.0.1")), cert.HTTPBadRedirect, "http://turning.example.net/2, whose address belongs to")
	require.EqualValues(t, 2, asked.Load())
	require.EqualValues(t, 1, n.taken("127.0.0.3"))

	// The dial itself, when the look before it is left out.
	p.guard = guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	requireProblem(t, p.HTTP(t.Context(), target("127.0.0.1")), cert.HTTPBadRedirect, "and there its address belongs to the machine itself")
	require.Zero(t, n.taken("127.0.0.2"))
}

// Hosts of redirects are asked as Let's Encrypt asks them: over IPv6 first, over IPv4 when that doesn't connect.
func TestRedirectFallsBackToIPv4(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.names["edge.example.net"] = addresses("127.0.0.2", "10.0.0.1", "2001:db8::9", "2001:db8::a")
	n.web("127.0.0.1", n.to(302, "http://edge.example.net{path}"))
	n.web("127.0.0.2", answer)
	var dialled []string
	var until []time.Time
	n.change = func(p *Prober) {
		dial := p.dialer
		p.dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
			deadline, _ := ctx.Deadline()
			dialled, until = append(dialled, address), append(until, deadline)
			if strings.HasPrefix(address, "[") {
				return nil, os.ErrDeadlineExceeded
			}
			return dial(ctx, network, address)
		}
	}
	require.Equal(t, cert.OK, n.prober().HTTP(t.Context(), target("127.0.0.1").knowing()).Verdict())
	port := portText(n.http)
	require.Equal(t, []string{"127.0.0.1:" + port, "[2001:db8::9]:" + port, "127.0.0.2:" + port}, dialled)
	require.True(t, until[1].Before(until[2]), "time is left for the second")
}
