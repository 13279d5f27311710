package ca

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/acme/api"
)

// FuzzF21_WhatPassesIsFitForLego gives lego any answer with any status: nothing may panic, and the addresses in an order or an
// authorization must be https.
func FuzzF21_WhatPassesIsFitForLego(f *testing.F) {
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `7`, `"text"`, `<html>`, `{"status":"pen`,
		`{"status":"pending","identifiers":[{"type":"dns","value":"a.test"}],"authorizations":["/1"],"finalize":"/2","error":null}`,
		`{"status":"invalid","identifiers":[null],"error":{"type":7,"subproblems":[null,7,{"identifier":null}]}}`,
		`{"status":"pending","identifier":{"value":"*.A.test"},"challenges":[null,{},{"type":"dns-01","url":"//b.test/c","token":"",` +
			`"error":"x"}]}`,
		`{"type":"urn:ietf:params:acme:error:badNonce","detail":null,"status":"400","instance":"//[::1"}`,
		`{"newNonce":"n","newAccount":"https://ca.test/a","newOrder":"?o","meta":null}`,
		`{"status":"valid","orders":"%zz"}`, `{"orders":[null,""]}`,
	} {
		for _, status := range []int{200, 201, 204, 302, 400, 409, 429, 500} {
			f.Add([]byte(body), status, "/order/1")
		}
	}
	key := newKey(f)
	f.Fuzz(func(t *testing.T, body []byte, status int, location string) {
		if status < 200 || status > 599 {
			t.Skip("no final status of HTTP")
		}
		answer := transportFunc(func(r *http.Request) (*http.Response, error) {
			header := http.Header{"Replay-Nonce": {"nonce"}, "Location": {location}}
			if r.URL.Path == "/directory" || r.Method == http.MethodHead {
				return neverDone(r)
			}
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		})
		s := &session{
			name:         "CA",
			directoryURL: "https://ca.test/directory",
			accountURL:   "https://ca.test/a",
			key:          key,
			timeout:      time.Minute,
			transport:    answer,
		}
		for _, as := range []reader{directoryAnswer, accountAnswer, orderAnswer, authorizationAnswer, orderListAnswer, chainAnswer, anyAnswer} {
			base, _ := url.Parse("https://ca.test/x/y") // it is one
			if fit, err := as(base, body); err == nil && !json.Valid(fit) && !bytes.Equal(fit, body) {
				t.Errorf("what passes is neither JSON nor the body: %q", fit)
			}
		}
		if problem := readProblem(body); status >= http.StatusBadRequest && problem != nil && kindOf(problem.Type) == badNonce {
			t.Skip("lego tries such a request for seconds")
		}
		order, header, err := s.order(t.Context(), "https://ca.test/order/1")
		if err != nil {
			_ = s.failure("read the order", err).Error()
		}
		addresses := append([]string{order.Finalize, order.Certificate, header.Get("Location")}, order.Authorizations...)
		authorization, _, err := s.authorization(t.Context(), "https://ca.test/authz/1")
		if err != nil {
			_ = s.failure("read an authorization", err).Error()
		}
		for _, challenge := range authorization.Challenges {
			addresses = append(addresses, challenge.URL)
		}
		_, _ = s.account(t.Context())
		_, _ = s.call(t.Context(), anyAnswer, func(core *api.Core) error {
			_, err := core.Orders.UpdateForCSR("https://ca.test/finalize/1", nil)
			return err
		})
		for _, address := range addresses {
			if address != "" && !regexp.MustCompile(`(?i)^https://.`).MatchString(address) {
				t.Errorf("the address %q passes", address)
			}
		}
	})
}
