package ca

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

	"github.com/go-acme/lego/v4/acme"

	"github.com/evercert/evercert/cert"
)

// Every answer of a CA is checked here before lego reads it. lego v4 trusts answers too much: it dereferences the nil that it reads from a
// problem document "null", accepts any status below 400 as success, follows a redirected POST with a GET, and accepts an order without a
// status. Only what evercert needs of an answer is passed on, checked, with absolute URLs.

// maxAnswer limits an answer of a CA, in bytes. The longest chains have some ten thousand.
const maxAnswer = 1 << 20

// reader checks the body of a successful answer and returns what lego gets of it. base is the address of the request.
type reader func(base *url.URL, body []byte) ([]byte, error)

// The kinds of answers. A reader returns an error for a body that is not such a resource.
var (
	directoryAnswer     reader = read[directoryResource]
	accountAnswer       reader = read[accountResource]
	orderAnswer         reader = read[orderResource]
	authorizationAnswer reader = read[authorizationResource]
	orderListAnswer     reader = read[orderList]
	// chainAnswer is checked later, together with the CSR.
	chainAnswer reader = func(_ *url.URL, body []byte) ([]byte, error) { return body, nil }
	// anyAnswer is for requests after which the resource is read again: only the status matters.
	anyAnswer reader = func(*url.URL, []byte) ([]byte, error) { return []byte("{}"), nil }
)

// settler makes a resource's URLs absolute (RFC 9110 §10.2.2, RFC 3986 §5), and returns an error when a required field is missing.
type settler[T any] interface {
	*T
	settle(base *url.URL) error
}

func read[T any, P settler[T]](base *url.URL, body []byte) ([]byte, error) {
	var resource *T
	if err := json.Unmarshal(body, &resource); err != nil {
		return nil, fmt.Errorf("it is no such resource: %w", err)
	}
	if resource == nil {
		return nil, errors.New("it is null")
	}
	if err := P(resource).settle(base); err != nil {
		return nil, err
	}
	return json.Marshal(resource)
}

type directoryResource struct {
	NewNonce    string `json:"newNonce"`
	NewAccount  string `json:"newAccount"`
	NewOrder    string `json:"newOrder"`
	RenewalInfo string `json:"renewalInfo,omitempty"`
	Meta        struct {
		TermsOfService          string       `json:"termsOfService,omitempty"`
		CAAIdentities           []string     `json:"caaIdentities,omitempty"`
		ExternalAccountRequired bool         `json:"externalAccountRequired,omitempty"`
		Profiles                profileNames `json:"profiles,omitempty"`
	} `json:"meta,omitzero"`
}

// profileNames are the names of the profiles that a CA offers (draft-ietf-acme-profiles §3). They are advice: whatever else stands in
// their place makes no directory unusable.
type profileNames map[string]string

// UnmarshalJSON reads the names only.
func (p *profileNames) UnmarshalJSON(text []byte) error {
	var described map[string]json.RawMessage
	if json.Unmarshal(text, &described) != nil {
		return nil //nolint:nilerr // as a CA without profiles
	}
	*p = profileNames{}
	for name := range described {
		(*p)[name] = ""
	}
	return nil
}

func (d *directoryResource) settle(base *url.URL) error {
	if d.NewNonce == "" || d.NewAccount == "" || d.NewOrder == "" {
		return errors.New("it lacks the address of newNonce, newAccount or newOrder (RFC 8555 §7.1.1)")
	}
	return settleURLs(base, &d.NewNonce, &d.NewAccount, &d.NewOrder, &d.RenewalInfo)
}

// has reports whether address is one of the directory's to which requests are sent.
func (d *directoryResource) has(address string) bool {
	return slices.Contains([]string{d.NewNonce, d.NewAccount, d.NewOrder}, address)
}

type accountResource struct {
	Status string `json:"status"`
	Orders string `json:"orders,omitempty"`
}

func (a *accountResource) settle(base *url.URL) error {
	if !slices.Contains([]string{acme.StatusValid, acme.StatusDeactivated, acme.StatusRevoked}, a.Status) {
		return fmt.Errorf("its status is %q, which RFC 8555 does not name", a.Status)
	}
	return settleURLs(base, &a.Orders)
}

type orderResource struct {
	Status         string            `json:"status"`
	Expires        string            `json:"expires,omitempty"`
	Identifiers    []acme.Identifier `json:"identifiers"`
	Profile        string            `json:"profile,omitempty"`
	Replaces       string            `json:"replaces,omitempty"`
	Error          *problemDocument  `json:"error,omitempty"`
	Authorizations []string          `json:"authorizations,omitempty"`
	Finalize       string            `json:"finalize,omitempty"`
	Certificate    string            `json:"certificate,omitempty"`
}

