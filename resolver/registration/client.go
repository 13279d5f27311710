package registration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/evercert/evercert/resolver/guard"
)

// Config says which registries to ask, and for how long.
type Config struct {
	// Servers are RDAP services as tld=url, such as com=https://rdap.verisign.com/com/v1/. A URL without a top-level domain is
	// that of a bootstrap file, which lists them all (RFC 9224): https://data.iana.org/rdap/dns.json. *=url is asked about all
	// other domains; a "not found" of it is believed, so that it must know every top-level domain, or redirect to who does.
	Servers []string
	Timeout time.Duration  // for one Lookup; 5 s when zero
	Allowed []netip.Prefix // networks that redirects and the bootstrap file may lead to although they are not public
}

// ErrNoServer means that no RDAP service is known for a domain: some countries have none.
var ErrNoServer = errors.New("no RDAP service is known for this top-level domain")

// Client asks registries. It is safe for use by several goroutines.
type Client struct {
	*sender
	servers   map[string]string // by suffix, "*" for all others
	bootstrap *bootstrap        // nil where none is configured
}

// New returns a Client, or says which entry of the configuration is wrong.
func New(cfg Config) (*Client, error) {
	c := &Client{sender: &sender{timeout: cfg.Timeout, now: time.Now}, servers: map[string]string{}}
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
			return nil, fmt.Errorf("RDAP server %q: it expects tld=url, *=url or the URL of a bootstrap file, "+
				"such as https://data.iana.org/rdap/dns.json", entry)
		}
		trusted[hostPort(u)] = true
		if suffix == "" {
			c.bootstrap = &bootstrap{sender: c.sender, address: u.String()}
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

// hostname is what can be asked about: A-labels, lower case.
var hostname = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Lookup asks about a registered domain, such as example.com or example.co.uk, in A-labels. An error means that nothing was
// learnt: ErrNoServer, when nobody can be asked, or that the registry was slow, busy or broken. It says which in words that may
// be shown.
func (c *Client) Lookup(ctx context.Context, domain string) (Registration, error) {
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
		return Registration{}, serverError(base, err.Error())
	}
	return r, nil
}

// serverFor finds the service that knows a domain: the configured one for the longest suffix, one of the bootstrap file, or
// the one for all others (RFC 9224 §4).
func (c *Client) serverFor(ctx context.Context, domain string) (string, error) {
	if base := longest(c.servers, domain); base != "" {
		return base, nil
	}
	var unread error
	if c.bootstrap != nil {
		known, err := c.bootstrap.services(ctx)
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
