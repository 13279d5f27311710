package resolver_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

// TestF9_OneServerIsAskedForOneRecord: what it shows, whether that is the record, and that a failure behind an alias is none of the
// record's.
func TestF9_OneServerIsAskedForOneRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change(t, `
		lazy
		add _evercert.shop.example.com. 60 IN TXT "other"
		add _evercert.shop.example.com. 60 IN TXT "evercert-tenant=x"
		add _acme-challenge.shop.example.com. 60 IN CNAME x.dcv.example.net.
		add example.com. 60 IN A 192.0.2.1
		fault x.dcv.example.net servfail
		fault broken.example.com servfail`)
	server := netip.MustParseAddrPort(w.address)
	r, err := resolver.New(resolver.Config{
		Resolvers: []string{w.address}, RootHints: []string{"none"}, AuthorityPort: server.Port(), QueryTimeout: time.Second,
		CheckTimeout: 5 * time.Second,
		ProbeAllow:   []string{"127.0.0.0/8"},
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		want  cert.Record
		right bool
		text  string
	}{
		"text":         {cert.Record{Name: "_evercert.shop.example.com", Type: "TXT", Value: "evercert-tenant=x"}, true, "evercert-tenant=x"},
		"another text": {cert.Record{Name: "_evercert.shop.example.com", Type: "TXT", Value: "evercert-tenant=y"}, false, "evercert-tenant=x"},
		"alias": {
			cert.Record{Name: "_acme-challenge.shop.example.com", Type: "CNAME", Value: "x.dcv.example.net"},
			true,
			"CNAME x.dcv.example.net",
		},
		"another alias": {
			cert.Record{Name: "_acme-challenge.shop.example.com", Type: "CNAME", Value: "y.dcv.example.net"},
			false,
			"CNAME x.dcv.example.net",
		},
		"address":         {cert.Record{Name: "example.com", Type: "A", Value: "192.0.2.1"}, true, "A 192.0.2.1"},
		"another address": {cert.Record{Name: "example.com", Type: "A", Value: "192.0.2.2"}, false, "A 192.0.2.1"},
		"nothing":         {cert.Record{Name: "www.example.com", Type: "CNAME", Value: "edge.example.net"}, false, ""},
	} {
		shown, err := r.AskServer(t.Context(), server.Addr(), test.want)
		require.NoError(t, err, name)
		require.Equal(t, test.right, shown.Right, name)
		require.Contains(t, strings.Join(shown.Text, ", "), test.text, name)
	}
	_, err = r.AskServer(t.Context(), server.Addr(), cert.Record{Name: "broken.example.com", Type: "TXT"})
	require.Error(t, err, "a server that fails shows nothing")
	_, err = r.AskServer(t.Context(), netip.MustParseAddr("10.0.0.1"), cert.Record{Name: "example.com", Type: "A", Value: "192.0.2.1"})
	require.ErrorContains(t, err, "not one of the public internet", "tenants' zones choose the addresses")
}
