package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
)

// caBench is a CA on HTTP/2 with a DNS server that holds what challenges need.
type caBench struct {
	ca      *testCA
	url     string
	client  *http.Client
	records *recordStore
}

func newCABench(t *testing.T) *caBench {
	t.Helper()
	s, address := startDNS(t, dnsOptions{})
	ca := must[*testCA](t)(newTestCA(caOptions{dns: address, httpPort: 1, tlsPort: 1, ordersPerPage: 3}))
	srv := httptest.NewUnstartedServer(ca.front)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return &caBench{ca: ca, url: srv.URL, client: srv.Client(), records: s.zones.store}
}

func (b *caBench) account(t *testing.T) *api.Core {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	core := must[*api.Core](t)(api.New(b.client, "devstack-test", b.url+"/dir", "", key))
	account := must[acme.ExtendedAccount](t)(core.Accounts.New(acme.Account{TermsOfServiceAgreed: true}))
	return must[*api.Core](t)(api.New(b.client, "devstack-test", b.url+"/dir", account.Location, key))
}

// issue gets one certificate by dns-01 and returns it.
func (b *caBench) issue(core *api.Core, name string) ([]byte, error) {
	order, err := core.Orders.NewWithOptions([]string{name}, &api.OrderOptions{Profile: "minutes"})
	if err != nil {
		return nil, fmt.Errorf("new order: %w", err)
	}
	authz, err := core.Authorizations.Get(order.Authorizations[0])
	if err != nil {
		return nil, fmt.Errorf("authorization: %w", err)
	}
	for _, challenge := range authz.Challenges {
		if challenge.Type != "dns-01" {
			continue
		}
		authorization, err := core.GetKeyAuthorization(challenge.Token)
		if err != nil {
			return nil, err
		}
		if err := b.records.set(dnsRecord{"_acme-challenge." + name, "TXT", digest(authorization)}); err != nil {
			return nil, err
		}
		if _, err := core.Challenges.New(challenge.URL); err != nil {
			return nil, fmt.Errorf("challenge: %w", err)
		}
	}
	if err := awaitOrder(core, order.Location, acme.StatusReady); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return nil, err
	}
	if _, err := core.Orders.UpdateForCSR(order.Finalize, csr); err != nil {
		return nil, fmt.Errorf("finalize: %w", err)
	}
	if err := awaitOrder(core, order.Location, acme.StatusValid); err != nil {
		return nil, err
	}
	order, err = core.Orders.Get(order.Location)
	if err != nil {
		return nil, err
	}
	certificate, _, err := core.Certificates.Get(order.Certificate, true)
	return certificate, err
}

func awaitOrder(core *api.Core, location, status string) error {
	var order acme.ExtendedOrder
	var err error
	poll(30*time.Second, 20*time.Millisecond, func() bool {
		order, err = core.Orders.Get(location)
		return err != nil || order.Status == status || order.Status == acme.StatusInvalid
	})
	if err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	if order.Status != status {
		return fmt.Errorf("the order is %s, want %s", order.Status, status)
	}
	return nil
}

func digest(keyAuthorization string) string {
	// RFC 8555 section 8.4
	sum := sha256.Sum256([]byte(keyAuthorization))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestStatsCountWhatTheCADid(t *testing.T) {
	t.Parallel()
	b := newCABench(t)
	core := b.account(t)
	certificate, err := b.issue(core, "shop.empty.test")
	if err != nil {
		t.Fatal(err)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(b.ca.rootPEM)
	block, rest := pem.Decode(certificate)
	intermediates.AppendCertsFromPEM(rest)
	leaf := must[*x509.Certificate](t)(x509.ParseCertificate(block.Bytes))
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, DNSName: "shop.empty.test"})
	if err != nil {
		t.Errorf("the certificate doesn't lead to the published root: %v", err)
	}
	if got, want := b.ca.front.stats(), (caStats{Orders: 1, Finalizes: 1, Certificates: 1}); got != want {
		t.Errorf("after one issuance: %+v, want %+v", got, want)
	}
	if _, err := core.Orders.NewWithOptions([]string{"shop.empty.test"}, &api.OrderOptions{Profile: "unknown"}); err == nil {
		t.Error("an unknown profile must be refused")
	}
	if got := b.ca.front.stats(); got.Rejected != 1 || got.Orders != 1 {
		t.Errorf("after a refused order: %+v", got)
	}
	b.ca.front.reset()
	if got := b.ca.front.stats(); got != (caStats{}) {
		t.Errorf("after a reset: %+v", got)
	}
}

