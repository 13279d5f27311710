package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// maxBody is enough for any request: a domain with a hundred names is about 25 KB.
const maxBody = 1 << 20

// decode reads a JSON body strictly: a misspelt field is refused, not ignored. An empty body leaves body as it is.
func decode(r *http.Request, body any) error {
	raw, err := io.ReadAll(r.Body)
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		return statusError{status: http.StatusRequestEntityTooLarge, problem: control.Malformed(
			fmt.Sprintf("the body is longer than %d bytes", tooLong.Limit), "connect many domains by many requests, or by evercert connect --file")}
	}
	if err != nil { // the caller went away, or was too slow
		return control.Malformed("the body could not be read to its end", "send it again")
	}
	if !utf8.Valid(raw) { // encoding/json would change it in silence
		return control.Malformed("the body is not UTF-8", "send JSON in UTF-8 (RFC 8259 §8.1)")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(body)
	if errors.Is(err, io.EOF) { // nothing but white space
		return nil
	}
	if err == nil {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return control.Malformed("there is more than one JSON value in the body", "send a single JSON object")
	}
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &syntax):
		return control.Malformed(fmt.Sprintf("the body is not JSON: %v at byte %d", syntax, syntax.Offset), "send a JSON object")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return control.Malformed("the body is not JSON: it ends too early", "send a JSON object")
	case errors.As(err, &kind):
		return control.Malformed(fmt.Sprintf("%s is a JSON %s", named(kind.Field), cert.Line(kind.Value, cert.MaxBy)), "see the type of each field in /openapi.json")
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return control.Malformed("the body has an "+cert.Line(strings.TrimPrefix(err.Error(), "json: "), cert.MaxBy), "see the fields of this request in /openapi.json")
	}
	return control.Malformed("the body can't be read: "+cert.Line(err.Error(), cert.MaxDetail), "see the fields of this request in /openapi.json")
}

func named(field string) string {
	if field == "" {
		return "the body"
	}
	return fmt.Sprintf("the field %.80q", field)
}

// parameters returns the query, which may hold the known parameters only, each once.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, control.Malformed("the query can't be read: "+cert.Line(err.Error(), cert.MaxDetail), "percent-encode the values of its parameters")
	}
	for name, values := range query {
		if !slices.Contains(known, name) {
			return nil, control.Malformed(fmt.Sprintf("there is no parameter %.80q", name), "use: "+strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, control.Malformed(fmt.Sprintf("the parameter %q is there %d times", name, len(values)), "send it once")
		}
	}
	return query, nil
}
