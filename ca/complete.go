package ca

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/evercert/evercert/cert"
)

// completeWithin limits one run of Complete. Most orders take seconds; for a slow CA the workflow waits and repeats.
const completeWithin = 2 * time.Minute

// completion is one run of Complete.
type completion struct {
	authority *Authority
	session   *session
	orderURL  string
	csr       *x509.CertificateRequest
	methods   map[string]cert.Method

	authorizations []string // of the order, after it was read
	unready        int      // how often a finalize was refused though the order was ready

	mu        sync.Mutex // authorizations run at the same time
	progress  func(step string)
	presented []cert.Challenge
	decided   map[string]bool // authorizations that are not pending any more, by URL
}

// Complete takes an order from any state to its certificate: it answers the challenges with the methods given for the names, finalizes with
// the CSR and downloads. It may run again after any error that is not a cert.Failure, and at the same time as another run of the same
// order; both return the same certificate. It calls progress with each step, one at a time; progress may be nil.
//
//	The certificate is checked against the CSR; its issuance and domain are left empty. Challenges are removed when the order does not need
//	them any more, and not when this run breaks off: the CA may be validating, and the next run needs them. A run that dies can leave some
//	behind, so a Solver keeps them for a limited time.
func (a *Authority) Complete(
	ctx context.Context,
	orderURL string,
	csrDER []byte,
	methods map[string]cert.Method,
	progress func(step string),
) (cert.Certificate, error) {
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return cert.Certificate{}, &cert.Failure{Outcome: cert.Refused, Err: err, Problem: cert.Problem{
			Code: cert.CSRRejected, WhoActs: cert.PlatformActs, Message: "the certificate signing request can't be read",
			Remediation: newCSRRemedy,
		}}
	}
	if progress == nil {
		progress = func(string) {}
	}
	limited, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	s, err := a.session(limited)
	if err == nil {
		err = a.admit(limited)
	}
	if err != nil {
		return cert.Certificate{}, err
	}
	c := &completion{authority: a, session: s, orderURL: orderURL, csr: csr, methods: methods, progress: progress, decided: map[string]bool{}}
	done, err := c.run(limited)
	if final(err) {
		c.cleanUp(ctx)
		c.giveBack(ctx, err)
	}
	if outOfTime := limited.Err() != nil && ctx.Err() == nil; outOfTime && !errors.As(err, new(*cert.Failure)) && err != nil {
		err = &cert.Failure{Outcome: cert.Wait, Err: err, Problem: cert.Problem{
			Code: cert.CAUnavailable, WhoActs: cert.CAActs, Message: fmt.Sprintf("%s has not finished the order within %s", s.name, completeWithin),
			Remediation: "evercert goes on with the same order by itself",
		}}
	}
	return done, a.heard(ctx, s, err)
}

// run does what the order's status requires, until the order is valid (RFC 8555 §7.1.6).
func (c *completion) run(ctx context.Context) (cert.Certificate, error) {
	var pace pacer
	for {
		extended, header, err := c.session.order(ctx, c.orderURL)
		if err != nil {
			return cert.Certificate{}, c.orderFailure(ctx, "read the order", err)
		}
		order := extended.Order
		c.authorizations = order.Authorizations
		wait, _ := retryAfter(header)
		if err := c.check(order); err != nil {
			return cert.Certificate{}, err
		}
		c.report("order is " + order.Status)
		switch order.Status {
		case acme.StatusPending:
			if err = c.authorize(ctx, order.Authorizations); err == nil { // then the order becomes ready
				wait, err = c.finalize(ctx, order.Finalize)
			}
		case acme.StatusReady:
			wait, err = c.finalize(ctx, order.Finalize)
		case acme.StatusProcessing:
		case acme.StatusValid:
			return c.download(ctx, order.Certificate)
		case acme.StatusInvalid:
			return cert.Certificate{}, c.whyInvalid(ctx, order)
		default:
			err = fmt.Errorf("the order has a status that RFC 8555 does not name: %q", order.Status)
		}
		if err != nil {
			return cert.Certificate{}, err
		}
		if err := pace.wait(ctx, wait); err != nil {
			return cert.Certificate{}, fmt.Errorf("wait for the order: %w", err)
		}
	}
}

