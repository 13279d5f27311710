// Package dcvchain answers the validation zone through the name servers of the world: BIND, Knot and NSD delegate to it, and
// Unbound, BIND and the PowerDNS Recursor resolve it, as CAs' resolvers do.
package dcvchain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/e2e/dnslab"
)

func TestMain(m *testing.M) { os.Exit(dnslab.InNamespace(m)) }

// values are what the zone's servers show. They have no database: one map is as good for what other servers make of the answers.
type values struct {
	mu    sync.Mutex
	shown map[string][]string
}

func (v *values) TXT(_ context.Context, name string) ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.shown[name]), nil
}

func (v *values) PutTXT(_ context.Context, name, value string, _ time.Duration) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Contains(v.shown[name], value) {
		v.shown[name] = append(v.shown[name], value)
	}
	return nil
}

func (v *values) DeleteTXT(_ context.Context, name, value string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shown[name] = slices.DeleteFunc(v.shown[name], func(s string) bool { return s == value })
	return nil
}

// noOtherMethods stands for the challenges that are none of the DNS.
type noOtherMethods struct{ *values }

func (noOtherMethods) PutHTTPToken(context.Context, string, string, time.Duration) error {
	panic("dns-01 only")
}

func (noOtherMethods) DeleteHTTPToken(context.Context, string) error { panic("dns-01 only") }

func (noOtherMethods) PutTLSChallenge(context.Context, string, string, time.Duration) error {
	panic("dns-01 only")
}

func (noOtherMethods) DeleteTLSChallenge(context.Context, string, string) error { panic("dns-01 only") }

func (noOtherMethods) ShowsHTTPToken(context.Context, string, string) (bool, error) {
	panic("nothing asks what is shown")
}

func (noOtherMethods) ShowsTXT(context.Context, string, string) (bool, error) {
	panic("nothing asks what is shown")
}

func (noOtherMethods) ShowsTLSChallenge(context.Context, string, string) (bool, error) {
	panic("nothing asks what is shown")
}

// delegations says where names are delegated to.
type delegations map[string]string

func (d delegations) DelegationTarget(_ context.Context, name string) (string, error) {
	if target, ok := d[name]; ok {
		return target, nil
	}
	return "", fmt.Errorf("%s is not connected", name)
}

// label is the n-th label that tenants delegate to.
func label(n int) string {
	return strings.Repeat("a", 24) + string(rune('a'+n/6)) + string(rune('2'+n%6))
}

// serve runs a name server of the validation zone until the test ends.
func serve(t *testing.T, v *values, zone, address string, network string) *dcv.Server {
	t.Helper()
	s, err := dcv.Listen(t.Context(), dcv.Config{
		Zone: zone, Listen: address + ":53", TTL: time.Second, Nameservers: []string{"ns1." + zone, "ns2." + zone},
		Addresses: []string{"ns1." + zone + "=" + network + ".31", "ns2." + zone + "=" + network + ".32"},
		CAA:       `0 issue "letsencrypt.org; validationmethods=dns-01", 0 issuewild ";"`, RateLimit: 200, RateExempt: []string{"127.0.0.0/8"},
	}, v, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return s
}

// exchange asks as a stub resolver does: by UDP, three times, and then TCP. Unbound gives a server that never answers more time at each
// try, and when it happens to choose that one again and again, it answers after more than 20 seconds.
func exchange(ctx context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype).SetEdns0(1232, true)
	client := &dns.Client{Timeout: 20 * time.Second}
	var reply *dns.Msg
	err := errors.New("not asked")
	for try := 0; err != nil && try < 3; try++ {
		reply, _, err = client.ExchangeContext(ctx, question, server)
	}
	if err == nil && reply.Truncated {
		client.Net = "tcp"
		reply, _, err = client.ExchangeContext(ctx, question, server)
	}
	return reply, err
}

// ask is an exchange that must succeed.
func ask(t *testing.T, server, name string, qtype uint16) *dns.Msg {
	t.Helper()
	reply, err := exchange(t.Context(), server, name, qtype)
	require.NoError(t, err, "%s %s at %s", name, dns.TypeToString[qtype], server)
	return reply
}

func texts(m *dns.Msg) []string {
	var found []string
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			found = append(found, strings.Join(txt.Txt, ""))
		}
	}
	slices.Sort(found)
	return found
}

func challenge(name, keyAuthorization string) cert.Challenge {
	return cert.Challenge{Name: name, Method: cert.DNS01, KeyAuthorization: keyAuthorization}
}
