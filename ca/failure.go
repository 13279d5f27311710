package ca

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-acme/lego/v4/acme"

	"github.com/evercert/evercert/cert"
)

// answerError is the error of a call, with the status and header of the CA's last answer.
type answerError struct {
	status int         // 0 if there was no answer
	header http.Header // of it
	err    error
}

func (e *answerError) Error() string { return e.err.Error() }

func (e *answerError) Unwrap() error { return e.err }

// ACME error types (RFC 8555 §6.7, draft-ietf-acme-profiles §5), without their common prefix.
const (
	typePrefix = "urn:ietf:params:acme:error:"

	accountDoesNotExist     = "accountDoesNotExist"
	badCSR                  = "badCSR"
	badNonce                = "badNonce"
	badPublicKey            = "badPublicKey"
	caaForbids              = "caa"
	compound                = "compound"
	connectionFailed        = "connection"
	dnsFailed               = "dns"
	externalAccountRequired = "externalAccountRequired"
	incorrectResponse       = "incorrectResponse"
	invalidContact          = "invalidContact"
	invalidProfile          = "invalidProfile"
	malformed               = "malformed"
	orderNotReady           = "orderNotReady"
	rateLimited             = "rateLimited"
	rejectedIdentifier      = "rejectedIdentifier"
	serverInternal          = "serverInternal"
	tlsFailed               = "tls"
	unauthorized            = "unauthorized"
	unsupportedContact      = "unsupportedContact"
	unsupportedIdentifier   = "unsupportedIdentifier"
	userActionRequired      = "userActionRequired"
)

// refusal returns what the CA answered: the status, and the problem document, nil if it sent none.
func refusal(err error) (status int, problem *acme.ProblemDetails) {
	var answer *answerError
	if !errors.As(err, &answer) || answer.status < http.StatusBadRequest {
		return 0, nil
	}
	if !errors.As(err, &problem) {
		return answer.status, nil
	}
	return answer.status, problem
}

// accepted reports whether the CA did what was requested, even if the rest of its answer is lost or can't be parsed.
func accepted(err error) bool {
	var answer *answerError
	return err == nil || errors.As(err, &answer) && answer.status >= http.StatusOK && answer.status < http.StatusMultipleChoices
}

// misread reports whether the CA did what was requested, but its answer is not the expected resource.
func misread(err error) bool {
	return accepted(err) && errors.As(err, new(*unreadable))
}

// refusedAs reports whether the CA answered with a problem of this type.
func refusedAs(err error, kind string) bool {
	_, problem := refusal(err)
	return problem != nil && kindOf(problem.Type) == kind
}

func kindOf(problemType string) string { return strings.TrimPrefix(problemType, typePrefix) }

// failure returns what an error of a call means for the issuance. Errors of the network, and faults of the CA without a time to wait, are
// not a cert.Failure: the step can be tried again at once.
func (s *session) failure(step string, err error) error {
	var answer *answerError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%s at %s: %w", step, s.name, err)
	}
	wrapped := s.fault(step, err)
	status, problem := refusal(err)
	wait, said := retryAfter(answer.header)
	switch {
	case status == http.StatusTooManyRequests || refusedAs(err, rateLimited):
		return s.limited(problem, answer.header, wrapped)
	case said && (status >= http.StatusInternalServerError || status != 0 && problem == nil):
		return &cert.Failure{Outcome: cert.Wait, RetryAfter: max(wait, leastWait), Err: wrapped, Problem: cert.Problem{
			Code: cert.CAUnavailable, WhoActs: cert.CAActs,
			Message:     fmt.Sprintf("%s is busy or down (%d %s)", s.name, status, http.StatusText(status)),
			Remediation: "evercert goes on by itself when the CA is back",
		}}
	case status >= http.StatusInternalServerError || problem == nil:
		return wrapped
	}
	switch kindOf(problem.Type) {
	case badNonce, orderNotReady, serverInternal: // the next run reads the order's state again
		return wrapped
	case unauthorized, userActionRequired, externalAccountRequired, invalidContact, unsupportedContact, invalidProfile:
		return s.accountFailure(problem, answer.header, wrapped)
	}
	if p, elsewhere := s.registryProblem(nil, problem); elsewhere {
		return &cert.Failure{Outcome: cert.Wait, RetryAfter: registryRetry, Problem: p, Err: wrapped}
	}
	f := &cert.Failure{Outcome: cert.Refused, Problem: s.problem("", problem), Err: wrapped}
	if !isRefusal(decidingKind(problem)) { // not counted as the tenant's failure: people have to find out what it means
		f.Outcome, f.RetryAfter = cert.Wait, unknownRetry
	}
	return f
}

