package terminator_test

import (
	"crypto/tls"
	"fmt"
	"testing"
)

func TestARetiredNameIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.Install(b.ca.Issue(t, "shop.test"))
	client := &tls.Config{ServerName: "shop.test", RootCAs: b.ca.Roots, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	if !b.resumes(t, client) {
		t.Fatal("a session was not resumed though nothing had changed")
	}
	b.source.Retire("shop.test")
	eventually(t, "the name is refused", func() bool {
		_, err := b.handshake("shop.test")
		return err != nil
	})
	if code := b.alert(t, client); code != unrecognizedName { // it offers to resume
		t.Errorf("alert %d", code)
	}
}

func TestASessionIsNotResumedPastItsCertificate(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.source.Install(b.ca.Issue(t, "shop.test"))
			client := &tls.Config{
				ServerName:         "shop.test",
				RootCAs:            b.ca.Roots,
				MaxVersion:         version,
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			}
			if !b.resumes(t, client) {
				t.Fatal("a session was not resumed though nothing had changed")
			}
			renewed := b.ca.Issue(t, "shop.test")
			b.source.Install(renewed)
			b.eventuallyServes(t, "shop.test", renewed.Serial)
			if state := b.request(
				t,
				client,
			); state.DidResume ||
				fmt.Sprintf("%x", state.PeerCertificates[0].SerialNumber.Bytes()) != renewed.Serial {
				t.Errorf("resumed: %t; the session's certificate was replaced", state.DidResume)
			}
			if !b.request(t, client).DidResume {
				t.Error("the session of the new certificate was not resumed")
			}
		})
	}
}

// resumes makes two requests and reports whether the second resumed the session of the first.
func (b *bundle) resumes(t *testing.T, config *tls.Config) bool {
	t.Helper()
	return !b.request(t, config).DidResume && b.request(t, config).DidResume
}

// request makes a request and returns the connection's state. The ticket that follows a TLS 1.3 handshake has then been read.
func (b *bundle) request(t *testing.T, config *tls.Config) tls.ConnectionState {
	t.Helper()
	conn, err := tls.Dial("tcp", b.https, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the answer is read
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", config.ServerName); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState()
}
