package ca

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/evercert/evercert/cert"
)

const (
	// maxAuthorizations limits how many authorizations of an order are processed at once.
	maxAuthorizations = 8
	// cleanUpWithin limits the time to remove the challenges of an order.
	cleanUpWithin = 30 * time.Second
)

// authorize makes all authorizations of an order valid, or returns the first failure.
func (c *completion) authorize(ctx context.Context, urls []string) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(maxAuthorizations)
	for _, url := range urls {
		group.Go(func() error { return c.validate(groupCtx, url) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.cleanUp(ctx)
	return nil
}

// validate processes one authorization until it is valid (RFC 8555 §7.5.1).
func (c *completion) validate(ctx context.Context, url string) error {
	var pace pacer
	for answered := false; ; {
		authorization, header, err := c.session.authorization(ctx, url)
		if err != nil {
			return c.orderFailure(ctx, "read an authorization", err)
		}
		c.noteStatus(url, authorization.Status)
		switch authorization.Status {
		case acme.StatusValid:
			c.report(name(authorization) + " is validated")
			return nil
		case acme.StatusInvalid:
			return c.validationFailure(ctx, url, authorization)
		case acme.StatusPending:
		default:
			return c.session.orderGone(fmt.Sprintf("the authorization of %s is %s", name(authorization), authorization.Status), nil)
		}
		challenge, err := c.choose(authorization)
		if err != nil {
			return err
		}
		if challenge.Status == acme.StatusInvalid { // final, whatever the status of its authorization (RFC 8555 §7.1.6)
			return c.validationFailure(ctx, url, authorization)
		}
		wait, _ := retryAfter(header)
		if !answered {
			if err := c.answer(ctx, authorization, challenge, url); err != nil {
				return err
			}
			answered, wait = true, 0 // the wait that the CA asked for is over
		}
		if err := pace.wait(ctx, wait); err != nil {
			return fmt.Errorf("wait for the validation of %s: %w", name(authorization), err)
		}
	}
}

// answer presents a challenge, and asks the CA to validate unless that was done. Presenting it again does no harm, and after a crash it may
// be needed: the CA validates more than once and from several places.
func (c *completion) answer(ctx context.Context, authorization acme.Authorization, challenge acme.Challenge, url string) error {
	wanted, err := c.wanted(ctx, authorization, challenge)
	if err != nil {
		return err
	}
	c.noteShown(wanted) // before it is presented: a presentation that fails half-way must be removed too
	if err := c.authority.solver.Present(ctx, wanted); err != nil {
		return fmt.Errorf("present the %s challenge for %s: %w", wanted.Method, wanted.Name, err)
	}
	if challenge.Status != acme.StatusPending {
		return nil
	}
	c.report(fmt.Sprintf("challenge %s of %s is ready", challenge.Type, name(authorization)))
	_, err = c.session.call(ctx, anyAnswer, func(core *api.Core) error {
		_, err := core.Challenges.New(challenge.URL)
		return err
	})
	switch status, _ := refusal(err); {
	case accepted(err): // the result is read from the authorization
		return nil
	case refusedAs(err, malformed), status == http.StatusConflict: // Boulder, Pebble and others refuse a second post so
		return c.answeredMeanwhile(ctx, err, url, challenge.URL)
	default:
		return c.orderFailure(ctx, "answer the challenge for "+wanted.Name, err)
	}
}

// wanted returns what a challenge asks to be presented.
func (c *completion) wanted(ctx context.Context, authorization acme.Authorization, challenge acme.Challenge) (cert.Challenge, error) {
	wanted := cert.Challenge{Name: authorization.Identifier.Value, Method: cert.Method(challenge.Type), Token: challenge.Token}
	_, err := c.session.call(ctx, anyAnswer, func(core *api.Core) (err error) {
		wanted.KeyAuthorization, err = core.GetKeyAuthorization(challenge.Token)
		return err
	})
	if err != nil {
		return cert.Challenge{}, fmt.Errorf("make the key authorization for %s: %w", wanted.Name, err)
	}
	return wanted, nil
}

func (c *completion) noteShown(challenge cert.Challenge) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.presented = append(c.presented, challenge)
}

func (c *completion) noteStatus(authorization, status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decided[authorization] = status != acme.StatusPending
}

// answeredMeanwhile returns nil if a challenge was refused because another run of this order has just posted it. The authorization shows
// that.
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

// choose returns the challenge of the method that the check of DNS found to work for the name.
func (c *completion) choose(authorization acme.Authorization) (acme.Challenge, error) {
	method, ok := c.methods[name(authorization)]
	if !ok {
		return acme.Challenge{}, fmt.Errorf("no validation method was given for %s", name(authorization))
	}
	var offered []string
	for _, challenge := range authorization.Challenges {
		if challenge.Type == string(method) {
			return challenge, c.usable(challenge)
		}
		offered = append(offered, challenge.Type)
	}
	return acme.Challenge{}, &cert.Failure{Outcome: cert.Refused, Problem: cert.Problem{
		Code:    cert.CARejected,
		WhoActs: cert.PlatformActs,
		Message: fmt.Sprintf(
			"%s offers no %s validation for %s, only %s", c.session.name, method, cert.Unicode(name(authorization)),
			cert.Line(strings.Join(offered, ", "), cert.MaxDetail),
		),
		Remediation: "contact support: another validation method or another CA is needed",
	}}
}

// usable returns an error for a challenge that can't be answered. A token becomes part of a path and is stored, so it must be base64url
// (RFC 8555 §8.1).
func (c *completion) usable(challenge acme.Challenge) error {
	const longest = 500
	if challenge.URL == "" || len(challenge.Token) > longest || !tokens.MatchString(challenge.Token) {
		why := fmt.Errorf(
			"its %s challenge has no address, or a token that is no base64url: %q", challenge.Type, cert.Line(challenge.Token, maxQuote),
		)
		return c.session.fault("read an authorization", why)
	}
	return nil
}

var tokens = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// cleanUp removes what was presented for an order that does not need it any more.
func (c *completion) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	c.mu.Lock()
	challenges := c.presented
	c.presented = nil
	c.mu.Unlock()
	for _, challenge := range challenges {
		if err := c.authority.solver.CleanUp(ctx, challenge); err != nil { // a leftover does no harm, and expires
			c.authority.log.Warn("a challenge could not be taken back", "name", challenge.Name, "method", challenge.Method, "error", err)
		}
	}
}

