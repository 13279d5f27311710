package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

// hostileText is a text that somebody outside sends. What is refused has a control character or is too long; the others are kept as they
// are.
type hostileText struct {
	name, text string
	refused    bool
}

var hostileTexts = []hostileText{
	{"NUL", "a\x00b", true},
	{"only NUL", "\x00", true},
	{"ESC", "\x1b[31mred\x1b[0m", true},
	{"a terminal's link", "\x1b]8;;http://evil.test\x07click\x1b]8;;\x07", true},
	{"C1", "\u009b31mred", true},
	{"DEL", "a\x7fb", true},
	{"line breaks", "a\r\nevercert: forged", true},
	{"bidi", "user\u202etxt.exe\u2066", true},
	{"line separator", "a\u2028b", true},
	{"invalid UTF-8", "a\xff\xfeb", true},
	{"a surrogate", "a\xed\xa0\x80b", true},
	{"a megabyte", strings.Repeat("x", 1<<20), true},
	{"Markdown", "[click here](http://evil.test) ![x](http://evil.test/y.png) **bold** `code`", false},
	{"HTML", "<img src=x onerror=alert(1)><script>alert(1)</script>", false},
	{"SQL", "'; DROP TABLE domains; --", false},
	{"JSON", `"}],{"by":"x`, false},
	{"a format", "%s%n%x {workflowId} ${HOME} $(id)", false},
	{"emoji", "👩‍💻 Zoë 東京 العربية", false},
}

// hostile is a platform under hostile texts.
type hostile struct {
	*platform
	client client.Client
	names  []string // connected; each of their workflows must run in the end
	caseID string   // workflow id of the case that the CA's refusals open
}

// TestF24_HostileTextAtEveryDoor sends texts of every bad kind through the API, the CLI, signals, DNS, the CA and the edge (figure 7): no
// workflow ends, no answer is 500 or above, and no output has a control character.
func TestF24_HostileTextAtEveryDoor(t *testing.T) {
	t.Parallel()
	p := &hostile{
		platform: newPlatform(
			t, stack.Options{Env: map[string]string{"RETRY_AFTER_FAILURES": "1h", "DNS_FIRST_CHECKS": "1s,1s,1h", "DNS_CHECK_INTERVAL": "1h"}},
		),
	}
	p.client = p.temporal()
	p.start("live.ready.test")
	p.awaitHeadline("live.ready.test", cert.InstallationComplete)
	t.Run("CA", p.theCA)
	t.Run("odd answers of the CA", p.oddAnswers)
	t.Run("DNS", p.dns)
	t.Run("API", p.api)
	t.Run("CLI", p.commands)
	t.Run("edge", p.edge)
	t.Run("outputs", p.outputs)
	p.allRunning(t)
	t.Run("signals", p.signals)
	p.allRunning(t)
	t.Run("outputs after the signals", p.outputs)
}

func (p *hostile) start(name string) {
	p.connect(name)
	p.names = append(p.names, name)
}

func (p *hostile) allRunning(t *testing.T) {
	t.Helper()
	for _, name := range p.names {
		p.running(t, workflows.DomainID(name))
	}
	p.running(t, p.caseID)
}

// running requires that a workflow runs.
func (p *hostile) running(t *testing.T, id string) {
	t.Helper()
	described, err := p.client.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, described.GetWorkflowExecutionInfo().GetStatus(), id)
}

// theCA refuses a domain three times with a hostile detail, which opens a case.
func (p *hostile) theCA(t *testing.T) {
	for failures, detail := range []string{
		`a\x00b \x1b[31mred\u202e [x](http://evil.test)\u2028`, `\u009b31m<img src=x>\x7f\r\n`, strings.Repeat("x", 60_000),
	} {
		p.devstack("ca", "fault", "finalize", "problem:caa:"+detail)
		if failures == 0 {
			p.start("case.ready.test")
		} else {
			require.Equal(t, http.StatusOK, p.call("POST", "/v1/domains/case.ready.test/request", map[string]string{"by": "ann"}, nil))
		}
		d := p.await("case.ready.test", "failed once more", func(d control.Domain) bool { return d.Failures > failures })
		require.Len(t, d.Problems, 1)
		require.Equal(t, cert.CAAForbids, d.Problems[0].Code)
		require.True(t, cert.IsLine(d.Problems[0].Message), "%q", d.Problems[0].Message)
		require.Less(t, len(d.Problems[0].Message), 2000)
	}
	p.awaitHeadline("case.ready.test", cert.ContactSupport)
	p.caseID = p.caseWorkflow(p.client, "case.ready.test")
}

