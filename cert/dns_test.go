package cert_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

var (
	platform = cert.Platform{ValidationZone: "dcv.example.net", Target: "edge.example.net", Addresses: []string{"192.0.2.10", "2001:db8::10"}}
	secret   = []byte("the secret of tenant acme, 32 by")
	label    = regexp.MustCompile(`^[a-z2-7]{26}$`) // base32 of 128 bits
)

func connected(names ...string) cert.Domain {
	return cert.Domain{ID: "1", Hostname: names[0], Names: names, Tenant: "acme"}
}

func TestD1_ASubdomainNeedsThreeRecords(t *testing.T) {
	t.Parallel()
	delegated, owned := cert.DelegationLabel("shop.example.com", secret), cert.OwnershipValue("acme", secret)
	require.Equal(t, []cert.Record{
		{Name: "_evercert.shop.example.com", Type: "TXT", Value: owned, Purpose: cert.ForOwnership},
		{Name: "_acme-challenge.shop.example.com", Type: "CNAME", Value: delegated + ".dcv.example.net", Purpose: cert.ForDelegation},
		{Name: "shop.example.com", Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress},
	}, platform.ExpectedRecords(connected("shop.example.com"), secret))
}

func TestD1_AnApexGetsAddressesInPlaceOfACNAME(t *testing.T) {
	t.Parallel()
	var addresses []cert.Record
	for _, r := range platform.ExpectedRecords(connected("example.com", "www.example.com"), secret) {
		if r.Purpose == cert.ForAddress {
			addresses = append(addresses, r)
		}
	}
	require.Equal(t, []cert.Record{
		{Name: "example.com", Type: "A", Value: "192.0.2.10", Purpose: cert.ForAddress},
		{Name: "example.com", Type: "AAAA", Value: "2001:db8::10", Purpose: cert.ForAddress},
		{Name: "www.example.com", Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress},
	}, addresses)
}

func TestD1_OwnershipIsShownOnceForEachRegisteredDomain(t *testing.T) {
	t.Parallel()
	owned := map[string]string{}
	var delegations []string
	for _, r := range platform.ExpectedRecords(connected("www.example.com", "example.com", "shop.example.co.uk", "blog.example.co.uk"), secret) {
		switch r.Purpose {
		case cert.ForOwnership:
			owned[r.Name] = r.Value
		case cert.ForDelegation:
			delegations = append(delegations, r.Name)
		}
	}
	value := cert.OwnershipValue("acme", secret)
	require.Equal(t, map[string]string{"_evercert.www.example.com": value, "_evercert.shop.example.co.uk": value}, owned)
	require.Equal(t, []string{
		"_acme-challenge.www.example.com", "_acme-challenge.example.com", "_acme-challenge.shop.example.co.uk", "_acme-challenge.blog.example.co.uk",
	}, delegations, "the CA validates each name")
}

func TestD2_RecordsAreStableSoThatOneDelegationServesEveryRenewal(t *testing.T) {
	t.Parallel()
	d := connected("example.com", "www.example.com")
	first := platform.ExpectedRecords(d, secret)
	require.Equal(t, first, platform.ExpectedRecords(d, secret))
	d.ID = "2" // removed and connected again
	require.Equal(t, first, platform.ExpectedRecords(d, secret))
	require.Equal(t, "_acme-challenge.example.com", cert.DelegationName("*.example.com"), "a wildcard is validated at its base name")
	require.Equal(t, cert.DelegationLabel("example.com", secret), cert.DelegationLabel("*.example.com", secret))
	// What tenants have in their zones already: these never change.
	require.Equal(t, "qkrbxpydbgslvjcyqqk7projda", cert.DelegationLabel("example.com", secret))
	require.Equal(t, "evercert-tenant=z3eiwwr6icoxoitjxfatbodwum", cert.OwnershipValue("acme", secret))
}

func TestDelegationLabelsCannotBeGuessedByOthers(t *testing.T) {
	t.Parallel()
	other := []byte("the secret of tenant beta, 32 by")
	seen := map[string]bool{}
	for _, s := range [][]byte{secret, other} {
		for _, name := range []string{"example.com", "www.example.com", "example.org", "acme"} {
			l := cert.DelegationLabel(name, s)
			require.Regexp(t, label, l)
			require.False(t, seen[l], "two names, or two tenants, share %s", l)
			seen[l] = true
		}
		owned := cert.OwnershipValue("acme", s)[len("evercert-tenant="):]
		require.Regexp(t, label, owned)
		require.False(t, seen[owned], "what shows ownership tells nothing about delegations, even of a name like the tenant's")
		seen[owned] = true
	}
}

func TestVerdictsTogetherAreAsBadAsTheWorst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want cert.Verdict }{
		{cert.OK, cert.OK, cert.OK},
		{cert.OK, cert.Unknown, cert.Unknown},
		{cert.OK, cert.Wrong, cert.Wrong},
		{cert.Unknown, cert.Unknown, cert.Unknown},
		{cert.Unknown, cert.Wrong, cert.Wrong},
		{cert.Wrong, cert.Wrong, cert.Wrong},
	} {
		require.Equal(t, c.want, c.a.Worse(c.b), "%s and %s", c.a, c.b)
		require.Equal(t, c.want, c.b.Worse(c.a), "%s and %s", c.b, c.a)
	}
}
