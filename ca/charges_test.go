package ca_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/evercert/evercert/ca"
	"github.com/evercert/evercert/cert/budget"
	"github.com/evercert/evercert/cert/fleet"
	"github.com/evercert/evercert/config"
)

func TestChargesFollowTheCAsLimits(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.config.OrdersPer3Hours, s.config.OrdersPerDomainWeek, s.config.OrdersPerSetWeek, s.config.FailuresPerNameHour = 300, 50, 5, 5
	s.restart(t)
	names := []string{"www.example.co.uk", "example.co.uk", "shop.example.com"}
	for _, test := range []struct {
		renewal bool
		want    []string
	}{
		{false, []string{
			"orders  300 36s", "domain example.co.uk 50 3h21m36s", "domain example.com 50 3h21m36s",
			"set d7e1a1a85355cf58230f8f7f46779ad32a50501b9237b0c809a3451ef2e7cb42 5 33h36m0s", "failures example.co.uk 5 12m0s",
			"failures shop.example.com 5 12m0s", "failures www.example.co.uk 5 12m0s",
		}},
		{true, []string{
			"set d7e1a1a85355cf58230f8f7f46779ad32a50501b9237b0c809a3451ef2e7cb42 5 33h36m0s", "failures example.co.uk 5 12m0s",
			"failures shop.example.com 5 12m0s", "failures www.example.co.uk 5 12m0s",
		}},
	} {
		charges, err := s.Charges(t.Context(), names, test.renewal)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(charges); !slices.Equal(got, test.want) {
			t.Errorf("renewal %t:\ngot  %q\nwant %q", test.renewal, got, test.want)
		}
		account, err := s.Account(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range charges {
			if c.CA != "Test CA" || c.Account != account {
				t.Errorf("charged to account %s at %s", c.Account, c.CA)
			}
		}
	}
}

func TestZeroIsNoLimit(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	if charges, err := s.Charges(t.Context(), []string{name}, false); err != nil || len(charges) != 0 {
		t.Errorf("charges %q, %v", describe(charges), err)
	}
}

func TestOrdersGiveBackWhatTheyDidNotCost(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.config.OrdersPer3Hours, s.config.OrdersPerDomainWeek, s.config.OrdersPerSetWeek, s.config.FailuresPerNameHour = 300, 50, 5, 5
	s.restart(t)
	charges, err := s.Charges(t.Context(), []string{name}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range charges {
		want := map[string][3]bool{
			"orders": {true, false, false}, "domain": {false, false, true}, "set": {false, false, true}, "failures": {false, true, false},
		}[c.Bucket]
		if got := [3]bool{c.Shared, c.BackIfIssued, c.BackIfFailed}; got != want {
			t.Errorf("%s: shared, back if issued, back if failed: %t; want %t", c.Bucket, got, want)
		}
	}
}

// TestRegisteredDomainsAreCountedAsLetsEncryptCountsThem: by the whole list, with its private section.
func TestRegisteredDomainsAreCountedAsLetsEncryptCountsThem(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.config.OrdersPerDomainWeek = 50
	s.restart(t)
	for name, want := range map[string]string{
		"www.example.co.uk":         "example.co.uk",
		"*.example.com":             "example.com",
		"shop.someone.github.io":    "someone.github.io", // private section
		"github.io":                 "github.io",         // a suffix is counted by itself
		"www.city.kawasaki.jp":      "city.kawasaki.jp",  // an exception to a wildcard
		"a.b.c.kawasaki.jp":         "b.c.kawasaki.jp",
		"shop.example.nosuchtld":    "example.nosuchtld", // the list's default rule
		"www.xn--85x722f.com.cn":    "xn--85x722f.com.cn",
		"xn--85x722f.xn--55qx5d.cn": "xn--85x722f.xn--55qx5d.cn",
	} {
		charges, err := s.Charges(t.Context(), []string{name}, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(charges) != 1 || charges[0].Key != want {
			t.Errorf("%s is counted by %q; want %s", name, describe(charges), want)
		}
	}
}

// TestTheKeyOfASetIsShort: 100 names, the most that Let's Encrypt accepts, are longer than an index entry of PostgreSQL (2,704 bytes).
func TestTheKeyOfASetIsShort(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.config.OrdersPerSetWeek = 5
	s.restart(t)
	names := make([]string, 100)
	for i := range names {
		names[i] = strings.ToLower(rand.Text()) + ".example.com"
	}
	first, err := s.Charges(t.Context(), names, false)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(names)
	again, err := s.Charges(t.Context(), append(names, strings.ToUpper(names[0])), false)
	if err != nil || len(first[0].Key) != 64 || first[0].Key != again[0].Key {
		t.Errorf("keys %q and %q (%v); want one of 64 characters", first[0].Key, again[0].Key, err)
	}
}

func describe(charges []budget.Charge) []string {
	var lines []string
	for _, c := range charges {
		lines = append(lines, fmt.Sprintf("%s %s %d %s", c.Bucket, c.Key, c.Capacity, c.Refill))
	}
	return lines
}

// TestF20_TheDefaultBudgetsAreThoseThatASimulationGoesBy: what evercert simulate answers holds for an installation that sets nothing.
func TestF20_TheDefaultBudgetsAreThoseThatASimulationGoesBy(t *testing.T) {
	t.Parallel()
	c, err := config.LoadFrom[ca.Config](map[string]string{"ACME_DIRECTORY": "https://acme-v02.api.letsencrypt.org/directory"})
	if err != nil {
		t.Fatal(err)
	}
	set := budget.Limits{
		OrdersPer3Hours:     c.OrdersPer3Hours,
		OrdersPerDomainWeek: c.OrdersPerDomainWeek,
		OrdersPerSetWeek:    c.OrdersPerSetWeek,
		FailuresPerNameHour: c.FailuresPerNameHour,
	}
	if set != fleet.LetsEncrypt.Limits {
		t.Errorf("the defaults are %+v, those of the simulation %+v", set, fleet.LetsEncrypt.Limits)
	}
}
