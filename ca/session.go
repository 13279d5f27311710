package ca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
)

// userAgent is sent with every request (RFC 8555 §6.1).
const userAgent = "evercert"

// nonceLifetime is how long an unused nonce is kept. CAs drop old ones, and each refused nonce costs a request and 200 ms of waiting in
// lego.
const nonceLifetime = time.Minute

// session is an account that is ready to sign requests, and what its requests share.
type session struct {
	name         string   // the CA's name for people
	issuers      []string // its names in CAA records
	directoryURL string
	accountURL   string // empty while registering
	key          *ecdsa.PrivateKey
	timeout      time.Duration
	transport    http.RoundTripper

	mu            sync.Mutex
	directoryBody []byte
	nonces        []nonce // the newest is last
}

type nonce struct {
	value string
	at    time.Time
}

// call makes one ACME request. as checks a successful answer. It returns the headers of the CA's last answer, nil if there was none; an
// address in its Location is absolute.
//
//	lego's v4 calls take no context and drop the headers of most answers. So each call gets its own Core with its own transport, which adds
//	the context, checks the answers and keeps the headers. That costs little, because the directory, nonces and connections are shared by
//	the session.
func (s *session) call(ctx context.Context, as reader, do func(*api.Core) error) (header http.Header, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	e := &exchange{ctx: ctx, session: s, as: as}
	defer func() {
		if fault := recover(); fault != nil { // lego may still panic, though the answers are checked: only this call fails then
			err = fmt.Errorf("a fault of the ACME library: %v", fault)
		}
		header = e.header
		if err != nil {
			err = &answerError{status: e.status, header: e.header, err: err}
		}
	}()
	core, err := api.New(&http.Client{Transport: e}, userAgent, s.directoryURL, s.accountURL, s.key)
	if err != nil {
		return nil, err
	}
	return nil, do(core)
}

func (s *session) directory(ctx context.Context) (acme.Directory, error) {
	var directory acme.Directory
	_, err := s.call(ctx, anyAnswer, func(core *api.Core) error {
		directory = core.GetDirectory()
		return nil
	})
	return directory, err
}

// get reads a resource of the account by POST-as-GET (RFC 8555 §6.3) and returns its body. lego has no call for that, but its download of a
// certificate works: it reads an address and returns up to 1 MB.
func (s *session) get(ctx context.Context, url string, as reader) (body []byte, header http.Header, err error) {
	header, err = s.call(ctx, as, func(core *api.Core) (err error) {
		const whole = true
		body, _, err = core.Certificates.Get(url, whole)
		return err
	})
	return body, header, err
}

func (s *session) order(ctx context.Context, url string) (order acme.ExtendedOrder, header http.Header, err error) {
	header, err = s.call(ctx, orderAnswer, func(core *api.Core) (err error) {
		order, err = core.Orders.Get(url)
		return err
	})
	return order, header, err
}

func (s *session) authorization(ctx context.Context, url string) (authorization acme.Authorization, header http.Header, err error) {
	header, err = s.call(ctx, authorizationAnswer, func(core *api.Core) (err error) {
		authorization, err = core.Authorizations.Get(url)
		return err
	})
	return authorization, header, err
}

func (s *session) account(ctx context.Context) (account acme.Account, err error) {
	_, err = s.call(ctx, accountAnswer, func(core *api.Core) (err error) {
		account, err = core.Accounts.Get(s.accountURL)
		return err
	})
	return account, err
}

// exchange is the transport of one call.
type exchange struct {
	ctx     context.Context // lego's requests have none
	session *session
	as      reader
	status  int // of the last answer; 0 if the last request got none
	header  http.Header
}

// RoundTrip implements http.RoundTripper. lego sends GET only for the directory, and HEAD only for newNonce.
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
	response.Request = r
	e.status, e.header = response.StatusCode, response.Header.Clone()
	e.settleLocation(r.URL)
	if response, err = e.read(response); err != nil {
		return nil, fmt.Errorf("%s: %w", r.URL, err)
	}
	return response, nil
}

// read checks an answer. The directory may redirect; every other address must answer itself.
func (e *exchange) read(response *http.Response) (*http.Response, error) {
	as, status := e.as, response.StatusCode
	switch method := response.Request.Method; {
	case method == http.MethodPost:
		// lego would keep the nonce in this Core, which is discarded after the call.
		e.session.keepNonce(response.Header.Get("Replay-Nonce"))
		response.Header.Del("Replay-Nonce")
	case method == http.MethodGet && redirects(response):
		return response, nil // lego's client follows it
	case method == http.MethodGet:
		as = directoryAnswer
	default:
		as = anyAnswer // a HEAD has no body
	}
	if status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusGone {
		e.session.distrustDirectory(response.Request.URL.String())
	}
	if err := take(response, as); err != nil {
		return nil, err
	}
	if response.Request.Method == http.MethodGet && status == http.StatusOK {
		return response, e.session.keepDirectory(response)
	}
	return response, nil
}

// settleLocation makes the address in the Location header absolute (RFC 9110 §10.2.2), and removes one that can't be used.
func (e *exchange) settleLocation(base *url.URL) {
	if address := e.header.Get("Location"); address != "" {
		e.header.Del("Location")
		if absolute, err := resolve(base, address); err == nil {
			e.header.Set("Location", absolute)
		}
	}
}

// redirects reports whether a client that follows redirects would request another address.
func redirects(response *http.Response) bool {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return response.Header.Get("Location") != ""
	}
	return false
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

// keepDirectory stores a directory that was checked.
func (s *session) keepDirectory(response *http.Response) error {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the directory: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.directoryBody = body
	response.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// distrustDirectory makes the next call read the directory again when one of its addresses stops answering.
func (s *session) distrustDirectory(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var directory directoryResource
	if json.Unmarshal(s.directoryBody, &directory) == nil && directory.has(address) {
		s.directoryBody = nil
	}
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
		s.nonces = nil // the others are older
		return "", false
	}
	s.nonces = s.nonces[:len(s.nonces)-1]
	return newest.value, true
}

// retryAfter returns how long the CA asks to wait (RFC 9110 §10.2.3); said is false if it does not ask. Zero and a date in the past mean
// "now".
func retryAfter(header http.Header) (wait time.Duration, said bool) {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(longestWait/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, min(time.Until(at), longestWait)), true
	}
	return 0, false
}

// longestWait is the longest window of a rate limit. After a longer Retry-After the CA is asked again at this time.
const longestWait = 7 * 24 * time.Hour
