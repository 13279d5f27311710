package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/workflows"
)

// TemporalConfig is where the workflows run.
type TemporalConfig struct {
	Address   string `env:"TEMPORAL_ADDRESS" envDefault:"127.0.0.1:7233" doc:"host and port of the Temporal frontend"`
	Namespace string `env:"TEMPORAL_NAMESPACE" envDefault:"default" doc:"Temporal namespace of the domains' workflows; the same for every process"`

	Deployment string `env:"WORKER_DEPLOYMENT" envDefault:"evercert-worker" doc:"Temporal's name for all builds of the worker in the namespace, without dots and colons; the same for every worker and the CLI"`
}

// Validate reports a deployment name that Temporal refuses.
func (t TemporalConfig) Validate() error {
	if t.Deployment == "" || strings.ContainsAny(t.Deployment, ".:") {
		return fmt.Errorf("WORKER_DEPLOYMENT is %q; it expects a name without dots and colons, such as evercert-worker", t.Deployment)
	}
	return nil
}

// Dial returns a client that connects at its first use: a process may start before Temporal does.
func (t TemporalConfig) Dial(logger *slog.Logger) (client.Client, error) {
	c, err := client.NewLazyClient(client.Options{
		HostPort: t.Address, Namespace: t.Namespace, Logger: log.NewStructuredLogger(logger),
		// Our messages are a few kB: compressing them costs more, here and in the server, than sending them.
		ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}},
	})
	if err != nil {
		return nil, fmt.Errorf("TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE: %w", err)
	}
	return c, nil
}

// taskTimeout is how soon a workflow task that got lost is given out again: its worker was killed, or the database stood still for a second just
// when it was handed over (Temporal's issue 11733). A look that takes longer says in time that it lives.
const taskTimeout = 5 * time.Second

// answerTimeout is how long a person waits for a domain's answer. A workflow answers in milliseconds when a worker runs.
const answerTimeout = 10 * time.Second

// Temporal reaches the workflows through a Temporal client.
func Temporal(c client.Client) Workflows { return temporalWorkflows{c} }

type temporalWorkflows struct{ client client.Client }

func (t temporalWorkflows) Ready(ctx context.Context) error {
	_, err := t.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

func (t temporalWorkflows) Start(ctx context.Context, d cert.Domain) error {
	return t.start(ctx, d, workflows.NewState(d))
}

func (t temporalWorkflows) Resume(ctx context.Context, d cert.Domain, kept json.RawMessage, cause string) error {
	state, err := workflows.StateFrom(kept, d, cause)
	if err != nil {
		return err
	}
	return t.start(ctx, d, state)
}

func (t temporalWorkflows) start(ctx context.Context, d cert.Domain, state workflows.State) error {
	_, err := t.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       workflows.DomainID(d.Hostname),
		TaskQueue:                workflows.TaskQueue,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, // a removed domain may be connected again
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, // a second start of the same is no start
		WorkflowTaskTimeout:      taskTimeout,
		EnableEagerStart:         true, // where this process is a worker, it gets the first task with the answer
		TypedSearchAttributes:    workflows.StartAttributes(d),
		StaticSummary:            workflows.StaticSummary(d),
	}, workflows.DomainWorkflow, state)
	return err
}

func (t temporalWorkflows) Ask(ctx context.Context, hostname, verb string, argument any) (cert.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	handle, err := t.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID:     uuid.NewString(), // by which the workflow knows a request that comes twice
		WorkflowID:   workflows.DomainID(hostname),
		UpdateName:   verb,
		Args:         []any{argument},
		WaitForStage: client.WorkflowUpdateStageAccepted,
	})
	if err != nil {
		return cert.Answer{}, translate(err, "it may still do what you asked: look at the status in a minute, and ask again if nothing has changed")
	}
	var a cert.Answer
	if err := handle.Get(ctx, &a); err != nil {
		return cert.Answer{}, translate(err, "your request is noted and will be carried out; look at the status in a minute")
	}
	return a, nil
}

func (t temporalWorkflows) StartCase(ctx context.Context, c cert.Case) error {
	_, err := t.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       workflows.EscalationID(c.ID),
		TaskQueue:                workflows.TaskQueue,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, // a domain that was reset may open its case again
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowTaskTimeout:      taskTimeout,
		TypedSearchAttributes:    workflows.CaseAttributes(c),
		StaticSummary:            cert.Markdown(c.Hostname + ": " + c.Reason),
	}, workflows.EscalationWorkflow, workflows.CaseState{Case: c})
	return err
}

func (t temporalWorkflows) ResolveCase(ctx context.Context, caseID string) error {
	err := t.client.SignalWorkflow(ctx, workflows.EscalationID(caseID), "", workflows.Resolved, workflows.CaseRequest{By: "evercert"})
	return translate(err, "it is told again in a minute")
}

// translate turns Temporal's errors into what people are told. late says what became of a request whose answer was not seen.
func translate(err error, late string) error {
	if err == nil {
		return nil
	}
	var (
		application *temporal.ApplicationError
		notFound    *serviceerror.NotFound
		unavailable *serviceerror.Unavailable
		timeout     *client.WorkflowUpdateServiceTimeoutOrCanceledError
		deadline    *serviceerror.DeadlineExceeded
		refusal     cert.Problem
	)
	switch {
	case errors.As(err, &application) && application.Type() == workflows.RefusedType && application.Details(&refusal) == nil:
		return refusal
	case errors.As(err, &notFound):
		return ErrNotRunning
	case errors.As(err, &unavailable):
		return errors.Join(cert.Problem{
			Code: cert.Unavailable, WhoActs: cert.PlatformActs, Message: "Temporal does not answer, so nothing can be asked of a domain now",
			Remediation: "try again in a minute",
		}, err)
	case errors.As(err, &timeout), errors.As(err, &deadline), errors.Is(err, context.DeadlineExceeded):
		return errors.Join(cert.Problem{Code: cert.NoAnswer, WhoActs: cert.PlatformActs, Message: "evercert did not answer in time", Remediation: late}, err)
	default:
		return err
	}
}
