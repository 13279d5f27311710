package ca

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-acme/lego/v4/acme"

	"github.com/evercert/evercert/cert"
)

func TestWhatACAQuotesDoesNotFillThePage(t *testing.T) {
	t.Parallel()
	const said = "Invalid response from http://shop.example.com/.well-known/acme-challenge/token: "
	s := &session{name: "the CA"}
	page := strings.Repeat("<p>Geschäft geöffnet</p>", 200)
	for _, test := range []struct {
		what    string
		refusal acme.ProblemDetails
	}{
		{"in its own detail", acme.ProblemDetails{Type: typePrefix + unauthorized, Detail: said + page}},
		{"in that of a name", acme.ProblemDetails{Type: typePrefix + compound, SubProblems: []acme.SubProblem{
			{Type: typePrefix + unauthorized, Detail: said + page, Identifier: acme.Identifier{Type: "dns", Value: "shop.example.com"}},
		}}},
	} {
		message := s.problem("shop.example.com", &test.refusal).Message
		if !strings.Contains(message, said) || !strings.HasSuffix(message, "…") || !utf8.ValidString(message) {
			t.Errorf("%s: the message is %q", test.what, message)
		}
		quoted := strings.TrimPrefix(message, "the CA could not accept shop.example.com: ")
		if length := utf8.RuneCountInString(quoted); length != maxDetail {
			t.Errorf("%s: %d characters are quoted", test.what, length)
		}
	}
	short := s.problem("shop.example.com", &acme.ProblemDetails{Type: typePrefix + unauthorized, Detail: said + "404"}).Message
	if !strings.HasSuffix(short, said+"404") {
		t.Errorf("what is short is changed: %q", short)
	}
}

func TestF24_WhatACASaysIsFitToBeShown(t *testing.T) {
	t.Parallel()
	const nasty = "x\x00\x1b[31m\u009b\x7f\u202e\u2066\u2028\xff\nhttps://portal.test/\x1b[31m\u202e"
	s := &session{name: "the CA"}
	for _, kind := range []string{
		unauthorized, caaForbids, compound, malformed, rateLimited, badCSR, userActionRequired, externalAccountRequired, invalidContact,
		"odd\x00",
	} {
		p := &acme.ProblemDetails{
			Type:     typePrefix + kind,
			Detail:   nasty + " paused",
			Instance: nasty + strings.Repeat("y", 5000),
			SubProblems: []acme.SubProblem{
				{Type: kind, Detail: nasty, Identifier: acme.Identifier{Value: nasty}},
			},
		}
		for _, status := range []int{http.StatusForbidden, http.StatusTooManyRequests} {
			err := s.failure("order", &answerError{status: status, header: http.Header{}, err: p})
			problems := []cert.Problem{s.problem("", p)}
			if f := (*cert.Failure)(nil); errors.As(err, &f) {
				problems = append(problems, f.Problem)
			}
			for _, p := range problems {
				if p != p.Clean() {
					t.Errorf("%q: %q", kind, p)
				}
			}
		}
	}
}
