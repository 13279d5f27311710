package authority_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/authority"
)

// healthy is a world of a root (1), a registry for test. (2), one for other. (3), and example.test. on two servers (4, 5).
func healthy(t testing.TB, more int) *world {
	w := newWorld(t, 5+more)
	w.zone(".", `
		. NS ns.
		ns. A $1
		test. NS ns.test.
		ns.test. A $2
		other. NS ns.other.
		ns.other. A $3`, 1)
	w.zone("test.", `
		test. NS ns.test.
		ns.test. A $2
		example.test. NS ns1.example.test.
		example.test. NS ns2.example.test.
		ns1.example.test. A $4
		ns2.example.test. A $5`, 2)
	w.zone("other.", "other. NS ns.other.\nns.other. A $3", 3)
	w.zone("example.test.", exampleZone, 4, 5)
	return w
}

const exampleZone = `
	example.test. NS ns1.example.test.
	example.test. NS ns2.example.test.
	ns1.example.test. A $4
	ns2.example.test. A $5
	example.test. A 192.0.2.1
	www.example.test. CNAME shop.elsewhere.example.
	_acme-challenge.www.example.test. CNAME x.dcv.example.
	*.wild.example.test. TXT "wild"
	b.ent.example.test. TXT "below a name without records"`

func states(z *authority.Zone) map[string]authority.State {
	all := map[string]authority.State{}
	for _, server := range z.Servers {
		key := server.Name
		if server.Address.IsValid() {
			key += " " + server.Address.Addr().String()
		}
		all[key] = server.State
	}
	return all
}

func kinds(z *authority.Zone) []authority.FaultKind {
	var all []authority.FaultKind
	for _, fault := range z.Faults() {
		all = append(all, fault.Kind)
	}
	return all
}

func TestZone_Healthy(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	tree := w.tree()
	z, err := tree.Zone(w.context(), "Example.test")
	require.NoError(t, err)
	require.Equal(t, "example.test.", z.Name)
	require.Equal(t, "test.", z.Parent)
	require.False(t, z.Registry)
	require.Equal(t, []string{"ns1.example.test.", "ns2.example.test."}, z.ParentNS)
	require.Equal(t, z.ParentNS, z.ChildNS)
	require.Equal(t, map[string]authority.State{
		w.fill("ns1.example.test. $4"): authority.Answers, w.fill("ns2.example.test. $5"): authority.Answers,
	}, states(z))
	require.Equal(t, []int{0, 1}, z.Answering())
	require.Empty(t, z.Faults())
	require.EqualValues(t, 1, z.Servers[0].SOA.Serial)
	require.Equal(t, 5, tree.Queries(), "root, registry, SOA of two servers, NS of one")

	m, err := tree.Ask(w.context(), z, 0, "example.test", dns.TypeA)
	require.NoError(t, err)
	require.Len(t, m.Answer, 1)
	_, err = tree.Ask(w.context(), z, 0, "EXAMPLE.test.", dns.TypeA)
	require.NoError(t, err)
	require.Equal(t, 1, w.asked(4, "example.test. A"), "one question is sent once")
}

func TestZone_NamesInOneZone(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	tree := w.tree()
	for name, absent := range map[string]bool{
		"www.example.test": false, "_acme-challenge.www.example.test": false, "x.wild.example.test": false,
		"ent.example.test": false, "b.ent.example.test": false, "nothing.example.test": true, "_acme-challenge.nothing.example.test": true,
		strings.Repeat("a.", 60) + "example.test": true,
	} {
		z, err := tree.Zone(w.context(), name)
		require.NoError(t, err)
		require.Equal(t, "example.test.", z.Name, name)
		require.Equal(t, absent, z.NXDomain, name)
	}
	require.Equal(t, 1, w.asked(1), "the root is asked once for all names")
	require.Equal(t, 1, w.asked(2), "and so is the registry")
	require.Equal(t, 2+1+9, w.asked(4)+w.asked(5), "SOA, NS and one question for each name and each label between")
}

func TestZone_ManyAskAtOnce(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	tree := w.tree()
	errs := make(chan error)
	for range 10 {
		for _, name := range []string{"example.test", "www.example.test", "_acme-challenge.www.example.test"} {
			go func() {
				z, err := tree.Zone(w.context(), name)
				if err == nil && len(z.Answering()) != 2 {
					err = fmt.Errorf("%s: %v", name, states(z))
				}
				errs <- err
			}()
		}
	}
	for range 30 {
		require.NoError(t, <-errs)
	}
	require.Equal(t, 1, w.asked(1))
	require.Equal(t, 1, w.asked(2))
	require.Equal(t, 2, w.asked(4, "example.test. SOA")+w.asked(5, "example.test. SOA"))
	require.LessOrEqual(t, tree.Queries(), 2+2*4, "each server at most once for SOA, NS and two names")
}