// check refuses an order that can't lead to the certificate for the CSR.
func (c *completion) check(order acme.Order) error {
	if !sameNames(identifiers(order), c.csr.DNSNames) {
		return &cert.Failure{Outcome: cert.Refused, Problem: cert.Problem{
			Code:    cert.CARejected,
			WhoActs: cert.PlatformActs,
			Message: fmt.Sprintf(
				"the order at %s is for %s, the CSR for %v", c.session.name, cert.Line(fmt.Sprint(identifiers(order)), cert.MaxDetail), c.csr.DNSNames,
			),
			Remediation: newOrderRemedy,
		}}
	}
	// After its expiry the server considers the order invalid (RFC 8555 §7.1.3), whatever status it shows. A certificate that was issued stays
	// valid.
	if open := order.Status != acme.StatusValid && order.Status != acme.StatusInvalid; open && expired(order.Expires) {
		return c.session.orderGone("it expired at "+cert.Line(order.Expires, cert.MaxBy), nil)
	}
	return nil
}

// maxUnready limits how often a run repeats finalize when the CA says that the order is not ready, though the order's status is ready.
const maxUnready = 3

// finalize sends the CSR (RFC 8555 §7.4) and returns how long the CA asks to wait. The order's state is always read again, whatever the
// answer says: another run may just have finalized the order.
func (c *completion) finalize(ctx context.Context, url string) (time.Duration, error) {
	var order acme.ExtendedOrder
	header, err := c.session.call(ctx, orderAnswer, func(core *api.Core) (err error) {
		order, err = core.Orders.UpdateForCSR(url, c.csr.Raw)
		return err
	})
	status, _ := refusal(err)
	switch notReady := status == http.StatusConflict || refusedAs(err, orderNotReady); {
	case notReady && c.unready < maxUnready:
		c.unready++
		wait, _ := retryAfter(header)
		return wait, nil
	case err != nil && accepted(err): // the CA has the CSR; the order's state is read again
		return 0, nil
	case err != nil:
		return 0, c.orderFailure(ctx, "finalize the order", err)
	case order.Status == acme.StatusValid:
		return 0, nil
	}
	c.report("finalized")
	wait, _ := retryAfter(header)
	return wait, nil
}

// whyInvalid returns why an order failed: a failed validation, or else the order's own error.
func (c *completion) whyInvalid(ctx context.Context, order acme.Order) error {
	var unread error
	for _, url := range order.Authorizations {
		authorization, _, err := c.session.authorization(ctx, url)
		switch status, _ := refusal(err); {
		case status == http.StatusNotFound || status == http.StatusGone:
			continue
		case misread(err):
			unread = err
			continue
		case err != nil:
			return c.orderFailure(ctx, "read why the order failed", err)
		}
		if authorization.Status == acme.StatusInvalid && (reasonOf(authorization) != nil || order.Error == nil) {
			return c.validationFailure(ctx, url, authorization)
		}
	}
	switch {
	case order.Error != nil:
		return c.session.refused("", c.csr.DNSNames, order.Error)
	case unread != nil:
		return c.orderFailure(ctx, "read why the order failed", unread)
	}
	return c.session.orderGone("it failed, and the CA gives no reason", nil)
}

func (c *completion) orderFailure(ctx context.Context, step string, err error) error {
	return c.authority.orderFailure(ctx, c.session, step, err)
}

func (c *completion) report(step string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress(step)
}

// pacer spaces requests about something that the CA is processing: 20 ms at first, then each pause is 1.5 times as long, up to 2 s.
type pacer struct{ next time.Duration }

const (
	firstPause   = 20 * time.Millisecond
	longestPause = 2 * time.Second
	// A longer Retry-After is not obeyed: ZeroSSL has sent a day while an authorization took seconds (acme.sh #6221).
	longestObeyed = 10 * time.Second
)

// wait pauses for as long as the CA asked, or for the pacer's next pause.
func (p *pacer) wait(ctx context.Context, asked time.Duration) error {
	pause := max(p.next, firstPause)
	p.next = min(pause*3/2, longestPause)
	if asked > 0 {
		pause = min(asked, longestObeyed)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
