package dnslab

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { os.Exit(InNamespace(m)) }

// ask sends one question with DO set, and returns the answer or the error.
func ask(ctx context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(name, qtype)
	question.SetEdns0(1232, true)
	client := dns.Client{Timeout: 20 * time.Second}
	reply, _, err := client.ExchangeContext(ctx, question, server)
	return reply, err
}

func mustAsk(t *testing.T, server, name string, qtype uint16) *dns.Msg {
	t.Helper()
	reply, err := ask(t.Context(), server, name, qtype)
	require.NoError(t, err, "%s %s at %s", name, dns.TypeToString[qtype], server)
	return reply
}

// requireText requires one TXT record with the value.
func requireText(t *testing.T, m *dns.Msg, value string) {
	t.Helper()
	require.Equal(t, dns.RcodeSuccess, m.Rcode, m.String())
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			require.Equal(t, value, strings.Join(txt.Txt, ""))
			return
		}
	}
	require.Fail(t, "no TXT record", m.String())
}

func TestAuthoritativeServers(t *testing.T) {
	t.Parallel()
	for address, start := range map[string]func(testing.TB, string, Zones) *Authoritative{
		"127.0.40.1": StartBIND, "127.0.40.2": StartKnot, "127.0.40.3": StartNSD,
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			s := start(t, address, Zones{"a.example": "@ NS ns\nns A 127.0.0.1\n@ TXT first\n", "b.example": NotLoaded})
			requireText(t, mustAsk(t, s.Address, "a.example.", dns.TypeTXT), "first")
			require.Equal(t, dns.RcodeServerFailure, mustAsk(t, s.Address, "b.example.", dns.TypeTXT).Rcode)
			require.Equal(t, dns.RcodeRefused, mustAsk(t, s.Address, "other.example.", dns.TypeTXT).Rcode)
			s.Load(t, Zones{"a.example": "@ NS ns\nns A 127.0.0.1\n@ TXT second\n"})
			requireText(t, mustAsk(t, s.Address, "a.example.", dns.TypeTXT), "second")
			s.Load(t, Zones{"b.example": "@ NS ns\nns A 127.0.0.1\n@ TXT mended\n"})
			requireText(t, mustAsk(t, s.Address, "b.example.", dns.TypeTXT), "mended")
		})
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	s := StartNSD(t, "127.0.40.4", Zones{"a.example": "@ NS ns\nns A 127.0.0.1\n@ TXT text\n"})
	sw := StartSwitch(t, "127.0.40.5", s.Address, Healthy)
	over := func(network string) (*dns.Msg, error) {
		client := dns.Client{Net: network, Timeout: 500 * time.Millisecond}
		reply, _, err := client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion("a.example.", dns.TypeTXT), sw.Address)
		return reply, err
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, fault := range []Fault{Healthy, ServFail, Refuses, Silent, Healthy} {
			sw.Set(fault)
			reply, err := over(network)
			switch fault {
			case Healthy:
				require.NoError(t, err)
				requireText(t, reply, "text")
			case Silent:
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			case ServFail:
				require.Equal(t, dns.RcodeServerFailure, reply.Rcode)
			case Refuses:
				require.Equal(t, dns.RcodeRefused, reply.Rcode)
			}
		}
	}
	require.EqualValues(t, 10, sw.Asked())
}

