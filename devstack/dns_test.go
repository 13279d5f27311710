package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// startDNS serves on one free port, UDP and TCP, until the test ends.
func startDNS(t *testing.T, o dnsOptions) (*dnsServer, string) {
	t.Helper()
	if o.store == "" {
		o.store = filepath.Join(t.TempDir(), "dns.json")
	}
	o.validationZone = "dcv.evercert.test"
	if o.slowAfter == 0 {
		o.slowAfter = 5 * time.Minute
	}
	s := must[*dnsServer](t)(newDNSServer(o))
	return s, serveHandler(t, s)
}

func serveHandler(t *testing.T, h dns.Handler) string {
	t.Helper()
	address := hostPort(freePort(t))
	for _, network := range []string{"udp", "tcp"} {
		started, ended := make(chan struct{}), make(chan error, 1)
		srv := &dns.Server{Addr: address, Net: network, Handler: h, NotifyStartedFunc: func() { close(started) }}
		go func() { ended <- srv.ListenAndServe() }()
		select {
		case <-started:
		case err := <-ended:
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := srv.Shutdown(); err != nil {
				t.Error(err)
			}
		})
	}
	return address
}

func ask(t *testing.T, address, name string, qtype uint16, recursive bool) *dns.Msg {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.RecursionDesired = recursive
	q.SetEdns0(1232, false)
	m, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(q, address)
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.TypeToString[qtype], err)
	}
	return m
}

// answers is the answer section in short: "CNAME edge.platform.test. | A 127.0.0.1".
func answers(m *dns.Msg) string {
	var parts []string
	for _, rr := range m.Answer {
		value := strings.TrimPrefix(rr.String(), rr.Header().String())
		parts = append(parts, dns.TypeToString[rr.Header().Rrtype]+" "+value)
	}
	return strings.Join(parts, " | ")
}

func TestNegativeAnswersTellNameFromType(t *testing.T) {
	t.Parallel()
	s, address := startDNS(t, dnsOptions{})
	if err := s.zones.store.set(dnsRecord{"a.b.empty.test", "A", "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		qtype uint16
		rcode int
		soa   string
	}{
		{"a.b.empty.test.", dns.TypeA, dns.RcodeSuccess, ""},
		{"a.b.empty.test.", dns.TypeTXT, dns.RcodeSuccess, "empty.test."},
		{"b.empty.test.", dns.TypeA, dns.RcodeSuccess, "empty.test."}, // only a name below it has records
		{"x.empty.test.", dns.TypeA, dns.RcodeNameError, "empty.test."},
		{"other.test.", dns.TypeA, dns.RcodeNameError, "test."},
		{"empty.test.", dns.TypeSOA, dns.RcodeSuccess, ""},
		{"empty.test.", dns.TypeNS, dns.RcodeSuccess, ""},
		{"edge.platform.test.", dns.TypeCAA, dns.RcodeSuccess, "platform.test."},
		{"example.com.", dns.TypeA, dns.RcodeRefused, ""},
	} {
		m := ask(t, address, c.name, c.qtype, true)
		soa := ""
		if len(m.Ns) == 1 && m.Ns[0].Header().Rrtype == dns.TypeSOA {
			soa = m.Ns[0].Header().Name
		}
		if m.Rcode != c.rcode || soa != c.soa {
			t.Errorf("%s %s: %s with SOA %q, want %s with %q", c.name, dns.TypeToString[c.qtype],
				dns.RcodeToString[m.Rcode], soa, dns.RcodeToString[c.rcode], c.soa)
		}
	}
}

func TestCNAMEsAreFollowedOnlyWhenRecursionIsDesired(t *testing.T) {
	t.Parallel()
	s, address := startDNS(t, dnsOptions{})
	for _, r := range []dnsRecord{
		{"shop.empty.test", "CNAME", "hop.empty.test"},
		{"hop.empty.test", "CNAME", "edge.platform.test"},
		{"loop.empty.test", "CNAME", "loop.empty.test"},
		{"gone.empty.test", "CNAME", "nothing.empty.test"},
	} {
		if err := s.zones.store.set(r); err != nil {
			t.Fatal(err)
		}
	}
	m := ask(t, address, "ShOp.eMpTy.TeSt.", dns.TypeA, true)
	if got := answers(m); got != "CNAME hop.empty.test. | CNAME edge.platform.test. | A 127.0.0.1" {
		t.Errorf("chain: %s", got)
	}
	if m.Question[0].Name != "ShOp.eMpTy.TeSt." || m.Answer[0].Header().Name != "ShOp.eMpTy.TeSt." {
		t.Errorf("the letter case of the question wasn't kept: %s, %s", m.Question[0].Name, m.Answer[0].Header().Name)
	}
	if got := answers(ask(t, address, "shop.empty.test.", dns.TypeA, false)); got != "CNAME hop.empty.test." {
		t.Errorf("without recursion: %s", got)
	}
	if got := answers(ask(t, address, "shop.empty.test.", dns.TypeCNAME, true)); got != "CNAME hop.empty.test." {
		t.Errorf("asked for the CNAME itself: %s", got)
	}
	if m := ask(t, address, "loop.empty.test.", dns.TypeA, true); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("loop: %s", dns.RcodeToString[m.Rcode])
	}
	if m := ask(t, address, "gone.empty.test.", dns.TypeA, true); m.Rcode != dns.RcodeNameError || len(m.Answer) != 1 {
		t.Errorf("dangling: %s, %s", dns.RcodeToString[m.Rcode], answers(m))
	}
}

