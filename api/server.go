package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/control"
)

// requestTimeout bounds the work on a request. A verb waits ten seconds for a domain's answer, a check fifteen more for what it sees;
// connecting waits three for Temporal.
const requestTimeout = 30 * time.Second

// server holds what the handlers need.
type server struct {
	control *control.Control
	token   [sha256.Size]byte // of the bearer token: comparing digests does not tell its length
	log     *slog.Logger
	openAPI []byte
	mux     *http.ServeMux
}

// reply is what a handler answers: a body that becomes JSON, or text.
type reply struct {
	status   int
	body     any
	text     []byte
	kind     string // media type of text
	location string
}

func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

type handler func(s *server, r *http.Request) (reply, error)

// route is one line of the API. Open routes need no token, and don't look at the query.
type route struct {
	method, path string
	open         bool
	handle       handler
	query        []string // the parameters that it takes
}

var routes = []route{
	{"GET", "/{$}", true, (*server).welcome, nil},
	{"GET", "/openapi.json", true, (*server).describe, nil},
	{"GET", "/healthz", true, (*server).healthy, nil},
	{"GET", "/readyz", true, (*server).ready, nil},
	{"POST", "/v1/domains", false, (*server).connect, nil},
	{"GET", "/v1/domains", false, (*server).list, []string{"tenant", "headline", "contains", "after", "limit"}},
	{"GET", "/v1/domains/{name}", false, (*server).status, nil},
	{"DELETE", "/v1/domains/{name}", false, (*server).remove, []string{"by", "reason"}},
	{"POST", "/v1/domains/{name}/check", false, (*server).check, nil},
	{"POST", "/v1/domains/{name}/request", false, verb((*control.Control).RequestCertificate), nil},
	{"POST", "/v1/domains/{name}/pause", false, verb((*control.Control).Pause), nil},
	{"POST", "/v1/domains/{name}/resume", false, verb((*control.Control).Resume), nil},
	{"POST", "/v1/domains/{name}/hand-back", false, (*server).handBack, nil},
	{"PUT", "/v1/domains/{name}/https-redirect", false, (*server).setRedirect, nil},
	{"GET", "/v1/domains/{name}/records", false, (*server).records, nil},
	{"GET", "/v1/domains/{name}/changes", false, (*server).changes, nil},
	{"GET", "/v1/domains/{name}/timeline", false, (*server).timeline, nil},
	{"GET", "/v1/domains/{name}/certificate", false, download((*control.Control).Chain, "application/pem-certificate-chain"), nil}, // RFC 8555 §9.1
	{"GET", "/v1/domains/{name}/csr", false, download((*control.Control).CSR, "application/x-pem-file"), nil},
	{"GET", "/v1/cases", false, (*server).cases, []string{"all", "domain", "after", "limit"}},
	{"GET", "/v1/cas", false, (*server).cas, nil},
	{"GET", "/v1/rules", false, (*server).rules, nil},
}

// newHandler returns the whole API.
func newHandler(c *control.Control, token config.Secret, log *slog.Logger) (http.Handler, error) {
	openAPI, err := openAPIDocument()
	if err != nil {
		return nil, err
	}
	s := &server{control: c, token: sha256.Sum256([]byte(token)), log: log, openAPI: openAPI, mux: http.NewServeMux()}
	for _, r := range routes {
		s.mux.Handle(r.method+" "+r.path, s.answering(r))
	}
	s.mux.Handle("/", s.answering(route{open: true, handle: (*server).unknown}))
	return s.logged(s.door(s.mux)), nil
}

// door refuses paths that name nothing: those that no text can be, and those that the mux would answer with a redirect to another one.
func (s *server) door(next http.Handler) http.Handler {
	refuse := func(problem statusError) http.Handler {
		return s.answering(route{open: true, handle: func(*server, *http.Request) (reply, error) { return reply{}, problem }})
	}
	noText := refuse(statusError{status: http.StatusBadRequest, problem: control.Malformed(
		"the path has a control character or is not UTF-8", "percent-encode names in UTF-8; see /openapi.json")})
	notClean := refuse(statusError{status: http.StatusNotFound, problem: control.Malformed(
		"there is nothing at a path with an empty segment, . or ..", "send the path as /openapi.json has it")})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		escaped := r.URL.EscapedPath()
		switch clean := path.Clean("/" + escaped); {
		case !cert.IsLine(r.URL.Path):
			noText.ServeHTTP(w, r)
		case escaped != clean && (escaped != clean+"/" || clean == "/"):
			notClean.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// answering runs a handler and writes what it answers. It is the one door at which errors become problem documents.
func (s *server) answering(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if !route.open && !s.authorized(r) {
			w.Header().Set("WWW-Authenticate", "Bearer") // RFC 6750 §3
			writeProblem(w, r, cert.Problem{
				Code: cert.Unauthorized, WhoActs: cert.PlatformActs, Message: "the bearer token is missing or wrong",
				Remediation: "send the header Authorization: Bearer TOKEN, with the API_TOKEN of the server",
			})
			return
		}
		answer, err := s.answer(route, r)
		if err != nil {
			noteError(r, err)
			writeProblem(w, r, err)
			return
		}
		if err := write(w, answer); err != nil {
			noteError(r, fmt.Errorf("write the answer: %w", err))
		}
	})
}

func (s *server) answer(route route, r *http.Request) (reply, error) {
	if !route.open {
		if err := checkQuery(r, route.query); err != nil {
			return reply{}, err
		}
	}
	return route.handle(s, r)
}

func (s *server) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(given[:], s.token[:]) == 1
}

func write(w http.ResponseWriter, a reply) error {
	header := w.Header()
	if a.location != "" {
		header.Set("Location", a.location)
	}
	body := a.text
	if a.kind == "" {
		encoded, err := encode(a.body)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return err
		}
		body, a.kind = encoded, "application/json"
	}
	header.Set("Content-Type", a.kind)
	w.WriteHeader(a.status)
	_, err := w.Write(body)
	return err
}

// encode returns a value as a line of JSON that is safe to look at in a terminal.
func encode(v any) ([]byte, error) {
	encoded, err := json.Marshal(v)
	return append(cert.EscapeJSON(encoded), '\n'), err
}