// oddAnswers of the CA end no worker, and count as no failure: lego dereferences the nil that it reads from a refusal "null".
func (p *hostile) oddAnswers(t *testing.T) {
	worker := p.Info().PIDs["worker"]
	p.devstack("ca", "fault", "newOrder", "refuse:500:null")
	p.devstack("ca", "fault", "authz", "refuse:403:null")
	p.devstack("ca", "fault", "certificate", "garble:html")
	p.start("odd.ready.test")
	d := p.awaitHeadline("odd.ready.test", cert.InstallationComplete)
	require.Zero(t, d.Failures)
	require.Equal(t, worker, p.Info().PIDs["worker"], "the worker was started anew")
}

// dns has hostile records that evercert checks.
func (p *hostile) dns(t *testing.T) {
	const name = "dns.empty.test"
	p.devstack("dns", "set", "_evercert."+name, "TXT", `"a\000\027[31mred\194\155\127\226\128\174\255 [x](http://evil.test)"`)
	p.devstack("dns", "set", "_evercert."+name, "TXT", strings.Repeat("<b>", 2000))
	p.devstack("dns", "set", "_acme-challenge."+name, "CNAME", `x\000\027[31m\194\155.`+name)
	p.devstack("dns", "set", name, "CAA", `0 issue "evil\027[31m\000.test; x=[y](http://evil.test)"`)
	p.devstack("dns", "set", name, "A", "127.0.0.1")
	p.start(name)
	d := p.await(name, "shows what is wrong", func(d control.Domain) bool { return len(d.Problems) > 0 })
	require.NotEmpty(t, d.Problems)
	out, stderr, _ := p.cli("doctor", name)
	safeOutput(t, out+stderr)
	var records map[string]any
	require.Equal(t, http.StatusOK, p.call("GET", "/v1/domains/"+name+"/records", nil, &records))
	require.Contains(t, fmt.Sprint(records), "evil.test", "the records are shown")
	safeJSON(t, records)
}

// route is a request with {x} where a hostile text goes.
type route struct{ method, path, body string }

// routes are every place of the API where a text goes in.
func hostileRoutes() []route {
	var all []route
	for _, path := range []string{"", "/records", "/changes", "/timeline", "/certificate", "/csr"} {
		all = append(all, route{"GET", "/v1/domains/{x}" + path, ""}, route{"GET", "/v1/domains/live.ready.test" + path + "?{x}={x}", ""})
	}
	for _, verb := range []string{"check", "request", "pause", "resume", "hand-back"} {
		on := "/v1/domains/live.ready.test/" + verb
		all = append(
			all,
			route{"POST", on, `{"by":{x}}`},
			route{"POST", on, `{"reason":{x}}`},
			route{"POST", on, `{"note":{x}}`},
			route{"POST", on, `{x}`},
			route{"POST", on, `{{x}:1}`},
			route{"POST", "/v1/domains/{x}/" + verb, `{"by":"ann"}`},
		)
	}
	all = append(
		all,
		route{
			"PUT",
			"/v1/domains/live.ready.test/https-redirect",
			`{"on":false,"by":{x}}`,
		},
		route{"PUT", "/v1/domains/{x}/https-redirect", `{"on":true}`},
		route{
			"DELETE",
			"/v1/domains/{x}",
			"",
		},
		route{"DELETE", "/v1/domains/nobody.empty.test?by={x}&reason={x}", ""},
		route{"DELETE", "/v1/domains/nobody.empty.test?{x}=1", ""},
		route{
			"POST",
			"/v1/domains",
			`{"hostname":{x},"tenant":"acme"}`,
		},
		route{"POST", "/v1/domains", `{"hostname":"a.empty.test","tenant":{x}}`},
		route{"POST", "/v1/domains", `{"hostname":"live.ready.test","tenant":"other","also":[{x}]}`},
		route{
			"GET",
			"/v1/cases?domain={x}",
			"",
		},
		route{"GET", "/v1/cases?all={x}", ""},
		route{"GET", "/{x}", ""},
		route{"PATCH", "/v1/domains/{x}", ""},
		route{"GET", "/openapi.json?{x}", ""},
	)
	for _, key := range []string{"tenant", "headline", "contains", "after", "limit", "{x}"} {
		all = append(all, route{"GET", "/v1/domains?" + key + "={x}", ""})
	}
	return all
}

