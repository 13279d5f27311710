package ca_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/evercert/evercert/ca"
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
			"orders  300 36s",
			"domain example.co.uk 50 3h21m36s",
			"domain example.com 50 3h21m36s",
			"set example.co.uk,shop.example.com,www.example.co.uk 5 33h36m0s",
			"failures example.co.uk 5 12m0s",
			"failures shop.example.com 5 12m0s",
			"failures www.example.co.uk 5 12m0s",
		}},
		{true, []string{
			"set example.co.uk,shop.example.com,www.example.co.uk 5 33h36m0s",
			"failures example.co.uk 5 12m0s",
			"failures shop.example.com 5 12m0s",
			"failures www.example.co.uk 5 12m0s",
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
	charges := []ca.Charge{{Bucket: "orders"}, {Bucket: "domain"}, {Bucket: "set"}, {Bucket: "failures"}}
	if got := describe(ca.Unspent(charges, true)); !slices.Equal(got, []string{"failures  0 0s"}) {
		t.Errorf("issued: %q", got)
	}
	if got := describe(ca.Unspent(charges, false)); !slices.Equal(got, []string{"domain  0 0s", "set  0 0s"}) {
		t.Errorf("failed: %q", got)
	}
}

func describe(charges []ca.Charge) []string {
	var told []string
	for _, c := range charges {
		told = append(told, fmt.Sprintf("%s %s %d %s", c.Bucket, c.Key, c.Capacity, c.Refill))
	}
	return told
}
