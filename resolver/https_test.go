package resolver_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/edge/edgetest"
	"github.com/evercert/evercert/resolver"
)

// website serves HTTPS at an address of loopback, at a free port.
func website(t *testing.T, address string, shown tls.Certificate) (port uint16) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	require.NoError(t, err)
	server := &http.Server{
		Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{shown}}, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() { _ = server.ServeTLS(listener, "", "") }() // ends with the test
	t.Cleanup(func() { _ = server.Close() })
	return netip.MustParseAddrPort(listener.Addr().String()).Port()
}

func TestA9_EveryNameIsVisitedAtEveryAddress(t *testing.T) {
	t.Parallel()
	ca := edgetest.NewCA(t)
	shown, roots := ca.Issue(t, "shop.example.com", "www.example.com").TLS(t), ca.Roots
	port := website(t, "127.0.0.2", shown)
	w := newWorld(t)
	w.change(t, `add shop.example.com. 60 CNAME edge.platform.net.
		add edge.platform.net. 60 A 127.0.0.2
		add edge.platform.net. 60 A 127.0.0.3
		add www.example.com. 60 A 127.0.0.2
		add www.example.com. 60 A 10.1.2.3
		add bare.example.com. 60 TXT "no address"
		fault slow.example.com servfail`)
	config := resolver.Config{
		Resolvers: []string{w.address}, QueryTimeout: 3 * time.Second, CheckTimeout: 10 * time.Second,
		ProbeTimeout: 10 * time.Second, ProbeHTTPSPort: port, ProbeAllow: []string{"127.0.0.0/24"},
	}
	q := cert.Question{
		Names: []string{"shop.example.com", "*.example.com", "www.example.com", "bare.example.com", "slow.example.com"},
		Expected: []cert.Record{{
			Name: "shop.example.com", Type: "CNAME", Value: "edge.platform.net", Purpose: cert.ForAddress, Hostname: "shop.example.com",
		}},
	}
	r, err := resolver.New(config, quiet())
	require.NoError(t, err)
	visits := r.HTTPS(t.Context(), q, roots)
	type said struct {
		name, address string
		verdict       cert.Verdict
		code          cert.Code
		acts          cert.Actor
	}
	var got []said
	for _, v := range visits {
		seen := said{name: v.Name, verdict: v.Verdict}
		if v.Address.IsValid() {
			seen.address = v.Address.String()
		}
		if v.Problem != nil {
			t.Logf("%s\n%s", v.Problem.Message, v.Problem.Remediation)
			requireFitForPeople(t, *v.Problem)
			require.Equal(t, cert.Warns, v.Problem.Severity)
			seen.code, seen.acts = v.Problem.Code, v.Problem.WhoActs
		}
		require.Equal(t, v.Verdict == cert.OK, v.OK)
		got = append(got, seen)
	}
	require.Equal(t, []said{
		{"shop.example.com", "127.0.0.2", cert.OK, "", ""},
		{"shop.example.com", "127.0.0.3", cert.Wrong, cert.HTTPSUnreachable, cert.PlatformActs},
		{"www.example.com", "10.1.2.3", cert.Wrong, cert.ReservedAddress, cert.TenantActs},
		{"www.example.com", "127.0.0.2", cert.OK, "", ""},
		{"bare.example.com", "", cert.Wrong, cert.DNSNoRecords, cert.TenantActs},
		{"slow.example.com", "", cert.Unknown, cert.DNSLookupFailed, cert.PlatformActs},
	}, got)
	require.Contains(t, visits[5].Problem.Remediation, "from another machine")
	require.Equal(t, http.StatusNotFound, visits[0].Status)
	require.True(t, shown.Leaf.NotAfter.Equal(visits[0].NotAfter))

	config.ProbeTimeout = 0
	r, err = resolver.New(config, quiet())
	require.NoError(t, err)
	require.Empty(t, r.HTTPS(t.Context(), q, roots), "PROBE_TIMEOUT 0s asks no web server")
}