func (p *hostile) api(t *testing.T) {
	sent := 0
	for _, r := range hostileRoutes() {
		for _, h := range hostileTexts {
			inPath := h.text
			if strings.Contains(r.path, "{x}") && len(inPath) > 1<<16 {
				inPath = inPath[:1<<16]
			}
			path := strings.ReplaceAll(r.path, "{x}", url.PathEscape(inPath))
			for _, body := range bodies(r.body, h.text) {
				status, header, answer := p.send(t, r.method, path, body, h.text)
				sent++
				about := fmt.Sprintf("%s %.100s %.100q with %s: %d %.300s", r.method, r.path, r.body, h.name, status, answer)
				require.Less(t, status, http.StatusInternalServerError, about)
				if asked := strings.Contains(r.body, `"by":{x}`) ||
					strings.Contains(r.body, `"reason":{x}`); asked && h.refused && !strings.HasSuffix(r.path, "hand-back") &&
					!strings.Contains(body, `\ufffd`) {
					require.Contains(t, []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}, status, about)
				}
				safeOutput(t, string(answer))
				require.True(t, cert.IsLine(fmt.Sprint(header)), "%q", header)
				if strings.Contains(header.Get("Content-Type"), "json") && status >= http.StatusBadRequest {
					var value any
					require.NoError(t, json.Unmarshal(answer, &value), about)
					safeJSON(t, value)
				}
			}
		}
	}
	t.Logf("%d requests, 0 answers of 500 or above", sent)
	require.Equal(t, http.StatusOK, p.call("POST", "/v1/domains/live.ready.test/resume", map[string]string{"by": "ann"}, nil))
}

// bodies are a body with a text in it: as JSON escapes it, and with its bytes as they are.
func bodies(template, text string) []string {
	if !strings.Contains(template, "{x}") {
		return []string{template}
	}
	escaped, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return []string{strings.ReplaceAll(template, "{x}", string(escaped)), strings.ReplaceAll(template, "{x}", `"`+text+`"`)}
}

func (p *hostile) send(t *testing.T, method, path, body, id string) (status int, header http.Header, answer []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.info.API+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+p.info.APIToken)
	r.Header.Set("Content-Type", "application/json")
	if cert.IsLine(id) && len(id) < 1000 { // net/http sends no others
		r.Header.Set("X-Request-Id", id)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err, "%s %.100s", method, path)
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, answer
}

func (p *hostile) commands(t *testing.T) {
	runs := 0
	for _, h := range hostileTexts {
		x := h.text[:min(len(h.text), 100_000)] // longer arguments no system takes
		file := filepath.Join(t.TempDir(), "domains.csv")
		require.NoError(t, os.WriteFile(file, []byte("hostname,tenant,also\n"+x+",acme,\nb.empty.test,"+x+",\nc.empty.test,acme,"+x+"\n"), 0o600))
		lines := [][]string{{"connect", "--file", file}, {"connect", "--file", file, "--json"}}
		if !strings.Contains(x, "\x00") { // which no argument can hold
			lines = append(
				lines,
				[]string{
					"connect", x, "--tenant", "acme",
				},
				[]string{"connect", "d.empty.test", "--tenant", x},
				[]string{"connect", "d.empty.test", "--tenant", "other", "--also", x},
				[]string{
					"status", x, "--json",
				},
				[]string{"timeline", x},
				[]string{"records", x},
				[]string{"watch", x},
				[]string{"changes", x},
				[]string{"csr", x},
				[]string{"cases", x},
				[]string{
					"pause", "live.ready.test", "--reason", x,
				},
				[]string{"resume", "live.ready.test", "--reason", x, "--json"},
				[]string{"check", "live.ready.test", "--reason", x},
				[]string{
					"hand-back", "live.ready.test", "--note", x,
				},
				[]string{"redirect", x, "on"},
				[]string{"remove", x, "--yes"},
				[]string{"remove", x, "--json"},
				[]string{
					"list", "--tenant", x,
				},
				[]string{"list", "--contains", x},
				[]string{"list", "--headline", x},
				[]string{x},
				[]string{"status", "--" + x},
				[]string{"doctor", x},
				[]string{"connect", "--file", x},
				[]string{"keyring", "generate", x + "/none/x"},
			)
		}
		for _, line := range lines {
			out, stderr, code := p.cli(line...)
			runs++
			about := fmt.Sprintf("evercert %.100q with %s: %d %.300q", line, h.name, code, out+stderr)
			require.NotEqual(t, 1, code, "a fault: %s", about)
			require.GreaterOrEqual(t, code, 0, about)
			require.NotContains(t, out+stderr, "\nevercert: forged", about)
			safeOutput(t, out+stderr)
		}
	}
	t.Logf("%d commands, 0 faults", runs)
}

