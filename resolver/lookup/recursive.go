package lookup

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// Resolver returns a new View of a recursive resolver, which is asked for every name. server is host:port.
func (c *Client) Resolver(server string) *View {
	return newView(recursive{client: c, address: server}, nil)
}

// recursive is a resolver that is asked for every name.
type recursive struct {
	client  *Client
	address string // host:port
}

func (r recursive) role() cert.ServerRole { return cert.Recursive }

func (r recursive) server(string) string {
	host, _, err := net.SplitHostPort(r.address)
	if err != nil {
		return r.address
	}
	return host
}

func (r recursive) delegatedTo(string) []string { return nil }

// ask separates failures of DNSSEC validation from other failures: a resolver that answers once validation is switched off
// (the CD bit, RFC 4035 §3.2.2) failed because of validation.
func (r recursive) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	m, err := r.client.query(ctx, r.address, name, qtype, false)
	if err != nil || m.Rcode != dns.RcodeServerFailure {
		return m, err
	}
	if blamesDNSSEC(m) {
		return nil, r.bogus(name, m)
	}
	unchecked, err := r.client.query(ctx, r.address, name, qtype, true)
	if err == nil && noAnswer(unchecked) == nil {
		return nil, r.bogus(name, m)
	}
	return m, nil
}

func (r recursive) bogus(name string, m *dns.Msg) error {
	return &BogusError{Detail: fmt.Sprintf("resolvers refuse the answer about %s%s", NoDot(name), extendedError(m))}
}

// blamesDNSSEC reports whether a resolver says itself that validation failed (RFC 8914 §4.7 to §4.13).
func blamesDNSSEC(m *dns.Msg) bool {
	opt := m.IsEdns0()
	return opt != nil && slices.ContainsFunc(opt.Option, func(o dns.EDNS0) bool {
		ede, ok := o.(*dns.EDNS0_EDE)
		return ok && ede.InfoCode >= dns.ExtendedErrorCodeDNSBogus && ede.InfoCode <= dns.ExtendedErrorCodeNSECMissing
	})
}
