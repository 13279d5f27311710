package ca

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-acme/lego/v4/acme"
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
		if length := utf8.RuneCountInString(quoted); length != 300+1 {
			t.Errorf("%s: %d characters are quoted", test.what, length)
		}
	}
	short := s.problem("shop.example.com", &acme.ProblemDetails{Type: typePrefix + unauthorized, Detail: said + "404"}).Message
	if !strings.HasSuffix(short, said+"404") {
		t.Errorf("what is short is changed: %q", short)
	}
}
