package workflows

import (
	"crypto/sha256"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/cert"
)

// The verbs. Each is a signal (Temporal Web UI, row E3) and an update (API and CLI, which need an answer); one handler serves both.
const (
	RequestCertificate = "request-certificate"
	CheckNow           = "check-now"
	Pause              = "pause"
	Resume             = "resume"
	Remove             = "remove"
	HandedBack         = "handed-back"    // takes a HandBackRequest
	SetRedirect        = "https-redirect" // takes a RedirectRequest
	StatusQuery        = "status"         // answers State
)

// Wake is the signal of the caretaker when it found a difference. It takes a WakeRequest.
const Wake = "wake"

// Request comes with every verb.
type Request struct {
	ID     string `json:"id,omitempty"` // of the request: a repeated one acts once; an update has its own
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// what returns what is requested, for the timeline.
func (Request) what(verb string) string { return verb }

// RedirectRequest switches the HTTP to HTTPS redirect of a domain.
type RedirectRequest struct {
	Request
	On bool `json:"on"`
}

func (r RedirectRequest) what(verb string) string {
	if r.On {
		return verb + " on"
	}
	return verb + " off"
}

// HandBackRequest says that support has settled a case.
type HandBackRequest struct {
	Request
	Case string `json:"case,omitempty"` // the open case that the sender has seen; empty: whichever is open
}

// WakeRequest is what the caretaker found.
type WakeRequest struct {
	Cause     string `json:"cause"`               // for the timeline
	Reinstall bool   `json:"reinstall,omitempty"` // the edges do not have the served certificate
	Renew     bool   `json:"renew,omitempty"`     // the served certificate must be replaced now
	Check     bool   `json:"check,omitempty"`     // the records may be there: check DNS now, if the domain waits for it
}

// WasRemoved is the message of the refusal of every verb by a domain that is removed; its names are free a moment later.
const WasRemoved = "the domain was removed"

// RefusedType is the type of the error with which a verb is refused. Its details hold the cert.Problem.
const RefusedType = "refused"

// verb checks, notes and returns. It never waits: a handler that waits for the main loop blocks ContinueAsNew.
type verb[R any] struct {
	name    string
	request func(*R) *Request // the part that all requests have
	check   func(R) error
	apply   func(R, time.Time) (message string, did bool) // did: something has changed, and an event is added
}

// handleMessages handles all verbs. The signals share one coroutine, because every coroutine runs again whenever anything happens in the
// workflow. It also notes a cancellation from outside, once; only removal ends a domain.
func (d *domain) handleMessages(ctx workflow.Context, cancelRequested func() bool) {
	d.signals = workflow.NewSelector(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			must(workflow.Await(ctx, func() bool { return d.signals.HasPending() || !d.cancelled && cancelRequested() }))
			if !d.cancelled && cancelRequested() {
				d.cancelled, d.woken = true, true
				d.addEvent(cert.RequestIgnored, "a person asked Temporal to cancel this workflow; only removal ends a domain")
			}
			d.drainSignals(ctx)
		}
	})
	must(workflow.SetQueryHandler(ctx, StatusQuery, func() (State, error) { return d.state, nil }))
	plain := func(r *Request) *Request { return r }
	handle(ctx, d, verb[Request]{RequestCertificate, plain, d.checkRequest, d.applyRequest})
	handle(ctx, d, verb[Request]{CheckNow, plain, d.checkNotRemoved, d.applyCheck})
	handle(ctx, d, verb[Request]{Pause, plain, d.checkNotRemoved, d.applyPause})
	handle(ctx, d, verb[Request]{Resume, plain, d.checkNotRemoved, d.applyResume})
	handle(ctx, d, verb[Request]{Remove, plain, func(Request) error { return nil }, d.applyRemove})
	handle(ctx, d, verb[HandBackRequest]{
		HandedBack, func(r *HandBackRequest) *Request { return &r.Request },
		func(r HandBackRequest) error { return d.checkNotRemoved(r.Request) }, d.applyHandedBack,
	})
	handle(
		ctx, d, verb[RedirectRequest]{SetRedirect, func(r *RedirectRequest) *Request { return &r.Request }, d.checkRedirect, d.applyRedirect},
	)
	contest := func(r ContestRequest) error { return d.checkContest(r, workflow.Now(ctx)) }
	handle(ctx, d, verb[ContestRequest]{Contest, func(r *ContestRequest) *Request { return &r.Request }, contest, d.applyContest})
	listen(ctx, d, Wake, d.wake)
	listen(ctx, d, MoveOn, func(struct{}) { d.state.Asked.MoveOn = true })
}

