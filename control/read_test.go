package control_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
)

func TestRecordsCarryWhatTheNewestCheckSaw(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	before, err := b.Records(t.Context(), "shop.example.com")
	if err != nil || len(before) != 3 || before[0].Verdict != "" {
		t.Fatalf("before a check: %+v, %v", before, err)
	}
	stale := before[2].Record
	stale.Value = "old-edge.example.net"
	b.store.Record("shop.example.com", func(s *cert.Snapshot) {
		s.Diagnosis = &cert.Diagnosis{Records: []cert.RecordState{
			{Record: before[0].Record, Verdict: cert.OK},
			{Record: before[1].Record, Verdict: cert.Wrong, Found: []string{"CNAME elsewhere.example"}},
			{Record: stale, Verdict: cert.Wrong},
		}}
	})
	after, err := b.Records(t.Context(), "shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	verdicts := []cert.Verdict{after[0].Verdict, after[1].Verdict, after[2].Verdict}
	if !slices.Equal(verdicts, []cert.Verdict{cert.OK, cert.Wrong, ""}) || after[1].Found[0] != "CNAME elsewhere.example" {
		t.Errorf("after a check: %+v", after)
	}
}

func TestB1_TheCSRAndTheChainOfTheLiveCertificateCanBeDownloaded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	if _, err := b.CSR(t.Context(), "shop.example.com"); code(t, err) != cert.RequestRefused {
		t.Errorf("before there is one: %v", err)
	}
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Serial = "0a" })
	b.store.Certificates = map[string]cert.Certificate{"0a": {Serial: "0a", IssuanceID: "1/1", ChainPEM: []byte("chain")}}
	b.store.Issuances = map[string]cert.Issuance{"1/1": {CSR: []byte("csr")}}
	csr, err := b.CSR(t.Context(), "shop.example.com")
	if err != nil || string(csr) != "-----BEGIN CERTIFICATE REQUEST-----\nY3Ny\n-----END CERTIFICATE REQUEST-----\n" {
		t.Errorf("CSR %q, %v", csr, err)
	}
	if chain, err := b.Chain(t.Context(), "shop.example.com"); err != nil || string(chain) != "chain" {
		t.Errorf("chain %q, %v", chain, err)
	}
}