// giveBack deactivates the pending authorizations of an order that ends without a certificate (RFC 8555 §7.5.2). CAs limit how many of them
// an account may have. When that fails, they expire.
func (c *completion) giveBack(ctx context.Context, because error) {
	if refusedAs(because, accountDoesNotExist) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpWithin)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(maxAuthorizations)
	for _, url := range c.authorizations {
		if c.decided[url] {
			continue
		}
		group.Go(func() error {
			authorization, _, err := c.session.authorization(ctx, url)
			if err == nil && authorization.Status == acme.StatusPending {
				c.deactivate(ctx, url)
			}
			return nil
		})
	}
	_ = group.Wait() // no function returns an error
}

// deactivate deactivates an authorization. CAs refuse that for one that is not pending any more, which is fine.
func (c *completion) deactivate(ctx context.Context, url string) {
	_, err := c.session.call(ctx, anyAnswer, func(core *api.Core) error { return core.Authorizations.Deactivate(url) })
	c.authority.log.Debug("an authorization is given back", "authorization", url, "error", err)
}

// name returns the order's name that an authorization is for.
func name(authorization acme.Authorization) string {
	if authorization.Wildcard {
		return "*." + authorization.Identifier.Value
	}
	return authorization.Identifier.Value
}

// validationFailure returns why a validation failed, from the challenge that failed. It is a verdict on the name only if evercert had
// answered a challenge of the authorization. Some CAs give an authorization that failed earlier to each new order: it is deactivated (RFC
// 8555 §7.5.2), and the order is given up.
func (c *completion) validationFailure(ctx context.Context, url string, authorization acme.Authorization) error {
	shown, err := c.wasShown(ctx, authorization)
	if err != nil {
		return err
	}
	problem := reasonOf(authorization)
	switch {
	case !shown:
		c.deactivate(ctx, url)
		why := fmt.Sprintf("the CA gave it an authorization of %s that had failed before", name(authorization))
		if problem != nil {
			why += ": " + detail(problem)
		}
		return c.session.orderGone(why, nil)
	case problem == nil:
		return c.session.orderGone(fmt.Sprintf("the authorization of %s failed, and the CA gives no reason", name(authorization)), nil)
	}
	return c.session.refused(name(authorization), c.csr.DNSNames, problem)
}

// wasShown reports whether the answer to a challenge of the authorization is presented: by this run, or by an earlier one that did not
// finish. It notes what is presented for a failed authorization, so that it is removed.
func (c *completion) wasShown(ctx context.Context, authorization acme.Authorization) (shown bool, err error) {
	for _, challenge := range authorization.Challenges {
		if !slices.Contains(methods, cert.Method(challenge.Type)) || c.usable(challenge) != nil {
			continue
		}
		wanted, err := c.wanted(ctx, authorization, challenge)
		if err != nil {
			return false, err
		}
		c.mu.Lock()
		here := slices.Contains(c.presented, wanted)
		c.mu.Unlock()
		if here {
			return true, nil
		}
		before, err := c.authority.solver.Shown(ctx, wanted)
		if err != nil {
			return false, fmt.Errorf("ask whether the %s challenge for %s was answered: %w", wanted.Method, wanted.Name, err)
		}
		if before {
			c.noteShown(wanted)
			return true, nil
		}
	}
	return false, nil
}

// methods are those whose challenges can be answered.
var methods = []cert.Method{cert.DNS01, cert.HTTP01, cert.TLSALPN01}

// reasonOf returns why a validation failed; nil if the CA gives no reason.
func reasonOf(authorization acme.Authorization) *acme.ProblemDetails {
	for _, challenge := range authorization.Challenges {
		if challenge.Error != nil {
			return challenge.Error
		}
	}
	return nil
}

// refused returns the verdict on a name, or on an order for these names. A fault of the CA, a failure at the registry, and an order that
// failed for an unknown reason do not count as a failure of the tenant.
func (s *session) refused(name string, names []string, problem *acme.ProblemDetails) error {
	if p, elsewhere := s.registryProblem(names, problem); elsewhere {
		return &cert.Failure{Outcome: cert.OrderGone, RetryAfter: registryRetry, Problem: p, Err: problem}
	}
	outcome, wait := cert.Refused, time.Duration(0)
	switch kind := decidingKind(problem); {
	case kind == serverInternal:
		outcome = cert.OrderGone
	case name == "" && !isRefusal(kind):
		outcome, wait = cert.OrderGone, unknownRetry
	}
	return &cert.Failure{Outcome: outcome, RetryAfter: wait, Problem: s.problem(name, problem), Err: problem}
}
