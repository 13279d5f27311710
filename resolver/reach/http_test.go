package reach

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

func TestRightAnswerIsOK(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.web("127.0.0.1", answer)
	n.web("127.0.0.2", answer)
	results := n.prober().HTTP(t.Context(), target("127.0.0.1", "127.0.0.2", "127.0.0.1").knowing())
	require.Len(t, results, 2, "an address is asked once")
	require.Equal(t, cert.OK, results.Verdict())
	require.Empty(t, results.Problems())
	for _, r := range results {
		require.Equal(t, cert.OK, r.Verdict)
		require.Nil(t, r.Problem)
		require.Equal(t, &Response{FirstStatus: 200, Status: 200}, r.Response)
	}
	require.Equal(t, netip.MustParseAddr("127.0.0.2"), results[1].Address)
}

func TestWhiteSpaceAtTheEndIsRight(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.web("127.0.0.1", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, known.KeyAuthorization+" \r\n\t\n") })
	require.Equal(t, cert.OK, n.prober().HTTP(t.Context(), target("127.0.0.1").knowing()).Verdict())
}

func TestPlausibleAnswersWithoutAToken(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 202, 204, 404} {
		n := newInternet(t)
		n.web("127.0.0.1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		results := n.prober().HTTP(t.Context(), target("127.0.0.1"))
		require.Equal(t, cert.OK, results.Verdict(), status)
		require.Empty(t, results.Problems(), status)
	}
}

func TestWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	var mutex sync.Mutex
	var asked []*http.Request
	n.web("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		asked = append(asked, r)
		mutex.Unlock()
		if len(r.URL.RawQuery) == 0 {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
			http.Redirect(w, r, "http://user:secret@"+shop+r.URL.Path+"?again#part", http.StatusFound)
			return
		}
		http.NotFound(w, r)
	})
	results := n.prober().HTTP(t.Context(), Target{Name: "Shop.Example.com.", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	require.Equal(t, cert.OK, results.Verdict())
	mutex.Lock()
	defer mutex.Unlock()
	require.Len(t, asked, 2)
	for _, r := range asked {
		require.Equal(t, http.MethodGet, r.Method)
		require.Equal(t, shop, r.Host)
		require.Equal(t, "HTTP/1.1", r.Proto)
		require.Regexp(t, `^/\.well-known/acme-challenge/[A-Za-z0-9_-]{43}$`, r.URL.Path)
		require.Equal(t, userAgent, r.UserAgent())
		require.Equal(t, "*/*", r.Header.Get("Accept"))
		for _, header := range []string{"Cookie", "Authorization", "Referer", "Accept-Encoding"} {
			require.Empty(t, r.Header.Values(header), header)
		}
	}
	require.Zero(t, n.lookups.Load(), "a redirect to the name itself stays at the address that is probed")
}

// A proxy of the environment would be asked in the place of the address, and could reach what the guard refuses.
func TestNoProxyOfTheEnvironmentIsAsked(t *testing.T) {
	n := newInternet(t)
	n.web("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.RequestURI, "/") { // as a proxy is asked (RFC 9112 §3.2.2)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		http.NotFound(w, r)
	})
	n.web("127.0.0.8", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	for _, variable := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(variable, "http://"+netip.AddrPortFrom(netip.MustParseAddr("127.0.0.8"), n.http).String())
	}
	require.Equal(t, cert.OK, n.prober().HTTP(t.Context(), target("127.0.0.1")).Verdict())
	require.Zero(t, n.taken("127.0.0.8"))
}

func TestNothingListens(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	results := n.prober().HTTP(t.Context(), target("127.0.0.3", "127.0.0.4"))
	require.Equal(t, cert.Wrong, results.Verdict())
	requireProblem(t, results, cert.HTTPUnreachable,
		"From here, shop.example.com can't be reached over HTTP at 127.0.0.3 and 127.0.0.4: the connection is refused",
		"delete the record named shop (in full: shop.example.com) that leads to 127.0.0.3 and 127.0.0.4")
	p := results.Problems()[0]
	require.Equal(t, cert.Blocks, p.Severity)
	require.Equal(t, cert.TenantActs, p.WhoActs)
	require.Equal(t, cert.HTTPUnreachable, results[1].Problem.Code)
	require.Contains(t, results[1].Problem.Message, "at 127.0.0.4: ")
}

