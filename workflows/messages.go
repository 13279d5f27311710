package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
)

// The verbs. Each is a signal (Temporal Web UI, row E3) and an update (API and CLI, which want an answer); one handler stands behind both.
const (
	RequestCertificate = "request-certificate"
	CheckNow           = "check-now"
	Pause              = "pause"
	Resume             = "resume"
	Remove             = "remove"
	HandedBack         = "handed-back"
	SetRedirect        = "https-redirect" // takes a RedirectRequest
	StatusQuery        = "status"         // answers State
)

// Request is what comes with a verb.
type Request struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// RedirectRequest switches the HTTP to HTTPS redirect of a domain.
type RedirectRequest struct {
	On bool   `json:"on"`
	By string `json:"by,omitempty"`
}

// Answer is what an update tells the one who asked.
type Answer struct {
	Headline     cert.Headline `json:"headline"`
	Message      string        `json:"message"`
	NextAction   string        `json:"next_action,omitempty"`
	NextActionAt time.Time     `json:"next_action_at,omitzero"`

	Checking  bool      `json:"checking,omitempty"`  // a check was asked for, and nothing but work under way keeps it waiting
	LastCheck time.Time `json:"last_check,omitzero"` // the one before it, by which the new one can be known
}

// RefusedType is the type of the error with which a verb is refused. Its details hold the cert.Problem.
const RefusedType = "refused"

// verb checks, notes and returns. It never waits: a handler that waits on the main loop hangs ContinueAsNew.
type verb[R any] struct {
	name  string
	check func(R) error
	apply func(R) (message string)
}

// handleMessages listens for all verbs. The signals share one coroutine: each coroutine is run again whenever anything happens in the workflow.
func (d *domain) handleMessages(ctx workflow.Context) error {
	d.signals = workflow.NewSelector(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for workflow.Await(ctx, d.signals.HasPending) == nil { // until the run is cancelled
			d.drainSignals(ctx)
		}
	})
	return errors.Join(
		workflow.SetQueryHandler(ctx, StatusQuery, func() (State, error) { return d.state, nil }),
		handle(ctx, d, verb[Request]{RequestCertificate, d.checkRequest, d.applyRequest}),
		handle(ctx, d, verb[Request]{CheckNow, d.checkNotRemoved, d.applyCheck}),
		handle(ctx, d, verb[Request]{Pause, d.checkNotRemoved, d.applyPause}),
		handle(ctx, d, verb[Request]{Resume, d.checkNotRemoved, d.applyResume}),
		handle(ctx, d, verb[Request]{Remove, func(Request) error { return nil }, d.applyRemove}),
		handle(ctx, d, verb[Request]{HandedBack, d.checkNotRemoved, d.applyHandedBack}),
		handle(ctx, d, verb[RedirectRequest]{SetRedirect, d.checkRedirect, d.applyRedirect}),
	)
}

// handle puts one verb behind a signal and an update of its name. The check runs again when the verb is carried out: the state may have moved on since.
func handle[R any](ctx workflow.Context, d *domain, v verb[R]) error {
	take := func(r R) (Answer, error) {
		if err := v.check(r); err != nil {
			d.log.Info("refused", "verb", v.name, "reason", err)
			return Answer{}, err
		}
		message := v.apply(r)
		d.woken = true
		next, at, _ := d.state.next()
		answer := Answer{Headline: d.state.status().Headline(), Message: message, NextAction: next, NextActionAt: at}
		if d.state.CheckRequested != "" && !d.state.Paused {
			answer.Checking, answer.LastCheck = true, d.state.CheckedAt
		}
		return answer, nil
	}
	d.signals.AddReceive(workflow.GetSignalChannel(ctx, v.name), func(channel workflow.ReceiveChannel, _ bool) {
		var r R
		if channel.ReceiveAsync(&r) { // what can't be read is dropped
			_, _ = take(r) // a signal has nobody to tell; the refusal is in the log
		}
	})
	return workflow.SetUpdateHandlerWithOptions(ctx, v.name,
		func(_ workflow.Context, r R) (Answer, error) { return take(r) },
		workflow.UpdateHandlerOptions{Validator: v.check})
}

