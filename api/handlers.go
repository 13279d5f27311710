package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
)

func (s *server) welcome(*http.Request) (reply, error) {
	return reply{status: http.StatusOK, kind: "text/plain; charset=utf-8", text: []byte("This is the evercert API. It is described at /openapi.json.\n")}, nil
}

func (s *server) describe(*http.Request) (reply, error) {
	return reply{status: http.StatusOK, kind: "application/json", text: s.openAPI}, nil
}

// healthy tells that the process runs; a supervisor restarts it when this fails.
func (s *server) healthy(*http.Request) (reply, error) {
	return ok(map[string]string{"status": "ok"}), nil
}

// ready tells whether requests can be served; a balancer sends none while this fails.
func (s *server) ready(r *http.Request) (reply, error) {
	if err := s.control.Ready(r.Context()); err != nil {
		return reply{}, err
	}
	return ok(map[string]string{"status": "ok"}), nil
}

func (s *server) connect(r *http.Request) (reply, error) {
	var body struct {
		Hostname string   `json:"hostname"`
		Also     []string `json:"also"`
		Tenant   string   `json:"tenant"`
	}
	if err := decode(r, &body); err != nil {
		return reply{}, err
	}
	result, err := s.control.Connect(r.Context(), control.Connection{Hostname: body.Hostname, Also: body.Also, Tenant: body.Tenant})
	if err != nil {
		return reply{}, err
	}
	answer := ok(result)
	if result.Created {
		answer.status, answer.location = http.StatusCreated, "/v1/domains/"+url.PathEscape(result.Hostname)
	}
	return answer, nil
}

func (s *server) list(r *http.Request) (reply, error) {
	query := r.URL.Query()
	limit, err := pageLimit(query)
	if err != nil {
		return reply{}, err
	}
	page, err := s.control.List(r.Context(), store.Filter{
		Tenant: query.Get("tenant"), Headline: cert.Headline(query.Get("headline")), Contains: query.Get("contains"), After: query.Get("after"), Limit: limit,
	})
	return ok(page), err
}

// pageLimit returns the parameter limit, or 0 where there is none.
func pageLimit(query url.Values) (int, error) {
	given, is := query["limit"]
	if !is {
		return 0, nil
	}
	limit, err := strconv.Atoi(given[0])
	if err != nil || limit < 1 || limit > control.MaxPage || strings.HasPrefix(given[0], "+") {
		return 0, control.Malformed(fmt.Sprintf("the limit is %.80q", given[0]), fmt.Sprintf("send a number from 1 to %d", control.MaxPage))
	}
	return limit, nil
}

func (s *server) status(r *http.Request) (reply, error) {
	domain, err := s.control.Status(r.Context(), r.PathValue("name"))
	return ok(domain), err
}

func (s *server) remove(r *http.Request) (reply, error) {
	query := r.URL.Query()
	answer, err := s.control.Remove(r.Context(), request(r, query.Get("by"), query.Get("reason")))
	return ok(answer), err
}

// verb serves a request that needs nothing but its author and a reason.
func verb(ask func(*control.Control, context.Context, control.Request) (cert.Answer, error)) handler {
	return func(s *server, r *http.Request) (reply, error) {
		var body struct {
			By     string `json:"by"`
			Reason string `json:"reason"`
		}
		if err := decode(r, &body); err != nil {
			return reply{}, err
		}
		answer, err := ask(s.control, r.Context(), request(r, body.By, body.Reason))
		return ok(answer), err
	}
}

var checkNow = verb((*control.Control).Check)

// check answers 202 while the check is still to be made.
func (s *server) check(r *http.Request) (reply, error) {
	checked, err := checkNow(s, r)
	if answer, is := checked.body.(cert.Answer); is && err == nil && answer.Diagnosis == nil {
		checked.status = http.StatusAccepted
	}
	return checked, err
}

func (s *server) handBack(r *http.Request) (reply, error) {
	var body struct {
		By   string `json:"by"`
		Note string `json:"note"`
	}
	if err := decode(r, &body); err != nil {
		return reply{}, err
	}
	answer, err := s.control.HandBack(r.Context(), request(r, body.By, body.Note))
	return ok(answer), err
}

func (s *server) setRedirect(r *http.Request) (reply, error) {
	var body struct {
		On *bool  `json:"on"`
		By string `json:"by"`
	}
	if err := decode(r, &body); err != nil {
		return reply{}, err
	}
	if body.On == nil {
		return reply{}, control.Malformed(`the field "on" is missing`, `send {"on": true} or {"on": false}`)
	}
	answer, err := s.control.SetRedirect(r.Context(), request(r, body.By, ""), *body.On)
	return ok(answer), err
}

// request is what a verb is about. A caller that does not say for whom it asks is "the API" on the timeline.
func request(r *http.Request, by, reason string) control.Request {
	if by == "" {
		by = "the API"
	}
	return control.Request{Name: r.PathValue("name"), By: by, Reason: reason}
}

func (s *server) records(r *http.Request) (reply, error) {
	diagnosis, err := s.control.Diagnosis(r.Context(), r.PathValue("name"))
	return ok(diagnosis), err
}

func (s *server) changes(r *http.Request) (reply, error) {
	changes, err := s.control.Changes(r.Context(), r.PathValue("name"))
	return ok(map[string]any{"changes": changes}), err
}

func (s *server) timeline(r *http.Request) (reply, error) {
	events, err := s.control.Timeline(r.Context(), r.PathValue("name"))
	return ok(map[string]any{"events": events}), err
}

// download serves a file in PEM.
func download(read func(*control.Control, context.Context, string) ([]byte, error), kind string) handler {
	return func(s *server, r *http.Request) (reply, error) {
		file, err := read(s.control, r.Context(), r.PathValue("name"))
		return reply{status: http.StatusOK, kind: kind, text: file}, err
	}
}

func (s *server) cases(r *http.Request) (reply, error) {
	query := r.URL.Query()
	limit, err := pageLimit(query)
	if err != nil {
		return reply{}, err
	}
	all, is := query["all"]
	if is && all[0] != "true" && all[0] != "false" {
		return reply{}, control.Malformed(fmt.Sprintf("the parameter all is %.80q", all[0]), "send true for closed cases too, or false")
	}
	page, err := s.control.Cases(r.Context(), control.CaseFilter{
		Closed: is && all[0] == "true", Name: query.Get("domain"), After: query.Get("after"), Limit: limit,
	})
	return ok(page), err
}

func (s *server) rules(r *http.Request) (reply, error) {
	rules, err := s.control.Rules(r.Context())
	return ok(map[string]any{"rules": rules}), err
}

func (s *server) cas(r *http.Request) (reply, error) {
	cas, err := s.control.CAs(r.Context())
	return ok(map[string]any{"cas": append([]cert.ConfiguredCA{}, cas...)}), err
}

// unknown answers requests that no route serves: with the methods that the path knows, if it is one.
func (s *server) unknown(r *http.Request) (reply, error) {
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := s.mux.Handler(probe); pattern != "/" {
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead) // which net/http answers as GET
			}
		}
	}
	if len(allowed) > 0 {
		return reply{}, statusError{status: http.StatusMethodNotAllowed, allow: strings.Join(allowed, ", "), problem: control.Malformed(
			fmt.Sprintf("%.20q can't be done with %.200q", r.Method, r.URL.Path), "use "+strings.Join(allowed, " or "))}
	}
	return reply{}, statusError{status: http.StatusNotFound, problem: control.Malformed(
		fmt.Sprintf("there is nothing at %.200q", r.URL.Path), "see /openapi.json")}
}