func TestConnectionTimesOut(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.cfg.Timeout = 300 * time.Millisecond
	n.change = over(map[string]any{"127.0.0.5": os.ErrDeadlineExceeded})
	results := n.prober().HTTP(t.Context(), target("127.0.0.5"))
	require.Equal(t, cert.Wrong, results.Verdict())
	requireProblem(t, results, cert.HTTPUnreachable, "From here", "no connection came about within 0.3 seconds")
}

func TestNoAnswerComes(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"nothing":         "",
		"half a header":   "HTTP/1.1 200 OK\r\nServer: ",
		"half a body":     "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"an endless body": "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t)
			n.cfg.Timeout = 300 * time.Millisecond
			n.raw("127.0.0.1", n.http, func(conn net.Conn) { _, _ = conn.Write([]byte(first)) })
			results := n.prober().HTTP(t.Context(), target("127.0.0.1"))
			require.Equal(t, cert.Wrong, results.Verdict())
			requireProblem(t, results, cert.HTTPUnreachable, "From here", "within 0.3 seconds")
		})
	}
}

// What the caller had no time for says nothing about the address.
func TestTimeOfTheCallerIsOver(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.raw("127.0.0.1", n.http, func(net.Conn) {})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	results := n.prober().HTTP(ctx, target("127.0.0.1"))
	require.Equal(t, cert.Unknown, results.Verdict())
	requireProblem(t, results, cert.HTTPUnreachable, "We could not see how shop.example.com answers over HTTP")
	p := results.Problems()[0]
	require.Equal(t, cert.PlatformActs, p.WhoActs)
	require.Equal(t, cert.Warns, p.Severity)

	// The dial may notice it before the context does.
	ctx, cancel = context.WithTimeout(t.Context(), n.cfg.Timeout/2)
	defer cancel()
	n.change = over(map[string]any{"127.0.0.5": os.ErrDeadlineExceeded})
	require.Equal(t, cert.Unknown, n.prober().HTTP(ctx, target("127.0.0.5")).Verdict())
	require.Equal(t, cert.Wrong, n.prober().HTTP(t.Context(), target("127.0.0.5")).Verdict())

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	require.Equal(t, cert.Unknown, n.prober().HTTP(ctx, target("127.0.0.1", "127.0.0.7")).Verdict())
}

func TestNoWayFromHereIsUnknown(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.web("127.0.0.1", notFound)
	n.change = over(map[string]any{
		"2001:db8::1": syscall.ENETUNREACH, "2001:db8::2": syscall.EMFILE, "2001:db8::3": syscall.EAFNOSUPPORT, "127.0.0.6": syscall.EACCES,
	})
	results := n.prober().HTTP(t.Context(), target("2001:db8::1", "2001:db8::2", "2001:db8::3", "127.0.0.6"))
	require.Equal(t, cert.Unknown, results.Verdict())
	requireProblem(t, results, cert.HTTPUnreachable, "there is no way to that address from here")

	results = n.prober().HTTP(t.Context(), target("2001:db8::1", "127.0.0.1"))
	require.Equal(t, cert.OK, results.Verdict(), "a machine without IPv6 keeps no domain with an AAAA record waiting")
	require.Equal(t, cert.Unknown, results[0].Verdict)
}