// Ungated, Pebble v2.10.1 locks up for good at this number of clients.
func TestGateSurvivesManyClients(t *testing.T) {
	t.Parallel()
	b := newCABench(t)
	const clients, each = 32, 3
	var wg sync.WaitGroup
	failures := make(chan error, clients*each)
	for c := range clients {
		core := b.account(t)
		wg.Go(func() {
			for i := range each {
				if _, err := b.issue(core, fmt.Sprintf("c%d-%d.empty.test", c, i)); err != nil {
					failures <- err
				}
			}
		})
	}
	wg.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	if got := b.ca.front.stats(); got.Certificates != clients*each {
		t.Errorf("%d certificates, want %d", got.Certificates, clients*each)
	}
}

func TestSecondChallengeOfAnAuthorizationIsRefused(t *testing.T) {
	t.Parallel()
	b := newCABench(t)
	core := b.account(t)
	order := must[acme.ExtendedOrder](t)(core.Orders.NewWithOptions([]string{"two.empty.test"}, &api.OrderOptions{Profile: "default"}))
	authz := must[acme.Authorization](t)(core.Authorizations.Get(order.Authorizations[0]))
	for i, challenge := range authz.Challenges[:2] {
		_, err := core.Challenges.New(challenge.URL)
		if accepted := err == nil; accepted != (i == 0) {
			t.Errorf("challenge %d: %v", i+1, err)
		}
	}
	if _, err := core.Orders.Get(order.Location); err != nil {
		t.Errorf("the CA must go on answering: %v", err)
	}
}

func TestFaultActionsOverHTTP2(t *testing.T) {
	t.Parallel()
	b := newCABench(t)
	order := func(action string, times int) {
		t.Helper()
		if err := b.ca.front.addFault(faultOrder{Path: "directory", Action: action, Times: times}); err != nil {
			t.Fatal(err)
		}
	}
	get := func() (*http.Response, string, error) {
		resp, err := b.client.Get(b.url + "/dir")
		if err != nil {
			return nil, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp, string(body), err
	}
	for _, action := range []string{"drop-request", "drop-response", "truncate"} {
		order(action, 1)
		if resp, body, err := get(); err == nil {
			t.Errorf("%s: answered %s %q", action, resp.Status, body)
		}
		resp, _, err := get()
		if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
			t.Fatalf("after %s: the next request must succeed, over HTTP/2: %v", action, err)
		}
	}
	for _, c := range []struct {
		action, contains, retryAfter string
		code                         int
	}{
		{"status:500", "serverInternal", "", 500},
		{"rate-limit:90", "urn:ietf:params:acme:error:rateLimited", "90", 429},
		{"paused", "temporarily prevented from requesting certificates", "", 429},
		{"problem:caa", "urn:ietf:params:acme:error:caa", "", 403},
		{`problem:caa:nul\x00 esc\u001b: "x"`, `"detail":"nul\u0000 esc\u001b: \"x\""`, "", 403},
		{`problem:caa:plain "x" \q`, `"detail":"plain \"x\" \\q"`, "", 403},
		{"html-503:30", "<html>", "30", 503},
		{"garble:null", "null", "", 200},
		{"garble:numbers", `"newOrder":7`, "", 200},
		{"garble:relative", `"newOrder": "/order-plz"`, "", 200},
		{"garble:retyped", `"newOrder": "https://`, "", 200},
		{"refuse:403:null", "null", "", 403},
		{"refuse:500:numbers", `"type":7`, "", 500},
		{"redirect:307", "not found", "", 404}, // which the client followed
	} {
		order(c.action, 2)
		for range 2 {
			resp, body, err := get()
			if err != nil || resp.StatusCode != c.code || !strings.Contains(body, c.contains) || resp.Header.Get("Retry-After") != c.retryAfter {
				t.Errorf("%s: %v %v %q", c.action, err, resp, body)
			}
		}
	}
	for _, wrong := range []string{"garble", "garble:nonsense", "refuse:null", "refuse:200:null", "refuse:403", "redirect", "redirect:200"} {
		if err := b.ca.front.addFault(faultOrder{Path: "directory", Action: wrong}); err == nil {
			t.Errorf("%s would never fire as it is meant", wrong)
		}
	}
	order("delay:50ms", 1)
	began := time.Now()
	if resp, _, err := get(); err != nil || resp.StatusCode != http.StatusOK || time.Since(began) < 50*time.Millisecond {
		t.Errorf("delay: %v after %s", err, time.Since(began))
	}
	order("status:503", 0)
	b.ca.front.reset()
	if resp, _, err := get(); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("after a reset: %v", err)
	}
}

