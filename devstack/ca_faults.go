package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Pebble's paths, on purpose unlike those of any real CA.
const (
	noncePath     = "/nonce-plz"
	newOrderPath  = "/order-plz"
	finalizePath  = "/finalize-order/"
	challengePath = "/chalZ/"
	orderPath     = "/my-order/"
	authzPath     = "/authZ/"
	certPath      = "/certZ/"
)

// faultPaths are the words by which `ca fault` names an endpoint.
var faultPaths = map[string]string{
	"directory":   "/dir",
	"newNonce":    noncePath,
	"newAccount":  "/sign-me-up",
	"newOrder":    newOrderPath,
	"order":       orderPath,
	"authz":       authzPath,
	"challenge":   challengePath,
	"finalize":    finalizePath,
	"certificate": certPath,
	"renewalInfo": "/draft-ietf-acme-ari-03/renewalInfo/",
}

// faultOrder asks for a fault: action ACTION at PATH, Times times, 0 = until reset.
type faultOrder struct {
	Path   string `json:"path"`
	Action string `json:"action"`
	Times  int    `json:"times"`
	Name   string `json:"name,omitempty"` // only requests about orders for this host
}

// noCAFault takes back what was ordered for a path and a name.
const noCAFault = "none"

type fault struct {
	faultDone
	prefix, action, argument string
}

// faultDone is a fault that was ordered, and how often it was done.
type faultDone struct {
	faultOrder
	Done int `json:"done"`
}

// used reports whether a fault was done as often as it was ordered.
func (f faultDone) used() bool { return f.Times > 0 && f.Done == f.Times }

// caStats counts what the CA did. Nonce errors are part of the protocol and
// counted nowhere.
type caStats struct {
	Orders       int `json:"orders"`       // newOrder requests the CA accepted
	Finalizes    int `json:"finalizes"`    // finalize requests the CA accepted
	Certificates int `json:"certificates"` // distinct certificates issued
	Rejected     int `json:"rejected"`     // newOrder and finalize requests answered with an error, ordered faults included
}

// caFront stands between the clients and the CA: it does the faults that were
// ordered, and counts.
type caFront struct {
	gate *gate

	mu     sync.Mutex
	faults []*fault
	counts caStats
	issued map[string]bool
	orders map[string]int // accepted newOrder requests by the names in them, with a space between
}

func newCAFront(g *gate) *caFront {
	return &caFront{gate: g, issued: map[string]bool{}, orders: map[string]int{}}
}

func (f *caFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "the request's body can't be read", http.StatusBadRequest)
		return
	}
	r.Body = newReadBefore(body)
	action := f.match(r)
	if action == nil {
		f.pass(r).copyTo(w)
		return
	}
	switch action.action {
	case "drop-request":
		panic(http.ErrAbortHandler) // cuts the connection or the HTTP/2 stream
	case "drop-response":
		f.pass(r)
		panic(http.ErrAbortHandler)
	case "truncate":
		a := f.pass(r)
		a.body.Truncate(a.body.Len() / 2)
		a.copyTo(w)
		_ = http.NewResponseController(w).Flush() // the half must be on its way before the cut
		panic(http.ErrAbortHandler)
	case "delay":
		pause, _ := time.ParseDuration(action.argument) // checked when it was ordered
		select {
		case <-time.After(pause):
			f.pass(r).copyTo(w)
		case <-r.Context().Done():
		}
	case "garble":
		a := f.pass(r)
		oddBodies[action.argument](a, r.Host)
		a.header.Del("Content-Length")
		a.copyTo(w)
	case "refuse":
		f.refuseOddly(r, action.argument).copyTo(w)
	case "redirect":
		redirect(r, action.argument).copyTo(w)
	default:
		a := &answer{header: http.Header{}}
		f.refuse(a, r, action)
		f.count(r, a)
		a.copyTo(w)
	}
}

// pass lets the CA act, and counts what it did.
func (f *caFront) pass(r *http.Request) *answer {
	a := f.gate.serve(r)
	f.count(r, a)
	return a
}

func (a *answer) copyTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body.Bytes()) // the client went away: nothing to do about it
}

// refuse answers in place of the CA. Like the answers of a real CA, its
// problem documents carry a fresh nonce.
func (f *caFront) refuse(a *answer, r *http.Request, action *fault) {
	if action.action == "html-503" {
		a.header.Set("Retry-After", action.argument)
		a.header.Set("Content-Type", "text/html")
		a.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(a, "<html><head><title>503 Service Unavailable</title></head><body><h1>The service is down for maintenance</h1></body></html>")
		return
	}
	if r.Method == http.MethodPost {
		a.header.Set("Replay-Nonce", f.freshNonce(r))
	}
	switch action.action {
	case "status":
		code, _ := strconv.Atoi(action.argument) // checked when it was ordered
		kind := "serverInternal"
		if code < 500 {
			kind = "malformed"
		}
		writeProblem(a, code, kind, "status ordered by `ca fault`")
	case "rate-limit":
		seconds, _ := strconv.Atoi(action.argument) // checked when it was ordered
		a.header.Set("Retry-After", action.argument)
		writeProblem(a, http.StatusTooManyRequests, "rateLimited", fmt.Sprintf(
			"too many new orders recently, retry after %s: see https://letsencrypt.org/docs/rate-limits/",
			time.Now().Add(time.Duration(seconds)*time.Second).UTC().Format("2006-01-02 15:04:05 UTC")))
	case "paused":
		writeProblem(a, http.StatusTooManyRequests, "rateLimited",
			"Your account is temporarily prevented from requesting certificates for "+strings.Join(orderNames(r), ", ")+
				" and possibly others. Please visit: https://portal.test/sfe/v1/unpause?jwt=test")
	case "problem":
		kind, detail := problemOf(action.argument)
		writeProblem(a, http.StatusForbidden, kind, detail)
	}
}

