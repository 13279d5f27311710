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
		t.Fatal("a session that nothing happened to was not resumed")
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
			client := &tls.Config{ServerName: "shop.test", RootCAs: b.ca.Roots, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			if !b.resumes(t, client) {
				t.Fatal("a session that nothing happened to was not resumed")
			}
			renewed := b.ca.Issue(t, "shop.test")
			b.source.Install(renewed)
			b.eventuallyServes(t, "shop.test", renewed.Serial)
			if state := b.visit(t, client); state.DidResume || fmt.Sprintf("%x", state.PeerCertificates[0].SerialNumber.Bytes()) != renewed.Serial {
				t.Errorf("resumed: %t; the session's certificate was replaced", state.DidResume)
			}
			if !b.visit(t, client).DidResume {
				t.Error("the session of the new certificate was not resumed")
			}
		})
	}
}

// resumes visits twice and tells whether the second time resumed the first's session.
func (b *bundle) resumes(t *testing.T, config *tls.Config) bool {
	t.Helper()
	return !b.visit(t, config).DidResume && b.visit(t, config).DidResume
}

// visit makes a request, so that the ticket that follows a TLS 1.3 handshake has been read.
func (b *bundle) visit(t *testing.T, config *tls.Config) tls.ConnectionState {
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
