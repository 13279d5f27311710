package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
)

func TestE3_VerbsOverTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com")
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Status.Escalated = true })
	const base = "/v1/domains/shop.example.com"
	for _, c := range []struct{ method, path, body, asked string }{
		{"POST", base + "/request", `{"by":"ann","reason":"in a hurry"}`, "request-certificate shop.example.com {ID: By:ann Reason:in a hurry}"},
		{"POST", base + "/pause", `{"by":"ann"}`, "pause shop.example.com {ID: By:ann Reason:}"},
		{"POST", base + "/resume", `{}`, "resume shop.example.com {ID: By:the API Reason:}"},
		{"PUT", base + "/https-redirect", `{"on":true,"by":"ann"}`, "https-redirect shop.example.com {Request:{ID: By:ann Reason:} On:true}"},
		{"PUT", base + "/https-redirect", `{"on":false}`, "https-redirect shop.example.com {Request:{ID: By:the API Reason:} On:false}"},
		{
			"POST", base + "/hand-back", `{"by":"sue","note":"CAA fixed"}`,
			"handed-back shop.example.com {Request:{ID: By:sue Reason:CAA fixed} Case:}",
		},
		{"DELETE", base + "?by=ann&reason=shop+closed", "", "remove shop.example.com {ID: By:ann Reason:shop closed}"},
	} {
		answer := read[cert.Answer](t, b.do(c.method, c.path, c.body), http.StatusOK)
		asked := b.workflows.Asked()
		if answer.Hostname != "shop.example.com" || answer.Message == "" || asked[len(asked)-1] != c.asked {
			t.Errorf("%s %s: answered %+v, asked %q", c.method, c.path, answer, asked[len(asked)-1])
		}
	}
	b.problem(b.do("PUT", base+"/https-redirect", `{}`), http.StatusBadRequest, cert.RequestMalformed)
	b.problem(b.do("POST", base+"/check", `{"reson":"x"}`), http.StatusBadRequest, cert.RequestMalformed)
}

func TestD5_CheckNowOverTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com")
	const path = "/v1/domains/shop.example.com/check"
	later := read[cert.Answer](t, b.do("POST", path, ""), http.StatusAccepted)
	if asked := b.workflows.Asked(); later.Diagnosis != nil || later.Hostname != "shop.example.com" ||
		asked[0] != "check-now shop.example.com {ID: By:the API Reason:}" {
		t.Errorf("not made now: %+v, asked %q", later, asked)
	}
	b.workflows.Reply = func(hostname, _ string, _ any) (cert.Answer, error) {
		b.store.Checked(
			hostname,
			cert.Diagnosis{CheckedAt: time.Now(), Verdict: cert.Wrong, Servers: []cert.Nameserver{{Name: "ns1", State: "lame"}}},
		)
		return cert.Answer{Message: "the records are checked now", Checking: true}, nil
	}
	now := read[cert.Answer](t, b.do("POST", path, `{"by":"ann"}`), http.StatusOK)
	if now.Diagnosis == nil || now.Diagnosis.Verdict != cert.Wrong || len(now.Diagnosis.Servers) != 1 || now.Headline != cert.Pending {
		t.Errorf("made now: %+v", now)
	}
	b.workflows.Reply = func(string, string, any) (cert.Answer, error) {
		return cert.Answer{}, cert.Problem{Code: cert.RequestRefused, Message: "it was removed", WhoActs: cert.TenantActs}
	}
	b.problem(b.do("POST", path, ""), http.StatusConflict, cert.RequestRefused)
}

func TestRefusalsAndSilenceOfAWorkflowHaveTheirStatus(t *testing.T) {
	t.Parallel()
	for code, status := range map[cert.Code]int{cert.RequestRefused: 409, cert.NoAnswer: 504, cert.Unavailable: 503, cert.CAAForbids: 409} {
		b := setup(t)
		b.connected("shop.example.com")
		b.workflows.Reply = func(string, string, any) (cert.Answer, error) {
			return cert.Answer{}, cert.Problem{
				Code:    code,
				Message: "no",
				WhoActs: cert.PlatformActs,
				Record:  &cert.Record{Name: "example.com", Type: "CAA"},
				Found:   "0 issue \"other\"",
			}
		}
		p := b.problem(b.do("POST", "/v1/domains/shop.example.com/request", ""), status, code)
		if p.Record == nil || p.Record.Name != "example.com" || p.Found == "" {
			t.Errorf("the record is lost: %+v", p)
		}
	}
}

func TestListsOverTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, h := range []string{"a.example.com", "b.example.com", "c.example.com"} {
		b.connected(h)
	}
	first := read[control.Page](t, b.do("GET", "/v1/domains?tenant=acme&headline=pending&contains=example&limit=2", ""), http.StatusOK)
	if len(first.Domains) != 2 || first.Next != "b.example.com" {
		t.Errorf("first page %+v", first)
	}
	second := read[control.Page](t, b.do("GET", "/v1/domains?limit=2&after="+first.Next, ""), http.StatusOK)
	if len(second.Domains) != 1 || second.Domains[0].Hostname != "c.example.com" || second.Next != "" {
		t.Errorf("second page %+v", second)
	}
	none := b.do("GET", "/v1/domains?tenant=nobody", "")
	if got := strings.TrimSpace(none.Body.String()); got != `{"domains":[]}` {
		t.Errorf("no domains: %s", got)
	}
}

func TestRecordsTimelineAndCasesOverTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com")
	diagnosis := read[cert.Diagnosis](t, b.do("GET", "/v1/domains/SHOP.example.com/records", ""), http.StatusOK)
	if len(diagnosis.Records) != 3 || diagnosis.Records[1].Name != "_acme-challenge.shop.example.com" || diagnosis.Verdict != "" {
		t.Errorf("before a check %+v", diagnosis)
	}
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	b.store.Checked("shop.example.com", cert.Diagnosis{CheckedAt: noon, Verdict: cert.Wrong, Records: []cert.RecordState{
		{
			Record:  diagnosis.Records[1].Record,
			Verdict: cert.Wrong,
			Seen:    []cert.Sighting{{Server: "ns1", Verdict: cert.OK}, {Server: "ns2", Verdict: cert.Wrong}},
		},
	}})
	diagnosis = read[cert.Diagnosis](t, b.do("GET", "/v1/domains/shop.example.com/records", ""), http.StatusOK)
	if r := diagnosis.Records[1]; !diagnosis.CheckedAt.Equal(noon) || r.State != cert.RecordNotYetPropagated || len(r.Seen) != 2 {
		t.Errorf("after a check %+v", diagnosis)
	}
	if got := strings.TrimSpace(b.do("GET", "/v1/domains/shop.example.com/changes", "").Body.String()); got != `{"changes":[]}` {
		t.Errorf("no changes: %s", got)
	}
	b.store.RecordChanges = []cert.RecordChange{
		{At: noon, Server: "ns1", Role: cert.Authoritative, From: cert.Wrong, To: cert.OK, Found: []string{"CNAME x"}},
	}
	changes := strings.TrimSpace(b.do("GET", "/v1/domains/shop.example.com/changes", "").Body.String())
	if got := changes; got != `{"changes":[{"at":"2026-03-02T12:00:00Z","record":{"name":"","type":"","value":"","purpose":""},`+
		`"server":"ns1","role":"authoritative","from":"wrong","to":"ok","found":["CNAME x"]}]}` {
		t.Errorf("changes: %s", got)
	}
	b.store.Events = []store.TimelineEntry{{At: time.Unix(0, 0).UTC(), Event: cert.Event{Type: cert.DomainConnected}}}
	timeline := strings.TrimSpace(b.do("GET", "/v1/domains/shop.example.com/timeline", "").Body.String())
	if got := timeline; got != `{"events":[{"at":"1970-01-01T00:00:00Z","type":"domain.connected"}]}` {
		t.Errorf("timeline %s", got)
	}
	b.store.OpenCases = []cert.Case{{Hostname: "shop.example.com"}, {Hostname: "other.example.com"}}
	cases := read[map[string][]cert.Case](t, b.do("GET", "/v1/cases?domain=shop.example.com&all=true", ""), http.StatusOK)["cases"]
	if len(cases) != 1 || cases[0].Problems == nil {
		t.Errorf("cases %+v", cases)
	}
}

func TestB1_DownloadsArePEM(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com")
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Serial = "0a" })
	b.store.Certificates = map[string]cert.Certificate{
		"0a": {Serial: "0a", IssuanceID: "1/1", ChainPEM: []byte("-----BEGIN CERTIFICATE-----\n")},
	}
	b.store.Issuances = map[string]cert.Issuance{"1/1": {CSR: []byte("csr")}}
	for path, kind := range map[string]string{"certificate": "application/pem-certificate-chain", "csr": "application/x-pem-file"} {
		w := b.do("GET", "/v1/domains/shop.example.com/"+path, "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != kind || !strings.HasPrefix(w.Body.String(), "-----BEGIN CERTIFICATE") {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
}

func TestAnIDNIsFoundByItsUnicodeName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do("POST", "/v1/domains", `{"hostname":"bücher.example.com","tenant":"acme"}`)
	d := read[control.Domain](t, b.do("GET", "/v1/domains/b%C3%BCcher.example.com", ""), http.StatusOK)
	if d.Hostname != "xn--bcher-kva.example.com" || !slices.Equal(d.Names, []string{d.Hostname}) {
		t.Errorf("got %+v", d)
	}
}
