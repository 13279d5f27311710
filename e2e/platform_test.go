// Package e2e runs the whole of evercert as its users do: real Temporal server, PostgreSQL, ACME CA, DNS and edge, each
// a process of its own, started by bin/devstack. It uses no fakes.
package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

// patience is how long a test waits for something that takes seconds: these machines are shared. It does not measure speed.
const patience = 3 * time.Minute

// platform is a running evercert and its users: the API's, the CLI's, a visitor's.
type platform struct {
	*stack.Stack
	t    *testing.T
	info stack.Info
}

func newPlatform(t *testing.T, o stack.Options) *platform {
	t.Helper()
	s := stack.New(t, o)
	return &platform{Stack: s, t: t, info: s.Info()}
}

// problemDocument is how the API says no (RFC 9457).
type problemDocument struct {
	Code   cert.Code `json:"code"`
	Detail string    `json:"detail"`
}

// call makes an API request and decodes its answer into out, which may be nil. It returns the status code.
func (p *platform) call(method, path string, body, out any) int {
	p.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(p.t, err)
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, p.info.API+path, bytes.NewReader(raw))
	require.NoError(p.t, err)
	if body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header.Set("Authorization", "Bearer "+p.info.APIToken)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	if out != nil {
		require.NoError(p.t, json.Unmarshal(answer, out), "%s", answer)
	}
	return resp.StatusCode
}

func (p *platform) connect(hostname string, also ...string) {
	p.t.Helper()
	require.Equal(
		p.t, http.StatusCreated, p.call("POST", "/v1/domains", map[string]any{"hostname": hostname, "tenant": "acme", "also": also}, nil),
	)
}

func (p *platform) status(hostname string) (d control.Domain) {
	p.t.Helper()
	require.Equal(p.t, http.StatusOK, p.call("GET", "/v1/domains/"+hostname, nil, &d))
	return d
}

// await polls until a domain is as wanted.
func (p *platform) await(hostname, what string, wanted func(control.Domain) bool) control.Domain {
	p.t.Helper()
	var d control.Domain
	p.eventually(hostname+" "+what, func() bool { d = p.status(hostname); return wanted(d) }, func() any { return d })
	return d
}

func (p *platform) awaitHeadline(hostname string, h cert.Headline) control.Domain {
	p.t.Helper()
	return p.await(hostname, "is "+string(h), func(d control.Domain) bool { return d.Headline == h })
}

func (p *platform) eventually(what string, done func() bool, seen func() any) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %s: %s; last seen: %+v", patience, what, seen())
		}
		<-tick.C
	}
}

// cli runs bin/evercert against this platform and returns its output and exit code.
func (p *platform) cli(args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, stack.Bin("evercert"), append(args, "--stack", p.Dir+"/stack.json")...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// caStats counts what the CA has accepted, as seen in front of it.
func (p *platform) caStats() (s struct{ Orders, Finalizes, Certificates, Rejected int }) {
	p.t.Helper()
	out, err := p.Devstack("ca", "stats")
	require.NoError(p.t, err)
	require.NoError(p.t, json.Unmarshal([]byte(out), &s))
	return s
}

func (p *platform) devstack(args ...string) {
	p.t.Helper()
	_, err := p.Devstack(args...)
	require.NoError(p.t, err)
}

// browse makes a TLS connection to the edge as a browser that trusts only the test CA, and an HTTP request over it.
func (p *platform) browse(hostname string) (*x509.Certificate, *http.Response, error) {
	pool := x509.NewCertPool()
	roots, err := os.ReadFile(p.info.ACMERootPEM)
	if err != nil {
		return nil, nil, err
	}
	pool.AppendCertsFromPEM(roots)
	visitor := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: hostname}, DisableKeepAlives: true,
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequest("GET", "https://"+p.info.EdgeHTTPS+"/", http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	r.Host = hostname
	resp, err := visitor.Do(r)
	if err != nil {
		return nil, nil, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, nil, err
	}
	return resp.TLS.PeerCertificates[0], resp, resp.Body.Close()
}

func (p *platform) temporal() client.Client {
	p.t.Helper()
	c, err := client.Dial(client.Options{HostPort: p.info.Temporal, Namespace: p.info.Namespace, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(p.t, err)
	p.t.Cleanup(c.Close)
	return c
}

// histories returns the histories of a workflow id, oldest run first.
func (p *platform) histories(c client.Client, id string) (runs [][]*history.HistoryEvent) {
	p.t.Helper()
	run := ""
	for {
		var events []*history.HistoryEvent
		for it := c.GetWorkflowHistory(p.t.Context(), id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
			e, err := it.Next()
			require.NoError(p.t, err)
			events = append(events, e)
		}
		runs = append([][]*history.HistoryEvent{events}, runs...)
		if run = events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId(); run == "" {
			return runs
		}
	}
}

// caseWorkflow returns the workflow id of a domain's open case, once it runs.
func (p *platform) caseWorkflow(c client.Client, hostname string) (id string) {
	p.t.Helper()
	var open struct{ Cases []cert.Case }
	p.eventually("the case of "+hostname+" has a workflow", func() bool {
		open.Cases = nil
		p.call("GET", "/v1/cases?domain="+hostname, nil, &open)
		if len(open.Cases) != 1 {
			return false
		}
		id = workflows.EscalationID(open.Cases[0].ID)
		_, err := c.DescribeWorkflowExecution(p.t.Context(), id, "")
		return err == nil
	}, func() any { return open })
	return id
}

func (p *platform) signal(c client.Client, hostname, verb string, arg any) {
	p.t.Helper()
	require.NoError(p.t, c.SignalWorkflow(p.t.Context(), workflows.DomainID(hostname), "", verb, arg))
}

func names(n int, format string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

// runBinary runs one of evercert's processes with an environment of its own until it ends.
func runBinary(t *testing.T, name string, env []string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, stack.Bin(name))
	cmd.Env = env
	raw, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(raw), cmd.ProcessState.ExitCode()
}

// raw is an API answer as text, whatever its status.
func (p *platform) raw(path string) string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), "GET", p.info.API+path, http.NoBody)
	require.NoError(p.t, err)
	r.Header.Set("Authorization", "Bearer "+p.info.APIToken)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return string(body)
}