func TestOnlyIPv6IsUnreachable(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.web("127.0.0.1", notFound)
	n.web("127.0.0.2", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	n.change = over(map[string]any{"2001:db8::1": syscall.ECONNREFUSED, "2001:db8::2": os.ErrDeadlineExceeded, "2001:db8::3": "127.0.0.2"})
	results := n.prober().HTTP(t.Context(), target("127.0.0.1", "2001:db8::1"))
	require.Equal(t, cert.OK, results.Verdict(), "a CA falls back to IPv4")
	requireProblem(t, results, cert.IPv6Unreachable,
		"can't be reached over IPv6 at 2001:db8::1, while it answers over IPv4", "goes on to IPv4",
		"delete the AAAA record named shop (in full: shop.example.com) that leads to 2001:db8::1")
	require.Equal(t, cert.IPv6Unreachable, results[1].Problem.Code)

	results = n.prober().HTTP(t.Context(), target("2001:db8::2", "127.0.0.1"))
	requireProblem(t, results, cert.IPv6Unreachable, "within 20 seconds")

	// Where IPv4 fails as well, or IPv6 answers, it is not IPv6.
	results = n.prober().HTTP(t.Context(), target("2001:db8::1", "127.0.0.3"))
	requireProblem(t, results, cert.HTTPUnreachable, "2001:db8::1 and 127.0.0.3")
	results = n.prober().HTTP(t.Context(), target("2001:db8::3", "127.0.0.1"))
	requireProblem(t, results, cert.HTTPUnexpectedResponse, "at 2001:db8::3", "status 403 (Forbidden)")
}

func TestWhatAnswersIsNoWebServer(t *testing.T) {
	t.Parallel()
	for says, part := range map[string]string{
		"SSH-2.0-OpenSSH_9.2p1 Debian\r\n":       `is no web server; it begins with "SSH-2.0-OpenSSH_9.2p1`,
		"220 mail.example.com ESMTP Postfix\r\n": `is no web server; it begins with "220 mail.example.com`,
		"\x15\x03\x01\x00\x02\x02\x46":           "speaks TLS on port 80",
		"\x16\x03\x03\x00\x02\x02\x46":           "speaks TLS on port 80",
		"HTTP/1.1 banana\r\n\r\n":                "no HTTP that can be read",
		"HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n": "speaks TLS on port 80",

		"HTTP/1.1 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>": "speaks TLS on port 80",

		"HTTP/1.1 400 Bad Request\r\n\r\nReason: You're speaking plain HTTP to an SSL-enabled server port.<br />": "speaks TLS on port 80",

		"HTTP/1.1 200 OK\r\nX-Bomb: " + strings.Repeat("b", 2*maxHeader) + "\r\n\r\n": "header of its answer is longer",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Many: 1\r\n", maxHeader/8) + "\r\n": "header of its answer is longer",

		// whichever way it ends
		strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n", maxHeader/32) + "HTTP/1.1 ": "",
	} {
		n := newInternet(t)
		n.raw("127.0.0.1", n.http, func(conn net.Conn) {
			_, _ = conn.Write([]byte(says))
			_, _ = conn.Read(make([]byte, 4096)) // the request fits
			_ = conn.Close()
		})
		results := n.prober().HTTP(t.Context(), target("127.0.0.1"))
		require.Equal(t, cert.Wrong, results.Verdict(), says)
		requireProblem(t, results, cert.HTTPUnexpectedResponse, part)
	}
}

func TestConnectionIsClosed(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.raw("127.0.0.1", n.http, func(conn net.Conn) { _ = conn.Close() })
	requireProblem(t, n.prober().HTTP(t.Context(), target("127.0.0.1")), cert.HTTPUnreachable, "the connection is closed")
	require.EqualValues(t, 2, n.taken("127.0.0.1"), "a second request reports whether only CAs are shut out")
}

func TestFirewallHoldsBackCAs(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.web("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.UserAgent(), "Let's Encrypt validation server") {
			panic(http.ErrAbortHandler) // closes the connection, as a firewall does
		}
		fmt.Fprint(w, "welcome")
	})
	results := n.prober().HTTP(t.Context(), target("127.0.0.1"))
	require.Equal(t, cert.Wrong, results.Verdict())
	requireProblem(t, results, cert.HTTPUnexpectedResponse, "a firewall there closes the connections of CAs", `"acme-protocol"`)
}

func TestBodyIsBounded(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.cfg.MaxBody = 1000
	n.web("127.0.0.1", func(w http.ResponseWriter, _ *http.Request) {
		for chunk := bytes.Repeat([]byte("x"), 1<<16); ; {
			if _, err := w.Write(chunk); err != nil {
				return // the prober hung up
			}
		}
	})
	results := n.prober().HTTP(t.Context(), target("127.0.0.1").knowing())
	require.Equal(t, cert.Wrong, results.Verdict())
	requireProblem(t, results, cert.HTTPUnexpectedResponse, "status 200 (OK) and another page than ours", strings.Repeat("x", 60))
	require.Equal(t, cert.OK, n.prober().HTTP(t.Context(), target("127.0.0.1")).Verdict())
}