// orderStatuses are those of RFC 8555 §7.1.6.
var orderStatuses = []string{acme.StatusPending, acme.StatusReady, acme.StatusProcessing, acme.StatusValid, acme.StatusInvalid}

func (o *orderResource) settle(base *url.URL) error {
	needs := func(status string, missing bool) bool { return o.Status == status && missing }
	switch {
	case !slices.Contains(orderStatuses, o.Status):
		return fmt.Errorf("its status is %q, which RFC 8555 does not name", o.Status)
	case len(o.Identifiers) == 0:
		return errors.New("it names no identifiers")
	case needs(acme.StatusPending, len(o.Authorizations) == 0):
		return errors.New("it is pending and names no authorizations")
	case needs(acme.StatusPending, o.Finalize == ""), needs(acme.StatusReady, o.Finalize == ""):
		return errors.New("it names no address to finalize it at")
	case needs(acme.StatusValid, o.Certificate == ""):
		return errors.New("it is valid and names no certificate")
	}
	o.Error = o.Error.orNone()
	for i := range o.Authorizations {
		if err := settleURLs(base, &o.Authorizations[i]); err != nil {
			return err
		}
	}
	return settleURLs(base, &o.Finalize, &o.Certificate)
}

type authorizationResource struct {
	Status     string              `json:"status"`
	Identifier acme.Identifier     `json:"identifier"`
	Challenges []challengeResource `json:"challenges,omitempty"`
	Wildcard   bool                `json:"wildcard,omitempty"`
}

type challengeResource struct {
	Type   string           `json:"type"`
	URL    string           `json:"url"`
	Status string           `json:"status"`
	Token  string           `json:"token"`
	Error  *problemDocument `json:"error,omitempty"`
}

// authorizationStatuses are those of RFC 8555 §7.1.6.
var authorizationStatuses = []string{
	acme.StatusPending, acme.StatusValid, acme.StatusInvalid, acme.StatusDeactivated, acme.StatusExpired, acme.StatusRevoked,
}

func (a *authorizationResource) settle(base *url.URL) error {
	a.Challenges = slices.DeleteFunc(a.Challenges, func(c challengeResource) bool { return c.Type == "" })
	// Names are compared with those of the order byte by byte.
	a.Identifier.Value = strings.ToLower(strings.TrimPrefix(a.Identifier.Value, "*."))
	switch {
	case !slices.Contains(authorizationStatuses, a.Status):
		return fmt.Errorf("its status is %q, which RFC 8555 does not name", a.Status)
	case a.Identifier.Value == "":
		return errors.New("it names no identifier")
	case a.Status == acme.StatusPending && len(a.Challenges) == 0:
		return errors.New("it is pending and has no challenges")
	}
	for i := range a.Challenges {
		challenge := &a.Challenges[i]
		challenge.Error = challenge.Error.orNone()
		if err := settleURLs(base, &challenge.URL); err != nil {
			return err
		}
	}
	return nil
}

type orderList struct {
	Orders []string `json:"orders"`
}

func (l *orderList) settle(base *url.URL) error {
	for i := range l.Orders {
		if err := settleURLs(base, &l.Orders[i]); err != nil {
			return err
		}
	}
	return nil
}

// settleURLs makes addresses absolute. An absolute address stays unchanged, and an empty one stays empty.
func settleURLs(base *url.URL, addresses ...*string) error {
	for _, address := range addresses {
		if *address == "" {
			continue
		}
		absolute, err := resolve(base, *address)
		if err != nil {
			return err
		}
		*address = absolute
	}
	return nil
}

// resolve returns the absolute https URL of a reference (RFC 3986 §5.2). ACME demands https (RFC 8555 §6.1).
func resolve(base *url.URL, reference string) (string, error) {
	parsed, err := url.Parse(reference)
	if err != nil {
		return "", fmt.Errorf("it names an address that is none: %w", err)
	}
	if !parsed.IsAbs() {
		parsed = base.ResolveReference(parsed)
		reference = parsed.String()
	}
	if parsed.Scheme != "https" || parsed.Host == "" {
		return "", fmt.Errorf("it names an address that does not begin with https://: %q", cert.Line(reference, maxQuote))
	}
	return reference, nil
}

// problemDocument is a problem document (RFC 9457) of a CA: as an answer, or within an order or a challenge.
type problemDocument struct {
	acme.ProblemDetails
}

