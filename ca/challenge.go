package ca

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/evercert/evercert/cert"
)

const (
	// maxAuthorizations is how many of an order are worked on at the same time.
	maxAuthorizations = 8
	// cleanUpWithin bounds taking back the challenges of an order.
	cleanUpWithin = 30 * time.Second
)

// authorize makes all authorizations of an order valid, or returns the first failure.
func (c *completion) authorize(ctx context.Context, urls []string) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(maxAuthorizations)
	for _, url := range urls {
		group.Go(func() error { return c.validate(groupCtx, url) })
	}
	err := group.Wait()
	if err == nil || final(err) {
		c.cleanUp(ctx)
	}
	return err
}

// validate stays with one authorization until it is valid (RFC 8555 §7.5.1).
func (c *completion) validate(ctx context.Context, url string) error {
	var pace pacer
	for answered := false; ; {
		authorization, header, err := c.session.authorization(ctx, url)
		if err != nil {
			return c.orderFailure(ctx, "read an authorization", err)
		}
		switch authorization.Status {
		case acme.StatusValid:
			c.tell(name(authorization) + " is validated")
			return nil
		case acme.StatusInvalid:
			return c.session.validationFailure(authorization)
		case acme.StatusPending:
		default:
			return c.session.orderGone(fmt.Sprintf("the authorization of %s is %s", name(authorization), authorization.Status), nil)
		}
		wait := retryAfter(header)
		if !answered {
			if err := c.answer(ctx, authorization, url); err != nil {
				return err
			}
			answered, wait = true, 0 // the CA was asked to wait for us, not we for it
		}
		if err := pace.wait(ctx, wait); err != nil {
			return fmt.Errorf("wait for the validation of %s: %w", name(authorization), err)
		}
	}
}

// answer shows what one of the challenges asks for and tells the CA to look, if it hasn't been told. Presenting again does
// no harm, and after a crash it may be needed again: the CA looks more than once and from several places.
func (c *completion) answer(ctx context.Context, authorization acme.Authorization, url string) error {
	challenge, err := c.choose(authorization)
	if err != nil {
		return err
	}
	wanted := cert.Challenge{Name: authorization.Identifier.Value, Method: cert.Method(challenge.Type), Token: challenge.Token}
	_, err = c.session.call(ctx, func(core *api.Core) (err error) {
		wanted.KeyAuthorization, err = core.GetKeyAuthorization(challenge.Token)
		return err
	})
	if err != nil {
		return fmt.Errorf("make the key authorization for %s: %w", wanted.Name, err)
	}
	c.mu.Lock()
	c.presented = append(c.presented, wanted) // before it is: a presentation that fails half-way is taken back as well
	c.mu.Unlock()
	if err := c.authority.solver.Present(ctx, wanted); err != nil {
		return fmt.Errorf("present the %s challenge for %s: %w", wanted.Method, wanted.Name, err)
	}
	if challenge.Status != acme.StatusPending {
		return nil
	}
	c.tell(fmt.Sprintf("challenge %s of %s is ready", challenge.Type, name(authorization)))
	_, err = c.session.call(ctx, func(core *api.Core) error {
		_, err := core.Challenges.New(challenge.URL)
		return err
	})
	switch {
	case err == nil:
		return nil
	case refusedAs(err, malformed): // as Boulder and Pebble refuse a challenge that is posted a second time
		return c.answeredMeanwhile(ctx, err, url, challenge.URL)
	default:
		return c.orderFailure(ctx, "answer the challenge for "+wanted.Name, err)
	}
}

// answeredMeanwhile returns nil if a challenge was refused because another run of this order posted it just before, which
// the authorization tells.
func (c *completion) answeredMeanwhile(ctx context.Context, refused error, authorizationURL, challengeURL string) error {
	now, _, err := c.session.authorization(ctx, authorizationURL)
	if err != nil {
		return c.orderFailure(ctx, "read an authorization", err)
	}
	open := func(ch acme.Challenge) bool { return ch.URL == challengeURL && ch.Status == acme.StatusPending }
	if now.Status == acme.StatusPending && slices.ContainsFunc(now.Challenges, open) {
		return c.orderFailure(ctx, "answer the challenge for "+name(now), refused)
	}
	return nil
}

// choose picks the challenge of the method that was found to work for the name.
func (c *completion) choose(authorization acme.Authorization) (acme.Challenge, error) {
	method, ok := c.methods[name(authorization)]
	if !ok {
		return acme.Challenge{}, fmt.Errorf("no validation method was given for %s", name(authorization))
	}
	var offered []string
	for _, challenge := range authorization.Challenges {
		if challenge.Type == string(method) {
			return challenge, nil
		}
		offered = append(offered, challenge.Type)
	}
	return acme.Challenge{}, &cert.Failure{Outcome: cert.Refused, Problem: cert.Problem{
		Code: cert.CARejected, WhoActs: cert.PlatformActs,
		Message:     fmt.Sprintf("%s offers no %s validation for %s, only %s", c.session.name, method, cert.Unicode(name(authorization)), cert.Line(strings.Join(offered, ", "), cert.MaxDetail)),
		Remediation: "contact support: another validation method or another CA is needed",
	}}
}

// cleanUp takes back what was presented for an order that has no more use for it.
func (c *completion) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	c.mu.Lock()
	challenges := c.presented
	c.presented = nil
	c.mu.Unlock()
	for _, challenge := range challenges {
		if err := c.authority.solver.CleanUp(ctx, challenge); err != nil { // a leftover is harmless and has an end of its own
			c.authority.log.Warn("a challenge could not be taken back", "name", challenge.Name, "method", challenge.Method, "error", err)
		}
	}
}

// name is the order's name that an authorization is for.
func name(authorization acme.Authorization) string {
	if authorization.Wildcard {
		return "*." + authorization.Identifier.Value
	}
	return authorization.Identifier.Value
}

// validationFailure says why a validation failed, by the challenge that failed.
func (s *session) validationFailure(authorization acme.Authorization) error {
	for _, challenge := range authorization.Challenges {
		if challenge.Error != nil {
			return s.refused(name(authorization), challenge.Error)
		}
	}
	return s.orderGone(fmt.Sprintf("the authorization of %s failed, and the CA gives no reason", name(authorization)), nil)
}

// refused is the verdict on a name or an order. A fault of the CA's own, and an order that failed for a reason that evercert doesn't know,
// are nobody's failure.
func (s *session) refused(name string, problem *acme.ProblemDetails) error {
	outcome, wait := cert.Refused, time.Duration(0)
	switch kind := decidingKind(problem); {
	case kind == serverInternal:
		outcome = cert.OrderGone
	case name == "" && !isRefusal(kind):
		outcome, wait = cert.OrderGone, unknownRetry
	}
	return &cert.Failure{Outcome: outcome, RetryAfter: wait, Problem: s.problem(name, problem), Err: problem}
}