// handle handles a signal and an update of one verb. The check runs again when the verb is carried out, because the state may have changed.
// A repeated request, also in a later run, succeeds and does nothing.
func handle[R interface{ what(verb string) string }](ctx workflow.Context, d *domain, v verb[R]) {
	take := func(ctx workflow.Context, r R) (cert.Answer, error) {
		request := v.request(&r)
		request.clean()
		if d.state.Asked.did(request.ID) {
			return d.answer("it was done when it was asked for the first time"), nil
		}
		if err := v.check(r); err != nil {
			d.log.Info("refused", "verb", v.name, "reason", err)
			return cert.Answer{}, err
		}
		d.state.Asked.remember(request.ID)
		message, did := v.apply(r, workflow.Now(ctx))
		if did {
			d.addEvent(cert.RequestMade, r.what(v.name)+" by "+requester(request.By)+reason(*request))
		}
		d.woken = true
		return d.answer(message), nil
	}
	listen(ctx, d, v.name, func(r R) { _, _ = take(ctx, r) }) // a signal has no answer; a refusal is logged
	must(workflow.SetUpdateHandlerWithOptions(ctx, v.name,
		func(ctx workflow.Context, r R) (cert.Answer, error) {
			v.request(&r).ID = workflow.GetCurrentUpdateInfo(ctx).ID
			d.updated = true
			return take(ctx, r)
		},
		workflow.UpdateHandlerOptions{Validator: func(ctx workflow.Context, r R) error {
			if d.state.Asked.did(requestID(workflow.GetCurrentUpdateInfo(ctx).ID)) {
				return nil
			}
			return v.check(r)
		}}))
}

// listen receives the signals of a name. A signal that can't be parsed is dropped.
func listen[R any](ctx workflow.Context, d *domain, name string, take func(R)) {
	d.signals.AddReceive(workflow.GetSignalChannel(ctx, name), func(channel workflow.ReceiveChannel, _ bool) {
		var r R
		if channel.ReceiveAsync(&r) {
			d.woken = true
			take(r)
		}
	})
}

func (d *domain) answer(message string) cert.Answer {
	next := d.state.next()
	answer := cert.Answer{Headline: d.state.status().Headline(), Message: message, NextAction: next.Action, NextActionAt: next.At}
	if v := d.state.Rival; v != nil {
		answer.MovesAt = v.MovesAt
	}
	if d.state.Asked.Check != "" && d.state.Pause == nil {
		answer.Checking, answer.LastCheck = true, d.state.Records.CheckedAt
	}
	return answer
}

func (d *domain) drainSignals(ctx workflow.Context) {
	for d.signals.HasPending() {
		d.signals.Select(ctx)
	}
}

// clean makes text from people safe to store. The API and the CLI refuse such text; a signal has no answer.
func (r *Request) clean() {
	r.ID, r.By, r.Reason = requestID(r.ID), cert.Line(r.By, cert.MaxBy), cert.Line(r.Reason, cert.MaxReason)
}

// maxRequestID is enough for any identifier in use; the state stores many.
const maxRequestID = 64

// requestID returns an id as it is stored: itself, or its hash when it is long or not a line of text.
func requestID(id string) string {
	if len(id) <= maxRequestID && cert.IsLine(id) {
		return id
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(id)))
}

// wake does what the caretaker asks for, and records the domain again.
func (d *domain) wake(r WakeRequest) {
	if d.state.status().Domain == cert.DomainRemoved {
		return
	}
	if r.Renew {
		if d.state.Phase == Active && d.state.Asked.Certificate == "" { // otherwise it is being renewed already
			d.state.Asked.Certificate = "the caretaker"
			d.addEvent(cert.RequestMade, RequestCertificate+" by the caretaker: "+r.Cause)
		}
		return
	}
	if r.Check { // adds no event; the check adds its own
		if d.state.Phase == AwaitingDNS && d.state.Pause == nil {
			d.state.Asked.Check = r.Cause
		}
		return
	}
	d.state.Asked.Reinstall = d.state.Asked.Reinstall || r.Reinstall
	d.addEvent(cert.DomainRepaired, r.Cause)
}

// refuse returns an error with the reason, which the API returns as a problem document.
func refuse(who cert.Actor, message, remediation string) error {
	return temporal.NewApplicationErrorWithOptions(message, RefusedType, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{cert.Problem{Code: cert.RequestRefused, WhoActs: who, Message: message, Remediation: remediation}},
	})
}

