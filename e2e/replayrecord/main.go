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
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"

	"github.com/evercert/evercert/activities"
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
		"ACME_PROFILE":           "minutes",
		"RETRY_AFTER_FAILURES":   "1s",
		"DNS_FIRST_CHECKS":       "1s,1s",
		"DNS_CHECK_INTERVAL":     "1s",
		"DNS_LATE_AFTER":         "2s",
		"DNS_ESCALATE_AFTER":     "4s",
		"DNS_ESCALATED_INTERVAL": "2s",
		"RENEWAL_HOLD_INTERVAL":  "1s",
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	r := &recorder{Stack: s, info: s.Info(), out: out}
	r.temporal, err = client.Dial(
		client.Options{HostPort: r.info.Temporal, Namespace: r.info.Namespace, Logger: slog.New(slog.DiscardHandler)},
	)
	if err != nil {
		return err
	}
	defer r.temporal.Close()
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, story := range []func(context.Context) error{
		r.renewed, r.refused, r.late, r.pausedAndRemoved, r.held, r.expired, r.parked, r.orderGone, r.edgeAway,
	} {
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
	return r.save(ctx, workflows.DomainID(name), name)
}

// refused is a domain that the CA refuses three times, that support hands back, and that is complete then.
func (r *recorder) refused(ctx context.Context) error {
	const name = "refused.ready.test"
	if _, err := r.Devstack("ca", "fault", "finalize", "problem:caa", "3", "--name", name); err != nil {
		return err
	}
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.ContactSupport }); err != nil {
		return err
	}
	id, err := r.caseOf(ctx, name)
	if err != nil {
		return err
	}
	for _, verb := range []string{workflows.Acknowledge, workflows.AddNote, workflows.HandBack} {
		if err := r.temporal.SignalWorkflow(ctx, id, "", verb, workflows.CaseRequest{By: "sue", Text: verb}); err != nil {
			return err
		}
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.InstallationComplete }); err != nil {
		return err
	}
	return errors.Join(r.save(ctx, workflows.DomainID(name), name), r.saveCase(ctx, id, name))
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
	id, err := r.caseOf(ctx, name)
	if err != nil {
		return err
	}
	var answer struct{ Records []cert.Record }
	if err := r.call(ctx, "GET", "/v1/domains/"+name+"/records", nil, &answer); err != nil {
		return err
	}
	if err := r.set(answer.Records); err != nil {
		return err
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.InstallationComplete }); err != nil {
		return err
	}
	return errors.Join(r.save(ctx, workflows.DomainID(name), name), r.saveCase(ctx, id, name))
}

// held is a domain whose records are gone when its certificate is due, and back later.
func (r *recorder) held(ctx context.Context) error {
	const name = "held.empty.test"
	records, err := r.withdrawn(ctx, name)
	if err != nil {
		return err
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.RenewalHeld }); err != nil {
		return err
	}
	if err := r.set(records); err != nil {
		return err
	}
	if err := r.await(ctx, name, complete); err != nil {
		return err
	}
	return r.save(ctx, workflows.DomainID(name), name)
}

// expired is a domain whose certificate ends while its records are gone.
func (r *recorder) expired(ctx context.Context) error {
	const name = "expired.empty.test"
	if _, err := r.withdrawn(ctx, name); err != nil {
		return err
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.Expired }); err != nil {
		return err
	}
	return r.save(ctx, workflows.DomainID(name), name)
}

// parked is a domain whose name the CA has paused.
func (r *recorder) parked(ctx context.Context) error {
	const name = "parked.ready.test"
	if _, err := r.Devstack("ca", "fault", "newOrder", "paused", "1", "--name", name); err != nil {
		return err
	}
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	if err := r.await(ctx, name, func(_ int, h cert.Headline) bool { return h == cert.ContactSupport }); err != nil {
		return err
	}
	if err := r.call(ctx, "POST", "/v1/domains/"+name+"/request", map[string]string{"by": "sue"}, nil); err != nil {
		return err
	}
	if err := r.await(ctx, name, complete); err != nil {
		return err
	}
	return r.save(ctx, workflows.DomainID(name), name)
}

// orderGone is a domain whose order the CA has forgotten.
func (r *recorder) orderGone(ctx context.Context) error {
	const name = "order-gone.ready.test"
	if _, err := r.Devstack("ca", "fault", "order", "status:404", "1", "--name", name); err != nil {
		return err
	}
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	if err := r.await(ctx, name, complete); err != nil {
		return err
	}
	return r.save(ctx, workflows.DomainID(name), name)
}

