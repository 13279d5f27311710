package ca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/acme"
)

// Limits of the search in an account's list of orders.
const (
	maxPages = 200
	maxReads = 500
)

// FindOrder searches for an order that was placed for exactly these names by a newOrder whose answer was lost, and returns "" if there is
// none. known returns those of the orders that belong to other issuances.
//
//	It needs the account's list of orders (RFC 8555 §7.1.2.1). Let's Encrypt and Google have none, so the result there is "", and repeating
//	newOrder finds the order: Boulder returns the same order while it is pending or ready (boulder sa.GetOrderForNames). A CA without either
//	makes a second order, which expires unused.
func (a *Authority) FindOrder(
	ctx context.Context,
	names []string,
	known func(ctx context.Context, urls []string) ([]string, error),
) (orderURL string, err error) {
	s, err := a.session(ctx)
	if err != nil {
		return "", err
	}
	urls, err := a.listOrders(ctx, s)
	if refusedAs(err, accountDoesNotExist) { // its orders are gone too; the next run registers an account
		return "", errors.Join(fmt.Errorf("list orders: %w", err), a.forget(ctx, s))
	}
	if err != nil {
		return "", a.heard(ctx, s, s.failure("list orders", err))
	}
	if len(urls) == 0 {
		return "", nil
	}
	taken, err := known(ctx, urls)
	if err != nil {
		return "", fmt.Errorf("ask which orders are known: %w", err)
	}
	urls = slices.DeleteFunc(urls, func(url string) bool { return slices.Contains(taken, url) })
	slices.Reverse(urls) // lists that are sorted have the newest order last
	for _, url := range urls[:min(len(urls), maxReads)] {
		order, _, err := s.order(ctx, url)
		if status, _ := refusal(err); status == http.StatusNotFound || status == http.StatusGone || misread(err) {
			continue
		}
		if err != nil {
			return "", s.failure("read an order of the list", err)
		}
		if a.isFor(order.Order, names) {
			a.log.Info("found the order whose answer was lost", "order", url, "names", names)
			return url, nil
		}
	}
	return "", nil
}

// isFor reports whether an order can still lead to the certificate for the names.
func (a *Authority) isFor(order acme.Order, names []string) bool {
	return (order.Status == acme.StatusPending || order.Status == acme.StatusReady) && !expired(order.Expires) &&
		(order.Profile == "" || a.cfg.Profile == "" || order.Profile == a.cfg.Profile) &&
		sameNames(identifiers(order), names)
}

// listOrders returns the addresses of the account's orders; none if the CA has no list.
func (a *Authority) listOrders(ctx context.Context, s *session) ([]string, error) {
	account, err := s.account(ctx)
	if err != nil {
		return nil, err
	}
	var urls, pages []string
	for next := account.Orders; next != "" && !slices.Contains(pages, next); {
		if pages = append(pages, next); len(pages) > maxPages {
			a.log.Warn("the list of orders is too long to be read to its end; a lost order may be placed again", "pages", maxPages)
			break
		}
		body, header, err := s.get(ctx, next, orderListAnswer)
		if status, _ := refusal(err); slices.Contains(noListStatuses, status) || misread(err) {
			a.log.Debug("the CA names an address of the list of orders, and there is none", "address", next, "error", err)
			break
		}
		if err != nil {
			return nil, err
		}
		var list orderList
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, fmt.Errorf("read the list of orders: %w", err)
		}
		urls = append(urls, list.Orders...)
		next = nextPage(next, header)
	}
	return urls, nil
}

// noListStatuses mean that there is an address, but no list. Few CAs have one.
var noListStatuses = []int{
	http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented,
}

var nextLink = regexp.MustCompile(`<([^>]+)>\s*;[^,]*\brel="?next\b`)

// nextPage returns the address of a list's next page (RFC 8288, RFC 8555 §7.1.2.1).
func nextPage(page string, header http.Header) string {
	base, err := url.Parse(page)
	if err != nil {
		return ""
	}
	for _, link := range header.Values("Link") {
		if m := nextLink.FindStringSubmatch(link); m != nil {
			if next, err := resolve(base, m[1]); err == nil {
				return next
			}
		}
	}
	return ""
}

func identifiers(order acme.Order) []string {
	names := make([]string, len(order.Identifiers))
	for i, identifier := range order.Identifiers {
		names[i] = identifier.Value
	}
	return names
}

// sameNames compares sets: CAs sort names and drop repeated ones.
func sameNames(a, b []string) bool {
	return slices.Equal(nameSet(a), nameSet(b))
}

func nameSet(names []string) []string {
	set := make([]string, len(names))
	for i, name := range names {
		set[i] = strings.ToLower(name)
	}
	slices.Sort(set)
	return slices.Compact(set)
}

// expired reports whether the time after which the CA drops an order has passed. Not every CA sends one.
func expired(expires string) bool {
	at, err := time.Parse(time.RFC3339, expires)
	return err == nil && time.Now().After(at)
}