// UnmarshalJSON ignores members of a wrong type (RFC 9457 §3.1), and uses a string in place of a document as its detail. So a document that
// breaks the rules costs only the reason. It returns no error.
func (p *problemDocument) UnmarshalJSON(raw []byte) error {
	*p = problemDocument{}
	var members struct {
		Type, Title, Detail, Instance lenient[string]
		SubProblems                   lenient[[]lenient[struct {
			Type, Detail lenient[string]
			Identifier   lenient[acme.Identifier]
		}]]
	}
	if isDocument := json.Unmarshal(raw, &members) == nil; !isDocument {
		var text lenient[string]
		p.Detail = text.of(raw).value
		return nil
	}
	p.Type, p.Detail, p.Instance = acmeType(members.Type.value), members.Detail.value, members.Instance.value
	if p.Detail == "" {
		p.Detail = members.Title.value
	}
	for _, sub := range members.SubProblems.value {
		p.SubProblems = append(p.SubProblems, acme.SubProblem{
			Type: acmeType(sub.value.Type.value), Detail: sub.value.Detail.value, Identifier: sub.value.Identifier.value,
		})
	}
	return nil
}

// orNone returns nil for a document without content, such as "error": {}.
func (p *problemDocument) orNone() *problemDocument {
	if p == nil || (p.Type == "" || p.Type == blankType) && p.Detail == "" && len(p.SubProblems) == 0 {
		return nil
	}
	return p
}

// blankType means that a problem is described only by its status code (RFC 9457 §4.2.1).
const blankType = "about:blank"

// acmeType returns an error type with the prefix of RFC 8555. Some CAs still use the prefix of its drafts.
func acmeType(t string) string {
	if kind, ok := strings.CutPrefix(t, "urn:acme:error:"); ok {
		return typePrefix + kind
	}
	return t
}

// lenient is a JSON value that is ignored when it has another type.
type lenient[T any] struct{ value T }

// UnmarshalJSON returns no error.
func (l *lenient[T]) UnmarshalJSON(raw []byte) error {
	l.of(raw)
	return nil
}

func (l *lenient[T]) of(raw []byte) *lenient[T] {
	var value T
	if json.Unmarshal(raw, &value) == nil {
		l.value = value
	}
	return l
}

// readProblem returns the problem document of an answer; nil when it is none or has no content.
func readProblem(body []byte) *acme.ProblemDetails {
	if trimmed := bytes.TrimSpace(body); !json.Valid(body) || trimmed[0] != '{' {
		return nil
	}
	var document problemDocument
	_ = document.UnmarshalJSON(body) // it has no errors
	if document.orNone() == nil {
		return nil
	}
	return &document.ProblemDetails
}

// unreadable is the error for an answer that is not the requested resource.
type unreadable struct {
	status int
	quote  string
	why    error // nil if the answer is a refusal without a reason
}

func (u *unreadable) Error() string {
	if u.why == nil {
		return fmt.Sprintf("%d %s, and no problem document but %s", u.status, http.StatusText(u.status), u.quote)
	}
	return fmt.Sprintf("%d %s with %s: %v", u.status, http.StatusText(u.status), u.quote, u.why)
}

func (u *unreadable) Unwrap() error { return u.why }

// maxQuote limits how much is shown of an answer that can't be parsed.
const maxQuote = 120

// quote describes a body in one line.
func quote(header http.Header, body []byte) string {
	start := cert.Line(string(body[:min(len(body), 4*maxQuote)]), maxQuote)
	switch {
	case len(body) == 0:
		return "an empty body"
	case strings.Contains(header.Get("Content-Type"), "html"), strings.HasPrefix(start, "<"):
		return "a web page: " + start
	default:
		return "the body " + start
	}
}

// take reads an answer to its end and closes it. The answer that it leaves is safe for lego; an error says what is wrong with it.
func take(response *http.Response, as reader) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return &unreadable{response.StatusCode, "a long body", fmt.Errorf("it has more than %d bytes", maxAnswer)}
	}
	var fit []byte
	switch status := response.StatusCode; {
	case status >= http.StatusBadRequest:
		fit, err = takeProblem(response, body)
	case status >= http.StatusMultipleChoices || status < http.StatusOK:
		err = &unreadable{status, "another address", errors.New("a request signed for one address can't be sent to another (RFC 8555 §6.4)")}
	default:
		if fit, err = as(response.Request.URL, body); err != nil {
			err = &unreadable{status, quote(response.Header, body), err}
		}
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(fit)), int64(len(fit))
	return err
}

// takeProblem returns the problem document of a refusal, with the status of the answer: the status in the document is only advisory (RFC
// 9457 §3.1.2).
func takeProblem(response *http.Response, body []byte) ([]byte, error) {
	problem := readProblem(body)
	if problem == nil {
		return nil, &unreadable{response.StatusCode, quote(response.Header, body), nil}
	}
	problem.HTTPStatus, problem.Method, problem.URL = response.StatusCode, "", ""
	if kindOf(problem.Type) == badNonce {
		problem.HTTPStatus = http.StatusBadRequest // for which lego retries by itself
	}
	if link, err := response.Request.URL.Parse(problem.Instance); err == nil && problem.Instance != "" {
		problem.Instance = link.String() // for people
	}
	return json.Marshal(problem)
}
