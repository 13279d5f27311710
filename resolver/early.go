package resolver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// askServer is Resolver.AskServer.
func (s *sources) askServer(ctx context.Context, server netip.Addr, want cert.Record) (cert.Shown, error) {
	if !s.walks.Allow(server) {
		return cert.Shown{}, fmt.Errorf("the address %s is not one of the public internet", server)
	}
	view := s.client.Resolver(net.JoinHostPort(server.String(), strconv.Itoa(int(s.config.AuthorityPort))))
	switch want.Type {
	case "TXT":
		a := view.Lookup(ctx, want.Name, dns.TypeTXT)
		return cert.Shown{Right: a.HasText(want.Value), Text: a.Text()}, a.Err
	case "CNAME":
		// The server knows the alias and not what it leads to, so that a failure behind the alias is none here.
		a := view.LookupAliases(ctx, want.Name)
		if len(a.Aliases) > 0 {
			a.Err = nil
		}
		return cert.Shown{Right: a.LeadsTo(want.Value), Text: a.AliasText()}, a.Err
	default:
		a := view.Lookup(ctx, want.Name, dns.StringToType[want.Type])
		address, err := netip.ParseAddr(want.Value)
		if err != nil {
			return cert.Shown{}, fmt.Errorf("the expected record has no address: %w", err)
		}
		return cert.Shown{Right: slices.Contains((lookup.Addresses{A: a}).All(), address.Unmap()), Text: a.Text()}, a.Err
	}
}
