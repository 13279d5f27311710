package install_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/edge/edgetest"
	"github.com/evercert/evercert/edge/terminator"
	"github.com/evercert/evercert/install"
)

// fleet is several edges that serve from one source.
type fleet struct {
	ca        *edgetest.CA
	source    *edgetest.Source
	addresses []string
}

func setup(t *testing.T, edges int) *fleet {
	t.Helper()
	f := &fleet{ca: edgetest.NewCA(t), source: edgetest.NewSource()}
	for range edges {
		edge, err := terminator.New(
			terminator.Options{Source: f.source, PublicHTTPSPort: 443, CacheSize: 100, Log: slog.New(slog.DiscardHandler)},
		)
		if err != nil {
			t.Fatal(err)
		}
		https, plain := listen(t), listen(t)
		f.addresses = append(f.addresses, https.Addr().String())
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- edge.Serve(ctx, https, plain) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	return f
}

func (f *fleet) prober() *install.Prober {
	return install.NewProber(install.Config{Addresses: f.addresses})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestProbeTellsWhatIsServed(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	c := f.ca.Issue(t, "shop.test", "www.shop.test")
	f.source.Install(c)
	got, err := f.prober().Probe(t.Context(), "www.shop.test", f.addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	if got.Serial != c.Serial || strings.Join(got.Names, " ") != "shop.test www.shop.test" || got.Issuer != "edgetest intermediate" ||
		!got.NotAfter.Equal(c.NotAfter) || !got.NotBefore.Equal(c.NotBefore) || !got.CoversName || !got.ChainComplete {
		t.Errorf("%+v of %+v", got, c.Certificate)
	}
}

func TestA1_AnInstallationIsVerifiedOnEveryEdgeForEveryName(t *testing.T) {
	t.Parallel()
	f := setup(t, 3)
	c := f.ca.Issue(t, "shop.test", "www.shop.test")
	f.source.Install(c)
	if edges := f.prober().Edges(); len(edges) != 3 {
		t.Fatal(edges)
	}
	for _, edge := range f.prober().Edges() {
		if err := f.prober().Verify(t.Context(), edge, c.Names, c.Serial); err != nil {
			t.Error(err)
		}
	}
}

func TestVerifyWaitsForAnEdgeThatHearsLate(t *testing.T) {
	t.Parallel()
	ca := edgetest.NewCA(t)
	before, after := ca.Issue(t, "shop.test"), ca.Issue(t, "shop.test")
	address := serve(t, before.TLS(t), before.TLS(t), after.TLS(t))
	if err := install.NewPatientProber(time.Minute).Verify(t.Context(), address, after.Names, after.Serial); err != nil {
		t.Error(err)
	}
}

func TestVerifyLooksAtMoreThanTheSerial(t *testing.T) {
	t.Parallel()
	ca, foreign := edgetest.NewCA(t), edgetest.NewCA(t)
	other, shop := ca.Issue(t, "other.test"), ca.Issue(t, "shop.test")
	broken := shop.TLS(t)
	broken.Certificate[1] = foreign.Issue(t, "any.test").TLS(t).Certificate[1]
	for what, c := range map[string]struct {
		served tls.Certificate
		serial string
		found  string
	}{
		"of another name":         {other.TLS(t), other.Serial, "the certificate, which covers only other.test"},
		"with another CA's chain": {broken, shop.Serial, "the certificate without the chain to its CA"},
	} {
		address := serve(t, c.served)
		err := install.NewPatientProber(0).Verify(t.Context(), address, []string{"shop.test"}, c.serial)
		if p := problem(t, err, cert.ServedCertificateWrong); p.Found != address+", shop.test: "+c.found {
			t.Errorf("a certificate %s: %q", what, p.Found)
		}
	}
}

// serve presents the certificates to clients one after the other, and then always the last one, whatever name they ask for.
func serve(t *testing.T, certificates ...tls.Certificate) (address string) {
	t.Helper()
	var handshakes atomic.Int64
	listener := tls.NewListener(
		listen(t),
		&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { //nolint:gosec // any version will do
			return &certificates[min(int(handshakes.Add(1)), len(certificates))-1], nil
		}},
	)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.Copy(io.Discard, conn) //nolint:errcheck // until the client closes
			conn.Close()              //nolint:errcheck // the client has closed
		}
	}()
	t.Cleanup(func() { listener.Close() }) //nolint:errcheck // the test's end
	return listener.Addr().String()
}

