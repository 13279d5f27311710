package registration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/evercert/evercert/resolver/guard"
)

// Config says which registries to ask, and for how long.
type Config struct {
	// Servers are RDAP services as tld=url, such as com=https://rdap.verisign.com/com/v1/. A URL without a top-level domain is
	// that of a bootstrap file, which lists them all (RFC 9224): https://data.iana.org/rdap/dns.json. *=url is asked about all
	// other domains; a "not found" of it is believed, so that it must know every top-level domain, or redirect to who does.
	Servers []string
	Timeout time.Duration  // for one Look; 5 s when zero
	Allowed []netip.Prefix // networks that redirects and the bootstrap file may lead to although they are not public
}

const (
	maxAnswer    = 512 << 10 // bytes; answers have a few thousand
	maxHeader    = 32 << 10
	maxRedirects = 5
)

// ErrNoServer means that no RDAP service is known for a domain: some countries have none.
var ErrNoServer = errors.New("no RDAP service is known for this top-level domain")

// Client asks registries. It is safe for use by several goroutines.
type Client struct {
	timeout   time.Duration
	servers   map[string]string // by suffix, "*" for all others
	bootstrap string
	http      *http.Client
	now       func() time.Time

	reading singleflight.Group
	mutex   sync.Mutex
	known   map[string]string // from the bootstrap file
	readAt  time.Time         // the file, or the failure to
	readErr error
}

// New returns a Client, or says which entry of the configuration is wrong.
func New(cfg Config) (*Client, error) {
	c := &Client{timeout: cfg.Timeout, servers: map[string]string{}, now: time.Now}
	if c.timeout <= 0 {
		c.timeout = 5 * time.Second
	}
	trusted := map[string]bool{}
	for _, entry := range cfg.Servers {
		suffix, address, mapped := strings.Cut(strings.TrimSpace(entry), "=")
		if !mapped || strings.Contains(suffix, "/") {
			suffix, address = "", strings.TrimSpace(entry)
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, fmt.Errorf("RDAP server %q: it expects tld=url, *=url or the URL of a bootstrap file, such as https://data.iana.org/rdap/dns.json", entry)
		}
		trusted[hostPort(u)] = true
		if suffix == "" {
			c.bootstrap = u.String()
			continue
		}
		base, err := baseURL(address)
		if err != nil {
			return nil, fmt.Errorf("RDAP server %q: %w", entry, err)
		}
		c.servers[strings.Trim(strings.ToLower(suffix), ".")] = base
	}
	c.http = newHTTP(guard.New(cfg.Allowed), trusted)
	return c, nil
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

// hostname is what can be asked about: A-labels, lower case.
var hostname = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Look asks about a registered domain, such as example.com or example.co.uk, in A-labels. An error means that nothing was
// learnt: ErrNoServer, when nobody can be asked, or that the registry was slow, busy or broken. It says which in words that may
// be shown.
func (c *Client) Look(ctx context.Context, domain string) (Registration, error) {
	domain = strings.TrimSuffix(strings.ToLower(domain), ".")
	if len(domain) > 253 || !hostname.MatchString(domain) {
		return Registration{}, fmt.Errorf("registries can't be asked about %q", printable(domain))
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	base, err := c.serverFor(ctx, domain)
	if err != nil {
		return Registration{}, err
	}
	status, body, err := c.get(ctx, base+"domain/"+domain, maxAnswer) // RFC 9082 §3.1.3
	if err != nil {
		return Registration{}, err
	}
	if status == http.StatusNotFound { // RFC 7480 §5.3
		return Registration{State: NotRegistered}, nil
	}
	r, err := read(body, domain, c.now())
	if err != nil {
		return Registration{}, told(base, err.Error())
	}
	return r, nil
}

// get returns a successful answer, or a "not found" that comes from an RDAP service.
func (c *Client) get(ctx context.Context, address string, most int64) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, told(address, "can't be asked")
	}
	req.Header.Set("Accept", "application/rdap+json, application/json;q=0.9") // RFC 7480 §4.2
	req.Header.Set("User-Agent", "evercert (+https://github.com/evercert/evercert)")
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, told(address, failure(err))
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		return resp.StatusCode, nil, nil
	case resp.StatusCode == http.StatusNotFound:
		return 0, nil, told(address, "shows a web page that says \"not found\", and is perhaps no RDAP service")
	case resp.StatusCode == http.StatusTooManyRequests:
		return 0, nil, told(address, "wants to be asked less often (status 429)")
	case resp.StatusCode != http.StatusOK:
		return 0, nil, told(address, fmt.Sprintf("answers with status %d", resp.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return 0, nil, told(address, failure(err))
	case int64(len(body)) > most:
		return 0, nil, told(address, fmt.Sprintf("sends more than %d bytes", most))
	}
	return resp.StatusCode, body, nil
}

func told(server, what string) error {
	if u, err := url.Parse(server); err == nil {
		server = u.Hostname()
	}
	return fmt.Errorf("the RDAP service at %s: %s", server, what)
}

// failure says why no answer came, without what only this machine's people understand.
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

// serverFor finds the service that knows a domain: the configured one for the longest suffix, one of the bootstrap file, or
// the one for all others (RFC 9224 §4).
func (c *Client) serverFor(ctx context.Context, domain string) (string, error) {
	if base := longest(c.servers, domain); base != "" {
		return base, nil
	}
	var unread error
	if c.bootstrap != "" {
		known, err := c.bootstrapped(ctx)
		if base := longest(known, domain); base != "" {
			return base, nil
		}
		unread = err
	}
	switch base := c.servers["*"]; {
	case base != "":
		return base, nil
	case unread != nil:
		return "", unread
	default:
		return "", ErrNoServer
	}
}

func longest(servers map[string]string, domain string) string {
	for suffix, more := domain, true; more; {
		if _, suffix, more = strings.Cut(suffix, "."); more && servers[suffix] != "" {
			return servers[suffix]
		}
	}
	return ""
}

// baseURL is an address that paths can be appended to.
func baseURL(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("it expects the URL of an RDAP service, such as https://rdap.verisign.com/com/v1/")
	}
	return strings.TrimSuffix(u.String(), "/") + "/", nil
}

// hostPort is what is dialled for a URL.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
