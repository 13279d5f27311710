// Command replayrecord records the histories that replay tests run over: real stories on a real server. Record them from
// the commit that is released, never from the branch under test: a history proves that new code can take up
// the domains that old code left sleeping.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/workflows"
)

func main() {
	out := flag.String("out", "workflows/testdata/histories", "folder for the histories")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out); err != nil {
		fmt.Fprintln(os.Stderr, "replayrecord:", err)
		os.Exit(1) //nolint:gocritic // stop only frees the signal handler, and the process ends
	}
}

// recorder is a platform whose domains live their stories in a minute.
type recorder struct {
	*stack.Stack
	info     stack.Info
	temporal client.Client
	out      string
}

func run(ctx context.Context, out string) (err error) {
	s, err := stack.Start(stack.Options{CA: []string{"minutes=20s", "retry-after=0"}, Env: map[string]string{
		"ACME_PROFILE": "minutes", "RETRY_AFTER_FAILURES": "1s", "DNS_FIRST_CHECKS": "1s,1s", "DNS_CHECK_INTERVAL": "1s", "DNS_LATE_AFTER": "2s", "DNS_ESCALATE_AFTER": "4s", "DNS_ESCALATED_INTERVAL": "2s",
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	r := &recorder{Stack: s, info: s.Info(), out: out}
	r.temporal, err = client.Dial(client.Options{HostPort: r.info.Temporal, Namespace: r.info.Namespace, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer r.temporal.Close()
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, story := range []func(context.Context) error{r.renewed, r.refused, r.late, r.pausedAndRemoved} {
		if err := story(ctx); err != nil {
			return err
		}
	}
	return nil
}

// renewed is a domain from connecting to its second renewal.
func (r *recorder) renewed(ctx context.Context) error {
	const name = "renewed.ready.test"
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	if err := r.await(ctx, name, func(runs int, _ cert.Headline) bool { return runs >= 3 }); err != nil {
		return err
	}
	return r.save(ctx, workflows.DomainID(name))
}

// refused is a domain that the CA refuses three times, that support hands back, and that is complete then.
func (r *recorder) refused(ctx context.Context) error {
	const name = "refused.ready.test"
	if _, err := r.Devstack("ca", "fault", "finalize", "problem:caa", "3"); err != nil {
		return err
	}
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.ContactSupport }); err != nil {
		return err
	}
	for _, verb := range []string{workflows.Acknowledge, workflows.AddNote, workflows.HandBack} {
		if err := r.temporal.SignalWorkflow(ctx, workflows.EscalationID(name), "", verb, workflows.CaseRequest{By: "sue", Text: verb}); err != nil {
			return err
		}
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.InstallationComplete }); err != nil {
		return err
	}
	return errors.Join(r.save(ctx, workflows.DomainID(name)), r.save(ctx, workflows.EscalationID(name)))
}

// late is a domain whose records come after it was escalated.
func (r *recorder) late(ctx context.Context) error {
	const name = "late.empty.test"
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.ContactSupport }); err != nil {
		return err
	}
	var answer struct{ Records []cert.Record }
	if err := r.call(ctx, "GET", "/v1/domains/"+name+"/records", nil, &answer); err != nil {
		return err
	}
	for _, record := range answer.Records {
		if _, err := r.Devstack("dns", "set", record.Name, record.Type, record.Value); err != nil {
			return err
		}
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.InstallationComplete }); err != nil {
		return err
	}
	return errors.Join(r.save(ctx, workflows.DomainID(name)), r.save(ctx, workflows.EscalationID(name)))
}

// pausedAndRemoved is a domain that gets each of the other messages.
func (r *recorder) pausedAndRemoved(ctx context.Context) error {
	const name = "removed.empty.test"
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	for _, verb := range []string{"pause", "resume", "check", "request"} {
		if err := r.call(ctx, "POST", "/v1/domains/"+name+"/"+verb, map[string]string{"by": "sue"}, nil); err != nil {
			return err
		}
	}
	if err := r.call(ctx, "DELETE", "/v1/domains/"+name, nil, nil); err != nil {
		return err
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.Removed }); err != nil {
		return err
	}
	return r.save(ctx, workflows.DomainID(name))
}

func (r *recorder) connect(ctx context.Context, name string) error {
	fmt.Println(name)
	return r.call(ctx, "POST", "/v1/domains", map[string]string{"hostname": name, "tenant": "acme"}, nil)
}

func (r *recorder) call(ctx context.Context, method, path string, body, out any) error {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, r.info.API+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+r.info.APIToken)
	request.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (r *recorder) await(ctx context.Context, name string, enough func(runs int, h cert.Headline) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var d struct{ Headline cert.Headline }
		if err := r.call(ctx, "GET", "/v1/domains/"+name, nil, &d); err != nil {
			return err
		}
		runs, err := r.runs(ctx, workflows.DomainID(name))
		if _, unstarted := errors.AsType[*serviceerror.NotFound](err); err != nil && !unstarted {
			return err
		}
		if enough(len(runs), d.Headline) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is %q after %d runs: %w", name, d.Headline, len(runs), ctx.Err())
		case <-tick.C:
		}
	}
}

// runs are the histories of a workflow id, the newest first.
func (r *recorder) runs(ctx context.Context, id string) (runs []*history.History, err error) {
	for run := ""; ; {
		h := &history.History{}
		for it := r.temporal.GetWorkflowHistory(ctx, id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
			event, err := it.Next()
			if err != nil {
				return nil, err
			}
			h.Events = append(h.Events, event)
		}
		runs = append(runs, h)
		if run = h.Events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId(); run == "" {
			return runs, nil
		}
	}
}

func (r *recorder) save(ctx context.Context, id string) error {
	runs, err := r.runs(ctx, id)
	if err != nil {
		return err
	}
	for i, h := range runs {
		raw, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(h)
		if err != nil {
			return err
		}
		path := filepath.Join(r.out, fmt.Sprintf("%s-%d.json", sanitize(id), len(runs)-i))
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			return err
		}
		fmt.Println("  ", path, len(h.Events), "events")
	}
	return nil
}

// sanitize makes a workflow id a file name on every system.
func sanitize(id string) string {
	return string(bytes.ReplaceAll([]byte(id), []byte(":"), []byte("-")))
}
