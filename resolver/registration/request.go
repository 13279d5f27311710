package registration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/evercert/evercert/resolver/guard"
)

const (
	maxAnswer    = 512 << 10 // bytes; answers have a few thousand
	maxHeader    = 32 << 10
	maxRedirects = 5
)

// sender sends requests to RDAP services and for the bootstrap file.
type sender struct {
	timeout time.Duration
	http    *http.Client
	now     func() time.Time
}

// get returns a successful answer, or a "not found" that comes from an RDAP service.
func (s *sender) get(ctx context.Context, address string, most int64) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, serverError(address, "can't be asked")
	}
	req.Header.Set("Accept", "application/rdap+json, application/json;q=0.9") // RFC 7480 §4.2
	req.Header.Set("User-Agent", "evercert (+https://github.com/evercert/evercert)")
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, nil, serverError(address, failure(err))
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		return resp.StatusCode, nil, nil
	case resp.StatusCode == http.StatusNotFound:
		return 0, nil, serverError(address, "shows a web page that says \"not found\", and is perhaps no RDAP service")
	case resp.StatusCode == http.StatusTooManyRequests:
		return 0, nil, serverError(address, "wants to be asked less often (status 429)")
	case resp.StatusCode != http.StatusOK:
		return 0, nil, serverError(address, fmt.Sprintf("answers with status %d", resp.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return 0, nil, serverError(address, failure(err))
	case int64(len(body)) > most:
		return 0, nil, serverError(address, fmt.Sprintf("sends more than %d bytes", most))
	}
	return resp.StatusCode, body, nil
}

// serverError is an error of an RDAP service, in words that may be shown.
func serverError(server, what string) error {
	if u, err := url.Parse(server); err == nil {
		server = u.Hostname()
	}
	return fmt.Errorf("the RDAP service at %s: %s", server, what)
}

// failure returns why no answer came, in words that may be shown.
func failure(err error) string {
	timeout, isNet := errors.AsType[net.Error](err)
	refused, isRefused := errors.AsType[*guard.Refused](err)
	redirected, isRedirect := errors.AsType[redirectError](err)
	switch {
	case isRedirect:
		return string(redirected)
	case errors.Is(err, context.DeadlineExceeded) || isNet && timeout.Timeout():
		return "no answer came in time"
	case errors.Is(err, context.Canceled):
		return "we stopped waiting for its answer"
	case isRefused:
		return "it leads to an address that belongs to " + refused.Why
	default:
		return "no connection to it came about, or it broke"
	}
}

// newHTTP returns a client that connects to the configured servers wherever they are, and to others in public only.
func newHTTP(g guard.Guard, trusted map[string]bool) *http.Client {
	var free net.Dialer
	guarded := net.Dialer{Control: g.Control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if trusted[strings.ToLower(address)] {
					return free.DialContext(ctx, network, address)
				}
				return guarded.DialContext(ctx, network, address)
			},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // nothing small can become big
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error { // RFC 7480 §5.2
			if len(via) > maxRedirects {
				return redirectError("it redirects too often")
			}
			if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
				return redirectError("it redirects from https to something less")
			}
			return nil
		},
	}
}

type redirectError string

func (e redirectError) Error() string { return string(e) }

// baseURL returns an address that paths can be appended to.
func baseURL(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("it expects the URL of an RDAP service, such as https://rdap.verisign.com/com/v1/")
	}
	return strings.TrimSuffix(u.String(), "/") + "/", nil
}

// hostPort returns what is dialled for a URL.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
