package dcv

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Config configures the DNS server of the validation zone.
type Config struct {
	// Zone is the zone to which tenants delegate _acme-challenge. Its parent zone must delegate it to Nameservers.
	Zone string `env:"VALIDATION_ZONE" doc:"the zone that tenants delegate _acme-challenge to, such as dcv.example.net"`
	// Listen is for UDP and TCP. CAs ask at port 53.
	Listen string `env:"DCV_LISTEN" doc:"host:port of the zone's DNS server; empty: this process runs none"`
	// Nameservers are the names in the zone's NS records.
	Nameservers []string `env:"DCV_NAMESERVERS" doc:"names of the zone's DNS servers; empty: ns1.<VALIDATION_ZONE>"`
	// Addresses are those of the name servers that lie inside the zone. The parent zone needs the same as glue records.
	Addresses []string `env:"DCV_NAMESERVER_ADDRESSES" doc:"name=address,name=address of the name servers inside the zone"`
	// TTL of a value. With more than seconds a CA may still see the value of the attempt before.
	TTL time.Duration `env:"DCV_TTL" envDefault:"1s" doc:"how long resolvers keep a value"`
	// CAA says who may issue for names in the zone itself. It has no effect on tenants' names.
	CAA string `env:"DCV_CAA" doc:"the zone's CAA records, such as 0 issue \"letsencrypt.org\", 0 issuewild \";\"; empty: none"`
	// RateLimit keeps attackers from flooding a network (IPv4 /24, IPv6 /56) with the answers to forged questions. Answers above the limit
	// are truncated, and real resolvers repeat the question by TCP.
	RateLimit int `env:"DCV_RATE_LIMIT" envDefault:"200" doc:"answers a second by UDP to one network; 0: no limit"`
	// TCPPerClient is for one client: an IPv4 address, or an IPv6 /56. When a client opens one more, its connection that has been silent
	// longest is closed. All clients together have at most 1024 (maxConnections).
	TCPPerClient int `env:"DCV_TCP_PER_CLIENT" envDefault:"64" doc:"TCP connections of one client at once; 0: no limit for each client"`
	// RateExempt lists your own resolvers and workers, and load balancers that hide their clients' addresses.
	RateExempt []string `env:"DCV_RATE_EXEMPT" envDefault:"127.0.0.0/8,::1/128" doc:"networks without these two limits"`
}

// maxRateLimit is more answers than a network link carries.
const maxRateLimit = 10_000_000

// Enabled reports whether this process runs the DNS server.
func (c Config) Enabled() bool { return c.Listen != "" }

// Validate returns an error that names the wrong variable and the expected value.
func (c Config) Validate() error {
	var faults []error
	if c.Zone != "" && !isName(c.Zone) {
		faults = append(faults, fmt.Errorf("VALIDATION_ZONE is %q; it expects a domain name such as dcv.example.net", c.Zone))
	}
	if c.Listen != "" && !isListenAddress(c.Listen) {
		faults = append(faults, fmt.Errorf("DCV_LISTEN is %q; it expects host:port such as 0.0.0.0:53, or nothing", c.Listen))
	}
	if c.Listen != "" && c.Zone == "" {
		faults = append(faults, errors.New("VALIDATION_ZONE is empty; with DCV_LISTEN it expects the zone to serve, such as dcv.example.net"))
	}
	for _, name := range c.Nameservers {
		if !isName(name) {
			faults = append(faults, fmt.Errorf("DCV_NAMESERVERS has %q; it expects names such as ns1.example.net", name))
		}
	}
	for _, entry := range c.Addresses {
		name, address, err := parseAddress(entry)
		if err != nil {
			faults = append(
				faults,
				fmt.Errorf("DCV_NAMESERVER_ADDRESSES has %q; it expects name=address such as ns1.dcv.example.net=192.0.2.53", entry),
			)
		} else if !dns.IsSubDomain(dns.CanonicalName(c.Zone), name) {
			faults = append(
				faults,
				fmt.Errorf("DCV_NAMESERVER_ADDRESSES has %s for %s; it expects names inside VALIDATION_ZONE", address, bare(name)),
			)
		}
	}
	if c.TTL < 0 || c.TTL > 24*time.Hour {
		faults = append(faults, fmt.Errorf("DCV_TTL is %s; it expects a duration between 0s and 24h, such as 1s", c.TTL))
	}
	if _, err := parseCAA(c.CAA); err != nil {
		faults = append(faults, fmt.Errorf(`DCV_CAA can't be read: %w; it expects records such as 0 issue "letsencrypt.org"`, err))
	}
	return errors.Join(append(faults, c.validateLimits())...)
}

func (c Config) validateLimits() error {
	var faults []error
	if c.RateLimit < 0 || c.RateLimit > maxRateLimit {
		faults = append(faults, fmt.Errorf("DCV_RATE_LIMIT is %d; it expects answers a second, such as 200, or 0 for no limit", c.RateLimit))
	}
	if c.TCPPerClient < 0 {
		faults = append(faults, fmt.Errorf("DCV_TCP_PER_CLIENT is %d; it expects connections, such as 64, or 0 for no limit", c.TCPPerClient))
	}
	for _, network := range c.RateExempt {
		if _, err := netip.ParsePrefix(network); err != nil {
			faults = append(faults, fmt.Errorf("DCV_RATE_EXEMPT has %q; it expects networks such as 192.0.2.0/24", network))
		}
	}
	return errors.Join(faults...)
}

// rateExempt returns the networks of DCV_RATE_EXEMPT.
func (c Config) rateExempt() networks {
	var exempt networks
	for _, network := range c.RateExempt {
		if prefix, err := netip.ParsePrefix(network); err == nil { // Validate refuses values that don't parse
			exempt = append(exempt, prefix.Masked())
		}
	}
	return exempt
}

func (c Config) nameservers() []string {
	if len(c.Nameservers) == 0 {
		return []string{"ns1." + dns.CanonicalName(c.Zone)}
	}
	names := make([]string, len(c.Nameservers))
	for i, name := range c.Nameservers {
		names[i] = dns.CanonicalName(name)
	}
	return names
}

// parseAddress parses "name=address".
func parseAddress(entry string) (name string, address netip.Addr, err error) {
	name, value, _ := strings.Cut(entry, "=")
	if !isName(name) {
		return "", netip.Addr{}, fmt.Errorf("%q is no name", name)
	}
	address, err = netip.ParseAddr(value)
	return dns.CanonicalName(name), address.Unmap(), err
}

func isName(name string) bool {
	_, ok := dns.IsDomainName(name)
	return ok && bare(name) != "" && !strings.ContainsAny(name, "\\ /:")
}

func isListenAddress(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// bare removes the trailing dot of a name.
func bare(name string) string { return strings.TrimSuffix(name, ".") }