func TestZone_BadName(t *testing.T) {
	t.Parallel()
	tree := authority.NewTree(authority.Config{})
	for _, name := range []string{"", "a..b", strings.Repeat("a", 64) + ".test", strings.Repeat("abcdefg.", 40)} {
		_, err := tree.Zone(t.Context(), name)
		require.ErrorContains(t, err, "no domain name", name)
	}
	_, err := tree.Zone(t.Context(), "example.test")
	unreachable := new(authority.UnreachableError)
	require.ErrorAs(t, err, &unreachable, "there are no roots")
	require.Equal(t, ".", unreachable.Zone)
	require.ErrorContains(t, authority.Config{Roots: []string{"a.example:53"}}.Validate(), "a.example:53")
	require.Error(t, authority.Config{}.Validate())
}

func TestZone_NoDomain(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	for name, want := range map[string][2]string{
		"www.unregistered.test": {"unregistered.test.", "test."}, "unregistered.test": {"unregistered.test.", "test."},
		"www.example.nosuch": {"nosuch.", "."},
	} {
		_, err := w.tree().Zone(w.context(), name)
		absent := new(authority.NoDomainError)
		require.ErrorAs(t, err, &absent)
		require.Equal(t, want, [2]string{absent.Name, absent.Zone})
		require.NotNil(t, absent.SOA)
		require.Equal(t, want[1], absent.SOA.Hdr.Name)
		require.Contains(t, err.Error(), "doesn't exist")
	}
}

func TestZone_DeadRegistry(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.twist(func(*dns.Msg, string) *dns.Msg { return nil }, 2)
	tree := w.tree(impatient)
	for range 2 {
		_, err := tree.Zone(w.context(), "www.example.test")
		unreachable := new(authority.UnreachableError)
		require.ErrorAs(t, err, &unreachable)
		require.Equal(t, "test.", unreachable.Zone)
		require.ErrorContains(t, err, "no answer in time")
	}
	require.Equal(t, 3, w.asked(2))
}

func TestZone_OneRegistryServerIsDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8)
	w.zone(".", "test. NS a.test.\ntest. NS b.test.\ntest. NS c.test.\na.test. A $2\nb.test. A $3\nc.test. A $4", 1)
	w.zone("test.", "example.test. NS ns.example.test.\nns.example.test. A $5", 3, 4)
	w.twist(func(*dns.Msg, string) *dns.Msg { return nil }, 2)
	w.zone("example.test.", "example.test. NS ns.example.test.\nns.example.test. A $5", 5)
	for range 6 { // each Tree begins elsewhere
		require.Len(t, w.find("example.test", impatient).Answering(), 1)
	}
}

func TestZone_ServersOutsideTheZone(t *testing.T) {
	t.Parallel()
	w := healthy(t, 2)
	// outside its zone
	w.zone("test.", "example.test. NS ns1.provider.other.\nexample.test. NS ns2.provider.other.\nns1.provider.other. A 192.0.2.66", 2)
	w.zone("other.", "provider.other. NS ns.provider.other.\nns.provider.other. A $6", 3)
	w.zone("provider.other.", `
		provider.other. NS ns.provider.other.
		ns.provider.other. A $6
		ns1.provider.other. A $4
		ns2.provider.other. CNAME alias.provider.other.
		alias.provider.other. A $5`, 6)
	w.zone("example.test.", "example.test. NS ns1.provider.other.\nexample.test. NS ns2.provider.other.", 4, 5)
	tree := w.tree()
	z, err := tree.Zone(w.context(), "example.test")
	require.NoError(t, err)
	require.Equal(t, map[string]authority.State{
		w.fill("ns1.provider.other. $4"): authority.Answers, w.fill("ns2.provider.other. $5"): authority.Answers,
	}, states(z))
	require.Empty(t, z.Faults())
	require.LessOrEqual(t, tree.Queries(), 5+2+6, "two to the provider's zone, two for each name and its alias")
}

