package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	sampleLimit = 2 * time.Minute
	issuing     = "Issuing"
	installed   = "Installation complete"
)

// domainStatus is what the product's API says of a domain; only the fields
// that are printed. Problems are shown as they come.
type domainStatus struct {
	Headline   string          `json:"headline"`
	NextAction json.RawMessage `json:"next_action"`
	Problems   json.RawMessage `json:"problems"`
}

func (d domainStatus) String() string {
	if d.Headline == "" {
		return "no status was received"
	}
	return fmt.Sprintf("%s (next action: %s, problems: %s)", d.Headline, orNone(d.NextAction), orNone(d.Problems))
}

func orNone(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" || string(raw) == "[]" {
		return "none"
	}
	return string(raw)
}

// runSample does what a customer would: connects a domain, waits until its
// certificate is installed, and opens it.
func (s *stack) runSample(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sampleLimit, fmt.Errorf("not served within %s", sampleLimit))
	defer cancel()
	began := time.Now()
	if err := s.connectSample(ctx, name); err != nil {
		return fmt.Errorf("connect %s: %w", name, err)
	}
	s.say("%s connected", name)
	var last domainStatus
	for last.Headline != installed {
		status, err := s.sampleStatus(ctx, name)
		if err == nil && status.Headline != last.Headline {
			if status.Headline == installed && last.Headline == issuing {
				s.sayInstalling(ctx, name, began)
			}
			s.say("%s: %s, %.1f s after connecting", name, status.Headline, time.Since(began).Seconds())
		}
		if err == nil {
			last = status
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; last status: %s", name, context.Cause(ctx), last)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := s.visitSample(ctx, name); err != nil {
		return fmt.Errorf("open https://%s/ at the edge: %w; last status: %s", name, err, last)
	}
	return nil
}

// sayInstalling prints the phase that began and ended between two checks, from the domain's timeline.
func (s *stack) sayInstalling(ctx context.Context, name string, began time.Time) {
	resp, err := s.callAPI(ctx, http.MethodGet, "/v1/domains/"+url.PathEscape(name)+"/timeline", nil)
	if err != nil {
		return // the next line says that it is complete
	}
	defer resp.Body.Close()
	var timeline struct {
		Events []struct {
			Type string
			At   time.Time
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&timeline); err != nil {
		return
	}
	for _, e := range timeline.Events {
		if e.Type == "certificate.issuance.succeeded" {
			s.say("%s: Installing, %.1f s after connecting", name, e.At.Sub(began).Seconds())
		}
	}
}

func (s *stack) callAPI(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.apiURL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	return http.DefaultClient.Do(req)
}

// connectSample takes it for success that an earlier start connected the name.
func (s *stack) connectSample(ctx context.Context, name string) error {
	body, err := json.Marshal(map[string]string{"hostname": name, "tenant": "sample"})
	if err != nil {
		return err
	}
	resp, err := s.callAPI(ctx, http.MethodPost, "/v1/domains", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusCreated, http.StatusOK, http.StatusConflict:
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 2000)) // part of an error message
	return fmt.Errorf("the API answered %s: %s", resp.Status, bytes.TrimSpace(text))
}

func (s *stack) sampleStatus(ctx context.Context, name string) (d domainStatus, err error) {
	resp, err := s.callAPI(ctx, http.MethodGet, "/v1/domains/"+url.PathEscape(name), nil)
	if err != nil {
		return d, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return d, errors.New("the API answered " + resp.Status)
	}
	return d, json.NewDecoder(resp.Body).Decode(&d)
}

// visitSample opens the domain as a browser would, only that the address of
// the edge is given, and that nothing but the test CA's roots is trusted.
func (s *stack) visitSample(ctx context.Context, name string) error {
	pool, err := certPool(issuerRootsPath(s.path("ca")))
	if err != nil {
		return err
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.address("edge_https"))
		},
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("it answered " + resp.Status)
	}
	leaf := resp.TLS.PeerCertificates[0]
	s.say("https://%s/ answers 200 with the certificate %x of %q, valid until %s",
		name, leaf.SerialNumber, leaf.Issuer.CommonName, leaf.NotAfter.UTC().Format(time.RFC3339))
	return nil
}
