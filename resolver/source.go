package resolver

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// source is whom a view asks.
type source interface {
	ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error)
	role() cert.ServerRole
	// host names who is asked about a name: for errors, and for people who compare servers.
	host(name string) string
}

// bogusError is an answer that a validating resolver, such as every CA's, throws away (RFC 4035 §5.5).
type bogusError struct {
	zone   string // bare; empty where only a resolver's word is known
	detail string // for people
}

func (b *bogusError) Error() string { return "DNSSEC: " + b.detail }

// Problem blames the zone, or the domain that the name is in where the zone isn't known.
func (b *bogusError) Problem(name string) cert.Problem {
	if b.zone != "" {
		return dnssecBogus(b.zone, b.detail)
	}
	return dnssecBogus(zoneOf(base(name)), b.detail)
}

// recursive is a resolver that is asked for everything.
type recursive struct {
	client *client
	server string // host:port
}

func (r recursive) role() cert.ServerRole { return cert.Recursive }

func (r recursive) host(string) string {
	host, _, err := net.SplitHostPort(r.server)
	if err != nil {
		return r.server
	}
	return host
}

// ask tells DNSSEC's refusals from other failures: a resolver that would answer without validation (the CD bit, RFC 4035
// §3.2.2) fails because of validation.
func (r recursive) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	m, err := r.client.query(ctx, r.server, name, qtype, false)
	if err != nil || m.Rcode != dns.RcodeServerFailure {
		return m, err
	}
	if blamesDNSSEC(m) {
		return nil, r.bogus(name, m)
	}
	unchecked, err := r.client.query(ctx, r.server, name, qtype, true)
	if err == nil && refusal(unchecked) == nil {
		return nil, r.bogus(name, m)
	}
	return m, nil
}

func (r recursive) bogus(name string, m *dns.Msg) error {
	return &bogusError{detail: fmt.Sprintf("resolvers refuse the answer about %s%s", bare(name), explanation(m))}
}

// blamesDNSSEC tells whether a resolver says by itself that validation failed (RFC 8914 §4.7 to §4.13).
func blamesDNSSEC(m *dns.Msg) bool {
	opt := m.IsEdns0()
	return opt != nil && slices.ContainsFunc(opt.Option, func(o dns.EDNS0) bool {
		ede, ok := o.(*dns.EDNS0_EDE)
		return ok && ede.InfoCode >= dns.ExtendedErrorCodeDNSBogus && ede.InfoCode <= dns.ExtendedErrorCodeNSECMissing
	})
}
