package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/edge/served"
	"github.com/evercert/evercert/edge/terminator"
)

// awaitCopied waits until the edge's copy holds this number of names, with their certificates.
func (b *bundle) awaitCopied(t *testing.T, names int) {
	t.Helper()
	b.eventually(t, fmt.Sprintf("%d names are copied", names), func() bool {
		copied := served.Open(b.crashed(t), b.keys, slog.New(slog.DiscardHandler))
		return copied.Len() == names && copied.Copied() == names
	})
}

// crashed returns a copy of the folder, as a crash at this moment would leave it.
func (b *bundle) crashed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(b.env["EDGE_COPY_DIR"])
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(b.env["EDGE_COPY_DIR"], entry.Name()))
		if os.IsNotExist(err) {
			continue // it was replaced at this moment
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, entry.Name()), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (b *bundle) eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	end := time.After(deadline)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-poll.C:
		case <-end:
			t.Fatalf("not within %s: %s\n%s", deadline, what, b.log)
		}
	}
}

// shown returns the serial number of the certificate that a handshake shows, expired or not.
func (b *bundle) shown(name string) (string, error) {
	//nolint:gosec // an expired one is looked at, too
	conn, err := tls.Dial("tcp", b.https, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", conn.ConnectionState().PeerCertificates[0].SerialNumber.Bytes()), conn.Close()
}

// sure waits until the edge has compared its names with the database.
func (b *bundle) sure(t *testing.T) {
	t.Helper()
	b.eventually(t, "the names are compared", func() bool { return b.edge.source.NotServed("nobody.test") })
}

// holdServed delays every query for certificates until release is called.
func (b *bundle) holdServed(t *testing.T) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE served_names IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(release)
	return release
}

// waiting returns the number of connections whose query waits for a lock.
func (b *bundle) waiting(t *testing.T) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // read only
	const query = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestF22_AnEdgeStartedWithoutItsDatabaseServesWhatItServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d, wildcard := b.connect(t, "shop.test", "www.shop.test"), b.connect(t, "*.shops.test")
	live := b.installed(t, d, 1)
	platform := b.issue(t, wildcard, 1)
	b.put(t, wildcard.Names, platform)
	redirecting := cert.Snapshot{Domain: d, Seq: 1, HTTPSRedirect: true, At: time.Now(), Status: cert.Status{
		Domain: cert.DomainActive, Certificate: cert.CertificateActive, Renewal: cert.RenewalScheduled, HasLive: true,
	}}
	if err := b.store.RecordStatus(t.Context(), redirecting); err != nil {
		t.Fatal(err)
	}
	b.eventually(t, "the redirect is served", func() bool { return b.plainStatus(t, "shop.test") == http.StatusPermanentRedirect })
	b.awaitCopied(t, 3)
	b.admit(t, false)
	b.stop()
	b.start(t)
	for range 2 {
		for name, serial := range map[string]string{"shop.test": live.Serial, "www.shop.test": live.Serial, "any.shops.test": platform.Serial} {
			if got, err := b.shown(name); err != nil || got != serial {
				t.Errorf("%s is served with %s, %v; want %s", name, got, err, serial)
			}
		}
	}
	if status := b.plainStatus(t, "shop.test"); status != http.StatusPermanentRedirect {
		t.Errorf("the redirect was forgotten: %d", status)
	}
	if err := b.handshake("unknown.test"); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("a name that may have been installed meanwhile: %v", err)
	}
	b.theCAIsToldToTryLater(t)

	b.admit(t, true)
	b.sure(t)
	if err := b.handshake("unknown.test"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("after the database came back: %v", err)
	}
	b.installed(t, b.connect(t, "new.test"), 1)
}

// theCAIsToldToTryLater checks that no answer says that there is no challenge.
func (b *bundle) theCAIsToldToTryLater(t *testing.T) {
	t.Helper()
	response, err := http.Get("http://" + b.edge.plain.Addr().String() + dcv.HTTP01Path + "token")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("http-01: %s, Retry-After %q", response.Status, response.Header.Get("Retry-After"))
	}
	answer, err := dns.Exchange(
		new(dns.Msg).SetQuestion(cert.DelegationLabel("shop.test", []byte("a secret"))+".dcv.test.", dns.TypeTXT),
		b.edge.dns.Addr(),
	)
	if err != nil || answer.Rcode != dns.RcodeServerFailure {
		t.Errorf("dns-01: %v, %v", answer, err)
	}
	//nolint:gosec // as a CA does
	_, err = tls.Dial("tcp", b.https, &tls.Config{ServerName: "shop.test", NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("tls-alpn-01: %v", err)
	}
}

