package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

func TestF19_AClaimThatWasNeverVerifiedEarnsNoQuarantine(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("squatter", "www.example.com", "example.com")
	db.record(d, 1)
	db.record(d, 2, removed)
	db.connect("owner", "example.com", "www.example.com")
}

func TestF19_AVerifiedNameStaysInQuarantineAlsoWhenItsRecordsAreGone(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "example.com")
	db.record(d, 1, verified)
	db.record(d, 2) // a workflow that was lost started again
	db.record(d, 3, removed)
	_, err := db.Connect(t.Context(), newDomain("other", "example.com"))
	require.Equal(t, cert.NameTaken, problem(t, err).Code)
}

// TestF19_AnHeirGetsItsNamesAndNobodyElseDoes: names that another tenant has proved to own are kept for it, not for the domain's tenant.
func TestF19_AnHeirGetsItsNamesAndNobodyElseDoes(t *testing.T) {
	t.Parallel()
	for _, was := range []bool{true, false} {
		t.Run(fmt.Sprintf("verified %t", was), func(t *testing.T) {
			t.Parallel()
			db := open(t)
			d := db.connect("acme", "shop.example.com", "blog.example.com")
			holders, err := db.Holders(t.Context(), newDomain("heir", "new.example.com", "shop.example.com"))
			require.NoError(t, err)
			require.Equal(t, []store.Holder{{Domain: d, Wanted: []string{"shop.example.com"}}}, holders)
			db.record(d, 1, func(s *cert.Snapshot) { s.Verified = was })
			db.record(d, 2, removed, func(s *cert.Snapshot) {
				s.Verified, s.Heir = was, &cert.Heir{Tenant: "heir", Names: []string{"shop.example.com"}}
			})
			for _, tenant := range []string{"acme", "third"} {
				_, err = db.Connect(t.Context(), newDomain(tenant, "shop.example.com"))
				require.Equal(t, cert.NameTaken, problem(t, err).Code, tenant)
			}
			db.connect("heir", "shop.example.com")
			_, err = db.Connect(t.Context(), newDomain("third", "blog.example.com"))
			require.Equal(t, was, err != nil, "what was not inherited is kept for a tenant that was verified: %v", err)
		})
	}
}

func TestF19_AnOperatorLiftsAQuarantineWithNameAndReason(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "a.example.com", "b.example.com", "c.example.com")
	db.record(d, 1, verified, removed)
	db.sql(`UPDATE name_quarantine SET ends_at = now() WHERE name = 'c.example.com'`)

	kept, err := db.Quarantine(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, kept, 2, "c is over")
	require.Equal(t, "acme", kept[0].Tenant)
	require.WithinDuration(t, time.Now().Add(7*24*time.Hour), kept[0].EndsAt, time.Hour)
	after, err := db.Quarantine(t.Context(), "a.example.com", 1)
	require.NoError(t, err)
	require.Equal(t, kept[1:], after)

	for _, name := range []string{"a.example.com", "b.example.com"} {
		lifted, err := db.LiftQuarantine(t.Context(), name, name+" was lifted by kim: it was sold")
		require.NoError(t, err)
		require.Equal(t, name, lifted.Name)
	}
	for _, name := range []string{"a.example.com", "c.example.com", "never.example.com"} {
		_, err = db.LiftQuarantine(t.Context(), name, "again")
		require.True(t, errors.Is(err, store.ErrNotFound), "%s: %v", name, err)
	}
	timeline, err := db.Timeline(t.Context(), d.ID, 10)
	require.NoError(t, err)
	require.Len(t, timeline, 2)
	require.Equal(t, cert.Event{Type: cert.QuarantineLifted, Detail: "b.example.com was lifted by kim: it was sold"}, timeline[0].Event)
	db.connect("other", "a.example.com", "b.example.com")
}

func TestF19_UnverifiedNamesOfATenantAreLimited(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.UnverifiedNames = 5
	first := db.connect("acme", "a.example.com", "b.example.com", "c.example.com")
	second := db.connect("acme", "d.example.com")
	_, err := db.Connect(t.Context(), newDomain("acme", "e.example.com", "f.example.com"))
	p := problem(t, err)
	require.Equal(t, cert.RequestRefused, p.Code)
	require.Contains(t, p.Message, "this account has 4 names whose DNS records were never all seen, and may have 5")
	db.connect("other", "e.example.com", "f.example.com")
	db.connect("acme", "g.example.com")
	again, err := db.Connect(t.Context(), newDomain("acme", "d.example.com"))
	require.NoError(t, err, "connecting twice is connecting once, at the limit as well")
	require.Equal(t, second, again.Domain)

	db.record(first, 1, verified)
	db.connect("acme", "h.example.com", "i.example.com", "j.example.com")
	_, err = db.Connect(t.Context(), newDomain("acme", "k.example.com"))
	require.Equal(t, cert.RequestRefused, problem(t, err).Code)
	db.record(second, 1, removed)
	db.connect("acme", "k.example.com")
}

// TestF19_TheLimitHoldsWhereNotEachNameIsCounted: after a count, half of the remaining room can be used without another count.
func TestF19_TheLimitHoldsWhereNotEachNameIsCounted(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.UnverifiedNames = 250
	connected := 0
	for ; connected < 400; connected++ {
		_, err := db.Connect(t.Context(), newDomain("acme", fmt.Sprintf("shop-%d.example.com", connected)))
		if err != nil {
			require.True(t, strings.Contains(problem(t, err).Message, "may have 250"), err)
			break
		}
	}
	require.Equal(t, 250, connected)
}
