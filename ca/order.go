package ca

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
)

// NewOrder places an order for the names. They must be A-labels in lower case: lego compares them with the CA's answer byte by byte, after
// the order is placed. replaces identifies the certificate that this one renews (RFC 9773 §4.1, see CertificateID). It exempts from rate
// limits, and is omitted when it is empty or when the CA refuses it.
//
//	If the answer is lost, there may be an order with an unknown address: call FindOrder before trying again. The request is completed even
//	if ctx ends, because otherwise its answer would be lost.
//
//	When the CA does not know the account any more, nothing was ordered, and the account is retired: the error is not a cert.Failure, and
//
// the
//
//	next try registers a new account. The caller tries again from Identity, so that the order is stored under the account that places it.
func (a *Authority) NewOrder(ctx context.Context, names []string, replaces string) (orderURL string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	s, err := a.session(ctx)
	if err == nil {
		err = a.admit(ctx)
	}
	if err != nil {
		return "", err
	}
	if replaces != "" && !certificateID.MatchString(replaces) {
		a.log.Warn("not an identifier of a certificate (RFC 9773 §4.1); ordering without it", "replaces", replaces, "names", names)
		replaces = ""
	}
	ctx = context.WithoutCancel(ctx)
	orderURL, err = a.postOrder(ctx, s, names, replaces)
	if replaces != "" && replacementRefused(err) {
		a.log.Warn("the CA takes no order that replaces this certificate; ordering without", "replaces", replaces, "names", names, "reason", err)
		orderURL, err = a.postOrder(ctx, s, names, "")
	}
	switch {
	case err == nil:
		return orderURL, a.heard(ctx, s, nil)
	case refusedAs(err, accountDoesNotExist):
		return "", errors.Join(fmt.Errorf("place order: %w", err), a.forget(ctx, s))
	default:
		return "", a.heard(ctx, s, s.failure("place order", err))
	}
}

func (a *Authority) postOrder(ctx context.Context, s *session, names []string, replaces string) (string, error) {
	var order acme.ExtendedOrder
	header, err := s.call(ctx, orderAnswer, func(core *api.Core) (err error) {
		order, err = core.Orders.NewWithOptions(names, &api.OrderOptions{Profile: a.cfg.Profile, ReplacesCertID: replaces})
		return err
	})
	location := header.Get("Location")
	switch {
	case !accepted(err), err != nil && location == "":
		return "", err
	case !usableURL(location):
		return "", s.fault("place order", errors.New("the answer names no order"))
	case err != nil: // the order is placed and has an address; Complete reads the rest
		a.log.Warn("the answer to a new order can't be read beyond its address", "order", location, "error", err)
	case order.Replaces != replaces: // lego repeats an order without replaces when the certificate is replaced already (409)
		a.log.Warn("the order does not replace the certificate, so rate limits apply to it", "order", location, "replaces", replaces)
	}
	return location, nil
}

var certificateID = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)

// replacementRefused reports whether an order may have been refused only for its "replaces": a certificate that the CA does not know or
// that another account ordered. CAs use many types for it, Pebble serverInternal. The order is then placed without it.
func replacementRefused(err error) bool {
	status, problem := refusal(err)
	if problem == nil || status > http.StatusInternalServerError || status == http.StatusTooManyRequests {
		return false
	}
	return !slices.Contains([]string{accountDoesNotExist, badNonce, rateLimited, userActionRequired}, kindOf(problem.Type))
}