func TestNothingIsUnpacked(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err := zip.Write(append([]byte(known.KeyAuthorization), bytes.Repeat([]byte(" "), 10<<20)...))
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	n := newInternet(t)
	n.web("127.0.0.1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
	requireProblem(t, n.prober().HTTP(t.Context(), target("127.0.0.1").knowing()), cert.HTTPUnexpectedResponse, "another page than ours")
}

func TestAnswerOfAnotherServer(t *testing.T) {
	t.Parallel()
	for status, part := range map[int]string{
		200: "status 200 (OK) and another page than ours", 404: "status 404 (Not Found), so requests don't get to us", 206: "status 206",
	} {
		n := newInternet(t)
		n.web("127.0.0.1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", "nginx")
			w.WriteHeader(status)
			fmt.Fprint(w, "<html>\x00\x1b[31m<title>My other site")
		})
		results := n.prober().HTTP(t.Context(), target("127.0.0.1").knowing())
		requireProblem(t, results, cert.HTTPUnexpectedResponse, part, "Server: nginx", "<title>My other site")
		require.Equal(t, cert.Blocks, results.Problems()[0].Severity)
	}
}

func TestImplausibleAnswersWithoutAToken(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 405, 410, 451, 500, 503, 599} {
		n := newInternet(t)
		n.web("127.0.0.1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		results := n.prober().HTTP(t.Context(), target("127.0.0.1"))
		require.Equal(t, cert.Wrong, results.Verdict(), status)
		requireProblem(t, results, cert.HTTPUnexpectedResponse, fmt.Sprintf("status %d", status))
	}
}

func TestReservedAddressesAreNotAsked(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.cfg.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	n.web("127.0.0.1", notFound)
	n.web("127.0.0.2", notFound)
	results := n.prober().HTTP(t.Context(), target("127.0.0.2", "127.0.0.1"))
	require.Equal(t, cert.OK, results.Verdict(), "CAs leave it out")
	requireProblem(t, results, cert.ReservedAddress, "has the address 127.0.0.2, which nobody on the internet can reach", "RFC 1122")
	require.Equal(t, cert.Warns, results[0].Problem.Severity)
	results = n.prober().HTTP(t.Context(), target("127.0.0.2"))
	require.Equal(t, cert.Wrong, results.Verdict(), "nothing is left")
	require.Equal(t, cert.Blocks, results[0].Problem.Severity)
	for _, probe := range []func(context.Context, Target) Results{n.prober().TLSALPN, n.prober().HTTPS} {
		require.Equal(t, cert.ReservedAddress, probe(t.Context(), target("127.0.0.2", "::ffff:127.0.0.2"))[0].Problem.Code)
	}
	require.Zero(t, n.taken("127.0.0.2"))
	require.EqualValues(t, 1, n.taken("127.0.0.1"))
}

func TestOwnAddressesAreThePlatformsConcern(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.web("127.0.0.1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	own := target("127.0.0.1").knowing()
	own.Own = own.Addresses
	results := n.prober().HTTP(t.Context(), own)
	require.Equal(t, cert.Unknown, results.Verdict())
	requireProblem(t, results, cert.HTTPUnexpectedResponse, "it answers with status 503")
	require.Equal(t, cert.PlatformActs, results.Problems()[0].WhoActs)
}

func TestAddressesThatDiffer(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.web("127.0.0.1", notFound)
	n.web("127.0.0.2", notFound)
	n.web("127.0.0.3", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Server", "Apache"); w.WriteHeader(200) })
	results := n.prober().HTTP(t.Context(), target("127.0.0.1", "127.0.0.2", "127.0.0.3"))
	require.Equal(t, cert.OK, results.Verdict())
	requireProblem(t, results, cert.HTTPUnexpectedResponse,
		"answer differently", "127.0.0.1 and 127.0.0.2: status 404; 127.0.0.3: status 200, by Apache")
	p := results.Problems()[0]
	require.Equal(t, cert.Warns, p.Severity)
	require.Empty(t, n.prober().HTTP(t.Context(), target("127.0.0.1", "127.0.0.2")).Problems())
}

func TestNoAddresses(t *testing.T) {
	t.Parallel()
	results := newInternet(t).prober().HTTP(t.Context(), target())
	require.Equal(t, cert.Unknown, results.Verdict())
	require.Empty(t, results.Problems())
}

func TestManyAddressesAreNotAllAsked(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	var many Target
	for i := range 100 {
		many.Addresses = append(many.Addresses, netip.AddrFrom4([4]byte{127, 0, 9, byte(i)}))
	}
	many.Name = shop
	results := n.prober().HTTP(t.Context(), many)
	require.Len(t, results, maxAddresses)
	requireProblem(t, results, cert.HTTPUnreachable, "127.0.9.0, 127.0.9.1, 127.0.9.2, 127.0.9.3 and 16 more")
}
