package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/edge/edgetest"
	"github.com/evercert/evercert/resolver"
	"github.com/evercert/evercert/workflows"
)

// certificate is one that only those trust who were given the file.
func certificate(t *testing.T, name string) (shown tls.Certificate, file string) {
	t.Helper()
	ca := edgetest.NewCA(t)
	return ca.Issue(t, name).TLS(t), write(t, "roots.pem", string(ca.RootPEM))
}

// portAt finds a port that is free at every address of loopback, and listens at those given.
func portAt(t *testing.T, addresses ...string) (port uint16, listeners []net.Listener) {
	t.Helper()
	for range 100 {
		port = uint16(20000 + mathrand.IntN(12000)) // below those that the kernel gives to connections
		everywhere, err := net.Listen("tcp", netip.AddrPortFrom(netip.IPv4Unspecified(), port).String())
		if err != nil {
			continue
		}
		require.NoError(t, everywhere.Close())
		for _, address := range addresses {
			listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(int(port))))
			require.NoError(t, err)
			t.Cleanup(func() { _ = listener.Close() })
			listeners = append(listeners, listener)
		}
		return port, listeners
	}
	t.Fatal("no port is free")
	return 0, nil
}

func serveSite(t *testing.T, listener net.Listener, shown tls.Certificate) {
	t.Helper()
	server := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{shown}}, ReadHeaderTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() { _ = server.ServeTLS(listener, "", "") }() // ends with the test
	t.Cleanup(func() { _ = server.Close() })
}

// The visits themselves, by real DNS and TLS on loopback, with nothing else running.
func TestA9_DoctorSaysAddressByAddressWhetherHTTPSWorksFromHere(t *testing.T) {
	t.Parallel()
	right, roots := certificate(t, "shop.example.com")
	other, _ := certificate(t, "other.example.org")
	port, listeners := portAt(t, "127.0.0.2", "127.0.0.3", "127.0.0.5") // nothing listens at 127.0.0.4, and nobody answers at 127.0.0.5
	serveSite(t, listeners[0], right)
	serveSite(t, listeners[1], other)
	dns := serveDNS(
		t,
		"shop.example.com. 60 A 127.0.0.2",
		"shop.example.com. 60 A 127.0.0.3",
		"shop.example.com. 60 A 127.0.0.4",
		"shop.example.com. 60 A 127.0.0.5",
	)
	run := func(line ...string) string {
		b := setupDoctor(t, cert.Diagnosis{Verdict: cert.OK}, nil)
		b.app.visit, b.app.open = visit, nil // neither database nor Temporal
		b.app.environ = map[string]string{
			"ACME_ROOT_PEM": roots, "PROBE_ALLOW": "127.0.0.0/8", "PROBE_HTTPS_PORT": strconv.Itoa(int(port)), "PROBE_TIMEOUT": "2s",
		}
		out, errOut := b.run(exitOK, append([]string{"doctor", "shop.example.com", "--resolver", dns, "--root-hint", "none"}, line...)...)
		require.Empty(t, errOut)
		return out
	}
	_, section, found := strings.Cut(run(), "\nHTTPS from here: works at 1 of 4 addresses.\n")
	require.True(t, found)
	lines := strings.SplitN(section, "\n", 5)
	until := right.Leaf.NotAfter.UTC().Format(time.DateOnly)
	require.Equal(t, "  https://shop.example.com at 127.0.0.2: works (certificate valid until "+until+", status 200)", lines[0])
	for i, says := range []string{
		"127.0.0.3: does not work: Browsers refuse the certificate that shop.example.com shows at 127.0.0.3: it is for other names – the " +
			"tenant acts – At your DNS provider, ",
		"127.0.0.4: does not work: From here, shop.example.com can't be reached over HTTPS at 127.0.0.4: the connection is refused",
		"127.0.0.5: does not work: From here, shop.example.com can't be reached over HTTPS at 127.0.0.5: the connection is taken, but TLS " +
			"didn't begin within 2 seconds",
	} {
		require.True(t, strings.HasPrefix(lines[i+1], "  https://shop.example.com at "+says), lines[i+1])
	}

	var got struct {
		Verdict cert.Verdict
		HTTPS   []struct {
			Name, Address string
			OK            bool
			Status        int
			Problem       *cert.Problem
		}
	}
	require.NoError(t, json.Unmarshal([]byte(run("--json")), &got))
	require.Equal(t, cert.OK, got.Verdict, "whether a certificate can be ordered is another question")
	require.Len(t, got.HTTPS, 4)
	require.Equal(t, "127.0.0.2", got.HTTPS[0].Address)
	require.True(t, got.HTTPS[0].OK)
	require.Equal(t, http.StatusOK, got.HTTPS[0].Status)
	require.Nil(t, got.HTTPS[0].Problem)
	require.Equal(t, cert.ServedCertificateWrong, got.HTTPS[1].Problem.Code)
	for _, v := range got.HTTPS[1:] {
		require.False(t, v.OK)
		require.Equal(t, "shop.example.com", v.Name)
		require.NotEmpty(t, v.Problem.Remediation)
		require.Equal(t, cert.TenantActs, v.Problem.WhoActs)
	}
}

