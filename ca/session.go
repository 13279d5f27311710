package ca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
)

// userAgent is sent with every request (RFC 8555 §6.1).
const userAgent = "evercert"

// nonceLifetime is how long an unused nonce is kept. CAs drop old ones, and each refused one costs an answer and 200 ms of lego's patience.
const nonceLifetime = time.Minute

// session is an account, ready to sign requests, and what all its requests share.
type session struct {
	name         string   // what people call the CA
	issuers      []string // its names in CAA records
	directoryURL string
	accountURL   string // empty while registering
	key          *ecdsa.PrivateKey
	timeout      time.Duration
	transport    http.RoundTripper

	mu            sync.Mutex
	directoryBody []byte
	nonces        []nonce // newest last
}

type nonce struct {
	value string
	at    time.Time
}

// call makes one ACME request and returns the headers of the CA's last answer, nil if there was none.
//
// lego's v4 calls take no context, and drop the headers of most answers. So each call gets a Core of its own, whose transport
// belongs to the call: it carries the context and keeps the headers. That costs next to nothing, because directory, nonces
// and connections are the session's.
func (s *session) call(ctx context.Context, do func(*api.Core) error) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	e := &exchange{ctx: ctx, session: s}
	core, err := api.New(&http.Client{Transport: e}, userAgent, s.directoryURL, s.accountURL, s.key)
	if err == nil {
		err = do(core)
	}
	if err != nil {
		return e.header, &answerError{status: e.status, header: e.header, err: err}
	}
	return e.header, nil
}

func (s *session) directory(ctx context.Context) (acme.Directory, error) {
	var directory acme.Directory
	_, err := s.call(ctx, func(core *api.Core) error {
		directory = core.GetDirectory()
		return nil
	})
	return directory, err
}

// get reads any resource of the account by POST-as-GET (RFC 8555 §6.3) and returns its body as it came. lego has no call for that; its
// download of a certificate is one: it fetches an address and returns up to 1 MB.
func (s *session) get(ctx context.Context, url string) (body []byte, header http.Header, err error) {
	header, err = s.call(ctx, func(core *api.Core) (err error) {
		const whole = true
		body, _, err = core.Certificates.Get(url, whole)
		return err
	})
	return body, header, err
}

func (s *session) order(ctx context.Context, url string) (order acme.ExtendedOrder, header http.Header, err error) {
	header, err = s.call(ctx, func(core *api.Core) (err error) {
		order, err = core.Orders.Get(url)
		return err
	})
	return order, header, err
}

func (s *session) authorization(ctx context.Context, url string) (authorization acme.Authorization, header http.Header, err error) {
	header, err = s.call(ctx, func(core *api.Core) (err error) {
		authorization, err = core.Authorizations.Get(url)
		return err
	})
	return authorization, header, err
}

// exchange is the transport of one call.
type exchange struct {
	ctx     context.Context // lego's requests have none
	session *session
	status  int // of the last answer; 0 if the last request got none
	header  http.Header
}

// RoundTrip implements http.RoundTripper. lego GETs the directory only, and HEADs newNonce only.
func (e *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Method {
	case http.MethodGet:
		if body := e.session.keptDirectory(); body != nil {
			return localAnswer(r, http.Header{}, body), nil
		}
	case http.MethodHead:
		if value, ok := e.session.takeNonce(); ok {
			return localAnswer(r, http.Header{"Replay-Nonce": {value}}, nil), nil
		}
	}
	e.status, e.header = 0, nil
	response, err := e.session.transport.RoundTrip(r.WithContext(e.ctx))
	if err != nil {
		return nil, err
	}
	e.status, e.header = response.StatusCode, response.Header.Clone()
	switch {
	case r.Method == http.MethodGet && response.StatusCode == http.StatusOK:
		return e.session.keepDirectory(response)
	case r.Method == http.MethodPost:
		// lego would put the nonce into this Core, which is thrown away after the call.
		e.session.keepNonce(response.Header.Get("Replay-Nonce"))
		response.Header.Del("Replay-Nonce")
	}
	return response, nil
}

func localAnswer(r *http.Request, header http.Header, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

func (s *session) keptDirectory() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.directoryBody
}

func (s *session) keepDirectory(response *http.Response) (*http.Response, error) {
	const enough = 1 << 20
	body, err := io.ReadAll(io.LimitReader(response.Body, enough))
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.directoryBody = body
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

func (s *session) keepNonce(value string) {
	if value == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nonces = append(s.nonces, nonce{value, time.Now()})
}

func (s *session) takeNonce() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.nonces) == 0 {
		return "", false
	}
	newest := s.nonces[len(s.nonces)-1]
	if time.Since(newest.at) > nonceLifetime {
		s.nonces = nil // the others are older still
		return "", false
	}
	s.nonces = s.nonces[:len(s.nonces)-1]
	return newest.value, true
}

// retryAfter is how long the CA asks to wait (RFC 9110 §10.2.3), 0 if it doesn't say.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return bounded(time.Duration(min(seconds, int(longestWait/time.Second))) * time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return bounded(time.Until(at))
	}
	return 0
}

// longestWait is the longest window of a rate limit. A CA that asks for more is asked again then.
const longestWait = 7 * 24 * time.Hour

// bounded keeps a wait that was asked for from becoming none: a date that has just passed means "now", not "no answer".
func bounded(wait time.Duration) time.Duration { return max(time.Second, min(wait, longestWait)) }
