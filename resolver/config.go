package resolver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/resolver/authority"
)

// Config says who is asked, and for how long.
type Config struct {
	// Resolvers are all asked at once. More of them see slow propagation better and cost more queries.
	Resolvers []string `env:"DNS_RESOLVERS" envDefault:"1.1.1.1:53,8.8.8.8:53,9.9.9.9:53" doc:"validating recursive resolvers, host:port"`
	// RootHints are where the walk to the authoritative servers of a domain begins, which a CA asks. With "none" only DNS_RESOLVERS are
	// asked, and slow propagation is seen less well. "iana" stands for the root servers of IANA's root hints.
	RootHints []string `env:"DNS_ROOT_HINTS" envDefault:"iana" doc:"root servers, host:port, or iana; none: only DNS_RESOLVERS are asked"`
	// AuthorityPort is another one in tests only.
	AuthorityPort uint16 `env:"DNS_AUTHORITY_PORT" envDefault:"53" doc:"port of the authoritative servers below the roots"`
	// TrustAnchors are where DNSSEC validation begins. With "none" the DS records of each zone are believed as its parent shows them.
	TrustAnchors []string `env:"DNS_TRUST_ANCHORS" envDefault:"iana" doc:"DS records of the root zone, or iana, or none"`
	// QueryTimeout includes repetitions and TCP. A server that is slower counts as not having answered, which is never the domain's fault.
	QueryTimeout time.Duration `env:"DNS_TIMEOUT" envDefault:"2s" doc:"for one query to one server"`
	// CheckTimeout does not include registries and web servers, which are asked after it.
	CheckTimeout time.Duration `env:"DNS_CHECK_TIMEOUT" envDefault:"5s" doc:"for the DNS of one domain; the rest is unknown then"`
	// SilentWait ends the memory of a server that is gone: it is three checks at the usual pace, and most outages are shorter.
	SilentWait time.Duration `env:"DNS_SILENT_WAIT" envDefault:"6h" doc:"how long a silent server that last showed a wrong record counts"`
	// RequireOwnership is what keeps a name from whoever connects it first.
	RequireOwnership bool `env:"REQUIRE_OWNERSHIP" envDefault:"true" doc:"whether the ownership TXT record must be there before an order"`
	// HostedNameservers are set where tenants must host their DNS with the platform.
	HostedNameservers []string `env:"HOSTED_NAMESERVERS" doc:"the platform's name servers, which tenants must use; empty: any will do"`
	// RDAPServers show whether a registration has expired. Without them that can't be distinguished from broken DNS.
	RDAPServers []string `env:"RDAP_SERVERS" doc:"registries' RDAP services, as tld=url,*=url; empty: registrations are not looked up"`
	// ProbeAllow opens networks to addresses that tenants' DNS chooses: list no network that has something to hide.
	ProbeAllow []string `env:"PROBE_ALLOW" doc:"networks such as 10.1.0.0/16 that may be asked although they are not public"`
	// ProbeHTTPPort is another one in tests only.
	ProbeHTTPPort uint16 `env:"PROBE_HTTP_PORT" envDefault:"80" doc:"port of http-01 (RFC 8555 §8.3)"`
	// ProbeHTTPSPort is another one in tests only.
	ProbeHTTPSPort uint16 `env:"PROBE_HTTPS_PORT" envDefault:"443" doc:"port of tls-alpn-01 and HTTPS (RFC 8737 §3)"`
	// ProbeTimeout is for requests that are made only where dns-01 is not delegated. CAs wait about 10 s.
	ProbeTimeout time.Duration `env:"PROBE_TIMEOUT" envDefault:"5s" doc:"for the requests to one web server; 0s: no web server is asked"`
}

// ianaRoots are the IPv4 addresses of the root servers, from a.root-servers.net to m.root-servers.net, as IANA publishes them
// (https://www.iana.org/domains/root/files).
var ianaRoots = []string{
	"198.41.0.4:53", "170.247.170.2:53", "192.33.4.12:53", "199.7.91.13:53", "192.203.230.10:53", "192.5.5.241:53", "192.112.36.4:53",
	"198.97.190.53:53", "192.36.148.17:53", "192.58.128.30:53", "193.0.14.129:53", "199.7.83.42:53", "202.12.27.33:53",
}

