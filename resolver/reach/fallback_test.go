package reach

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// TestF1_IPv4IsAskedForTLSWhateverIPv6Answers: for tls-alpn-01 Boulder falls back after any failure, not only of connecting.
func TestF1_IPv4IsAskedForTLSWhateverIPv6Answers(t *testing.T) {
	t.Parallel()
	n := newInternet(t)
	n.cfg.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	answer := func(protocols ...string) *tls.Config {
		c := served(issue(t, nil, leafFor(shop)))
		c.NextProtos = protocols
		return c
	}
	n.tls("127.0.0.1", answer(acmeProtocol), notFound)
	n.tls("127.0.0.2", answer(), notFound)
	n.change = over(map[string]any{"2001:db8::2": "127.0.0.2"})
	require.Equal(t, cert.OK, n.prober().TLSALPN(t.Context(), target("127.0.0.1", "2001:db8::2")).Verdict())
	require.Equal(t, cert.Wrong, n.prober().TLSALPN(t.Context(), target("2001:db8::2")).Verdict(), "there is no IPv4 address")
	require.Equal(t, cert.Wrong, n.prober().TLSALPN(t.Context(), target("127.0.0.1", "127.0.0.2")).Verdict(), "either may be asked")
}

// TestF1_AddressesAreChosenAsCAsDo: each case has the verdict that Boulder's code comes to, whichever address of a family is the first.
func TestF1_AddressesAreChosenAsCAsDo(t *testing.T) {
	t.Parallel()
	const (
		good4, good6     = "127.0.0.1", "2001:db8::1"
		broken4, broken6 = "127.0.0.2", "2001:db8::2" // answers 403
		dead4, dead6     = "127.0.0.3", "2001:db8::3" // refuses connections
		closes6          = "2001:db8::4"              // takes connections and closes them
		private4         = "10.0.0.1"
	)
	n := newInternet(t)
	n.cfg.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	n.web(good4, notFound)
	n.web(broken4, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	n.raw("127.0.0.4", n.http, func(conn net.Conn) { _ = conn.Close() })
	n.change = over(map[string]any{
		good6: good4, broken6: broken4, dead6: syscall.ECONNREFUSED, dead4: syscall.ECONNREFUSED, closes6: "127.0.0.4",
	})
	for _, c := range []struct {
		name      string
		addresses []string
		ipv6First bool
		verdict   cert.Verdict
		passed    []string
	}{
		{"IPv6 is dead", []string{good4, dead6}, false, cert.OK, []string{dead6}},
		{"IPv6 is dead at one of two", []string{good4, good6, dead6}, false, cert.OK, []string{dead6}},
		{"IPv6 is dead and IPv4 broken", []string{broken4, dead6}, false, cert.Wrong, []string{dead6}},
		{"IPv6 is dead and so is IPv4", []string{dead4, dead6}, false, cert.Wrong, nil},
		{"IPv6 is dead and there is no IPv4", []string{dead6}, false, cert.Wrong, nil},
		{"IPv6 is broken", []string{good4, broken6}, true, cert.Wrong, nil},
		{"IPv6 closes the connection", []string{good4, closes6}, true, cert.Wrong, nil},
		{"IPv4 is dead at one of two", []string{good4, dead4}, true, cert.Wrong, nil},
		{"IPv4 is dead and IPv6 is asked first", []string{dead4, good6}, true, cert.OK, []string{dead4}},
		{"IPv4 is dead and may be asked first", []string{dead4, good6}, false, cert.Wrong, nil},
		{"IPv4 is broken and IPv6 is asked first", []string{broken4, good6}, true, cert.OK, []string{broken4}},
		{"IPv4 is broken and IPv6 dead at one of two", []string{broken4, good6, dead6}, true, cert.Wrong, []string{dead6}},
		{"private beside public", []string{private4, good4}, false, cert.OK, []string{private4}},
		{"private beside IPv6", []string{private4, good6}, false, cert.OK, []string{private4}},
		{"private beside dead", []string{private4, dead4}, false, cert.Wrong, []string{private4}},
		{"private only", []string{private4}, false, cert.Wrong, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			on := target(c.addresses...)
			on.IPv6First = c.ipv6First
			results := n.prober().HTTP(t.Context(), on)
			require.Equal(t, c.verdict, results.Verdict())
			var passed []string
			for _, result := range results {
				if results.PassesOver([]netip.Addr{result.Address}) {
					passed = append(passed, result.Address.String())
					require.Equal(t, cert.Warns, result.Problem.Severity)
					continue
				}
				require.True(t, result.Problem == nil || result.Problem.Severity == cert.Blocks)
			}
			require.Equal(t, c.passed, passed)
		})
	}
}
