package cert_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
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
	delegated, owned := cert.DelegationLabel("shop.example.com", secret), cert.OwnershipValue("shop.example.com", "acme", secret)
	require.Equal(t, []cert.Record{
		{Name: "_evercert.shop.example.com", Type: "TXT", Value: owned, Purpose: cert.ForOwnership, Hostname: "shop.example.com"},
		{
			Name:     "_acme-challenge.shop.example.com",
			Type:     "CNAME",
			Value:    delegated + ".dcv.example.net",
			Purpose:  cert.ForDelegation,
			Hostname: "shop.example.com",
		},
		{Name: "shop.example.com", Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress, Hostname: "shop.example.com"},
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
		{Name: "example.com", Type: "A", Value: "192.0.2.10", Purpose: cert.ForAddress, Hostname: "example.com"},
		{Name: "example.com", Type: "AAAA", Value: "2001:db8::10", Purpose: cert.ForAddress, Hostname: "example.com"},
		{Name: "www.example.com", Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress, Hostname: "www.example.com"},
	}, addresses)
}

// TestD1_OwnershipIsAskedForAtEachNameThatNoOtherCovers: a record beside a name shows nothing about it, one above it does.
func TestD1_OwnershipIsAskedForAtEachNameThatNoOtherCovers(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]string{
		"shop.example.com":                                        "shop.example.com",
		"b.example.com shop.example.com":                          "b.example.com shop.example.com",
		"www.example.com example.com":                             "example.com",
		"a.b.example.com b.example.com c.example.com":             "b.example.com c.example.com",
		"*.example.com example.com":                               "example.com",
		"www.example.com shop.example.co.uk a.shop.example.co.uk": "www.example.com shop.example.co.uk",
		"github.io foo.github.io":                                 "github.io foo.github.io", // foo is not github's
		long(243):                                                 long(243),
		long(244):                                                 long(244)[64:], // "_evercert." does not fit before it
	} {
		d, owned := connected(strings.Fields(names)...), []string{}
		for _, r := range platform.ExpectedRecords(d, secret) {
			if r.Purpose == cert.ForOwnership {
				place := strings.TrimPrefix(r.Name, "_evercert.")
				owned = append(owned, place)
				require.Equal(t, cert.OwnershipValue(place, "acme", secret), r.Value)
			}
		}
		require.Equal(t, want, strings.Join(owned, " "), names)
	}
}

// TestF19_AnOwnershipValueIsBoundToTenantAndName: nobody else's record has it, and no other name's.
func TestF19_AnOwnershipValueIsBoundToTenantAndName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, place := range []string{"example.com", "shop.example.com", "b.example.com"} {
		for _, tenant := range []string{"acme", "beta"} {
			value := cert.OwnershipValue(place, tenant, secret)
			require.Regexp(t, label, strings.TrimPrefix(value, cert.OwnershipValuePrefix))
			require.False(t, seen[value], "%s of %s", place, tenant)
			seen[value] = true
		}
	}
	require.Equal(t, cert.OwnershipValue("example.com", "acme", secret), cert.OwnershipValue("*.example.com", "acme", secret))
}

func TestANameTooLongForItsChallengeIsAskedForNoDelegation(t *testing.T) {
	t.Parallel()
	for characters, want := range map[int]int{237: 1, 238: 0} {
		delegations := 0
		for _, r := range platform.ExpectedRecords(connected(long(characters)), secret) {
			require.LessOrEqual(t, len(r.Name), 253)
			if r.Purpose == cert.ForDelegation {
				delegations++
			}
		}
		require.Equal(t, want, delegations, "%d characters", characters)
	}
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
	require.Equal(t, "evercert-tenant=hl5mbuuksesapif53o3z53poyq", cert.OwnershipValue("example.com", "acme", secret))
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
		owned := cert.OwnershipValue("example.com", "acme", s)[len("evercert-tenant="):]
		require.Regexp(t, label, owned)
		require.False(t, seen[owned], "what shows ownership says nothing about delegations, even of a name like the tenant's")
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

// Nothing but these records knows which name a record is for: no code strips labels to find out.
func TestD1_EachRecordKnowsTheNameThatItIsFor(t *testing.T) {
	t.Parallel()
	p := cert.Platform{ValidationZone: "dcv.example.net", Target: "edge.example.net", Addresses: []string{"192.0.2.10"}}
	d := cert.Domain{Hostname: "example.com", Names: []string{"example.com", "_evercert.www.example.com", "*.example.com"}, Tenant: "acme"}
	var got []string
	for _, r := range p.ExpectedRecords(d, secret) {
		got = append(got, fmt.Sprintf("%s %s: %s", r.Purpose, r.Name, r.Hostname))
	}
	require.Equal(t, []string{
		"ownership _evercert.example.com: example.com",
		"delegation _acme-challenge.example.com: example.com",
		"delegation _acme-challenge._evercert.www.example.com: _evercert.www.example.com",
		"delegation _acme-challenge.example.com: example.com", // of the wildcard
		"address example.com: example.com",
		"address _evercert.www.example.com: _evercert.www.example.com",
		"address *.example.com: *.example.com",
	}, got)
}

func TestRecordsAreTheSameWhateverIsKnownOfThem(t *testing.T) {
	t.Parallel()
	stored := cert.Record{Name: "_acme-challenge.example.com", Type: "CNAME", Value: "x.dcv.example.net", Purpose: cert.ForDelegation}
	expected := stored
	expected.Hostname = "example.com" // not stored before there was this field
	require.True(t, expected.Same(stored))
	for _, other := range []cert.Record{
		{Name: "_acme-challenge.example.org", Type: stored.Type, Value: stored.Value},
		{Name: stored.Name, Type: "TXT", Value: stored.Value},
		{Name: stored.Name, Type: stored.Type, Value: "y.dcv.example.net"},
	} {
		require.False(t, stored.Same(other))
	}
}

// TestD4_ADiagnosisIsShownWithTheRecordsThatAreExpectedNow: nothing that was asked for earlier is shown, nothing that is asked for is
// missing.
func TestD4_ADiagnosisIsShownWithTheRecordsThatAreExpectedNow(t *testing.T) {
	t.Parallel()
	expected := platform.ExpectedRecords(connected("shop.example.com"), secret)
	before, gone := expected[1], expected[2]
	before.Hostname = "" // as it was stored before there was this field
	gone.Value = "old.example.net"
	d := cert.Diagnosis{Verdict: cert.Wrong, Records: []cert.RecordState{
		{Record: gone, Verdict: cert.OK},
		{Record: before, Verdict: cert.Wrong, Found: []string{"CNAME a\x00.example"}},
	}}
	shown := d.WithRecords(expected)
	require.Equal(t, []cert.RecordState{
		{Record: expected[0]},
		{Record: expected[1], State: cert.RecordWrong, Verdict: cert.Wrong, Found: []string{"CNAME a.example"}},
		{Record: expected[2]},
	}, shown.Records)
	encoded, err := json.Marshal(cert.Diagnosis{}.WithRecords(nil))
	require.NoError(t, err)
	require.JSONEq(t, `{"problems": [], "records": []}`, string(encoded), "before the first check there is no time and no verdict")
}
