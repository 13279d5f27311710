package terminator_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/evercert/evercert/edge/terminator"
)

// TestF21_HandshakesThatFailLeaveTheEdgeAlone: a client that sends HTTP to the HTTPS port gets an answer that says so, one that sends
// random bytes is refused, one that sends nothing delays no other, and a panic costs one connection.
func TestF21_HandshakesThatFailLeaveTheEdgeAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *terminator.Options) {
		o.TLSChallenges = func(context.Context, string) (*tls.Certificate, error) { panic("as asked") }
	})
	c := b.ca.Issue(t, "shop.test")
	b.source.Install(c)
	dial := func(begin string) net.Conn {
		conn, err := net.Dial("tcp", b.https)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() }) //nolint:errcheck // the test's end
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	dial("")
	if line, err := bufio.NewReader(dial("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")).
		ReadString('\n'); !strings.HasPrefix(
		line,
		"HTTP/1.1 400 ",
	) {
		t.Errorf("HTTP was answered %q, %v", line, err)
	}
	if answer, err := io.ReadAll(dial("junk that is no handshake\r\n")); strings.HasPrefix(string(answer), "HTTP") {
		t.Errorf("junk was answered %q, %v", answer, err)
	}
	if conn, err := tls.Dial(
		"tcp",
		b.https,
		&tls.Config{ServerName: "shop.test", RootCAs: b.ca.Roots, NextProtos: []string{"acme-tls/1"}},
	); err == nil {
		t.Errorf("the handshake succeeded: %v", conn.Close())
	}
	b.serves(t, "shop.test", c.Serial)
}