func TestA9_RootsThatCannotBeReadDoNotHideTheDiagnosis(t *testing.T) {
	t.Parallel()
	b := setupDoctor(t, cert.Diagnosis{Verdict: cert.OK}, nil)
	b.app.visit = visit
	b.app.environ["ACME_ROOT_PEM"] = write(t, "roots.pem", "no certificate")
	out, errOut := b.run(exitFault, "doctor", "shop.example.com")
	require.Contains(t, out, "shop.example.com: ready.")
	require.Contains(t, errOut, "ACME_ROOT_PEM")
}

func TestA9_CheckVisitsADomainThatHasALiveCertificate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app.environ["PLATFORM_TARGET"] = "edge.example.net"
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	b.workflows.Reply = func(hostname, _ string, _ any) (cert.Answer, error) {
		b.store.Checked(hostname, cert.Diagnosis{CheckedAt: noon, Verdict: cert.OK})
		return cert.Answer{Headline: cert.InstallationComplete, Message: "checked", Checking: true}, nil
	}
	var asked []cert.Question
	b.app.visit = func(_ context.Context, _ doctorSettings, q cert.Question) ([]resolver.Visit, error) {
		asked = append(asked, q)
		return []resolver.Visit{{
			Name: "shop.example.com", Address: netip.MustParseAddr("192.0.2.1"), OK: true, Verdict: cert.OK, Status: 200,
			NotAfter: noon.AddDate(0, 0, 60),
		}}, nil
	}
	out, _ := b.run(exitOK, "check", "shop.example.com")
	require.NotContains(t, out, "HTTPS")
	require.Empty(t, asked, "there is nothing to visit yet")

	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Serial, s.Status.HasLive, s.NotAfter = "0a", true, noon.AddDate(0, 0, 60) })
	out, _ = b.run(exitOK, "check", "shop.example.com")
	require.True(t, strings.HasSuffix(out, `
HTTPS from here: works. If somebody can't open the site all the same, check their browser, network and DNS.
  https://shop.example.com at 192.0.2.1: works (certificate valid until 2026-05-01, status 200)
`), out)
	require.Equal(t, []string{"shop.example.com"}, asked[0].Names)
	require.Contains(
		t,
		asked[0].Expected,
		cert.Record{Name: "shop.example.com", Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress, Hostname: "shop.example.com"},
	)

	out, _ = b.run(exitOK, "check", "shop.example.com", "--json")
	var got struct {
		Hostname string
		HTTPS    []resolver.Visit
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, "shop.example.com", got.Hostname)
	require.Len(t, got.HTTPS, 1)

	b.app.environ["PROBE_ALLOW"] = "nonsense"
	out, errOut := b.run(exitFault, "check", "shop.example.com")
	require.Contains(t, out, "checked", "what was found is shown all the same")
	require.Contains(t, errOut, "PROBE_ALLOW")
	require.Equal(t, workflows.CheckNow, strings.Fields(b.workflows.Asked()[0])[0])
}

func TestA9_VisitsInADevelopmentStackTrustItsCA(t *testing.T) {
	inProject(t)
	b := setupDoctor(t, cert.Diagnosis{Verdict: cert.OK}, nil)
	delete(b.app.environ, "DNS_RESOLVERS")
	var roots []string
	b.app.visit = func(_ context.Context, settings doctorSettings, _ cert.Question) ([]resolver.Visit, error) {
		roots = append(roots, settings.RootPEM)
		return nil, nil
	}
	b.run(exitOK, "doctor", "shop.empty.test")
	b.connected("shop.example.com", func(s *cert.Snapshot) { s.Serial, s.Status.HasLive = "0a", true })
	b.workflows.Reply = func(hostname, _ string, _ any) (cert.Answer, error) {
		b.store.Checked(hostname, cert.Diagnosis{CheckedAt: noon, Verdict: cert.OK})
		return cert.Answer{Message: "checked", Checking: true}, nil
	}
	b.run(exitOK, "check", "shop.example.com")
	require.Equal(t, []string{"/ca/trust.pem", "/ca/trust.pem"}, roots)
}