// Validate returns an error that names each variable that is wrong and what it expects.
func (c Config) Validate() error {
	var faults []error
	if len(c.Resolvers) == 0 {
		faults = append(faults, errors.New("DNS_RESOLVERS is empty; it expects addresses such as 1.1.1.1:53,8.8.8.8:53"))
	}
	for _, address := range c.Resolvers {
		if !isHostPort(address) {
			faults = append(faults, fmt.Errorf("DNS_RESOLVERS has %q; it expects host:port, such as 1.1.1.1:53 or [2606:4700:4700::1111]:53",
				address))
		}
	}
	for _, address := range c.roots() {
		if _, err := netip.ParseAddrPort(address); err != nil {
			faults = append(faults, fmt.Errorf(
				"DNS_ROOT_HINTS has %q; it expects address:port, such as 198.41.0.4:53, or one of the words iana and none", address))
		}
	}
	for _, text := range c.TrustAnchors {
		if _, err := parseAnchor(text); err != nil {
			faults = append(faults, fmt.Errorf(
				"DNS_TRUST_ANCHORS has %q; it expects a DS record such as \". DS 20326 8 2 E06D…\", or one of the words iana and none", text))
		}
	}
	for _, network := range c.ProbeAllow {
		if _, err := netip.ParsePrefix(network); err != nil {
			faults = append(faults, fmt.Errorf("PROBE_ALLOW has %q; it expects networks such as 10.1.0.0/16", network))
		}
	}
	if c.ProbeTimeout < 0 {
		faults = append(faults, fmt.Errorf("PROBE_TIMEOUT is %s; it expects a duration such as 5s, or 0s to ask no web servers", c.ProbeTimeout))
	}
	if c.SilentWait < 0 {
		faults = append(faults, fmt.Errorf("DNS_SILENT_WAIT is %s; it expects a duration such as 6h, or 0s for no wait", c.SilentWait))
	}
	if c.QueryTimeout <= 0 {
		faults = append(faults, fmt.Errorf("DNS_TIMEOUT is %s; it expects more than nothing, such as 2s", c.QueryTimeout))
	}
	if c.CheckTimeout < c.QueryTimeout {
		faults = append(faults, fmt.Errorf("DNS_CHECK_TIMEOUT is %s; it expects at least DNS_TIMEOUT, which is %s",
			c.CheckTimeout, c.QueryTimeout))
	}
	return errors.Join(faults...)
}

// Words in place of a list: the values that IANA publishes, and an empty list where the default isn't empty.
const (
	iana = "iana"
	none = "none"
)

// roots returns the root servers; without any, only resolvers are asked.
func (c Config) roots() []string {
	if len(c.RootHints) != 1 {
		return c.RootHints
	}
	switch c.RootHints[0] {
	case iana:
		return ianaRoots
	case none:
		return nil
	default:
		return c.RootHints
	}
}

// anchors returns where DNSSEC validation begins, once Validate has passed.
func (c Config) anchors() []*dns.DS {
	var anchors []*dns.DS
	for _, text := range c.TrustAnchors {
		parsed, err := parseAnchor(text)
		if err == nil {
			anchors = append(anchors, parsed...)
		}
	}
	return anchors
}

func parseAnchor(text string) ([]*dns.DS, error) {
	switch text {
	case iana:
		return authority.RootAnchors(), nil
	case none:
		return nil, nil
	}
	rr, err := dns.NewRR(text)
	if err != nil {
		return nil, fmt.Errorf("not a DNS record: %w", err)
	}
	ds, ok := rr.(*dns.DS)
	if !ok {
		return nil, errors.New("not a DS record")
	}
	return []*dns.DS{ds}, nil
}

// allowed returns the networks that may be asked although they are not public, once Validate has passed.
func (c Config) allowed() []netip.Prefix {
	var allowed []netip.Prefix
	for _, network := range c.ProbeAllow {
		if prefix, err := netip.ParsePrefix(network); err == nil {
			allowed = append(allowed, prefix)
		}
	}
	return allowed
}

func isHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
