package control

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/evercert/evercert/cert"
)

// Config says which names may be connected and where their DNS records have to lead.
type Config struct {
	ValidationZone string   `env:"VALIDATION_ZONE,notEmpty" doc:"DNS zone that evercert answers itself and that tenants delegate _acme-challenge to, such as dcv.example.net; changing it breaks every delegation"`
	Target         string   `env:"PLATFORM_TARGET,notEmpty" doc:"name that tenants' CNAME records point to, such as edge.example.net"`
	Addresses      []string `env:"PLATFORM_ADDRESSES" doc:"IP addresses of the edge, by commas, for apex domains, which can't be a CNAME; without any, apex domains are asked for no address record"`
	Suffix         string   `env:"PLATFORM_SUFFIX" doc:"suffix of the platform's own domains, such as shops.example.net; they need no connection and are refused"`
	ReservedLabels []string `env:"RESERVED_LABELS" envDefault:"m,skin" doc:"labels below a platform domain that the platform keeps for itself"`
	TestSuffixes   []string `env:"TEST_SUFFIXES" doc:"suffixes outside the public ones under which names may be connected, for tests and private CAs"`
}

// ClaimConfig bounds what tenants may claim.
type ClaimConfig struct {
	UnverifiedNames int `env:"UNVERIFIED_NAMES_PER_TENANT" envDefault:"10000" doc:"names that a tenant may have connected whose records were never all seen; more are refused. 0: no limit. Each such name costs checks, and is kept from other tenants until they show that it is theirs"`
}

// Validate reports a limit that no number of names could keep.
func (c ClaimConfig) Validate() error {
	if c.UnverifiedNames < 0 {
		return fmt.Errorf("UNVERIFIED_NAMES_PER_TENANT is %d; it expects 0, for no limit, or more", c.UnverifiedNames)
	}
	return nil
}

// Validate reports the settings that can't be right.
func (c Config) Validate() error {
	return errors.Join(
		domainName("VALIDATION_ZONE", c.ValidationZone, "dcv.example.net"),
		domainName("PLATFORM_TARGET", c.Target, "edge.example.net"),
		domainName("PLATFORM_SUFFIX", c.Suffix, "shops.example.net"),
		addresses(c.Addresses),
	)
}

// Rules are the names that may be connected.
func (c Config) Rules() cert.NameRules {
	return cert.NameRules{
		PlatformSuffix: normal(c.Suffix),
		PlatformNames:  []string{normal(c.ValidationZone), normal(c.Target)},
		ReservedLabels: all(c.ReservedLabels),
		TestSuffixes:   all(c.TestSuffixes),
	}
}

// Platform is where the records of connected names lead.
func (c Config) Platform() cert.Platform {
	return cert.Platform{ValidationZone: normal(c.ValidationZone), Target: normal(c.Target), Addresses: all(c.Addresses)}
}

func domainName(variable, value, example string) error {
	name := normal(value)
	if name == "" {
		return nil
	}
	if parsed, err := (cert.NameRules{TestSuffixes: []string{name}}).Parse(name); err != nil || parsed != name {
		return fmt.Errorf("%s is %q; it expects a domain name such as %s", variable, value, example)
	}
	return nil
}

func addresses(values []string) error {
	for _, a := range all(values) {
		if _, err := netip.ParseAddr(a); err != nil {
			return fmt.Errorf("PLATFORM_ADDRESSES has %q; it expects IP addresses separated by commas, such as 203.0.113.7,2001:db8::7", a)
		}
	}
	return nil
}

func all(values []string) []string {
	var kept []string
	for _, v := range values {
		if v = normal(v); v != "" {
			kept = append(kept, v)
		}
	}
	return kept
}

func normal(name string) string {
	return strings.ToLower(strings.Trim(strings.TrimSpace(name), "."))
}
