package main

import (
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/store"
)

func TestA1_WhatIsInstalledInTheDatabaseIsServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.connect(t, "shop.test", "www.shop.test")
	if err := b.handshake("shop.test"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("before the installation: %v", err)
	}
	b.installed(t, d, 1)
	if err := b.install.Retire(t.Context(), d.Names); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(deadline); b.handshake("shop.test") == nil; {
		if time.Now().After(end) {
			t.Fatal("a retired name is still served")
		}
	}
}

func TestB2_ARenewalTurnsNoClientAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.connect(t, "shop.test")
	b.installed(t, d, 1)
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for range 2 { // clients that connect continuously
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := b.handshake("shop.test"); err != nil {
					t.Errorf("a client was turned away: %v", err)
					return
				}
			}
		})
	}
	for n := 2; n <= 10; n++ {
		b.installed(t, d, n)
	}
	close(stop)
	clients.Wait()
}

func TestD2_TheEdgeAnswersTheCA(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.store.PutHTTPToken(t.Context(), "token", "token.thumbprint", time.Hour); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + b.edge.plain.Addr().String() + dcv.HTTP01Path + "token")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "token.thumbprint" {
		t.Errorf("http-01: %s %q, %v", response.Status, body, err)
	}

	name := cert.DelegationLabel("shop.test", []byte("a tenant's secret")) + ".dcv.test"
	if err := b.store.PutTXT(t.Context(), name, "digest", time.Hour); err != nil {
		t.Fatal(err)
	}
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT)
	answer, err := dns.Exchange(question, b.edge.dns.Addr())
	if err != nil || len(answer.Answer) != 1 || !strings.HasSuffix(answer.Answer[0].String(), "\"digest\"") {
		t.Errorf("dns-01: %v, %v", answer, err)
	}
}

func TestA3_RedirectFollowsTheDomainsSetting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.connect(t, "shop.test")
	b.installed(t, d, 1)
	if status := b.plainStatus(t, "shop.test"); status != http.StatusOK {
		t.Errorf("before it is switched on: %d", status)
	}
	snapshot := cert.Snapshot{Domain: d, Seq: 1, HTTPSRedirect: true, At: time.Now(), Status: cert.Status{
		Domain: cert.DomainActive, Certificate: cert.CertificateActive, Renewal: cert.RenewalScheduled, HasLive: true,
	}}
	if err := b.store.RecordStatus(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(deadline); b.plainStatus(t, "shop.test") != http.StatusPermanentRedirect; {
		if time.Now().After(end) {
			t.Fatal("the redirect that was switched on is not served")
		}
	}
}

func TestAKeyOfAnotherKeyringIsToldInTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.connect(t, "shop.test")
	b.keys = newKeyring(t, filepath.Join(t.TempDir(), "other.json")) // the worker uses another keyring by mistake
	c := b.issue(t, d, 1)
	b.put(t, d.Names, c)
	for end := time.Now().Add(deadline); ; { // the edge is notified of the installation shortly afterwards
		err := b.handshake("shop.test")
		if err != nil && strings.Contains(err.Error(), "internal error") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the client got %v", err)
		}
	}
	if got := b.log.String(); !strings.Contains(got, "name=shop.test") || !strings.Contains(got, "open the key of certificate "+c.Serial) {
		t.Errorf("the log says %q", got)
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	right := map[string]string{"DATABASE_URL": "postgres://db/evercert", "KEYRING_FILE": "keys.json"}
	if _, err := config.LoadFrom[Config](right); err != nil {
		t.Errorf("what suffices: %v", err)
	}
	for variable, value := range map[string]string{
		"EDGE_HTTPS_LISTEN": "8443", "EDGE_HTTP_LISTEN": "8080", "EDGE_PUBLIC_HTTPS_PORT": "0", "EDGE_CACHE_SIZE": "0",
		"EDGE_UPSTREAM": "shops.internal:3000",
	} {
		wrong := maps.Clone(right)
		wrong[variable] = value
		_, err := config.LoadFrom[Config](wrong)
		if err == nil || !strings.Contains(err.Error(), variable+" is ") || !strings.Contains(err.Error(), "it expects") {
			t.Errorf("%s=%s: %v", variable, value, err)
		}
	}
}

func TestServingOutlivesTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.connect(t, "shop.test")
	b.installed(t, d, 1)
	b.admit(t, false)
	if err := b.store.Ready(t.Context()); err == nil {
		t.Fatal("the database still answers")
	}
	for range 20 {
		if err := b.handshake("shop.test"); err != nil {
			t.Fatalf("with the database down: %v", err)
		}
	}
	if err := b.handshake("uncached.test"); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("a name that can't be looked up: %v", err)
	}
	b.admit(t, true)
	worker, err := store.Open(t.Context(), b.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	b.store, b.install.Serving = worker, worker // the edge continues with the connections that broke
	second := b.issue(t, d, 2)
	b.put(t, d.Names, second)
	// The edge may still be waiting to reconnect, and Verify waits only for an edge that listens.
	for end := time.Now().Add(deadline); ; {
		err := b.prober.Verify(t.Context(), b.prober.Edges()[0], d.Names, second.Serial)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after the database came back: %v", err)
		}
	}
}