func (d *domain) checkNotRemoved(Request) error {
	if d.state.status().Domain == cert.DomainRemoved {
		return refuse(cert.TenantActs, WasRemoved, "connect it again")
	}
	return nil
}

// checkRequest refuses a request that would waste an order, and every request while support has the case (row A5).
func (d *domain) checkRequest(r Request) error {
	switch {
	case d.checkNotRemoved(r) != nil:
		return d.checkNotRemoved(r)
	case d.state.Phase == AwaitingHandBack && d.state.Case != nil:
		return refuse(cert.PlatformActs, "automatic and manual attempts have stopped: contact support",
			"support settles the case and hands the domain back; then requests are possible again")
	case d.state.Pause != nil:
		return refuse(cert.TenantActs, "the domain is paused", "resume it first")
	}
	return nil
}

func (d *domain) applyRequest(r Request, _ time.Time) (string, bool) {
	if d.state.Phase == Issuing || d.state.Phase == Installing {
		return "a certificate is being made already", false
	}
	first := d.state.Asked.Certificate == ""
	d.state.Asked.Certificate = requester(r.By)
	return "the records are checked now; the certificate is ordered if they are right", first
}

func (d *domain) applyCheck(r Request, _ time.Time) (string, bool) {
	first := d.state.Asked.Check == ""
	d.state.Asked.Check = requester(r.By)
	if d.state.Pause != nil {
		return "the records are checked when the domain is resumed", first
	}
	return "the records are checked now", first
}

func (d *domain) applyPause(r Request, now time.Time) (string, bool) {
	if d.state.Pause != nil {
		return "it was paused already", false
	}
	d.happens(Paused, happening{at: now, by: requester(r.By), text: requester(r.By) + reason(r)})
	return "checks, orders and renewals wait until the domain is resumed; a certificate that is live stays", true
}

func (d *domain) applyResume(r Request, now time.Time) (string, bool) {
	if d.state.Pause == nil {
		return "it was not paused", false
	}
	d.happens(Resumed, happening{at: now, text: requester(r.By) + reason(r)})
	return "the domain goes on where it was", true
}

// applyRemove notes the request. The main loop may be in the middle of a step, which ends first. The event of the removal says who asked
// and why.
func (d *domain) applyRemove(r Request, _ time.Time) (string, bool) {
	if d.state.Asked.Removal == "" {
		d.state.Asked.Removal = "removed by " + requester(r.By) + reason(r)
	}
	return "the domain is removed: nothing is renewed any more, and the edge stops serving it", false
}

// applyHandedBack makes the event of the closed case say who handed back and why. People may see a case that this workflow does not have
// yet: its record was written in a workflow task that was lost and is now repeated. The hand-back then waits for the case.
func (d *domain) applyHandedBack(r HandBackRequest, now time.Time) (string, bool) {
	h := happening{at: now, text: "handed back by " + requester(r.By) + reason(r.Request)}
	switch {
	case d.state.Case != nil:
		d.happens(BackToCare, h)
	case r.Case == d.state.caseID(d.state.Cases+1):
		d.early = &h
	default:
		if r.Case != "" { // its row is open, and the record closes it
			d.resolution, d.changed = h.text, true
		}
		return "people did not have it", false
	}
	return "attempts go on", false
}

// handEarlyBack carries out a hand-back that arrived before the case was open. It reports whether there was one.
func (d *domain) handEarlyBack() bool {
	if d.early == nil || d.state.Case == nil {
		return false
	}
	d.happens(BackToCare, *d.early)
	d.early = nil
	return true
}

// checkRedirect refuses to switch the redirect on before HTTPS works (row A3). Switching it off is always possible.
func (d *domain) checkRedirect(r RedirectRequest) error {
	if err := d.checkNotRemoved(Request{}); err != nil {
		return err
	}
	if r.On && (!d.state.Serving.complete() || d.state.Serving.Expired) {
		return refuse(cert.TenantActs, "HTTPS redirect can be switched on only after the status is Installation complete; it is "+
			string(d.state.status().Headline()), "wait until the certificate is installed")
	}
	return nil
}

func (d *domain) applyRedirect(r RedirectRequest, _ time.Time) (string, bool) {
	did := d.state.Serving.Redirect != r.On
	d.state.Serving.Redirect = r.On
	if r.On {
		return "visitors who come over HTTP are sent to HTTPS", did
	}
	return "visitors who come over HTTP stay there", did
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