// edgeAway is a domain whose edge goes away when its certificate is issued: its installation goes on as a regular activity. The edge
// answers the CA's question about the name, too, so that it may not be away before.
func (r *recorder) edgeAway(ctx context.Context) error {
	const name = "edge-away.ready.test"
	if _, err := r.Devstack("ca", "fault", "certificate", "delay:4s", "1", "--name", name); err != nil {
		return err
	}
	if err := r.connect(ctx, name); err != nil {
		return err
	}
	issued := func(int, cert.Headline) bool {
		met, err := r.met(name)
		return err == nil && met
	}
	if err := r.await(ctx, name, issued); err != nil {
		return err
	}
	if _, err := r.Devstack("stop", "edge"); err != nil {
		return err
	}
	err := r.await(ctx, name, func(int, cert.Headline) bool {
		d, err := r.temporal.DescribeWorkflowExecution(ctx, workflows.DomainID(name), "")
		return err == nil && len(d.GetPendingActivities()) == 1 &&
			d.GetPendingActivities()[0].GetActivityType().GetName() == activities.VerifyEdgeName
	})
	if _, started := r.Devstack("start", "edge"); err != nil || started != nil {
		return errors.Join(err, started)
	}
	if err := r.await(ctx, name, complete); err != nil {
		return err
	}
	return r.save(ctx, workflows.DomainID(name), name)
}

// met reports whether the CA has met the fault that was ordered for a name.
func (r *recorder) met(name string) (bool, error) {
	out, err := r.Devstack("ca", "faults")
	if err != nil {
		return false, err
	}
	var faults []struct {
		Name string
		Done int
	}
	if err := json.Unmarshal([]byte(out), &faults); err != nil {
		return false, err
	}
	for _, f := range faults {
		if f.Name == name && f.Done > 0 {
			return true, nil
		}
	}
	return false, nil
}

func complete(_ int, h cert.Headline) bool { return h == cert.InstallationComplete }

// pointed connects a domain and makes the records that it asks for.
func (r *recorder) pointed(ctx context.Context, name string) ([]cert.Record, error) {
	if err := r.connect(ctx, name); err != nil {
		return nil, err
	}
	var answer struct{ Records []cert.Record }
	if err := r.call(ctx, "GET", "/v1/domains/"+name+"/records", nil, &answer); err != nil {
		return nil, err
	}
	return answer.Records, r.set(answer.Records)
}

// withdrawn brings a domain to its certificate and takes its records away then. It returns the records.
func (r *recorder) withdrawn(ctx context.Context, name string) ([]cert.Record, error) {
	records, err := r.pointed(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := r.await(ctx, name, complete); err != nil {
		return nil, err
	}
	for _, record := range records {
		if _, err := r.Devstack("dns", "del", record.Name, record.Type); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (r *recorder) set(records []cert.Record) error {
	for _, record := range records {
		if _, err := r.Devstack("dns", "set", record.Name, record.Type, record.Value); err != nil {
			return err
		}
	}
	return nil
}

// caseOf returns the workflow id of a domain's open case, once it runs.
func (r *recorder) caseOf(ctx context.Context, name string) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var open struct{ Cases []cert.Case }
		if err := r.call(ctx, "GET", "/v1/cases?domain="+name, nil, &open); err != nil {
			return "", err
		}
		if len(open.Cases) == 1 {
			id := workflows.EscalationID(open.Cases[0].ID)
			if _, err := r.temporal.DescribeWorkflowExecution(ctx, id, ""); err == nil {
				return id, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the case of %s has no workflow: %w", name, ctx.Err())
		case <-tick.C:
		}
	}
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
	return r.save(ctx, workflows.DomainID(name), name)
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

// saveCase waits until the workflow of a case has seen that the case is closed.
func (r *recorder) saveCase(ctx context.Context, id, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := r.temporal.GetWorkflow(ctx, id, "").Get(ctx, nil); err != nil {
		return fmt.Errorf("the case of %s: %w", name, err)
	}
	return r.save(ctx, id, name)
}

// save writes every run of a workflow into a file that is called after its kind and the domain's name.
func (r *recorder) save(ctx context.Context, id, name string) error {
	runs, err := r.runs(ctx, id)
	if err != nil {
		return err
	}
	kind, _, _ := strings.Cut(id, ":")
	for i, h := range runs {
		raw, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(h)
		if err != nil {
			return err
		}
		path := filepath.Join(r.out, fmt.Sprintf("%s-%s-%d.json", kind, name, len(runs)-i))
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			return err
		}
		fmt.Println("  ", path, len(h.Events), "events")
	}
	return nil
}
