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
	b.workflows.Cases = []string{"shop.example.com"}
	const base = "/v1/domains/shop.example.com"
	for _, c := range []struct{ method, path, body, asked string }{
		{"POST", base + "/check", "", "check-now shop.example.com {By:the API Reason:}"},
		{"POST", base + "/request", `{"by":"ann","reason":"in a hurry"}`, "request-certificate shop.example.com {By:ann Reason:in a hurry}"},
		{"POST", base + "/pause", `{"by":"ann"}`, "pause shop.example.com {By:ann Reason:}"},
		{"POST", base + "/resume", `{}`, "resume shop.example.com {By:the API Reason:}"},
		{"PUT", base + "/https-redirect", `{"on":true,"by":"ann"}`, "https-redirect shop.example.com {On:true By:ann}"},
		{"PUT", base + "/https-redirect", `{"on":false}`, "https-redirect shop.example.com {On:false By:the API}"},
		{"POST", base + "/hand-back", `{"by":"sue","note":"CAA fixed"}`, "hand-back shop.example.com by sue: CAA fixed"},
		{"DELETE", base + "?by=ann&reason=shop+closed", "", "remove shop.example.com {By:ann Reason:shop closed}"},
	} {
		answer := read[control.Answer](t, b.do(c.method, c.path, c.body), http.StatusOK)
		asked := b.workflows.Asked()
		if answer.Hostname != "shop.example.com" || answer.Message == "" || asked[len(asked)-1] != c.asked {
			t.Errorf("%s %s: answered %+v, asked %q", c.method, c.path, answer, asked[len(asked)-1])
		}
	}
	b.problem(b.do("PUT", base+"/https-redirect", `{}`), http.StatusBadRequest, cert.RequestMalformed)
	b.problem(b.do("POST", base+"/check", `{"reson":"x"}`), http.StatusBadRequest, cert.RequestMalformed)
}

func TestRefusalsAndSilenceOfAWorkflowHaveTheirStatus(t *testing.T) {
	t.Parallel()
	for code, status := range map[cert.Code]int{cert.RequestRefused: 409, control.NoAnswer: 504, control.Unavailable: 503, cert.CAAForbids: 409} {
		b := setup(t)
		b.connected("shop.example.com")
		b.workflows.Reply = func(string, string, any) (control.Answer, error) {
			return control.Answer{}, cert.Problem{Code: code, Message: "no", WhoActs: cert.PlatformActs, Record: &cert.Record{Name: "example.com", Type: "CAA"}, Found: "0 issue \"other\""}
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
	records := read[map[string][]control.Record](t, b.do("GET", "/v1/domains/SHOP.example.com/records", ""), http.StatusOK)["records"]
	if len(records) != 3 || records[1].Name != "_acme-challenge.shop.example.com" {
		t.Errorf("records %+v", records)
	}
	b.store.Events = []store.TimelineEntry{{At: time.Unix(0, 0).UTC(), Event: cert.Event{Type: cert.DomainConnected}}}
	if got := strings.TrimSpace(b.do("GET", "/v1/domains/shop.example.com/timeline", "").Body.String()); got != `{"events":[{"at":"1970-01-01T00:00:00Z","type":"domain.connected"}]}` {
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
	b.store.Certificates = map[string]cert.Certificate{"0a": {Serial: "0a", IssuanceID: "1/1", ChainPEM: []byte("-----BEGIN CERTIFICATE-----\n")}}
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