func TestValuesAreDeletedOneByOneAndSurviveARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dns.json")
	s, address := startDNS(t, dnsOptions{store: path})
	long := strings.Repeat("x", 300)
	for _, value := range []string{"one", "two", long} {
		if err := s.zones.store.set(dnsRecord{"_evercert.shop.empty.test", "TXT", value}); err != nil {
			t.Fatal(err)
		}
	}
	if m := ask(t, address, "_evercert.shop.empty.test.", dns.TypeTXT, true); len(m.Answer) != 3 {
		t.Fatalf("want three values: %s", answers(m))
	}
	if err := s.zones.store.del(dnsRecord{"_EVERCERT.shop.empty.test.", "txt", "one"}); err != nil {
		t.Fatal(err)
	}
	if err := s.zones.store.del(dnsRecord{"_evercert.shop.empty.test", "TXT", "one"}); err == nil {
		t.Error("deleting what isn't there must be an error")
	}
	_, again := startDNS(t, dnsOptions{store: path})
	m := ask(t, again, "_evercert.shop.empty.test.", dns.TypeTXT, true)
	if len(m.Answer) != 2 || strings.Join(m.Answer[1].(*dns.TXT).Txt, "") != long {
		t.Errorf("after a restart: %s", answers(m))
	}
}

func TestFaultsReachTheNameAndBelow(t *testing.T) {
	t.Parallel()
	s, address := startDNS(t, dnsOptions{})
	store := s.zones.store
	if err := store.set(dnsRecord{"alias.empty.test", "CNAME", "www.bad.empty.test"}); err != nil {
		t.Fatal(err)
	}
	for kind, rcode := range map[string]int{
		"servfail": dns.RcodeServerFailure, "refused": dns.RcodeRefused, "lame": dns.RcodeRefused, "none": dns.RcodeNameError,
	} {
		if err := store.setFault("bad.empty.test", kind); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"bad.empty.test.", "www.bad.empty.test."} {
			if m := ask(t, address, name, dns.TypeA, true); m.Rcode != rcode {
				t.Errorf("%s at %s: %s", kind, name, dns.RcodeToString[m.Rcode])
			}
		}
		// A resolver that meets any such server behind a CNAME says SERVFAIL.
		if m := ask(t, address, "alias.empty.test.", dns.TypeA, true); kind != "none" && m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s behind a CNAME: %s", kind, dns.RcodeToString[m.Rcode])
		}
	}
	if err := store.setFault("bad.empty.test", "timeout"); err != nil {
		t.Fatal(err)
	}
	q := new(dns.Msg).SetQuestion("bad.empty.test.", dns.TypeA)
	if m, _, err := (&dns.Client{Timeout: 100 * time.Millisecond}).Exchange(q, address); err == nil {
		t.Errorf("timeout: an answer came: %s", m)
	}
	if err := store.setFault("bad.empty.test", "explode"); err == nil {
		t.Error("an unknown fault must be an error")
	}
}

// fakeAPI stands for the product's records endpoint: it knows shop.* only.
func fakeAPI(t *testing.T) (url string, calls *int) {
	calls = new(int)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*calls++
		host, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/records"), "/v1/domains/")
		if !ok || !strings.HasPrefix(host, "shop.") {
			http.NotFound(w, r)
			return
		}
		err := json.NewEncoder(w).Encode(map[string]any{"records": []map[string]string{
			{"name": "_acme-challenge." + host, "type": "CNAME", "value": "label.dcv.evercert.test", "purpose": "delegation"},
			{"name": "_evercert." + host, "type": "TXT", "value": "evercert=token", "purpose": "ownership"},
			{"name": host, "type": "CNAME", "value": "edge.platform.test", "purpose": "address"},
		}})
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, calls
}

