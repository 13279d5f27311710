package authority

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

const (
	defaultPort         = 53
	defaultQueryTimeout = 2 * time.Second
	defaultMaxServers   = 8
	defaultMaxQueries   = 200
)

// Config says where the walk begins and how far it may go. It is read only, so that any number of Trees may share one.
type Config struct {
	Roots        []string              // root servers as address:port, in any order
	Port         uint16                // of all servers below the roots; 53 when 0
	QueryTimeout time.Duration         // for one question to one server, with its repetitions and TCP; 2 s when 0
	MaxServers   int                   // addresses that are asked in each zone; 8 when 0
	MaxQueries   int                   // questions that one Tree may send, a bound on what hostile DNS can make it do; 200 when 0
	Allow        func(netip.Addr) bool // whether an address that DNS names may be asked; nil: all may. Roots are not put to it
	Slots        chan struct{}         // a place in it is taken while a question is under way; nil: no bound. Shared by all Trees
	TrustAnchors []*dns.DS             // where DNSSEC begins, such as RootAnchors; see Tree.CheckZone for what none means
	Now          func() time.Time      // for signatures' validity; time.Now when nil
}

// Validate returns what is wrong with the root servers. A Tree leaves out those that it can't use.
func (c Config) Validate() error {
	var faults []error
	if len(c.Roots) == 0 {
		faults = append(faults, errors.New("there are no root servers; expected are addresses such as 198.41.0.4:53"))
	}
	for _, root := range c.Roots {
		if _, err := netip.ParseAddrPort(root); err != nil {
			faults = append(faults, fmt.Errorf("root server %q: expected is address:port, such as 198.41.0.4:53 or [2001:503:ba3e::2:30]:53", root))
		}
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.Port == 0 {
		c.Port = defaultPort
	}
	if c.QueryTimeout <= 0 {
		c.QueryTimeout = defaultQueryTimeout
	}
	if c.MaxServers <= 0 {
		c.MaxServers = defaultMaxServers
	}
	if c.MaxQueries <= 0 {
		c.MaxQueries = defaultMaxQueries
	}
	if c.Allow == nil {
		c.Allow = func(netip.Addr) bool { return true }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// RootAnchors are the root zone's keys of 2017 and 2024, as IANA publishes them (https://data.iana.org/root-anchors/root-anchors.xml).
func RootAnchors() []*dns.DS {
	anchor := func(tag uint16, digest string) *dns.DS {
		return &dns.DS{
			Hdr:    dns.RR_Header{Name: ".", Rrtype: dns.TypeDS, Class: dns.ClassINET},
			KeyTag: tag, Algorithm: dns.RSASHA256, DigestType: dns.SHA256, Digest: digest,
		}
	}
	return []*dns.DS{
		anchor(20326, "e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d"),
		anchor(38696, "683d2d0acb8c9b712a1948b27f741219298d0a450d612c483af444a4c0fb2b16"),
	}
}