func (f *caFront) freshNonce(r *http.Request) string {
	ask := r.Clone(r.Context())
	ask.Method, ask.URL.Path, ask.Body = http.MethodHead, noncePath, http.NoBody
	return f.gate.serve(ask).header.Get("Replay-Nonce")
}

// problemOf reads TYPE or TYPE:DETAIL. Of a detail, \u escapes and the like are read as in a Go string, so that any text can be ordered.
func problemOf(argument string) (kind, detail string) {
	kind, detail, given := strings.Cut(argument, ":")
	if !given {
		return kind, "problem ordered by `ca fault`"
	}
	if text, err := strconv.Unquote(`"` + strings.ReplaceAll(detail, `"`, `\"`) + `"`); err == nil {
		return kind, text
	}
	return kind, detail
}

func writeProblem(w http.ResponseWriter, code int, kind, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{ // a buffer takes everything
		"type": "urn:ietf:params:acme:error:" + kind, "detail": detail, "status": code,
	})
}

// addFault checks an order completely: one that would never fire is an error.
func (f *caFront) addFault(o faultOrder) error {
	prefix, known := faultPaths[o.Path]
	if !known && !strings.HasPrefix(o.Path, "/") {
		return fmt.Errorf(
			"path %q: want one of newOrder, authz, challenge, finalize, order, certificate, newNonce, newAccount, renewalInfo, directory, or a "+
				"path that begins with /",
			o.Path,
		)
	}
	if !known {
		prefix = o.Path
	}
	if o.Name != "" && !slices.Contains([]string{newOrderPath, orderPath, authzPath, challengePath, finalizePath, certPath}, prefix) {
		return errors.New(
			"a name can limit only faults of newOrder, order, authz, challenge, finalize and certificate: other requests are for no host",
		)
	}
	o.Name = strings.ToLower(o.Name)
	if o.Times < 0 {
		return fmt.Errorf("%d times: want 0 (until reset) or more", o.Times)
	}
	action, argument, _ := strings.Cut(o.Action, ":")
	if err := checkAction(action, argument); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if action == noCAFault {
		f.faults = slices.DeleteFunc(f.faults, func(ordered *fault) bool { return ordered.prefix == prefix && ordered.Name == o.Name })
		return nil
	}
	f.faults = append(f.faults, &fault{faultDone{faultOrder: o}, prefix, action, argument})
	return nil
}

func checkAction(action, argument string) error {
	var err error
	switch action {
	case "drop-request", "drop-response", "truncate", "paused", noCAFault:
		if argument != "" {
			err = errors.New("it takes no argument")
		}
	case "delay":
		_, err = time.ParseDuration(argument)
	case "status":
		var code int
		if code, err = strconv.Atoi(argument); err == nil && (code < 400 || code > 599) {
			err = errors.New("want a status from 400 to 599")
		}
	case "rate-limit", "html-503":
		_, err = strconv.ParseUint(argument, 10, 31)
	case "garble", "refuse", "redirect":
		err = checkOdd(action, argument)
	case "problem":
		if argument == "" {
			err = errors.New("want a type, and a detail if you like, as in problem:caa or problem:caa:TEXT")
		}
	default:
		err = errors.New(
			"want drop-request, drop-response, truncate, delay:DURATION, status:CODE, rate-limit:SECONDS, paused, problem:TYPE[:DETAIL], " +
				"html-503:SECONDS, garble:BODY, refuse:CODE:BODY, redirect:CODE or none",
		)
	}
	if err != nil {
		return fmt.Errorf("action %q: %w", action, err)
	}
	return nil
}

// match finds the first fault for a request and uses it up once.
func (f *caFront) match(r *http.Request) *fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, candidate := range f.faults {
		if candidate.used() || !strings.HasPrefix(r.URL.Path, candidate.prefix) {
			continue
		}
		if candidate.Name != "" && !slices.Contains(f.gate.names(r), candidate.Name) {
			continue
		}
		candidate.Done++
		return candidate
	}
	return nil
}

// ordered lists the faults since the last reset, those that were used up included.
func (f *caFront) ordered() []faultDone {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]faultDone, len(f.faults))
	for i, ordered := range f.faults {
		all[i] = ordered.faultDone
	}
	return all
}

// orderNames are the hosts a newOrder request asks for.
func orderNames(r *http.Request) []string {
	var order struct{ Identifiers []struct{ Value string } }
	if json.Unmarshal(jwsPayload(r), &order) != nil {
		return nil
	}
	var names []string
	for _, id := range order.Identifiers {
		names = append(names, strings.ToLower(id.Value))
	}
	return names
}

func (f *caFront) count(r *http.Request, a *answer) {
	isOrder, isFinalize := r.URL.Path == newOrderPath, strings.HasPrefix(r.URL.Path, finalizePath)
	if r.Method != http.MethodPost || !isOrder && !isFinalize {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case isOrder && a.code == http.StatusCreated:
		f.counts.Orders++
		f.orders[strings.Join(orderNames(r), " ")]++
	case isFinalize && a.code == http.StatusOK:
		f.counts.Finalizes++
		if a.certificate != "" && !f.issued[a.certificate] {
			f.issued[a.certificate] = true
			f.counts.Certificates++
		}
	case a.code >= http.StatusBadRequest && !strings.Contains(a.body.String(), ":badNonce\""):
		f.counts.Rejected++
	}
}

func (f *caFront) stats() caStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

// ordersByName are the newOrder requests that the CA accepted.
func (f *caFront) ordersByName() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.orders)
}

func (f *caFront) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.counts, f.issued, f.orders = nil, caStats{}, map[string]bool{}, map[string]int{}
}