// fault returns the error of a step that can be tried again. If the CA answered, it carries the problem that people read when all tries
// fail.
func (s *session) fault(step string, err error) error {
	wrapped := fmt.Errorf("%s at %s: %w", step, s.name, err)
	var answer *answerError
	if errors.As(err, &answer) && answer.status == 0 {
		return &cert.Fault{Err: wrapped, Problem: cert.Problem{
			Code: cert.CAUnavailable, WhoActs: cert.CAActs,
			Message:     s.name + " cannot be reached, or does not answer in time",
			Remediation: "evercert tries again by itself; if other sites can be reached from the workers, the CA is down",
		}}
	}
	return &cert.Fault{Err: wrapped, Problem: cert.Problem{
		Code: cert.CAUnavailable, WhoActs: cert.CAActs,
		Message:     cert.Line(fmt.Sprintf("%s gives no answer that evercert can use: %s", s.name, summary(err)), cert.MaxDetail),
		Remediation: "evercert tries again by itself",
	}}
}

// summary returns what was wrong with an answer, without the requested addresses.
func summary(err error) string {
	if odd, ok := errors.AsType[*unreadable](err); ok {
		return odd.Error()
	}
	if status, problem := refusal(err); problem != nil {
		return fmt.Sprintf("%d %s: %s", status, http.StatusText(status), detail(problem))
	}
	return err.Error()
}

// leastWait is the shortest wait after a refusal: "Retry-After: 0", or a slow clock, must not make a domain ask without end.
const leastWait = time.Minute

// unknownRetry is the wait after the CA refused for a reason that evercert does not know.
const unknownRetry = time.Hour

// isRefusal reports whether an error type is a verdict on the names or the CSR, and so counts as a failure.
func isRefusal(kind string) bool {
	switch kind {
	case rateLimited, serverInternal:
		return false
	case caaForbids:
		return true
	}
	_, known := meanings[kind]
	return known
}

// orderFailure is failure for a request about an existing order. An order that the CA does not know, or that belongs to another account, is
// gone.
func (a *Authority) orderFailure(ctx context.Context, s *session, step string, err error) error {
	status, _ := refusal(err)
	switch {
	case refusedAs(err, accountDoesNotExist):
		if forgetErr := a.forget(ctx, s); forgetErr != nil {
			return errors.Join(s.failure(step, err), forgetErr)
		}
		return s.orderGone("the account that placed the order is not known to the CA any more", err)
	case status == http.StatusNotFound || status == http.StatusGone || refusedAs(err, unauthorized):
		return s.orderGone("the CA does not know the order any more", err)
	default:
		return s.failure(step, err)
	}
}

// registrationFailure is failure for newAccount: people have to fix whatever is wrong with an account.
func (s *session) registrationFailure(err error) error {
	status, problem := refusal(err)
	if problem != nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests &&
		!refusedAs(err, badNonce) && !refusedAs(err, rateLimited) && !refusedAs(err, serverInternal) {
		var answer *answerError
		errors.As(err, &answer)
		return s.accountFailure(problem, answer.header, fmt.Errorf("register at %s: %w", s.name, err))
	}
	return s.failure("register", err)
}

func (s *session) orderGone(why string, err error) error {
	return &cert.Failure{Outcome: cert.OrderGone, Err: err, Problem: cert.Problem{
		Code: cert.CAUnavailable, WhoActs: cert.CAActs, Message: fmt.Sprintf("the order at %s is gone: %s", s.name, why),
		Remediation: "evercert places another order by itself",
	}}
}