func TestADomainInJSONKeepsItsShape(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	b.store.Record("shop.example.com", func(s *cert.Snapshot) {
		s.Status = cert.Status{Domain: cert.DomainActive, Certificate: cert.CertificateActive, Renewal: cert.RenewalScheduled, HasLive: true}
		s.Serial, s.Issuer, s.NotAfter, s.RenewAt = "0a", "Test CA", noon.AddDate(0, 0, 90), noon.AddDate(0, 0, 60)
		s.NextAction, s.NextActionAt = "renewal", s.RenewAt
	})
	d, err := b.Status(t.Context(), "shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "hostname": "shop.example.com",
 "unicode_name": "shop.example.com",
 "names": [
  "shop.example.com"
 ],
 "tenant": "acme",
 "headline": "Installation complete",
 "status": {
  "domain": "active",
  "certificate": "active",
  "renewal": "scheduled",
  "has_live": true,
  "escalated": false
 },
 "failures": 0,
 "paused": false,
 "problems": [],
 "next_action": "renewal",
 "next_action_at": "2026-05-01T12:00:00Z",
 "certificate": {
  "serial": "0a",
  "issuer": "Test CA",
  "not_after": "2026-05-31T12:00:00Z",
  "renew_at": "2026-05-01T12:00:00Z"
 },
 "https_redirect": false,
 "connected_at": "2026-03-02T12:00:00Z",
 "updated_at": "2026-03-02T12:00:00Z"
}`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
}

func TestTimelineAndCasesOfADomainAreFoundByAnyOfItsNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com", "shop.example.org")
	b.store.Events = []store.TimelineEntry{{Event: cert.Event{Type: cert.DomainConnected, Detail: "by acme"}}}
	b.store.OpenCases = []cert.Case{{Hostname: "shop.example.com"}, {Hostname: "other.example.com"}}
	events, err := b.Timeline(t.Context(), "shop.example.org")
	if err != nil || len(events) != 1 || events[0].Detail != "by acme" {
		t.Errorf("timeline %+v, %v", events, err)
	}
	cases, err := b.Cases(t.Context(), control.CaseFilter{Name: "shop.example.org"})
	if err != nil || len(cases.Cases) != 1 || cases.Cases[0].Hostname != "shop.example.com" || cases.Next != "" {
		t.Errorf("cases %+v, %v", cases, err)
	}
	if _, err := b.Cases(t.Context(), control.CaseFilter{Name: "unknown.example.com"}); code(t, err) != cert.DomainUnknown {
		t.Errorf("cases of an unknown name: %v", err)
	}
	if all, err := b.Cases(t.Context(), control.CaseFilter{}); err != nil || len(all.Cases) != 2 {
		t.Errorf("all cases %+v, %v", all, err)
	}
}

func TestA5_CasesComeInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.store.OpenCases = append(
			b.store.OpenCases,
			cert.Case{ID: fmt.Sprintf("account:https://ca.example/%d?a=b&c", i), OpenedAt: time.Unix(int64(9-i), 5000)},
		)
	}
	var got []string
	filter := control.CaseFilter{Limit: 2}
	for {
		page, err := b.Cases(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Cases {
			got = append(got, c.ID[len("account:https://ca.example/"):])
		}
		if filter.After = page.Next; page.Next == "" {
			break
		}
		if len(page.Cases) != 2 || url.QueryEscape(page.Next) != page.Next {
			t.Errorf("a page of %d, then %q", len(page.Cases), page.Next)
		}
	}
	if want := []string{"0?a=b&c", "1?a=b&c", "2?a=b&c", "3?a=b&c", "4?a=b&c"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for _, after := range []string{"x", "%00", "IA", "MSA", "eCB4", "OTk5OTk5OTk5OTk5OTk5OTk5OSB4", "MSAA", strings.Repeat("A", 4000)} {
		if _, err := b.Cases(t.Context(), control.CaseFilter{After: after}); code(t, err) != cert.RequestMalformed {
			t.Errorf("after %.20q: %v", after, err)
		}
	}
	for _, limit := range []int{-1, control.MaxPage + 1} {
		if _, err := b.Cases(t.Context(), control.CaseFilter{Limit: limit}); code(t, err) != cert.RequestMalformed {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestAConfigurationThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	good := control.Config{
		ValidationZone: "DCV.example.net.",
		Target:         "edge.example.net",
		Addresses:      []string{" 203.0.113.7", "2001:db8::7 "},
		TestSuffixes:   []string{".test"},
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if p := good.Platform(); p.ValidationZone != "dcv.example.net" || !slices.Equal(p.Addresses, []string{"203.0.113.7", "2001:db8::7"}) {
		t.Errorf("platform %+v", p)
	}
	if got := good.Rules().TestSuffixes; !slices.Equal(got, []string{"test"}) {
		t.Errorf("test suffixes %q", got)
	}
	bad := control.Config{
		ValidationZone: "https://dcv.example.net",
		Target:         "203.0.113.7",
		Suffix:         "shops",
		Addresses:      []string{"edge.example.net"},
	}
	err := bad.Validate()
	for _, want := range []string{
		`VALIDATION_ZONE is "https://dcv.example.net"`, `PLATFORM_TARGET is "203.0.113.7"`,
		`PLATFORM_SUFFIX is "shops"`, `PLATFORM_ADDRESSES has "edge.example.net"`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

func TestF3_AQueueOfThousandsShowsPlaceAndTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	clock := b.store.Now()
	b.store.Now = func() time.Time { clock = clock.Add(time.Millisecond); return clock }
	for i := range 2000 {
		if _, err := b.Connect(t.Context(), control.Connection{Hostname: fmt.Sprintf("s%d.example.com", i), Tenant: "acme"}); err != nil {
			t.Fatal(err)
		}
	}
	next := func(name string) control.Domain {
		d, err := b.Status(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := next("s1999.example.com"); d.NextAction != "the first DNS check: place 2000 in line" || !d.NextActionAt.IsZero() {
		t.Errorf("with no pace known: %s, %s", d.NextAction, d.NextActionAt)
	}
	b.store.PerMinute = 400
	before := time.Now()
	if d := next("s1999.example.com"); d.NextAction != "the first DNS check: place 2000 in line" ||
		d.NextActionAt.Before(before.Add(5*time.Minute)) || d.NextActionAt.After(time.Now().Add(5*time.Minute)) {
		t.Errorf("at 400 a minute: %s, %s", d.NextAction, d.NextActionAt)
	}
	if d := next("s3.example.com"); d.NextAction != "the first DNS check" || !d.NextActionAt.IsZero() {
		t.Errorf("at the head of the line: %s, %s", d.NextAction, d.NextActionAt)
	}
}