// edge is asked for hostile names over TLS and HTTP.
func (p *hostile) edge(t *testing.T) {
	for _, h := range hostileTexts {
		text := h.text[:min(len(h.text), 4000)]
		//nolint:gosec // whatever answers
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 20 * time.Second}, Config: &tls.Config{ServerName: text, InsecureSkipVerify: true}}
		if conn, err := dialer.DialContext(t.Context(), "tcp", p.info.EdgeHTTPS); err == nil {
			require.NoError(t, conn.Close())
		}
		conn, err := (&net.Dialer{Timeout: 20 * time.Second}).DialContext(t.Context(), "tcp", p.info.EdgeHTTP)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = fmt.Fprintf(conn, "GET /.well-known/acme-challenge/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", text, text)
		if err == nil {
			answer, _ := io.ReadAll(conn) // an edge may cut off what it won't read
			require.False(
				t, bytes.HasPrefix(answer, []byte("HTTP/1.1 5")) && !bytes.HasPrefix(answer, []byte("HTTP/1.1 505")), "%s: %.200q", h.name, answer,
			)
		}
		require.NoError(t, conn.Close())
	}
}

// signals come from a Temporal client, past the API and the CLI.
func (p *hostile) signals(t *testing.T) {
	c := p.client
	for i, h := range slices.Backward(hostileTexts) { // the worst come last: they all meet one case
		t.Run(h.name, func(t *testing.T) {
			name, text := fmt.Sprintf("signal%d.empty.test", i), h.text[:min(len(h.text), 500_000)] // Temporal takes 2 MB in all
			p.start(name)
			p.await(name, "is checked", func(d control.Domain) bool { return !d.UpdatedAt.Equal(d.ConnectedAt) && len(d.Problems) > 0 })
			for _, verb := range []string{
				workflows.Pause, workflows.CheckNow, workflows.Resume, workflows.RequestCertificate, workflows.HandedBack, workflows.SetRedirect,
			} {
				require.NoError(t, c.SignalWorkflow(t.Context(), workflows.DomainID(name), "", verb, workflows.Request{By: text, Reason: text}))
			}
			status, _, answer := p.send(t, "POST", "/v1/domains/"+name+"/pause", `{"by":"ann"}`, "")
			require.Equal(t, http.StatusOK, status, "the workflow answers: %s", answer)
			p.await(name, "is paused", func(d control.Domain) bool { p.running(t, workflows.DomainID(name)); return d.Paused })
			for _, verb := range []string{workflows.AddNote, workflows.Acknowledge} {
				require.NoError(t, c.SignalWorkflow(t.Context(), p.caseID, "", verb, workflows.CaseRequest{By: text, Text: text}))
			}
			last := "seen " + h.name
			require.NoError(t, c.SignalWorkflow(t.Context(), p.caseID, "", workflows.AddNote, workflows.CaseRequest{By: "ann", Text: last}))
			p.eventually("the note is kept", func() bool {
				p.running(t, p.caseID)
				return strings.Contains(p.raw("/v1/cases?domain=case.ready.test"), last)
			}, func() any { return p.raw("/v1/cases?all=true&domain=case.ready.test") })
		})
	}
}

// outputs are all that people can read.
func (p *hostile) outputs(t *testing.T) {
	paths, lines := []string{
		"/v1/domains", "/v1/cases?all=true",
	}, [][]string{
		{"list"}, {"list", "--json"}, {"cases", "--all"}, {"cases", "--all", "--json"},
	}
	for _, name := range []string{"live.ready.test", "dns.empty.test", "case.ready.test"} {
		for _, part := range []string{"", "/records", "/changes", "/timeline", "/certificate", "/csr"} {
			paths = append(paths, "/v1/domains/"+name+part)
		}
		for _, command := range []string{"status", "timeline", "changes", "check"} {
			lines = append(lines, []string{command, name}, []string{command, name, "--json"})
		}
		lines = append(lines, []string{"records", name, "--servers"})
	}
	for _, path := range paths {
		answer := p.raw(path)
		safeOutput(t, answer)
		var value any
		if json.Unmarshal([]byte(answer), &value) == nil {
			safeJSON(t, value)
		}
	}
	for _, line := range lines {
		out, stderr, _ := p.cli(line...)
		safeOutput(t, out+stderr)
	}
	for _, part := range []string{"api", "worker", "edge"} {
		safeOutput(t, p.Log(part))
	}
}

// safeOutput requires that a text of many lines has no control character but line breaks, and tabs.
func safeOutput(t *testing.T, text string) {
	t.Helper()
	if plain := strings.NewReplacer("\n", "", "\t", "").Replace(text); !cert.IsLine(plain) {
		for line := range strings.Lines(text) {
			require.True(t, cert.IsLine(strings.NewReplacer("\n", "", "\t", "").Replace(line)), "%.500q", line)
		}
	}
}

// safeJSON requires that no text in a value has a control character.
func safeJSON(t *testing.T, value any) {
	t.Helper()
	switch v := value.(type) {
	case string:
		require.True(t, cert.IsLine(v), "%.300q", v)
	case []any:
		for _, each := range v {
			safeJSON(t, each)
		}
	case map[string]any:
		for key, each := range v {
			safeJSON(t, key)
			safeJSON(t, each)
		}
	}
}
