package resolver_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

// A name whose records are all right, while the platform's validation zone is silent. The platform's edge has the address 127.0.0.1.
const silentZone = "del shops.platform.net A\ndel shops.platform.net AAAA\n" +
	"add shops.platform.net. 60 A 127.0.0.1\nfault $DELEGATION servfail"

// TestF1_AnEdgeThatIsDownIsAWait shows that the methods after dns-01 are not taken unseen: an edge that is down answers none of them, and
// an
// order would fail and count against the tenant.
func TestF1_AnEdgeThatIsDownIsAWait(t *testing.T) {
	t.Parallel()
	for _, methods := range [][]cert.Method{nil, {cert.DNS01, cert.HTTP01, cert.TLSALPN01}, {cert.DNS01, cert.TLSALPN01}} {
		d := diagnoseAtEdge(t, methods, closedPort(t), closedPort(t))
		require.Equal(t, cert.Unknown, d.Verdict, "methods %v, problems: %v", methods, d.Problems)
		for _, p := range d.Problems {
			require.Equal(t, cert.PlatformActs, p.WhoActs, "%v", p)
		}
	}
}

// TestF1_AnEdgeThatAnswersValidates shows the other side: the validation zone alone is silent, and the edge answers.
func TestF1_AnEdgeThatAnswersValidates(t *testing.T) {
	t.Parallel()
	edge := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(edge.Close)
	d := diagnoseAtEdge(t, []cert.Method{cert.DNS01, cert.HTTP01, cert.TLSALPN01}, portOf(t, edge.URL), closedPort(t))
	require.Equal(t, cert.HTTP01, d.Names[0].Method, "verdict %v, problems: %v", d.Verdict, d.Problems)

	secured := httptest.NewUnstartedServer(http.NotFoundHandler())
	secured.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return nil, net.UnknownNetworkError("no certificate yet") // the server answers with an alert, as an edge does for a new name
	}}
	secured.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secured.StartTLS()
	t.Cleanup(secured.Close)
	d = diagnoseAtEdge(t, []cert.Method{cert.DNS01, cert.TLSALPN01}, closedPort(t), portOf(t, secured.URL))
	require.Equal(t, cert.TLSALPN01, d.Names[0].Method, "verdict %v, problems: %v", d.Verdict, d.Problems)
}

func diagnoseAtEdge(t *testing.T, methods []cert.Method, httpPort, httpsPort uint16) cert.Diagnosis {
	t.Helper()
	at := cert.Platform{ValidationZone: platform.ValidationZone, Target: platform.Target, Addresses: []string{"127.0.0.1"}}
	s := setup{}
	r, err := resolver.New(resolver.Config{
		Resolvers:    []string{s.start(t, silentZone).address},
		QueryTimeout: 3 * time.Second, CheckTimeout: 10 * time.Second, RequireOwnership: true,
		ProbeTimeout: 5 * time.Second, ProbeHTTPPort: httpPort, ProbeHTTPSPort: httpsPort, ProbeAllow: []string{"127.0.0.0/24"},
	}, quiet())
	require.NoError(t, err)
	d, err := r.Diagnose(t.Context(), cert.Question{
		Names: s.domain().Names, Expected: at.ExpectedRecords(s.domain(), secret), CAs: []cert.CAIdentity{letsEncrypt}, Methods: methods,
	})
	require.NoError(t, err)
	return d
}

// closedPort is a port where nothing listens.
func closedPort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return portOf(t, "tcp://"+l.Addr().String())
}

func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	require.NoError(t, err)
	return uint16(port)
}