func TestF22_ARemovedNameDoesNotComeBackFromTheCopy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gone, stays := b.connect(t, "gone.test"), b.connect(t, "stays.test")
	b.installed(t, gone, 1)
	b.installed(t, stays, 1)
	b.awaitCopied(t, 2)
	if err := b.install.Retire(t.Context(), gone.Names); err != nil {
		t.Fatal(err)
	}
	b.eventually(t, "the edge has read the change", func() bool { return b.edge.source.NotServed("gone.test") })
	b.env["EDGE_COPY_DIR"] = b.crashed(t) // a crash, with no time to save the list
	b.admit(t, false)
	b.stop()
	b.start(t)
	if got, err := b.shown("gone.test"); err == nil {
		t.Errorf("it came back with %s", got)
	}
	if err := b.handshake("stays.test"); err != nil {
		t.Error(err)
	}
}

// TestF22_ANameRemovedMeanwhileIsServedNoMore: the name was removed while the edge was down.
func TestF22_ANameRemovedMeanwhileIsServedNoMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.connect(t, "gone.test")
	b.installed(t, d, 1)
	b.awaitCopied(t, 1)
	b.stop()
	if err := b.install.Retire(t.Context(), d.Names); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.eventually(t, "it is refused", func() bool {
		_, err := b.shown("gone.test")
		return err != nil && strings.Contains(err.Error(), "unrecognized name")
	})
	b.awaitCopied(t, 0)
}

// TestF22_UntilTheNamesAreComparedTheDatabaseIsAsked: the copy may be outdated.
func TestF22_UntilTheNamesAreComparedTheDatabaseIsAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d, gone := b.connect(t, "shop.test"), b.connect(t, "gone.test")
	old := b.installed(t, d, 1)
	b.installed(t, gone, 1)
	b.awaitCopied(t, 2)
	b.stop()
	renewed := b.issue(t, d, 2)
	b.put(t, d.Names, renewed)
	if err := b.install.Retire(t.Context(), gone.Names); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(b.log, nil))
	s := newSource(b.store, served.Open(b.env["EDGE_COPY_DIR"], b.keys, log), b.keys, log) // no goroutine follows the database
	s.patience = deadline
	if m, err := s.Load(t.Context(), "shop.test"); err != nil || m.Serial != renewed.Serial {
		t.Errorf("%s, %v; want %s, not %s", m.Serial, err, renewed.Serial, old.Serial)
	}
	if m, err := s.Load(t.Context(), "gone.test"); !errors.Is(err, terminator.ErrNotServed) {
		t.Errorf("a removed name is served with %s, %v", m.Serial, err)
	}
	s.patience = 0 // the database does not answer in time
	if m, err := s.Load(t.Context(), "shop.test"); err != nil || m.Serial != old.Serial {
		t.Errorf("%s, %v; want %s", m.Serial, err, old.Serial)
	}
	if err := s.names.Close(); err != nil {
		t.Error(err)
	}
}

func TestF21_AnExpiredCertificateOfTheCopyIsNotGivenToTheFirstVisitor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.connect(t, "shop.test")
	old := b.issueUntil(t, d, 1, time.Now().Add(-time.Hour))
	b.put(t, d.Names, old)
	b.awaitCopied(t, 1)
	b.stop()
	renewed := b.issue(t, d, 2)
	b.put(t, d.Names, renewed)
	folder := b.env["EDGE_COPY_DIR"]
	b.env["EDGE_COPY_DIR"] = b.crashed(t)
	b.start(t)
	if got, err := b.shown("shop.test"); err != nil || got != renewed.Serial {
		t.Errorf("the first visitor got %s, %v; want %s, not the expired %s", got, err, renewed.Serial, old.Serial)
	}
	b.stop()
	b.env["EDGE_COPY_DIR"] = folder
	b.admit(t, false)
	b.start(t)
	if got, err := b.shown("shop.test"); err != nil || got != old.Serial { // it is not known whether there is a newer one
		t.Errorf("without the database: %s, %v", got, err)
	}
}

// TestF21_AnExpiredCertificateIsNotBelievedToBeTheNewest: the announcement of the renewal was lost, and the edge is sure of its copy.
func TestF21_AnExpiredCertificateIsNotBelievedToBeTheNewest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.connect(t, "shop.test")
	old := b.issueUntil(t, d, 1, time.Now().Add(-time.Hour))
	b.put(t, d.Names, old)
	b.awaitCopied(t, 1)
	b.sure(t)
	renewed := b.issue(t, d, 2)
	conn, err := pgx.Connect(t.Context(), b.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	//nolint:errcheck // the update has answered
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `UPDATE served_names SET serial = $1`, renewed.Serial); err != nil { // and no notification
		t.Fatal(err)
	}
	if got, err := b.shown("shop.test"); err != nil || got != renewed.Serial {
		t.Errorf("the first visitor got %s, %v; want %s", got, err, renewed.Serial)
	}
}

