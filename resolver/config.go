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

// Config says whom to ask and for how long.
type Config struct {
	Resolvers         []string      `env:"DNS_RESOLVERS" envDefault:"1.1.1.1:53,8.8.8.8:53,9.9.9.9:53" doc:"recursive resolvers as host:port, all asked at once; validating ones (DNSSEC), as CAs use. More of them see slow propagation better and cost more queries"`
	RootHints         []string      `env:"DNS_ROOT_HINTS" envDefault:"198.41.0.4:53,170.247.170.2:53,192.33.4.12:53,199.7.91.13:53,192.203.230.10:53,192.5.5.241:53,192.112.36.4:53,198.97.190.53:53,192.36.148.17:53,192.58.128.30:53,193.0.14.129:53,199.7.83.42:53,202.12.27.33:53" doc:"root servers as host:port (IANA's root hints): from there evercert finds and asks every authoritative server of a domain, as a CA does; none: only DNS_RESOLVERS are asked, and slow propagation is seen less well"`
	AuthorityPort     uint16        `env:"DNS_AUTHORITY_PORT" envDefault:"53" doc:"port of the authoritative servers below the roots; only tests need another"`
	TrustAnchors      []string      `env:"DNS_TRUST_ANCHORS" envDefault:"iana" doc:"DS records of the root zone, from which DNSSEC is validated, separated by commas; iana: the published ones; none: each zone's DS records are believed as its parent shows them"`
	QueryTimeout      time.Duration `env:"DNS_TIMEOUT" envDefault:"2s" doc:"for one query, with its repetition and TCP; a resolver that is slower counts as not having answered"`
	CheckTimeout      time.Duration `env:"DNS_CHECK_TIMEOUT" envDefault:"5s" doc:"for the whole check of one domain; what has not been answered by then is unknown"`
	SilentWait        time.Duration `env:"DNS_SILENT_WAIT" envDefault:"6h" doc:"how long after its last answer a name server that showed a wrong record, and is silent since, keeps an order from being placed; 0s: not at all"`
	RequireOwnership  bool          `env:"REQUIRE_OWNERSHIP" envDefault:"true" doc:"whether the ownership TXT record must be there before a certificate is ordered; without it whoever connects a name first may have it"`
	HostedNameservers []string      `env:"HOSTED_NAMESERVERS" doc:"names of the platform's own name servers, when tenants must host their DNS there; empty: anywhere will do"`
	RDAPServers       []string      `env:"RDAP_SERVERS" doc:"registries' RDAP services, as tld=url,*=url; empty: registrations are not looked up, and an expired one is not told from a broken one"`
	ProbeAllow        []string      `env:"PROBE_ALLOW" doc:"networks such as 10.1.0.0/16 that may be asked and probed although they are not public; tenants' DNS chooses the addresses, so list no network that has something to hide"`
	ProbeHTTPPort     uint16        `env:"PROBE_HTTP_PORT" envDefault:"80" doc:"port of http-01 (RFC 8555 §8.3); only tests need another"`
	ProbeHTTPSPort    uint16        `env:"PROBE_HTTPS_PORT" envDefault:"443" doc:"port of tls-alpn-01 and HTTPS (RFC 8737 §3); only tests need another"`
	ProbeTimeout      time.Duration `env:"PROBE_TIMEOUT" envDefault:"5s" doc:"for the requests to one web server, made where dns-01 is not delegated; CAs wait about 10s. 0s: no web server is asked"`
}

// Validate names the variable that is wrong and what it expects.
func (c Config) Validate() error {
	var faults []error
	if len(c.Resolvers) == 0 {
		faults = append(faults, errors.New("DNS_RESOLVERS is empty; it expects addresses such as 1.1.1.1:53,8.8.8.8:53"))
	}
	for _, address := range c.Resolvers {
		if !isHostPort(address) {
			faults = append(faults, fmt.Errorf("DNS_RESOLVERS has %q; it expects host:port, such as 1.1.1.1:53 or [2606:4700:4700::1111]:53", address))
		}
	}
	for _, address := range c.roots() {
		if _, err := netip.ParseAddrPort(address); err != nil {
			faults = append(faults, fmt.Errorf("DNS_ROOT_HINTS has %q; it expects address:port, such as 198.41.0.4:53, or the word none", address))
		}
	}
	for _, text := range c.TrustAnchors {
		if _, err := parseAnchor(text); err != nil {
			faults = append(faults, fmt.Errorf("DNS_TRUST_ANCHORS has %q; it expects a DS record such as \". DS 20326 8 2 E06D…\", or one of the words iana and none", text))
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
		faults = append(faults, fmt.Errorf("DNS_CHECK_TIMEOUT is %s; it expects at least DNS_TIMEOUT, which is %s", c.CheckTimeout, c.QueryTimeout))
	}
	return errors.Join(faults...)
}

// none is the word for an empty list whose default isn't empty.
const none = "none"

// roots are the root servers; without any, only resolvers are asked.
func (c Config) roots() []string {
	if len(c.RootHints) == 1 && c.RootHints[0] == none {
		return nil
	}
	return c.RootHints
}

// anchors are where DNSSEC begins, once Validate has passed.
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
	case "iana":
		return authority.RootAnchors(), nil
	case none:
		return nil, nil
	}
	rr, err := dns.NewRR(text)
	if err != nil {
		return nil, fmt.Errorf("no DNS record: %w", err)
	}
	ds, ok := rr.(*dns.DS)
	if !ok {
		return nil, errors.New("no DS record")
	}
	return []*dns.DS{ds}, nil
}

// allowed are the networks that may be asked although they are not public, once Validate has passed.
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
