package terminator_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/evercert/evercert/edge/edgetest"
	"github.com/evercert/evercert/edge/terminator"
)

// challenges answers tls-alpn-01 for the names it holds.
type challenges struct {
	mu     sync.Mutex
	shown  map[string]*tls.Certificate
	failed error
	asked  []string
}

func (c *challenges) answer(_ context.Context, name string) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, name)
	return c.shown[name], c.failed
}

func (c *challenges) askedFor() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked)
}

// setupChallenges starts an edge that answers challenges, with one open for shop.test: the certificate of another CA.
func setupChallenges(t *testing.T) (*bundle, *challenges) {
	t.Helper()
	open := edgetest.NewCA(t).Issue(t, "shop.test").TLS(t)
	c := &challenges{shown: map[string]*tls.Certificate{"shop.test": &open}}
	return setup(t, func(o *terminator.Options) { o.TLSChallenges = c.answer }), c
}

// asCA returns the config with which a CA validates a name (RFC 8737 §3).
func asCA(name string) *tls.Config {
	return &tls.Config{ServerName: name, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true} //nolint:gosec // as the RFC demands
}

func TestACAGetsTheAnswerToItsChallengeAndNothingElse(t *testing.T) {
	t.Parallel()
	b, c := setupChallenges(t)
	live := b.ca.Issue(t, "shop.test")
	b.source.Install(live) // a renewal: the name is served at the same time
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, name := range []string{"shop.test", "Shop.TEST"} {
			config := asCA(name)
			config.MinVersion, config.MaxVersion = version, version
			config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for range 2 {
				conn, err := tls.Dial("tcp", b.https, config)
				if err != nil {
					t.Fatal(err)
				}
				state := conn.ConnectionState()
				if state.NegotiatedProtocol != "acme-tls/1" || string(state.PeerCertificates[0].Raw) != string(c.shown["shop.test"].Certificate[0]) ||
					state.DidResume {
					t.Errorf(
						"%x %s: protocol %q, certificate of %s, resumed %t",
						version,
						name,
						state.NegotiatedProtocol,
						state.PeerCertificates[0].Issuer,
						state.DidResume,
					)
				}
				conn.SetDeadline(time.Now().Add(deadline))                          //nolint:errcheck // the read reports errors
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")   //nolint:errcheck // the edge may have closed already
				if said, err := io.ReadAll(conn); len(said) > 0 || isTimeout(err) { // closed, by a reset perhaps
					t.Errorf("after the handshake the edge said %q, %v", said, err)
				}
				conn.Close() //nolint:errcheck // it is closed already
			}
		}
	}
	b.serves(t, "shop.test", live.Serial)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestACAWithoutAnOpenChallengeIsToldSo(t *testing.T) {
	t.Parallel()
	const noApplicationProtocol, internalError = 120, 80
	b, c := setupChallenges(t)
	served := b.ca.Issue(t, "served.test")
	b.source.Install(served)
	b.serves(t, "served.test", served.Serial)
	for _, name := range []string{"served.test", "unknown.test", "", "no_name!.test"} {
		if alert := b.alert(t, asCA(name)); alert != noApplicationProtocol {
			t.Errorf("%q: alert %d", name, alert)
		}
	}
	c.mu.Lock()
	c.failed = errDown
	c.mu.Unlock()
	if alert := b.alert(t, asCA("shop.test")); alert != internalError {
		t.Errorf("with the store down: alert %d", alert)
	}
	without := setup(t)
	without.source.Install(without.ca.Issue(t, "served.test"))
	if alert := without.alert(t, asCA("served.test")); alert != noApplicationProtocol {
		t.Errorf("an edge that answers no challenges: alert %d", alert)
	}
}

// TestVisitorsNeverWaitForChallenges: only a handshake that offers nothing but acme-tls/1 reads the open challenges, and a slow one delays
// no other.
func TestVisitorsNeverWaitForChallenges(t *testing.T) {
	t.Parallel()
	b, c := setupChallenges(t)
	b.source.Install(b.ca.Issue(t, "shop.test"))
	c.mu.Lock() // whoever reads a challenge waits from here on
	began := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		close(began)
		conn, err := tls.Dial("tcp", b.https, asCA("shop.test"))
		if err == nil {
			err = conn.Close()
		}
		ended <- err
	}()
	<-began
	for _, offers := range [][]string{nil, {"h2", "http/1.1"}, {"h2", "acme-tls/1"}, {"acme-tls/1", "http/1.1"}} {
		conn, err := tls.Dial("tcp", b.https, &tls.Config{ServerName: "shop.test", RootCAs: b.ca.Roots, NextProtos: offers})
		if err != nil {
			t.Fatalf("%q: %v", offers, err)
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got == "acme-tls/1" {
			t.Errorf("%q: got %q", offers, got)
		}
		conn.Close() //nolint:errcheck // it was open, which counts
	}
	c.mu.Unlock()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if asked := c.askedFor(); asked != 1 {
		t.Errorf("challenges were read %d times; want 1, by the CA", asked)
	}
}