func TestZone_ReferralsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	refer := func(owner string) func(*dns.Msg, string) *dns.Msg {
		return func(m *dns.Msg, _ string) *dns.Msg {
			rr, _ := dns.NewRR(owner + " 60 NS ns.test.")
			m.Authoritative, m.Rcode, m.Answer, m.Ns = false, dns.RcodeSuccess, nil, []dns.RR{rr}
			return m
		}
	}
	for _, owner := range []string{".", "test.", "elsewhere.test.", "other."} {
		t.Run("registry refers to "+owner, func(t *testing.T) {
			t.Parallel()
			w := healthy(t, 0)
			w.twist(refer(owner), 2)
			_, err := w.tree().Zone(w.context(), "www.example.test")
			unreachable := new(authority.UnreachableError)
			require.ErrorAs(t, err, &unreachable)
			require.Equal(t, "test.", unreachable.Zone)
			require.Equal(t, 1, w.asked(2))
		})
	}
}

func TestZone_ParentAndChildOnOneServer(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	w.zone("example.test.", exampleZone+"\nshop.example.test. NS ns1.example.test.", 4, 5)
	w.zone("shop.example.test.", "shop.example.test. NS ns1.example.test.\nwww.shop.example.test. A 192.0.2.1", 4, 5)
	z := w.find("_acme-challenge.www.shop.example.test")
	require.Equal(t, "shop.example.test.", z.Name)
	require.Equal(t, "example.test.", z.Parent)
	require.True(t, z.NXDomain)
	require.Nil(t, z.ParentNS)
	require.Equal(t, []string{"ns1.example.test."}, z.ChildNS)
	require.Len(t, z.Answering(), 2)
	require.Empty(t, z.Faults())

	// One server holds the parent only, another the child only. Which way the walk learns of the child depends on whom it asks
	// first; what it finds doesn't.
	w = healthy(t, 1)
	w.zone("example.test.", exampleZone+"\nshop.example.test. NS ns1.example.test.\nshop.example.test. NS "+
		"ns.shop.example.test.\nns.shop.example.test. A $6", 4, 5)
	w.zone("shop.example.test.", "shop.example.test. NS ns1.example.test.\nshop.example.test. NS "+
		"ns.shop.example.test.\nns.shop.example.test. A $6", 4, 6)
	for range 5 {
		z = w.find("www.shop.example.test")
		require.Equal(t, "shop.example.test.", z.Name)
		require.Equal(t, map[string]authority.State{
			w.fill("ns1.example.test. $4"): authority.Answers, w.fill("ns.shop.example.test. $6"): authority.Answers,
		}, states(z))
		require.Equal(t, []string{"ns.shop.example.test.", "ns1.example.test."}, z.ParentNS)
		require.Empty(t, z.Faults())
	}
}

func TestZone_EverythingOnOneServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for _, zone := range []string{".", "test.", "example.test."} {
		w.zone(zone, "@ NS ns.example.test.\nns.example.test. A $1", 1)
	}
	z := w.find("www.example.test")
	require.Equal(t, "example.test.", z.Name)
	require.Equal(t, "test.", z.Parent)
	require.Equal(t, map[string]authority.State{w.fill("ns.example.test. $1"): authority.Answers}, states(z))
	_, err := w.tree().Zone(w.context(), "www.nothing.test")
	require.ErrorAs(t, err, new(*authority.NoDomainError))
}

func TestZone_Delegated(t *testing.T) {
	t.Parallel()
	w := healthy(t, 1)
	w.zone("example.test.", exampleZone+"\nsub.dept.example.test. NS ns.sub.dept.example.test.\nns.sub.dept.example.test. A $6", 4, 5)
	w.zone("sub.dept.example.test.", "sub.dept.example.test. NS ns.sub.dept.example.test.\nns.sub.dept.example.test. A $6", 6)
	z := w.find("www.sub.dept.example.test")
	require.Equal(t, "sub.dept.example.test.", z.Name)
	require.Equal(t, "example.test.", z.Parent)
	require.Equal(t, []string{"ns.sub.dept.example.test."}, z.ParentNS)
	require.Empty(t, z.Faults())

	// The server that the delegation leads to doesn't know of it.
	w.zone("example.test.", exampleZone+"\nsub.example.test. NS ns2.example.test.", 4)
	z = w.find("www.sub.example.test")
	if z.Name == "sub.example.test." { // unless the other server, which has no such delegation, was asked
		require.Equal(t, []authority.FaultKind{authority.LameServer}, kinds(z))
		require.Contains(t, z.Servers[0].Detail, "holds the zone above")
	}
}