func TestLostResponsesAreCountedAndNamesLimitFaults(t *testing.T) {
	t.Parallel()
	b := newCABench(t)
	core := b.account(t)
	newOrder := func(name string) error {
		_, err := core.Orders.NewWithOptions([]string{name}, &api.OrderOptions{Profile: "default"})
		return err
	}
	if err := b.ca.front.addFault(faultOrder{Path: "newOrder", Action: "drop-response", Times: 1}); err != nil {
		t.Fatal(err)
	}
	if err := newOrder("lost.empty.test"); err == nil {
		t.Error("the response must be lost")
	}
	if err := b.ca.front.addFault(faultOrder{Path: "newOrder", Action: "drop-request", Times: 1}); err != nil {
		t.Fatal(err)
	}
	if err := newOrder("lost.empty.test"); err == nil {
		t.Error("the request must be lost")
	}
	if got := b.ca.front.stats(); got.Orders != 1 {
		t.Errorf("the CA acted on one of two: %+v", got)
	}
	err := b.ca.front.addFault(faultOrder{Path: "newOrder", Action: "problem:rejectedIdentifier", Times: 0, Name: "Bad.empty.test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := newOrder("good.empty.test"); err != nil {
		t.Errorf("another name must pass: %v", err)
	}
	var problem *acme.ProblemDetails
	if err := newOrder("bad.empty.test"); !errors.As(err, &problem) || !strings.HasSuffix(problem.Type, ":rejectedIdentifier") {
		t.Errorf("the named host must be refused: %v", err)
	}
	if got := b.ca.front.stats(); got.Orders != 2 || got.Rejected != 1 {
		t.Errorf("counts: %+v", got)
	}
}

func TestNamedFaultsMeetEachStepOfOneOrder(t *testing.T) {
	t.Parallel()
	b := newCABench(t)
	core := b.account(t)
	for _, path := range []string{"newOrder", "authz", "challenge", "order", "finalize", "certificate"} {
		if err := b.ca.front.addFault(faultOrder{Path: path, Action: "status:503", Times: 1, Name: "Mine.empty.test"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.issue(core, "other.empty.test"); err != nil {
		t.Errorf("another host: %v", err)
	}
	for range len(b.ca.front.ordered()) {
		if _, err := b.issue(core, "mine.empty.test"); err == nil {
			t.Error("a step must have failed")
		}
	}
	if _, err := b.issue(core, "mine.empty.test"); err != nil {
		t.Errorf("when each fault is used up: %v", err)
	}
	for _, action := range []string{"status:503", "none"} {
		if err := b.ca.front.addFault(faultOrder{Path: "finalize", Action: action, Name: "other.empty.test"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.issue(core, "other.empty.test"); err != nil {
		t.Errorf("when the fault was taken back: %v", err)
	}
	if orders := b.ca.front.ordersByName(); orders["other.empty.test"] != 2 ||
		orders["mine.empty.test"] != 6 { // the first of seven was refused
		t.Errorf("orders: %v", orders)
	}
	for _, f := range b.ca.front.ordered() {
		if f.Done != 1 {
			t.Errorf("%s was done %d times", f.Path, f.Done)
		}
	}
}

func TestWrongFaultsAreRefused(t *testing.T) {
	t.Parallel()
	f := newCAFront(nil)
	for _, o := range []faultOrder{
		{Path: "newOrdr", Action: "paused", Times: 1},
		{Path: "newOrder", Action: "explode", Times: 1},
		{Path: "newOrder", Action: "status:200", Times: 1},
		{Path: "newOrder", Action: "delay:soon", Times: 1},
		{Path: "newOrder", Action: "paused", Times: -1},
		{Path: "directory", Action: "paused", Times: 1, Name: "shop.test"},
	} {
		if err := f.addFault(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestTrustFileKeepsEarlierRoots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var first *httpsAuthority
	for i := range 2 {
		authority := must[*httpsAuthority](t)(openHTTPSAuthority(dir))
		if first == nil {
			first = authority
		} else if !first.cert.Equal(authority.cert) {
			t.Error("the HTTPS authority changed at a restart")
		}
		// Any certificate will do for a root here.
		root := must[*httpsAuthority](t)(newHTTPSAuthority(filepath.Join(dir, fmt.Sprintf("root%d", i))))
		if err := appendRoot(dir, authority.certPEM, root.certPEM); err != nil {
			t.Fatal(err)
		}
		leaf := must[tls.Certificate](t)(authority.issueLoopback())
		parsed := must[*x509.Certificate](t)(x509.ParseCertificate(leaf.Certificate[0]))
		pool := must[*x509.CertPool](t)(certPool(trustPath(dir)))
		if _, err := parsed.Verify(x509.VerifyOptions{Roots: pool, DNSName: "127.0.0.1"}); err != nil {
			t.Errorf("start %d: %v", i+1, err)
		}
		if _, err := root.cert.Verify(x509.VerifyOptions{Roots: pool}); err != nil {
			t.Errorf("start %d: the root isn't trusted: %v", i+1, err)
		}
	}
	//nolint:staticcheck // no system roots in it
	if pool := must[*x509.CertPool](t)(certPool(issuerRootsPath(dir))); len(pool.Subjects()) != 2 {
		t.Error("want the roots of both starts")
	}
}
