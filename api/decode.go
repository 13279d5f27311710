package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// maxBody is enough for any request: a domain with a hundred names is about 25 KB.
const maxBody = 1 << 20

// decode reads a JSON body strictly: a misspelt field is refused, not ignored. An empty body leaves body, a struct, as it is.
func decode(r *http.Request, body any) error {
	raw, err := readBody(r)
	if err != nil || len(raw) == 0 {
		return err
	}
	if err := checkMediaType(r.Header["Content-Type"]); err != nil {
		return err
	}
	if !utf8.Valid(raw) { // encoding/json would change it in silence
		return control.Malformed("the body is not UTF-8", "send JSON in UTF-8 (RFC 8259 §8.1)")
	}
	if err := checkObject(raw, fieldsOf(body)); err != nil {
		return err
	}
	err = json.Unmarshal(raw, body)
	if kind, is := errors.AsType[*json.UnmarshalTypeError](err); is {
		return control.Malformed(fmt.Sprintf("the field %.80q is a JSON %s", kind.Field, cert.Line(kind.Value, cert.MaxBy)), seeFields)
	}
	if err != nil {
		return control.Malformed("the body can't be read: "+cert.Line(err.Error(), cert.MaxDetail), seeFields)
	}
	return nil
}

const seeFields = "see the fields of this request in /openapi.json"

// readBody returns the body without the white space around it (RFC 8259 §2).
func readBody(r *http.Request) ([]byte, error) {
	raw, err := io.ReadAll(r.Body)
	tooLong, is := errors.AsType[*http.MaxBytesError](err)
	switch {
	case err == nil:
		return bytes.Trim(raw, " \t\r\n"), nil
	case is:
		return nil, statusError{status: http.StatusRequestEntityTooLarge, problem: control.Malformed(
			fmt.Sprintf("the body is longer than %d bytes", tooLong.Limit), "connect many domains by many requests, or by evercert connect --file")}
	case errors.Is(err, os.ErrDeadlineExceeded): // the server's ReadTimeout
		return nil, statusError{
			status:  http.StatusRequestTimeout,
			problem: control.Malformed("the body did not come to its end in time", "send it again"),
		}
	default: // the caller went away
		return nil, control.Malformed("the body could not be read to its end", "send it again")
	}
}

// checkMediaType refuses bodies that say that they are something else than JSON, or nothing: what was meant as a form is not to be
// guessed at.
func checkMediaType(given []string) error {
	if len(given) == 1 {
		kind, parameters, err := mime.ParseMediaType(given[0])
		charset := parameters["charset"]
		if err == nil && kind == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8")) {
			return nil
		}
	}
	return statusError{status: http.StatusUnsupportedMediaType, problem: control.Malformed(
		"the Content-Type of the body is not application/json", "send the header Content-Type: application/json, and JSON in UTF-8")}
}

// checkObject requires what encoding/json does not: that the body is one object, and that it has no other fields than these, spelt
// exactly so, each once at most. A field that is null is as good as none.
func checkObject(raw []byte, fields []string) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	var body json.RawMessage
	if err := decoder.Decode(&body); err != nil {
		return notJSON(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return control.Malformed("there is more than one JSON value in the body", "send a single JSON object")
	}
	if body[0] != '{' {
		return control.Malformed("the body is a JSON "+kindOf(body[0]), "send a JSON object")
	}
	decoder = json.NewDecoder(bytes.NewReader(body))
	if _, err := decoder.Token(); err != nil { // the {
		return notJSON(err)
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return notJSON(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return notJSON(err)
		}
		name, _ := token.(string)
		switch {
		case !slices.Contains(fields, name):
			return control.Malformed(
				fmt.Sprintf("the body has an unknown field %.80q", cert.Line(name, cert.MaxBy)),
				"use: "+strings.Join(fields, ", "),
			)
		case seen[name]:
			return control.Malformed(fmt.Sprintf("the field %q is there more than once", name), "send it once")
		}
		seen[name] = true
	}
	return nil
}

func notJSON(err error) error {
	says := "it ends too early"
	if syntax, is := errors.AsType[*json.SyntaxError](err); is {
		says = fmt.Sprintf("%v at byte %d", syntax, syntax.Offset)
	}
	return control.Malformed("the body is not JSON: "+says, "send a JSON object")
}

// kindOf returns what a JSON value is that begins with this byte.
func kindOf(first byte) string {
	switch first {
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}

// fieldsOf returns the names in JSON of the fields of a struct.
func fieldsOf(body any) (names []string) {
	for field := range reflect.TypeOf(body).Elem().Fields() {
		names = append(names, field.Tag.Get("json"))
	}
	return names
}

// checkQuery requires that the query holds the known parameters only, each once, as text in one line.
func checkQuery(r *http.Request, known []string) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return control.Malformed(
			"the query can't be read: "+cert.Line(err.Error(), cert.MaxDetail),
			"percent-encode the values of its parameters",
		)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return control.Malformed(fmt.Sprintf("there is no parameter %.80q", cert.Line(name, cert.MaxBy)), "send no query; see /openapi.json")
		case !slices.Contains(known, name):
			return control.Malformed(fmt.Sprintf("there is no parameter %.80q", cert.Line(name, cert.MaxBy)), "use: "+strings.Join(known, ", "))
		case values[0] == "": // as a script sends it whose variable is not set: it does not want every tenant's domains
			return control.Malformed(fmt.Sprintf("the parameter %q is empty", name), "give it a value, or leave it out")
		case len(values) > 1:
			return control.Malformed(fmt.Sprintf("the parameter %q is there %d times", name, len(values)), "send it once")
		case !utf8.ValidString(values[0]):
			return control.Malformed(name+" is not UTF-8", "send text in UTF-8")
		case !cert.IsLine(values[0]):
			return control.Malformed(name+" has a line break or a control character", "write it in one line, as plain text")
		}
	}
	return nil
}