func TestZone_EmptyNonTerminalsDenied(t *testing.T) {
	t.Parallel()
	w := healthy(t, 1)
	w.zone("example.test.", exampleZone+"\nsub.dept.example.test. NS ns.sub.dept.example.test.\nns.sub.dept.example.test. A $6", 4, 5)
	w.zone("sub.dept.example.test.", "a TXT a", 6)
	w.twist(func(m *dns.Msg, _ string) *dns.Msg { // a server that doesn't know RFC 8020
		if m.Authoritative && m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		return m
	}, 4, 5)
	require.Equal(t, "sub.dept.example.test.", w.find("www.sub.dept.example.test").Name)
	require.True(t, w.find("ent.example.test").NXDomain)
	require.Equal(t, "example.test.", w.find("b.ent.example.test").Name)
}

func TestZone_PublicSuffixOfTwoLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.zone(".", "uk. NS ns.uk.\nns.uk. A $2", 1)
	w.zone("uk.", "co.uk. NS ns.uk.\nns.uk. A $2", 2)
	w.zone("co.uk.", "example.co.uk. NS ns.example.co.uk.\nns.example.co.uk. A $3", 2)
	w.zone("example.co.uk.", "example.co.uk. NS ns.example.co.uk.\nns.example.co.uk. A $3", 3)
	z := w.find("www.example.co.uk")
	require.Equal(t, "example.co.uk.", z.Name)
	require.Equal(t, "co.uk.", z.Parent)
	require.Empty(t, z.Faults())
	_, err := w.tree().Zone(w.context(), "www.nothing.co.uk")
	absent := new(authority.NoDomainError)
	require.ErrorAs(t, err, &absent)
	require.Equal(t, "nothing.co.uk.", absent.Name)
	require.Equal(t, "co.uk.", absent.Zone)
	z = w.find("co.uk")
	require.True(t, z.Registry)
}

func TestZone_TooManyQueries(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	_, err := w.tree(func(c *authority.Config) { c.MaxQueries = 3 }).Zone(w.context(), "www.example.test")
	require.ErrorIs(t, err, authority.ErrTooManyQueries)
}

func TestZone_ContextEnds(t *testing.T) {
	t.Parallel()
	w := healthy(t, 0)
	asked := make(chan struct{}, 100)
	w.twist(func(*dns.Msg, string) *dns.Msg { asked <- struct{}{}; return nil }, 4, 5)
	ctx, cancel := context.WithCancel(t.Context())
	tree := w.tree(func(c *authority.Config) { c.QueryTimeout = time.Hour })
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() { _, err := tree.Zone(ctx, "www.example.test"); ended <- err }()
	}
	<-asked
	cancel()
	for range cap(ended) {
		require.ErrorIs(t, <-ended, ctx.Err())
	}

	// What one caller gave up another may still ask.
	w.twist(nil, 4, 5)
	z, err := tree.Zone(w.context(), "www.example.test")
	require.NoError(t, err)
	require.Len(t, z.Answering(), 2)
}

// TestF1_NamesInARegistrysOwnZone: some registries, and companies with suffixes, have records of others in the suffix's zone.
func TestF1_NamesInARegistrysOwnZone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.zone(".", "uk. NS ns.uk.\nns.uk. A $2\nio. NS ns.io.\nns.io. A $2", 1)
	w.zone("uk.", "nhs.uk. NS ns.nhs.uk.\nns.nhs.uk. A $3\nhere.uk. MX 1 mail.here.uk.\nns1.glue.uk. A 192.0.2.9", 2)
	w.zone("io.", "github.io. NS ns.github.io.\nns.github.io. A $3", 2)
	w.zone("nhs.uk.", "www.trust.nhs.uk. A 192.0.2.1", 3)
	w.zone("github.io.", "tenant.github.io. A 192.0.2.1", 3)
	for name, want := range map[string]struct {
		zone        string
		undelegated bool
	}{
		"www.trust.nhs.uk": {"nhs.uk.", false},
		"trust.nhs.uk":     {"nhs.uk.", false},
		"tenant.github.io": {"github.io.", false},
		"here.uk":          {"uk.", false},
		"glue.uk":          {"uk.", true},
		"www.glue.uk":      {"uk.", true},
	} {
		z := w.find(name)
		require.Equal(t, want.zone, z.Name, name)
		require.Equal(t, want.undelegated, z.Undelegated, name)
	}
	_, err := w.tree().Zone(w.context(), "stranger.nhs.uk")
	require.ErrorAs(t, err, new(*authority.NoDomainError))
}
