package ca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
)

// renewalInfoWithin is the longest time for one request for renewal information. The answer is only advice.
const renewalInfoWithin = 10 * time.Second

// renewalInfoResource is the resource of RFC 9773 §4.2. It is read here: lego v4 takes any JSON for it, so that a problem document becomes
// a window of the year 1, which says "renew now" of every certificate.
type renewalInfoResource struct {
	SuggestedWindow cert.Window     `json:"suggestedWindow"`
	ExplanationURL  lenient[string] `json:"explanationURL"`
}

// readRenewalInfo reads an answer. What it returns is not compared with a certificate yet.
func readRenewalInfo(status int, header http.Header, body []byte) (cert.Suggestion, error) {
	if status != http.StatusOK {
		return cert.Suggestion{}, &unreadable{status, quote(header, body), nil}
	}
	if len(body) > maxAnswer {
		return cert.Suggestion{}, &unreadable{status, "a long body", fmt.Errorf("it has more than %d bytes", maxAnswer)}
	}
	var resource renewalInfoResource
	if err := json.Unmarshal(body, &resource); err != nil {
		return cert.Suggestion{}, &unreadable{status, quote(header, body), err}
	}
	suggestion := cert.Suggestion{Window: resource.SuggestedWindow, AskAgain: cert.NextWindowPoll(retryAfter(header))}
	if w := suggestion.Window; w.Start.IsZero() || !w.End.After(w.Start) {
		why := errors.New("no window with a start, and an end after it (RFC 9773 §4.2)")
		return cert.Suggestion{}, &unreadable{status, quote(header, body), why}
	}
	page := resource.ExplanationURL.value // for people; the window is as good without it
	if u, err := url.Parse(page); err == nil && u.Scheme == "https" && len(page) <= maxURL && cert.IsLine(page) {
		suggestion.Explanation = page
	}
	return suggestion, nil
}

// RenewalInfo asks the CA when the first certificate of a PEM chain should be renewed (RFC 9773 §4.1). A CA that has no renewal
// information suggests nothing: the zero value, without an error. An error says that the CA could not be asked, or that its answer is not
// to be followed for this certificate.
func (a *Authority) RenewalInfo(ctx context.Context, chainPEM []byte) (cert.Suggestion, error) {
	certificates, err := parseChain(chainPEM)
	if err != nil {
		return cert.Suggestion{}, err
	}
	id, err := CertificateID(chainPEM)
	if err != nil {
		return cert.Suggestion{}, err
	}
	s, err := a.session(ctx)
	if err != nil {
		return cert.Suggestion{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, min(renewalInfoWithin, s.timeout))
	defer cancel()
	suggestion, err := s.renewalInfo(ctx, id)
	if err == nil && suggestion != (cert.Suggestion{}) {
		err = suggestion.Window.Check(certificates[0].NotBefore, certificates[0].NotAfter)
	}
	if err != nil {
		return cert.Suggestion{}, fmt.Errorf("renewal information of %s: %w", s.name, err)
	}
	return suggestion, nil
}

// renewalInfo reads the resource. It is public: no account asks for it (RFC 9773 §4.1).
func (s *session) renewalInfo(ctx context.Context, id string) (cert.Suggestion, error) {
	directory, err := s.directory(ctx)
	if err != nil || directory.RenewalInfo == "" {
		return cert.Suggestion{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(directory.RenewalInfo, "/")+"/"+id, http.NoBody)
	if err != nil {
		return cert.Suggestion{}, err
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		return cert.Suggestion{}, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return cert.Suggestion{}, fmt.Errorf("read the answer: %w", err)
	}
	return readRenewalInfo(response.StatusCode, response.Header, body)
}
