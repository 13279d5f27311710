package lookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// records is a source that answers from a list. It follows no CNAME by itself, so that each step is a question. It simulates no zones, no
// wildcards and no DNSSEC; the tests of package resolver ask real servers.
type records struct {
	list   []dns.RR
	faults map[string]error  // by name
	others map[string]string // servers, by name, of names that another server than the usual one knows

	mu    sync.Mutex
	asked map[string]int // times, by "name TYPE"
}

func newRecords(t *testing.T, zone string) *records {
	r := &records{faults: map[string]error{}, asked: map[string]int{}}
	for line := range strings.Lines(zone) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		rr, err := dns.NewRR(strings.TrimSpace(line))
		require.NoError(t, err)
		r.list = append(r.list, rr)
	}
	return r
}

func (r *records) ask(_ context.Context, name string, qtype uint16) (*dns.Msg, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[name+" "+dns.TypeToString[qtype]]++
	if err := r.faults[name]; err != nil {
		return nil, err
	}
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.Rcode = dns.RcodeNameError
	for _, rr := range r.list {
		if h := rr.Header(); h.Name == name {
			m.Rcode = dns.RcodeSuccess
			if h.Rrtype == qtype || h.Rrtype == dns.TypeCNAME {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	return m, nil
}

func (r *records) role() cert.ServerRole       { return cert.Recursive }
func (r *records) server(name string) string   { return cmp.Or(r.others[dns.Fqdn(name)], "192.0.2.53") }
func (r *records) delegatedTo(string) []string { return nil }

const aliasZone = `
	shop.example.com. 60 CNAME cdn.example.net.
	cdn.example.net. 60 CNAME edge.platform.net.
	edge.platform.net. 60 A 192.0.2.10
	edge.platform.net. 60 CAA 0 issue "ca.example"`

func TestLookupFollowsAliasesToTheirEnd(t *testing.T) {
	t.Parallel()
	a := newView(newRecords(t, aliasZone), nil).Lookup(t.Context(), "Shop.example.com", dns.TypeA)
	require.NoError(t, a.Err)
	require.Equal(t, "shop.example.com.", a.Name)
	require.Equal(t, []string{"cdn.example.net.", "edge.platform.net."}, a.Aliases)
	require.Equal(t, []string{"CNAME cdn.example.net", "CNAME edge.platform.net", "A 192.0.2.10"}, a.Text())
	require.True(t, a.LeadsTo("EDGE.platform.net"))
	require.False(t, a.LeadsTo("platform.net"))
}

func TestLookupKeepsTheAliasesBeforeAFault(t *testing.T) {
	t.Parallel()
	source := newRecords(t, aliasZone)
	source.faults["edge.platform.net."] = errors.New("REFUSED")
	view := newView(source, nil)
	for _, a := range []Answer{view.Lookup(t.Context(), "shop.example.com", dns.TypeA), view.LookupAliases(t.Context(), "shop.example.com")} {
		require.ErrorContains(t, a.Err, "192.0.2.53")
		require.ErrorContains(t, a.Err, "REFUSED")
		require.True(t, a.LeadsTo("edge.platform.net"))
	}
}

// TestLookupEnds holds that a hostile zone can't make a check go on.
func TestLookupEnds(t *testing.T) {
	t.Parallel()
	var chain strings.Builder
	for i := range MaxAliases + 1 {
		fmt.Fprintf(&chain, "n%d.example. 60 CNAME n%d.example.\n", i, i+1)
	}
	fmt.Fprintf(&chain, "n%d.example. 60 A 192.0.2.10\n", MaxAliases+1)
	for name, c := range map[string]struct {
		zone    string
		aliases int
	}{
		"to itself": {"n0.example. 60 CNAME n0.example.", 0},
		"in a ring": {"n0.example. 60 CNAME n1.example.\nn1.example. 60 CNAME n2.example.\nn2.example. 60 CNAME n1.example.", 2},
		"too long":  {chain.String(), MaxAliases},
	} {
		t.Run(name, func(t *testing.T) {
			a := newView(newRecords(t, c.zone), nil).Lookup(t.Context(), "n0.example", dns.TypeA)
			require.NoError(t, a.Err)
			require.True(t, a.Endless)
			require.Len(t, a.Aliases, c.aliases)
		})
	}
	a := newView(newRecords(t, chain.String()), nil).Lookup(t.Context(), "n1.example", dns.TypeA)
	require.False(t, a.Endless, "the longest chain that is followed")
	require.Len(t, a.Records, 1)
}

func TestAQuestionIsSentOnce(t *testing.T) {
	t.Parallel()
	source := newRecords(t, aliasZone)
	view := newView(source, nil)
	var checks sync.WaitGroup
	for range 20 {
		checks.Go(func() { view.LookupAddresses(t.Context(), "shop.example.com") })
	}
	checks.Wait()
	for question, times := range source.asked {
		require.Equal(t, 1, times, question)
	}
	require.Len(t, source.asked, 6, "three names, two families")
}

// TestAViewStops holds that a View which stops at the platform's names asks about them for CAA only: those records count for the alias
// (RFC 8659 §3).
func TestAViewStops(t *testing.T) {
	t.Parallel()
	source := newRecords(t, aliasZone)
	view := newView(source, []string{"edge.platform.net."})
	require.False(t, view.Complete())
	a := view.Lookup(t.Context(), "shop.example.com", dns.TypeA)
	require.True(t, view.StopsAt(a))
	require.Empty(t, a.Records)
	require.Zero(t, source.asked["edge.platform.net. A"])
	require.Len(t, view.Lookup(t.Context(), "shop.example.com", dns.TypeCAA).Records, 1)
	require.Len(t, view.Lookup(t.Context(), "edge.platform.net", dns.TypeA).Records, 1, "asked for by its own name")
}

// TestASilentServerIsAskedOnce holds that a dead server costs one time limit, not one for each check; one that answered something before is
// asked again, because datagrams get lost.
func TestASilentServerIsAskedOnce(t *testing.T) {
	t.Parallel()
	source := newRecords(t, aliasZone)
	source.faults["dead.example."] = ErrTimeout
	view := newView(source, nil)
	require.ErrorIs(t, view.Lookup(t.Context(), "dead.example", dns.TypeA).Err, ErrTimeout)
	require.ErrorIs(t, view.Lookup(t.Context(), "shop.example.com", dns.TypeA).Err, ErrTimeout)
	require.Zero(t, source.asked["shop.example.com. A"])

	source = newRecords(t, aliasZone)
	source.faults["dead.example."] = ErrTimeout
	view = newView(source, nil)
	require.NoError(t, view.Lookup(t.Context(), "shop.example.com", dns.TypeA).Err)
	require.ErrorIs(t, view.Lookup(t.Context(), "dead.example", dns.TypeA).Err, ErrTimeout)
	require.NoError(t, view.Lookup(t.Context(), "edge.platform.net", dns.TypeCAA).Err)
	require.Equal(t, 1, source.asked["edge.platform.net. CAA"])

	source = newRecords(t, aliasZone)
	source.faults["dead.example."], source.others = ErrTimeout, map[string]string{"dead.example.": "192.0.2.54"}
	view = newView(source, nil)
	require.ErrorIs(t, view.Lookup(t.Context(), "dead.example", dns.TypeA).Err, ErrTimeout)
	require.NoError(t, view.Lookup(t.Context(), "shop.example.com", dns.TypeA).Err, "the servers of another domain are not dead")
}

// TestBogusAnswersNameTheZone holds that an answer which fails DNSSEC validation reaches the checks as such, and blames the zone at fault.
func TestBogusAnswersNameTheZone(t *testing.T) {
	t.Parallel()
	source := newRecords(t, aliasZone)
	source.faults["cdn.example.net."] = &BogusError{Zone: "example.net", Detail: "the signature has expired"}
	a := newView(source, nil).Lookup(t.Context(), "shop.example.com", dns.TypeA)
	bogus, ok := errors.AsType[*BogusError](a.Err)
	require.True(t, ok)
	require.EqualError(t, a.Err, "DNSSEC: the signature has expired", "no server beside the zone's own fault")
	p := bogus.Problem("shop.example.com")
	require.Equal(t, cert.DNSSECBogus, p.Code)
	require.Contains(t, p.Message, "example.net")
	p = (&BogusError{Detail: "resolvers refuse it"}).Problem("shop.example.com")
	require.Contains(t, p.Message, "example.com", "where the zone isn't known")
}

func TestExists(t *testing.T) {
	t.Parallel()
	source := newRecords(t, aliasZone)
	source.faults["dead.example."] = errors.New("SERVFAIL")
	view := newView(source, nil)
	for name, exists := range map[string]bool{
		"shop.example.com": true, "edge.platform.net": true, "gone.example": false, "dead.example": false,
	} {
		got, err := view.Exists(t.Context(), name, dns.TypeSOA)
		require.Equal(t, exists, got, name)
		require.Equal(t, name == "dead.example", err != nil, name)
	}
}
