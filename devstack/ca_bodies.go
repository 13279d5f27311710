package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// oddBodies are what an answer may hold in place of what it should.
var oddBodies = map[string]func(a *answer, host string){
	"empty":  func(a *answer, _ string) { a.replace("") },
	"null":   func(a *answer, _ string) { a.replace("null") },
	"list":   func(a *answer, _ string) { a.replace("[]") },
	"object": func(a *answer, _ string) { a.replace("{}") },
	"text":   func(a *answer, _ string) { a.replace(`"text"`) },
	"html": func(a *answer, _ string) {
		a.retype("text/html")
		a.replace("<html><body><h1>Welcome</h1></body></html>")
	},
	"cut":      func(a *answer, _ string) { a.body.Truncate(a.body.Len() / 2) }, // a whole message, unlike truncate
	"long":     func(a *answer, _ string) { a.body.WriteString(strings.Repeat(" ", 2<<20)) },
	"numbers":  func(a *answer, _ string) { a.replace(numbers(a.body.Bytes())) },
	"retyped":  func(a *answer, _ string) { a.retype("text/html") }, // with the right body
	"relative": (*answer).makeRelative,
}

func (a *answer) replace(body string) {
	a.body.Reset()
	a.body.WriteString(body)
}

func (a *answer) retype(contentType string) { a.header.Set("Content-Type", contentType) }

// numbers returns an object with a number for each of its members.
func numbers(body []byte) string {
	var members map[string]any
	if json.Unmarshal(body, &members) != nil {
		return "7"
	}
	for name := range members {
		members[name] = 7
	}
	odd, _ := json.Marshal(members) // names and numbers always encode
	return string(odd)
}

// makeRelative takes the CA's own origin out of every address (RFC 3986 §4.2).
func (a *answer) makeRelative(host string) {
	origin := "https://" + host
	a.replace(string(bytes.ReplaceAll(a.body.Bytes(), []byte(origin), nil)))
	for _, values := range a.header {
		for i := range values {
			values[i] = strings.ReplaceAll(values[i], origin, "")
		}
	}
}

// refuseOddly answers in place of the CA with a status and a body that is not a problem document, or an odd one.
func (f *caFront) refuseOddly(r *http.Request, argument string) *answer {
	code, kind, _ := strings.Cut(argument, ":")
	status, _ := strconv.Atoi(code) // checked when it was ordered
	a := &answer{header: http.Header{}}
	if r.Method == http.MethodPost {
		a.header.Set("Replay-Nonce", f.freshNonce(r))
	}
	writeProblem(a, status, "serverInternal", "refusal ordered by `ca fault`")
	oddBodies[kind](a, r.Host)
	return a
}

// redirect sends the client elsewhere at the same CA.
func redirect(r *http.Request, code string) *answer {
	status, _ := strconv.Atoi(code) // checked when it was ordered
	a := &answer{header: http.Header{"Location": {"https://" + r.Host + "/elsewhere" + r.URL.Path}}}
	a.WriteHeader(status)
	return a
}

// checkOdd checks the arguments of garble, refuse and redirect.
func checkOdd(action, argument string) error {
	code, kind := "", argument
	switch action {
	case "refuse":
		code, kind, _ = strings.Cut(argument, ":")
	case "redirect":
		code, kind = argument, ""
	}
	if status, err := strconv.Atoi(code); code != "" && (err != nil || action == "refuse" && (status < 400 || status > 599)) {
		return fmt.Errorf("want a status from 400 to 599, not %q", code)
	} else if action == "redirect" && (err != nil || status < 300 || status > 399) {
		return fmt.Errorf("want a status from 300 to 399, not %q", code)
	}
	if _, known := oddBodies[kind]; !known && action != "redirect" {
		return fmt.Errorf("want one of %s", strings.Join(slices.Sorted(maps.Keys(oddBodies)), ", "))
	}
	return nil
}