func TestVerifySaysWhatIsWrongWhere(t *testing.T) {
	t.Parallel()
	f := setup(t, 2)
	wanted := f.ca.Issue(t, "shop.test")
	other := f.ca.Issue(t, "shop.test")
	expired := f.ca.IssueUntil(t, time.Now().Add(-time.Hour), "expired.test")
	bare := f.ca.Issue(t, "bare.test")
	f.source.Install(other)
	f.source.Install(expired)
	f.source.InstallWithoutChain(bare)
	for _, c := range []struct {
		name, serial, found string
	}{
		{"shop.test", wanted.Serial, "shop.test: certificate " + other.Serial + " of edgetest intermediate for shop.test"},
		{"unknown.test", wanted.Serial, "unknown.test: no certificate: handshake: remote error: tls: unrecognized name"},
		{"expired.test", expired.Serial, "expired.test: the certificate, which is valid from "},
		{"bare.test", bare.Serial, "bare.test: the certificate without the chain to its CA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, address := range f.addresses {
				err := install.NewPatientProber(0).Verify(t.Context(), address, []string{c.name}, c.serial)
				p := problem(t, err, cert.ServedCertificateWrong)
				if !strings.Contains(p.Found, address+", "+c.found) {
					t.Errorf("%q does not say %q of %s", p.Found, c.found, address)
				}
			}
		})
	}
}

func TestVerifyTellsAnEdgeThatIsDown(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	c := f.ca.Issue(t, "shop.test")
	f.source.Install(c)
	gone := listen(t)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	notTLS := listen(t)
	t.Cleanup(func() { notTLS.Close() }) //nolint:errcheck // the test's end
	go func() {
		for {
			conn, err := notTLS.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "220 mail.test ESMTP\r\n") //nolint:errcheck // the prober reports the error
		}
	}()
	for _, address := range []string{gone.Addr().String(), notTLS.Addr().String()} {
		err := install.NewPatientProber(0).Verify(t.Context(), address, []string{"shop.test", "www.shop.test"}, c.Serial)
		p := problem(t, err, cert.HTTPSUnreachable)
		if !strings.HasPrefix(p.Found, address+", shop.test: no answer: ") || strings.Count(p.Found, "; ") != 1 {
			t.Errorf("found %q", p.Found)
		}
	}
}

// TestF21_AnEdgeWithoutItsDatabaseIsNoRefusal: such an edge answers with the alert internal_error, and Verify waits for it.
func TestF21_AnEdgeWithoutItsDatabaseIsNoRefusal(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	c := f.ca.Issue(t, "shop.test")
	f.source.Break(errors.New("the database is away"))
	err := install.NewPatientProber(0).Verify(t.Context(), f.addresses[0], c.Names, c.Serial)
	if p := problem(t, err, cert.InstallFailed); !strings.Contains(p.Found, "internal_error") {
		t.Errorf("found %q", p.Found)
	}
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.prober().Verify(ctx, f.addresses[0], []string{"shop.test"}, "01"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestBuiltinPassesOnWhatTheStoreSays(t *testing.T) {
	t.Parallel()
	serving := &serving{}
	edge := install.Builtin{Serving: serving}
	if err := errors.Join(edge.Install(t.Context(), []string{"a.test"}, "01"), edge.Retire(t.Context(), []string{"b.test"})); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(serving.calls, "; "); got != "install a.test 01; retire b.test" {
		t.Error(got)
	}
	serving.err = errors.New("down")
	if err := edge.Install(t.Context(), nil, "01"); !errors.Is(err, serving.err) {
		t.Errorf("Install: %v", err)
	}
	if err := edge.Retire(t.Context(), nil); !errors.Is(err, serving.err) {
		t.Errorf("Retire: %v", err)
	}
}

// serving records the calls.
type serving struct {
	calls []string
	err   error
}

func (s *serving) Install(_ context.Context, names []string, serial string) error {
	s.calls = append(s.calls, "install "+strings.Join(names, " ")+" "+serial)
	return s.err
}

func (s *serving) Retire(_ context.Context, names []string) error {
	s.calls = append(s.calls, "retire "+strings.Join(names, " "))
	return s.err
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, addresses := range [][]string{nil, {"edge.test"}, {"edge.test:443", ":443"}, {"edge.test:"}, {""}} {
		err := install.Config{Addresses: addresses}.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "EDGE_ADDRESSES ") || !strings.Contains(err.Error(), "it expects host:port") {
			t.Errorf("%q: %v", addresses, err)
		}
	}
	if err := (install.Config{Addresses: []string{"edge.test:443", "[::1]:8443"}}).Validate(); err != nil {
		t.Error(err)
	}
}

func problem(t *testing.T, err error, code cert.Code) cert.Problem {
	t.Helper()
	var p cert.Problem
	if !errors.As(err, &p) || p.Code != code || p.WhoActs != cert.PlatformActs || p.Remediation == "" {
		t.Fatalf("got %+v (%v), want %s", p, err, code)
	}
	return p
}
