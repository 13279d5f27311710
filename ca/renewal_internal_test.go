package ca

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

const soundWindow = `"suggestedWindow":{"start":"2027-01-02T04:00:00Z","end":"2027-01-03T04:00:00Z"}`

func TestF3_RenewalInformationIsReadStrictly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		err    string // empty: it is read
	}{
		"as RFC 9773 has it":             {200, `{` + soundWindow + `,"explanationURL":"https://ca.test/why"}`, ""},
		"with a zone and fractions":      {200, `{"suggestedWindow":{"start":"2027-01-02T05:00:00.25+01:00","end":"2027-01-03T04:00:00Z"}}`, ""},
		"with more fields":               {200, `{` + soundWindow + `,"other":[1]}`, ""},
		"an explanation that is no text": {200, `{` + soundWindow + `,"explanationURL":7}`, ""},
		"not found":                      {404, `{"type":"urn:ietf:params:acme:error:malformed"}`, "404"},
		"a problem with status 200":      {200, `{"type":"urn:ietf:params:acme:error:serverInternal","detail":"no"}`, "no window"},
		"server error without a body":    {500, ``, "500"},
		"unavailable, in HTML":           {503, `<html>`, "a web page"},
		"another address":                {302, ``, "302"},
		"accepted, later":                {202, `{` + soundWindow + `}`, "202"},
		"empty":                          {200, ``, "an empty body"},
		"null":                           {200, `null`, "no window"},
		"an empty object":                {200, `{}`, "no window"},
		"an array":                       {200, `[]`, "cannot unmarshal"},
		"cut off":                        {200, `{"suggestedWindow":{"start":"2027-01-0`, "unexpected end"},
		"a window that is null":          {200, `{"suggestedWindow":null}`, "no window"},
		"without an end":                 {200, `{"suggestedWindow":{"start":"2027-01-02T04:00:00Z"}}`, "no window"},
		"without a start":                {200, `{"suggestedWindow":{"end":"2027-01-02T04:00:00Z"}}`, "no window"},
		"the end is the start":           {200, `{"suggestedWindow":{"start":"2027-01-02T04:00:00Z","end":"2027-01-02T04:00:00Z"}}`, "no window"},
		"the end is before the start":    {200, `{"suggestedWindow":{"start":"2027-01-03T04:00:00Z","end":"2027-01-02T04:00:00Z"}}`, "no window"},
		"not a time":                     {200, `{"suggestedWindow":{"start":"tomorrow","end":"2027-01-02T04:00:00Z"}}`, "parsing time"},
		"seconds since 1970":             {200, `{"suggestedWindow":{"start":1798862400,"end":1798948800}}`, "Time.UnmarshalJSON"},
		"a page":                         {200, `<html><body>Welcome`, "a web page"},
		"too long":                       {200, `{` + soundWindow + `,"x":"` + strings.Repeat("x", maxAnswer) + `"}`, "more than"},
	} {
		s, err := readRenewalInfo(test.status, http.Header{}, []byte(test.body))
		if test.err == "" {
			require.NoError(t, err, name)
			require.True(t, s.Window.End.After(s.Window.Start), name)
			continue
		}
		require.ErrorContains(t, err, test.err, name)
		require.Equal(t, cert.Suggestion{}, s, name)
	}
}

func TestF3_RetryAfterOfRenewalInformationIsBounded(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 6 * time.Hour, "21600": 6 * time.Hour, "-5": 6 * time.Hour, "soon": 6 * time.Hour,
		"0": time.Minute, "5": time.Minute, "999999999999999999999": 24 * time.Hour,
		"Mon, 02 Jan 2006 15:04:05 GMT": time.Minute, "Fri, 31 Dec 2399 23:59:59 GMT": 24 * time.Hour,
	} {
		s, err := readRenewalInfo(http.StatusOK, http.Header{"Retry-After": {value}}, []byte(`{`+soundWindow+`}`))
		require.NoError(t, err)
		require.Equal(t, want, s.AskAgain, value)
	}
}

func TestF3_OnlyAPageThatCanBeShownExplainsAWindow(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]string{
		"https://ca.test/why": "https://ca.test/why", "": "", "http://ca.test/why": "", "javascript:alert(1)": "",
		`https://ca.test/\u001b[2J`: "", `https://ca.test/\n`: "",
		"https://ca.test/" + strings.Repeat("x", maxURL): "",
	} {
		s, err := readRenewalInfo(http.StatusOK, http.Header{}, []byte(`{`+soundWindow+`,"explanationURL":"`+page+`"}`))
		require.NoError(t, err)
		require.Equal(t, want, s.Explanation, page)
	}
}

// FuzzF3_RenewalInformation: whatever a CA answers, there is an error or a window with a start and an end after it, and bounds are kept.
func FuzzF3_RenewalInformation(f *testing.F) {
	f.Add(200, "21600", []byte(`{`+soundWindow+`}`))
	f.Add(200, "", []byte(`{"suggestedWindow":{"start":"0001-01-01T00:00:00Z","end":"9999-12-31T23:59:59Z"},"explanationURL":"https://a/"}`))
	f.Add(404, "Mon, 02 Jan 2006 15:04:05 GMT", []byte(`{"type":"x"}`))
	f.Fuzz(func(t *testing.T, status int, wait string, body []byte) {
		s, err := readRenewalInfo(status, http.Header{"Retry-After": {wait}}, body)
		switch {
		case err != nil:
			if s != (cert.Suggestion{}) {
				t.Fatalf("%v with an error", s)
			}
		case status != http.StatusOK || s.Window.Start.IsZero() || !s.Window.End.After(s.Window.Start):
			t.Fatalf("%d: %v", status, s)
		case s.AskAgain < time.Minute || s.AskAgain > 24*time.Hour || !cert.IsLine(s.Explanation) || len(s.Explanation) > maxURL:
			t.Fatalf("%v", s)
		}
	})
}
