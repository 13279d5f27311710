package resolver_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

// TestD2_HealthyDomainsAreReady finds nothing wrong.
func TestD2_HealthyDomainsAreReady(t *testing.T) {
	t.Parallel()
	dns01, http01 := []cert.Method{cert.DNS01}, []cert.Method{cert.HTTP01}
	flat := "del shop.example.com CNAME\n"
	for _, s := range []setup{
		{name: "both records", methods: dns01},
		{name: "three resolvers agree", others: []string{"", ""}, methods: dns01},
		{name: "one of three resolvers is silent", others: []string{"", "fault _evercert.shop.example.com silent"}, methods: dns01},
		{name: "one of two resolvers is dead", others: []string{"dead"}, methods: dns01},
		{
			name: "one of two resolvers fails",
			others: []string{
				"fault shop.example.com servfail\nfault _evercert.shop.example.com refused\nfault _acme-challenge.shop.example.com servfail",
			},
			methods: dns01,
		},
		{name: "a resolver that leaves CNAMEs to us", zone: "lazy", methods: dns01},
		{
			name:    "delegation through an alias",
			zone:    undelegate + "add _acme-challenge.shop.example.com. 60 CNAME a.example.com.\nadd a.example.com. 60 CNAME $DELEGATION.",
			methods: dns01,
		},
		{name: "delegation in capitals", zone: undelegate + "add _Acme-Challenge.SHOP.example.com. 60 CNAME $DELEGATION.", methods: dns01},
		{
			name: "quotes copied into the TXT value",
			zone: "del _evercert.shop.example.com TXT\n" + `add _evercert.shop.example.com. 60 TXT "\"$OWNERSHIP\""`, methods: dns01,
		},
		{
			name: "other values beside ours", zone: `add _evercert.shop.example.com. 60 TXT "evercert-tenant=abcdefghijklmnopqrstuvwxyz"`,
			methods: dns01,
		},
		{name: "pointed only", zone: undelegate, methods: http01},
		{name: "pointed, the validation zone fails", zone: "fault $DELEGATION servfail", methods: http01},
		{
			name: "delegated, addresses can't be looked up",
			zone: "fault shop.example.com A servfail\nfault shop.example.com AAAA servfail\nfault shop.example.com CNAME servfail", methods: dns01,
		},
		{
			name: "flattened", zone: undelegate + flat + "add shop.example.com. 60 A 192.0.2.10\nadd shop.example.com. 60 AAAA 2001:db8::10",
			methods: http01,
		},
		{name: "flattened, IPv4 only", zone: undelegate + flat + "add shop.example.com. 60 A 192.0.2.10", methods: http01},
		{
			name: "flattened, AAAA fails", zone: undelegate + flat + "add shop.example.com. 60 A 192.0.2.10\nfault shop.example.com AAAA servfail",
			methods: http01,
		},
		{
			name:    "pointed through the tenant's own alias",
			zone:    undelegate + flat + "add shop.example.com. 60 CNAME www.example.com.\nadd www.example.com. 60 CNAME shops.platform.net.",
			methods: http01,
		},
		{name: "the platform has IPv6 only", zone: undelegate + "del shops.platform.net A", methods: http01},
		{name: "an apex", names: []string{"example.com"}, methods: dns01},
		{name: "an apex, pointed only", names: []string{"example.com"}, zone: "del _acme-challenge.example.com CNAME", methods: http01},
		{
			name: "an apex with one address of two, pointed only", names: []string{"example.com"},
			zone: "del _acme-challenge.example.com CNAME\ndel example.com AAAA", methods: http01,
		},
		{
			name: "apex and www, each by its own method", names: []string{"example.com", "www.example.com"},
			zone: "del _acme-challenge.example.com CNAME", methods: []cert.Method{cert.HTTP01, cert.DNS01},
		},
		{
			name: "an apex with the addresses of the target that www leads to", names: []string{"example.com", "www.example.com"},
			zone: "del _acme-challenge.example.com CNAME\n" + "add shops.platform.net. 60 A 192.0.2.11\n" + "del example.com A\n" +
				"add example.com. 60 A 192.0.2.11",
			methods: []cert.Method{cert.HTTP01, cert.DNS01},
		},
		{name: "a wildcard", names: []string{"*.example.com"}, methods: dns01},
		{name: "an internationalised name", names: []string{"xn--bcher-kva.example.com"}, methods: dns01},
		{name: "two registered domains", names: []string{"shop.example.com", "shop.example.org"}, methods: dns01},
		{
			name: "the first datagram is lost", zone: "fault shop.example.com lose-first\nfault _evercert.shop.example.com lose-first",
			methods: dns01,
		},
		{name: "a forged answer arrives first", zone: "fault _evercert.shop.example.com forge-first", methods: dns01},
		{
			name: "an answer too long for UDP", zone: strings.Repeat("add _evercert.shop.example.com. 60 TXT \"another value\"\n", 60),
			methods: dns01,
		},
		{name: "an answer that comes by TCP only", zone: "fault _evercert.shop.example.com tcp-only", methods: dns01},
	} {
		s.verdict = cert.OK
		t.Run(s.name, s.run)
	}
}