func TestReadyTestAnswersWhatTheAPIAsksFor(t *testing.T) {
	t.Parallel()
	api, calls := fakeAPI(t)
	dcv := serveHandler(t, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = append(m.Answer, must[dns.RR](t)(dns.NewRR(q.Question[0].Name+` 1 IN TXT "digest"`)))
		if err := w.WriteMsg(m); err != nil {
			t.Error(err)
		}
	}))
	s, address := startDNS(t, dnsOptions{api: api, dcv: dcv})
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"_acme-challenge.shop.ready.test.", dns.TypeTXT, `CNAME label.dcv.evercert.test. | TXT "digest"`},
		{"_acme-challenge.shop.ready.test.", dns.TypeCNAME, "CNAME label.dcv.evercert.test."},
		{"_evercert.shop.ready.test.", dns.TypeTXT, `TXT "evercert=token"`},
		{"shop.ready.test.", dns.TypeA, "CNAME edge.platform.test. | A 127.0.0.1"},
		{"shop.ready.test.", dns.TypeAAAA, "CNAME edge.platform.test."},
		{"label.dcv.evercert.test.", dns.TypeTXT, `TXT "digest"`},
	} {
		if got := answers(ask(t, address, c.name, c.qtype, true)); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.name, dns.TypeToString[c.qtype], got, c.want)
		}
	}
	if *calls != 1 {
		t.Errorf("the API was asked %d times for one host, want 1", *calls)
	}
	if m := ask(t, address, "unknown.ready.test.", dns.TypeA, true); m.Rcode != dns.RcodeNameError {
		t.Errorf("unknown to the API: %s", dns.RcodeToString[m.Rcode])
	}
	if err := s.zones.store.set(dnsRecord{"shop.ready.test", "A", "192.0.2.9"}); err != nil {
		t.Fatal(err)
	}
	if got := answers(ask(t, address, "shop.ready.test.", dns.TypeA, true)); got != "A 192.0.2.9" {
		t.Errorf("an ordered address must stand in place of the tenant's: %s", got)
	}
}

func TestSilentValidationServerIsAServerFailure(t *testing.T) {
	t.Parallel()
	_, address := startDNS(t, dnsOptions{dcv: hostPort(freePort(t))})
	if m := ask(t, address, "label.dcv.evercert.test.", dns.TypeTXT, true); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %s", dns.RcodeToString[m.Rcode])
	}
}

func TestSlowTestGetsItsRecordsLater(t *testing.T) {
	t.Parallel()
	api, _ := fakeAPI(t)
	s := must[*dnsServer](t)(newDNSServer(dnsOptions{
		api: api, store: filepath.Join(t.TempDir(), "dns.json"), validationZone: "dcv.evercert.test", slowAfter: 5 * time.Minute,
	}))
	now := time.Now()
	s.zones.now = func() time.Time { return now }
	lookUp := func(name string) string {
		m := new(dns.Msg)
		s.resolve(context.Background(), m, dns.Question{Name: name, Qtype: dns.TypeA, Qclass: dns.ClassINET}, true)
		return fmt.Sprint(dns.RcodeToString[m.Rcode], " ", len(m.Answer))
	}
	if got := lookUp("_acme-challenge.shop.slow.test."); got != "NXDOMAIN 0" {
		t.Errorf("at first: %s", got)
	}
	now = now.Add(4*time.Minute + 59*time.Second)
	if got := lookUp("shop.slow.test."); got != "NXDOMAIN 0" {
		t.Errorf("just before five minutes: %s", got)
	}
	now = now.Add(2 * time.Second)
	if got := lookUp("shop.slow.test."); got != "NOERROR 2" {
		t.Errorf("after five minutes: %s", got)
	}
}

func TestControlRefusesFormsOfWebPages(t *testing.T) {
	t.Parallel()
	s, _ := startDNS(t, dnsOptions{})
	srv := httptest.NewServer(requireJSON(dnsControl(s.zones.store)))
	defer srv.Close()
	resp, err := http.Post(srv.URL+"/records", "text/plain", strings.NewReader(`{"name":"a.empty.test","type":"A","value":"192.0.2.1"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form was answered %s", resp.Status)
	}
	err = callControl(t.Context(), http.MethodPost, srv.URL+"/records", dnsRecord{"a.example.com", "A", "192.0.2.1"}, nil)
	if err == nil || !strings.Contains(err.Error(), "a.example.com") {
		t.Errorf("a name outside of test. must be refused by name: %v", err)
	}
}
