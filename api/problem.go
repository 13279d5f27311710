package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/evercert/evercert/cert"
)

// problemType is the start of the URI that names a kind of problem (RFC 9457 §3.1.1).
const problemType = "https://evercert.dev/problems/"

// problemDocument is a cert.Problem as RFC 9457 writes it.
type problemDocument struct {
	Type        string       `json:"type"`
	Title       string       `json:"title"`
	Status      int          `json:"status"`
	Detail      string       `json:"detail"`
	Code        cert.Code    `json:"code"`
	WhoActs     cert.Actor   `json:"who_acts"`
	Remediation string       `json:"remediation,omitempty"`
	Record      *cert.Record `json:"record,omitempty"`
	Found       string       `json:"found,omitempty"`
	Then        cert.Verb    `json:"then,omitempty"`
	RequestID   string       `json:"request_id,omitempty"` // names the line in the server's log
}

// statusError is a problem with an HTTP status that its code alone does not tell.
type statusError struct {
	status  int
	problem cert.Problem
	allow   string // methods, with 405 (RFC 9110 §10.2.1)
}

func (e statusError) Error() string { return e.problem.Error() }

func (e statusError) Unwrap() error { return e.problem }

// statusOf is the HTTP status of a problem.
func statusOf(code cert.Code) int {
	switch code {
	case cert.RequestMalformed:
		return http.StatusBadRequest
	case cert.Unauthorized:
		return http.StatusUnauthorized
	case cert.DomainUnknown:
		return http.StatusNotFound
	case cert.NameInvalid, cert.NameReserved, cert.NameSpecialUse, cert.NameTooDeep, cert.DomainNotAllowed:
		return http.StatusUnprocessableEntity
	case cert.Unavailable:
		return http.StatusServiceUnavailable
	case cert.NoAnswer:
		return http.StatusGatewayTimeout
	case cert.InternalError:
		return http.StatusInternalServerError
	default: // name_taken, request_refused, and whatever else a domain's workflow gives as its reason to refuse
		return http.StatusConflict
	}
}

// writeProblem answers with the problem that err carries; of any other error it tells nothing but that there was one.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := cert.AsProblem(err).Clean()
	status := statusOf(p.Code)
	if given, ok := errors.AsType[statusError](err); ok {
		status = given.status
		if given.allow != "" {
			w.Header().Set("Allow", given.allow)
		}
		if status == http.StatusRequestTimeout {
			w.Header().Set("Connection", "close") // the rest of the body may still come (RFC 9110 §15.5.9)
		}
	}
	title := strings.ReplaceAll(string(p.Code), "_", " ")
	document := problemDocument{
		Type: problemType + string(p.Code), Title: strings.ToUpper(title[:1]) + title[1:], Status: status, Detail: p.Message,
		Code: p.Code, WhoActs: p.WhoActs, Remediation: p.Remediation, Record: p.Record, Found: p.Found,
		Then: p.Code.Verb(cert.Status{}, false),
	}
	if e := exchangeOf(r); e != nil {
		document.RequestID = e.id
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	encoded, err := encode(document)
	if err == nil {
		_, err = w.Write(encoded)
	}
	if err != nil {
		noteError(r, err)
	}
}