// accountFailure returns what is wrong with the account. Nobody has to request a certificate after it is fixed: the domains wait for the
// account and continue by themselves.
func (s *session) accountFailure(problem *acme.ProblemDetails, header http.Header, err error) error {
	remedy := "fix the account with the CA"
	then := "; evercert tries the account by itself, within the hour, and all domains go on"
	switch kindOf(problem.Type) {
	case userActionRequired:
		remedy = "read and accept the CA's new terms"
	case externalAccountRequired:
		remedy, then = "set ACME_EAB_KID and ACME_EAB_HMAC to the key that the CA gave you, and restart the workers", ""
	case invalidContact, unsupportedContact:
		remedy, then = "set ACME_CONTACT to an e-mail address that the CA accepts, and restart the workers", ""
	case invalidProfile:
		remedy, then = "set ACME_PROFILE to a profile that the CA offers, and restart the workers", ""
	}
	if link := linkOf(problem, header); link != "" {
		then += ": " + link
	}
	return &cert.Failure{Outcome: cert.Wait, Err: err, Problem: cert.Problem{
		Code: cert.AccountProblem, WhoActs: cert.PlatformActs, Remediation: remedy + then,
		Message: fmt.Sprintf("%s refuses evercert's account: %s", s.name, detail(problem)),
	}}
}

var (
	// Boulder pauses an identifier after very many failed validations. It reports this as a rate limit without Retry-After, with an address
	// where people end the pause (boulder probs.Paused).
	pausedText = regexp.MustCompile(`(?i)\bpaused\b|temporarily prevented from requesting`)
	address    = regexp.MustCompile(`https?://[^\s"'<>]+`)
	termsLink  = regexp.MustCompile(`<(https?://[^>]+)>\s*;[^,]*\brel="?terms-of-service\b`)
)

// linkOf returns the address that the CA gives to people: the instance of the problem (RFC 8555 §7.3.3), the terms of service, or an
// address in its text; "" if there is none, or if it is too long to be shown.
func linkOf(problem *acme.ProblemDetails, header http.Header) string {
	link := strings.TrimRight(address.FindString(problem.Detail), ".,;)")
	for _, value := range header.Values("Link") {
		if m := termsLink.FindStringSubmatch(value); m != nil {
			link = m[1]
		}
	}
	if address.FindString(problem.Instance) == problem.Instance && problem.Instance != "" {
		link = problem.Instance
	}
	if link = cert.Line(link, maxURL); utf8.RuneCountInString(link) > cert.MaxLink {
		return ""
	}
	return link
}

func (s *session) limited(problem *acme.ProblemDetails, header http.Header, err error) error {
	said := "too many requests"
	if problem != nil && problem.Detail != "" {
		said = detail(problem)
	}
	wait, asked := retryAfter(header)
	if problem != nil && wait == 0 && pausedText.MatchString(problem.Detail) {
		remedy := "fix what made the validations fail, and end the pause with the CA; " +
			"then hand the case back (evercert hand-back), or wait for the daily attempt"
		if link := linkOf(problem, header); link != "" {
			remedy += "; the CA's page: " + link
		}
		return &cert.Failure{Outcome: cert.Parked, Err: err, Problem: cert.Problem{
			Code: cert.IdentifierPaused, WhoActs: cert.PlatformActs, Remediation: remedy,
			Message: fmt.Sprintf("%s has paused the name after many failed validations: %s", s.name, said),
		}}
	}
	if asked {
		wait = max(wait, leastWait)
	}
	return &cert.Failure{Outcome: cert.Wait, RetryAfter: wait, Err: err, Problem: cert.Problem{
		Code: cert.RateLimited, WhoActs: cert.PlatformActs, Message: fmt.Sprintf("a rate limit of %s is reached: %s", s.name, said),
		Remediation: "evercert goes on by itself when the limit allows it",
	}}
}

// final reports whether an order has ended with this error, so that its challenges can be removed.
func final(err error) bool {
	var f *cert.Failure
	return errors.As(err, &f) && slices.Contains([]cert.Outcome{cert.Refused, cert.OrderGone}, f.Outcome)
}