// TestD2_IssuesBeforeTrafficMoves: a delegated name needs no address here, but a warning says where it leads.
func TestD2_IssuesBeforeTrafficMoves(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{
		{name: "no address yet", zone: unpoint, codes: []cert.Code{cert.DNSNoRecords}},
		{name: "still at the old server", zone: unpoint + "add shop.example.com. 60 A 203.0.113.7", codes: []cert.Code{cert.DNSWrongTarget}},
		{
			name: "half moved", zone: unpoint + "add shop.example.com. 60 A 203.0.113.7\nadd shop.example.com. 60 A 192.0.2.10",
			codes: []cert.Code{cert.DNSConflictingRecords},
		},
	} {
		s.verdict, s.acts, s.methods = cert.OK, cert.TenantActs, []cert.Method{cert.DNS01}
		t.Run(s.name, s.run)
	}
}

func TestDiagnose_OwnershipNotRequired(t *testing.T) {
	setup{
		zone: "del _evercert.shop.example.com TXT", config: func(c *resolver.Config) { c.RequireOwnership = false },
		verdict: cert.OK, methods: []cert.Method{cert.DNS01},
	}.run(t)
}

// TestD4_TheStateOfEachRecord shows what was found in the place of each expected record.
func TestD4_TheStateOfEachRecord(t *testing.T) {
	t.Parallel()
	states := func(t *testing.T, s setup) (d cert.Diagnosis, verdicts []cert.Verdict, found [][]string) {
		d = s.diagnose(t)
		for _, r := range d.Records {
			verdicts, found = append(verdicts, r.Verdict), append(found, r.Found)
		}
		return d, verdicts, found
	}
	t.Run("pointed only", func(t *testing.T) {
		t.Parallel()
		s := setup{zone: undelegate}
		d, verdicts, found := states(t, s)
		require.Equal(t, []cert.Verdict{cert.OK, cert.Wrong, cert.OK}, verdicts)
		require.Equal(t, [][]string{{s.fill(`TXT "$OWNERSHIP"`)}, nil, {"CNAME shops.platform.net", "A 192.0.2.10"}}, found)
		require.Equal(t, []cert.Verdict{cert.OK, cert.OK, cert.OK}, []cert.Verdict{d.Verdict, d.Ownership, d.Pointed})
	})
	t.Run("delegated, elsewhere, ownership unknown", func(t *testing.T) {
		t.Parallel()
		s := setup{zone: unpoint + "add shop.example.com. 60 A 203.0.113.7\nfault _evercert.shop.example.com servfail"}
		d, verdicts, found := states(t, s)
		require.Equal(t, []cert.Verdict{cert.Unknown, cert.OK, cert.Wrong}, verdicts)
		require.Equal(t, [][]string{nil, {s.fill("CNAME $DELEGATION")}, {"A 203.0.113.7"}}, found)
		require.Equal(t, []cert.Verdict{cert.Unknown, cert.Unknown, cert.Wrong}, []cert.Verdict{d.Verdict, d.Ownership, d.Pointed})
	})
	t.Run("an apex with one address of two", func(t *testing.T) {
		t.Parallel()
		d, verdicts, _ := states(t, setup{names: []string{"example.com"}, zone: "del example.com AAAA"})
		require.Equal(t, []cert.Verdict{cert.OK, cert.OK, cert.OK, cert.Wrong}, verdicts)
		require.Equal(t, cert.OK, d.Pointed, "one address is enough for visitors")
	})
	t.Run("the validation zone fails: the tenant's record is right all the same", func(t *testing.T) {
		t.Parallel()
		_, verdicts, _ := states(t, setup{zone: "fault $DELEGATION servfail" + unpoint})
		require.Equal(t, []cert.Verdict{cert.OK, cert.OK, cert.Wrong}, verdicts)
	})
	t.Run("resolvers differ: what the wrong one shows", func(t *testing.T) {
		t.Parallel()
		_, verdicts, found := states(t, setup{others: []string{undelegate + "add _acme-challenge.shop.example.com. 60 CNAME old.example."}})
		require.Equal(t, cert.Wrong, verdicts[1])
		require.Equal(t, []string{"CNAME old.example"}, found[1])
	})
}
