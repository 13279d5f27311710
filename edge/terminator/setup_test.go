package terminator_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/evercert/evercert/edge/edgetest"
	"github.com/evercert/evercert/edge/terminator"
)

// deadline is for what happens in milliseconds, on a machine that may be busy with other tests.
var quiet = slog.New(slog.DiscardHandler)

const deadline = 30 * time.Second

// bundle is a running edge with its own source.
type bundle struct {
	ca           *edgetest.CA
	source       *edgetest.Source
	terminator   *terminator.Terminator
	https, plain string // addresses
	stop         func() error
}

// setup starts an edge; change adapts its options.
func setup(t testing.TB, change ...func(*terminator.Options)) *bundle {
	t.Helper()
	return start(t, time.Minute, change...)
}

func start(t testing.TB, stall time.Duration, change ...func(*terminator.Options)) *bundle {
	t.Helper()
	b := &bundle{ca: edgetest.NewCA(t), source: edgetest.NewSource()}
	options := terminator.Options{Source: b.source, PublicHTTPSPort: 443, CacheSize: 100, Log: quiet}
	for _, f := range change {
		f(&options)
	}
	var err error
	if b.terminator, err = terminator.NewWithStall(options, stall); err != nil {
		t.Fatal(err)
	}
	https, plain := listen(t), listen(t)
	b.https, b.plain = https.Addr().String(), plain.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.terminator.Serve(ctx, https, plain) }()
	b.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Errorf("the edge ended with: %v", err)
		}
	})
	<-b.source.Heard()
	return b
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// handshake opens a TLS connection for a name, as a browser that trusts the test CA, and returns the serial that was presented.
func (b *bundle) handshake(name string) (string, error) {
	conn, err := tls.Dial("tcp", b.https, &tls.Config{ServerName: name, RootCAs: b.ca.Roots})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", conn.ConnectionState().PeerCertificates[0].SerialNumber.Bytes()), conn.Close()
}

// serves fails the test unless a handshake for name presents this serial now.
func (b *bundle) serves(t testing.TB, name, serial string) {
	t.Helper()
	if got, err := b.handshake(name); err != nil || got != serial {
		t.Fatalf("%s is served with %q, %v; want %s", name, got, err, serial)
	}
}

// eventuallyServes fails the test unless handshakes for name present this serial soon.
func (b *bundle) eventuallyServes(t testing.TB, name, serial string) {
	t.Helper()
	eventually(t, name+" is served with "+serial, func() bool {
		got, err := b.handshake(name)
		return err == nil && got == serial
	})
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	end := time.After(deadline)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-poll.C:
		case <-end:
			t.Fatalf("not within %s: %s", deadline, what)
		}
	}
}

// client reaches the edge under every name, and follows no redirect; change adapts how it connects.
func (b *bundle) client(t testing.TB, change ...func(*http.Transport)) *http.Client {
	t.Helper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			edge := b.plain
			if port == "443" {
				edge = b.https
			}
			return (&net.Dialer{}).DialContext(ctx, network, edge)
		},
		TLSClientConfig:   &tls.Config{RootCAs: b.ca.Roots},
		ForceAttemptHTTP2: true,
	}
	for _, f := range change {
		f(transport)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       deadline,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get fetches a page and returns the answer with its body read.
func get(t testing.TB, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return response, read(t, response)
}

func read(t testing.TB, response *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// alert makes a handshake that must fail, and returns the code of the TLS alert that the edge sent in clear (RFC 8446 §6).
func (b *bundle) alert(t testing.TB, config *tls.Config) byte {
	t.Helper()
	raw, err := net.Dial("tcp", b.https)
	if err != nil {
		t.Fatal(err)
	}
	tap := &tapped{Conn: raw}
	conn := tls.Client(tap, config)
	err = conn.Handshake()
	conn.Close() //nolint:errcheck // it has failed
	if err == nil {
		t.Fatalf("the handshake for %q succeeded", config.ServerName)
	}
	record := tap.seen.Bytes()
	const alertRecord, fatal = 21, 2
	if len(record) != 7 || record[0] != alertRecord || record[5] != fatal {
		t.Fatalf("the edge sent %x (%v), not one fatal alert", record, err)
	}
	return record[6]
}

// tapped keeps the bytes that the other side sent.
type tapped struct {
	net.Conn
	seen bytes.Buffer
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.seen.Write(p[:n])
	return n, err
}