func TestTree(t *testing.T) {
	t.Parallel()
	text := func(ns string) string { return ns + "@ TXT text\nwww CNAME @\n" }
	both := NS(BIND, Knot)
	zone := func(name string, signing Signing) Zone {
		return Zone{Name: name, Delegation: both, On: OnEach(text(both), BIND, Knot), Signing: signing}
	}
	tampered := zone("tampered.example", Signed)
	tampered.Tamper = func(file string) string { return strings.ReplaceAll(file, `"text"`, `"fake"`) }
	l := Tree{
		Network: "127.0.41",
		Zones: []Zone{
			zone("plain.example", Unsigned), zone("signed.example", Signed), zone("nsec3.example", SignedHash), zone("sub.signed.example", Signed),
			zone("island.org", Island), zone("expired.example", Expired), zone("foreign.example", ForeignDS), zone("dsonly.example", DSOnly),
			tampered,
			{Name: "three.example", Delegation: NS(BIND, Knot, NSD), On: OnEach(text(NS(BIND, Knot, NSD)), BIND, Knot, NSD)},
			{Name: "lame.example", Delegation: NS(Lame)},
			{Name: "dead.example", Delegation: NS(Dead)},
			{Name: "broken.example", Delegation: both, On: OnEach(NotLoaded, BIND, Knot)},
		},
	}.Start(t)
	for _, name := range []string{
		"plain.example.", "signed.example.", "nsec3.example.", "sub.signed.example.", "island.org.", "three.example.",
	} {
		requireText(t, mustAsk(t, l.Resolver, "www."+name, dns.TypeTXT), "text")
	}
	require.True(t, mustAsk(t, l.Resolver, "signed.example.", dns.TypeTXT).AuthenticatedData)
	require.True(t, mustAsk(t, l.Resolver, "nsec3.example.", dns.TypeTXT).AuthenticatedData)
	require.False(t, mustAsk(t, l.Resolver, "plain.example.", dns.TypeTXT).AuthenticatedData)
	require.Equal(t, dns.RcodeNameError, mustAsk(t, l.Resolver, "unregistered.example.", dns.TypeTXT).Rcode)
	for _, name := range []string{
		"expired.example.", "foreign.example.", "dsonly.example.", "tampered.example.", "lame.example.", "broken.example.",
	} {
		reply := mustAsk(t, l.Resolver, name, dns.TypeTXT)
		require.Equal(t, dns.RcodeServerFailure, reply.Rcode, name)
	}
	client := dns.Client{Timeout: time.Second}
	_, _, err := client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion("dead.example.", dns.TypeTXT), l.Resolver)
	require.Error(t, err, "Unbound goes on asking a silent server for longer")
	l.Put(t, BIND, "signed.example", both+"@ TXT new\n")
	requireText(t, mustAsk(t, l.Server(BIND).Address, "signed.example.", dns.TypeTXT), "new")
	requireText(t, mustAsk(t, l.Server(Knot).Address, "signed.example.", dns.TypeTXT), "text")
	requireText(t, mustAsk(t, l.Resolver, "signed.example.", dns.TypeTXT), "text") // from its cache
	l.Put(t, Knot, "signed.example", both+"@ TXT new\n")
	l.StartResolver(t)
	requireText(t, mustAsk(t, l.Resolver, "signed.example.", dns.TypeTXT), "new")
	for address, startResolver := range map[string]func(testing.TB, string, Recursion) *Server{
		"127.0.41.21": StartBINDResolver, "127.0.41.22": StartPowerDNSRecursor,
	} {
		r := startResolver(t, address, l.Recursion())
		requireText(t, mustAsk(t, r.Address, "three.example.", dns.TypeTXT), "text")
		require.True(t, mustAsk(t, r.Address, "signed.example.", dns.TypeTXT).AuthenticatedData, r.Name)
		require.Equal(t, dns.RcodeServerFailure, mustAsk(t, r.Address, "expired.example.", dns.TypeTXT).Rcode, r.Name)
	}
}

// TestOddServer: the server answers rightly, apart from the quirk of the zone.
func TestOddServer(t *testing.T) {
	t.Parallel()
	zone := func(name string, quirk Quirk) Zone {
		return Zone{Name: name + ".example", Delegation: NS(Odd), On: OnEach(NS(Odd)+"@ TXT text\n", Odd), Signing: Signed, Quirk: quirk}
	}
	lab := Tree{Network: "127.0.44", Zones: []Zone{
		zone("plain", nil), zone("both", Quirks(RefusesTypes(dns.TypeSOA), SilentTo(dns.TypeDNSKEY))), zone("no-aa", WithoutAA),
		zone("lower", LowersCase),
		zone("slow", Takes(300*time.Millisecond)),
	}}.Start(t)
	at := lab.Address(Odd) + ":53"
	plain := mustAsk(t, at, "plain.example.", dns.TypeTXT)
	requireText(t, plain, "text")
	require.True(t, plain.Authoritative)
	require.Len(t, plain.Answer, 2, "with its signature")

	requireText(t, mustAsk(t, at, "both.example.", dns.TypeTXT), "text")
	require.Equal(t, dns.RcodeRefused, mustAsk(t, at, "both.example.", dns.TypeSOA).Rcode)
	client := dns.Client{Timeout: 200 * time.Millisecond}
	_, _, err := client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion("both.example.", dns.TypeDNSKEY), at)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)

	silent := mustAsk(t, at, "no-aa.example.", dns.TypeTXT)
	requireText(t, silent, "text")
	require.False(t, silent.Authoritative)

	require.Equal(t, "PlAiN.example.", mustAsk(t, at, "PlAiN.example.", dns.TypeTXT).Question[0].Name)
	require.Equal(t, "lower.example.", mustAsk(t, at, "LoWeR.example.", dns.TypeTXT).Question[0].Name)

	_, _, err = client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion("slow.example.", dns.TypeTXT), at)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "not within 200 ms")
	requireText(t, mustAsk(t, at, "slow.example.", dns.TypeTXT), "text")
	requireText(t, mustAsk(t, lab.Resolver, "plain.example.", dns.TypeTXT), "text")
}