// TestA9_AnUnknownNameCostsNoQuery: every query for a name would wait, and end with the alert internal_error.
func TestA9_AnUnknownNameCostsNoQuery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.connect(t, "shop.test")
	b.installed(t, d, 1)
	b.sure(t)
	b.awaitCopied(t, 1)
	b.holdServed(t)
	for i := range 200 {
		name := fmt.Sprintf("unknown%d.test", i)
		if err := b.handshake(name); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Fatalf("%s: %v", name, err)
		}
		b.plainStatus(t, name)
	}
	if err := b.handshake("shop.test"); err != nil {
		t.Error(err)
	}
}

// TestD2_ChallengesHaveConnectionsOfTheirOwn: the CA is answered while handshakes use all of their connections.
func TestD2_ChallengesHaveConnectionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := setup(t, func(env map[string]string) { env["DATABASE_MAX_CONNS"], env["EDGE_COPY_DIR"] = "2", "none" })
	names := []string{"a.test", "b.test", "c.test", "d.test"}
	d := b.connect(t, names...)
	c := b.issue(t, d, 1)
	b.put(t, names, c)
	b.sure(t)
	if err := b.store.PutHTTPToken(t.Context(), "token", "token.thumbprint", time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := b.store.PutTLSChallenge(t.Context(), "shop.test", "token.thumbprint", time.Hour); err != nil {
		t.Fatal(err)
	}
	value := cert.DelegationLabel("shop.test", []byte("a tenant's secret")) + ".dcv.test"
	if err := b.store.PutTXT(t.Context(), value, "digest", time.Hour); err != nil {
		t.Fatal(err)
	}
	release := b.holdServed(t)
	var visitors sync.WaitGroup
	for _, name := range names {
		visitors.Go(func() { b.handshake(name) }) //nolint:errcheck // it waits for a connection
	}
	b.eventually(t, "all connections are taken", func() bool { return b.waiting(t) == 2 })

	response, err := http.Get("http://" + b.edge.plain.Addr().String() + dcv.HTTP01Path + "token")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "token.thumbprint" {
		t.Errorf("http-01: %s %q, %v", response.Status, body, err)
	}
	answer, err := dns.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(value), dns.TypeTXT), b.edge.dns.Addr())
	if err != nil || len(answer.Answer) != 1 {
		t.Errorf("dns-01: %v, %v", answer, err)
	}
	//nolint:gosec // as a CA does
	conn, err := tls.Dial("tcp", b.https, &tls.Config{ServerName: "shop.test", NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err != nil {
		t.Errorf("tls-alpn-01: %v", err)
	} else {
		conn.Close() //nolint:errcheck // its certificate was shown
	}
	release()
	visitors.Wait()
}

// TestF22_WithoutADiskTheEdgeServesAndSaysSo covers a folder that can't be written, and one of another keyring.
func TestF22_WithoutADiskTheEdgeServesAndSaysSo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := setup(t, func(env map[string]string) { env["EDGE_COPY_DIR"] = filepath.Join(file, "copy") })
	b.installed(t, b.connect(t, "shop.test"), 1)
	if got := b.log.String(); !strings.Contains(got, "own copy can't be kept") || !strings.Contains(got, file) {
		t.Errorf("the log says %q", got)
	}

	b.stop()
	b.env["EDGE_COPY_DIR"] = t.TempDir()
	b.start(t)
	b.awaitCopied(t, 1)
	b.stop()
	b.env["KEYRING_FILE"] = filepath.Join(t.TempDir(), "other.json")
	b.keys = newKeyring(t, b.env["KEYRING_FILE"]) // a new keyring, for the worker too
	d := b.connect(t, "new.test")
	b.start(t)
	b.installed(t, d, 1)
	if got := b.log.String(); !strings.Contains(got, "can't be used, and is made anew") {
		t.Errorf("the log says %q", got)
	}
}

// issueUntil is like issue, with another end.
func (b *bundle) issueUntil(t *testing.T, d cert.Domain, n int, notAfter time.Time) cert.Certificate {
	t.Helper()
	return b.keep(t, d, n, b.ca.IssueUntil(t, notAfter, d.Names...))
}
