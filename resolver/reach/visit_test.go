package reach

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// visited is an internet whose browsers trust one CA, which has issued a certificate for the shop.
func visited(t *testing.T) (n *internet, right *authority) {
	t.Helper()
	root := issue(t, nil, caNamed("Root X1"))
	n = newInternet(t)
	n.cfg.Roots = x509.NewCertPool()
	n.cfg.Roots.AddCert(root.cert)
	return n, issue(t, root, leafFor(shop))
}

func TestA9_AnyPageShowsThatHTTPSWorks(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 301, 403, 404} {
		n, right := visited(t)
		n.tls("127.0.0.1", served(right), func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" || r.Host != shop || strings.Contains(r.UserAgent(), "Let's Encrypt") {
				status = http.StatusInternalServerError
			}
			w.Header().Set("Location", "https://elsewhere.example.com/") // isn't followed
			w.WriteHeader(status)
		})
		results := n.prober().HTTPS(t.Context(), target("127.0.0.1"))
		require.Equal(t, cert.OK, results.Verdict(), status)
		require.Equal(t, status, results[0].Response.Status)
		require.Empty(t, results.Problems())
		require.Zero(t, n.lookups.Load())
	}
}

func TestA9_TheSiteBehindARightCertificateIsAtFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		says    string
	}{
		"bad gateway": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
			"the certificate is right; the site behind it answers with status 502 (Bad Gateway)",
		},
		"hangs up": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"the certificate is right; the connection is closed without an answer",
		},
		"silent": {
			func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"the certificate is right; the connection is taken, but no answer came within",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, right := visited(t)
			n.cfg.Timeout = time.Second
			n.tls("127.0.0.1", served(right), c.handler)
			results := n.prober().HTTPS(t.Context(), target("127.0.0.1"))
			require.Equal(t, cert.Wrong, results.Verdict())
			requireProblem(
				t, results, cert.HTTPUnexpectedResponse, "shop.example.com shows visitors no web site over HTTPS, at 127.0.0.1: ", c.says,
				"repair the web site on that server",
			)
			require.Equal(t, cert.Warns, results.Problems()[0].Severity)
			require.Equal(t, right.cert.NotAfter, results[0].TLS.Served.NotAfter, "the certificate is reported all the same")
		})
	}
}

func TestA9_AtItsOwnAddressThePlatformMends(t *testing.T) {
	t.Parallel()
	n, _ := visited(t)
	own := target("127.0.0.1", "127.0.0.2", "127.0.0.9")
	own.Own = own.Addresses
	n.tls("127.0.0.2", selfSigned(t, shop), notFound)
	n.change = over(map[string]any{"127.0.0.9": syscall.ENETUNREACH})
	results := n.prober().HTTPS(t.Context(), own)
	require.Equal(
		t, []cert.Verdict{cert.Wrong, cert.Wrong, cert.Unknown}, []cert.Verdict{results[0].Verdict, results[1].Verdict, results[2].Verdict},
	)
	for i, code := range []cert.Code{cert.HTTPSUnreachable, cert.ServedCertificateWrong, cert.HTTPSUnreachable} {
		p := results[i].Problem
		requireFitForPeople(t, *p)
		require.Equal(t, code, p.Code)
		require.Equal(t, cert.PlatformActs, p.WhoActs)
		require.Equal(t, cert.Warns, p.Severity)
	}
	require.Contains(t, results[0].Problem.Remediation, "127.0.0.1 is the platform's own")
	require.Contains(t, results[2].Problem.Remediation, "from another machine")
}

func TestA9_VisitsStayOnPublicAddresses(t *testing.T) {
	t.Parallel()
	n, right := visited(t)
	n.cfg.Allowed = nil
	n.tls("127.0.0.1", served(right), notFound)
	results := n.prober().HTTPS(t.Context(), target("127.0.0.1", "169.254.169.254"))
	for i, where := range []string{"127.0.0.1", "169.254.169.254"} {
		p := results[i].Problem
		require.Equal(t, cert.ReservedAddress, p.Code)
		require.Contains(t, p.Message, fmt.Sprintf("has the address %s, which nobody on the internet can reach", where))
		require.Equal(t, cert.Warns, p.Severity)
	}
	require.Zero(t, n.taken("127.0.0.1"))
}

func TestA9_NobodyAnswersInTime(t *testing.T) {
	t.Parallel()
	n, right := visited(t)
	n.cfg.Timeout = 300 * time.Millisecond
	n.raw("127.0.0.1", n.https, func(net.Conn) {})
	requireProblem(t, n.prober().HTTPS(t.Context(), target("127.0.0.1")), cert.HTTPSUnreachable, "TLS didn't begin within 0.3 seconds")

	n.cfg.Timeout = 20 * time.Second
	n.tls("127.0.0.2", served(right), notFound)
	n.change = over(map[string]any{"2001:db8::1": "127.0.0.3"})
	results := n.prober().HTTPS(t.Context(), target("127.0.0.2", "2001:db8::1"))
	requireProblem(t, results, cert.IPv6Unreachable, "while it answers over IPv4", "Visitors who have IPv6 ask IPv6 addresses first.")
}