func (d *domain) drainSignals(ctx workflow.Context) {
	for d.signals.HasPending() {
		d.signals.Select(ctx)
	}
}

// refuse says no, and why, in a form that the API turns into a problem document.
func refuse(who cert.Actor, message, remediation string) error {
	return temporal.NewApplicationErrorWithOptions(message, RefusedType, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{cert.Problem{Code: cert.RequestRefused, WhoActs: who, Message: message, Remediation: remediation}},
	})
}

func (d *domain) checkNotRemoved(Request) error {
	if d.state.Removed {
		return refuse(cert.TenantActs, "the domain was removed", "connect it again")
	}
	return nil
}

// checkRequest refuses what would waste an order, and anything at all while support has the case (row A5).
func (d *domain) checkRequest(r Request) error {
	switch {
	case d.state.Removed:
		return d.checkNotRemoved(r)
	case d.state.Escalation.stops():
		return refuse(cert.PlatformActs, "automatic and manual attempts have stopped: contact support",
			"support looks at the case and hands the domain back; then requests are possible again")
	case d.state.Paused:
		return refuse(cert.TenantActs, "the domain is paused", "resume it first")
	}
	return nil
}

func (d *domain) applyRequest(r Request) string {
	if d.state.Phase == Issuing || d.state.Phase == Installing {
		return "a certificate is being made already"
	}
	d.state.Requested = requester(r.By)
	return "the records are checked now; the certificate is ordered if they are right"
}

func (d *domain) applyCheck(r Request) string {
	d.state.CheckRequested = requester(r.By)
	if d.state.Paused {
		return "the records are checked when the domain is resumed"
	}
	return "the records are checked now"
}

func (d *domain) applyPause(r Request) string {
	if d.state.Paused {
		return "it was paused already"
	}
	d.state.Paused, d.state.PausedBy, d.changed = true, requester(r.By), true
	if d.state.Live != nil {
		d.happened(cert.RenewalOnHoldEvent, "paused by "+d.state.PausedBy+reason(r))
	}
	return "checks, orders and renewals wait until the domain is resumed; a certificate that is live stays"
}

func (d *domain) applyResume(r Request) string {
	if !d.state.Paused {
		return "it was not paused"
	}
	d.state.Paused, d.state.PausedBy, d.changed = false, "", true
	if d.state.Live != nil {
		d.happened(cert.RenewalResumed, "resumed by "+requester(r.By)+reason(r))
	}
	return "the domain goes on where it was"
}

func (d *domain) applyRemove(r Request) string {
	d.state.Removed, d.state.RemovedBy = true, "removed by "+requester(r.By)+reason(r)
	return "the domain is removed: nothing is renewed any more, and the edge stops serving it"
}

func (d *domain) applyHandedBack(r Request) string {
	if d.state.Escalation == "" {
		return "it was with nobody"
	}
	d.state.Escalation, d.state.Failures = "", 0
	d.happened(cert.EscalationClosed, "handed back by "+requester(r.By)+reason(r))
	if d.state.Phase == AwaitingDNS {
		d.state.CheckRequested = requester(r.By)
		d.state.WaitingSince, d.state.Checks, d.state.Late = time.Time{}, 0, false
	}
	return "attempts go on"
}

// checkRedirect holds visitors back from HTTPS until HTTPS works (row A3). Switching it off is always possible.
func (d *domain) checkRedirect(r RedirectRequest) error {
	if err := d.checkNotRemoved(Request{}); err != nil {
		return err
	}
	if r.On && (d.state.Live == nil || d.state.Expired) {
		return refuse(cert.TenantActs, "HTTPS redirect can be switched on only after the status is Installation complete; it is "+
			string(d.state.status().Headline()), "wait until the certificate is installed")
	}
	return nil
}

func (d *domain) applyRedirect(r RedirectRequest) string {
	if d.state.HTTPSRedirect != r.On {
		d.state.HTTPSRedirect, d.changed = r.On, true
	}
	if r.On {
		return "visitors who come over HTTP are sent to HTTPS"
	}
	return "visitors who come over HTTP stay there"
}

func requester(by string) string {
	if by == "" {
		return "the Temporal Web UI"
	}
	return by
}

func reason(r Request) string {
	if r.Reason == "" {
		return ""
	}
	return ": " + r.Reason
}
