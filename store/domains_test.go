package store_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

func hostnames(views []store.View) []string {
	names := []string{}
	for _, v := range views {
		names = append(names, v.Hostname)
	}
	return names
}

func TestUnknownDomainIsToldToPeople(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, err := db.Domain(t.Context(), "xn--bcher-kva.example")
	p := problem(t, err)
	require.Equal(t, cert.DomainUnknown, p.Code)
	require.Contains(t, p.Message, "bücher.example")
}

func TestRemovedDomainIsFoundByEachOfItsNames(t *testing.T) {
	t.Parallel()
	db := open(t)
	first := db.connect("acme", "www.example.com", "example.com")
	db.record(first, 1, removed)
	db.sql(`UPDATE domains SET removed_at = removed_at - interval '1 day'`)
	second := db.connect("acme", "example.com", "shop.example.com")
	db.record(second, 1, removed)
	for name, id := range map[string]string{"www.example.com": first.ID, "example.com": second.ID, "shop.example.com": second.ID} {
		view, err := db.Domain(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, id, view.ID, name)
		require.Equal(t, cert.Removed, view.Headline)
	}
}

func TestB9_ListsAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	db := open(t)
	for _, d := range []cert.Domain{
		db.connect("acme", "c.example.com", "100%.example"), db.connect("acme", "a.example.com"),
		db.connect("other", "b.example.com", "under_score.example"), db.connect("other", `back\slash.example`),
	} {
		db.record(d, 1)
	}
	gone := db.connect("acme", "d.example.com")
	db.record(gone, 1, removed)
	issuing := db.connect("acme", "e.example.com")
	db.record(issuing, 1, func(s *cert.Snapshot) { s.Status.Certificate = cert.CertificatePendingIssuance })

	for name, c := range map[string]struct {
		filter store.Filter
		want   []string
	}{
		"all that are live": {
			store.Filter{}, []string{"a.example.com", "b.example.com", `back\slash.example`, "c.example.com", "e.example.com"},
		},
		"of a tenant":          {store.Filter{Tenant: "acme"}, []string{"a.example.com", "c.example.com", "e.example.com"}},
		"of nobody":            {store.Filter{Tenant: "nobody"}, []string{}},
		"with a headline":      {store.Filter{Headline: cert.Issuing}, []string{"e.example.com"}},
		"removed":              {store.Filter{Headline: cert.Removed}, []string{"d.example.com"}},
		"removed, of a tenant": {store.Filter{Headline: cert.Removed, Tenant: "other"}, []string{}},
		"containing": {
			store.Filter{Contains: ".EXAMPLE.com", Tenant: "acme"}, []string{"a.example.com", "c.example.com", "e.example.com"},
		},
		"containing %":   {store.Filter{Contains: "%"}, []string{"c.example.com"}},
		"containing _":   {store.Filter{Contains: "_"}, []string{"b.example.com"}},
		"containing \\":  {store.Filter{Contains: `\`}, []string{`back\slash.example`}},
		"containing '":   {store.Filter{Contains: `' OR true --`}, []string{}},
		"first page":     {store.Filter{Limit: 2}, []string{"a.example.com", "b.example.com"}},
		"second page":    {store.Filter{Limit: 2, After: "b.example.com"}, []string{`back\slash.example`, "c.example.com"}},
		"last page":      {store.Filter{Limit: 2, After: "c.example.com"}, []string{"e.example.com"}},
		"after the last": {store.Filter{After: "e.example.com"}, []string{}},
		"everything at once": {
			store.Filter{Tenant: "acme", Headline: cert.Pending, Contains: "example", After: "a.example.com", Limit: 5}, []string{"c.example.com"},
		},
	} {
		views, err := db.Domains(t.Context(), c.filter)
		require.NoError(t, err, name)
		require.Equal(t, c.want, hostnames(views), name)
	}
}

func TestHostnameRemovedTwiceIsListedOnceAndPagingGoesOn(t *testing.T) {
	t.Parallel()
	db := open(t)
	var last cert.Domain
	for i, hostname := range []string{"a.example.com", "a.example.com", "a.example.com", "b.example.com"} {
		d := db.connect("acme", hostname)
		db.record(d, 1, removed)
		db.sql(`UPDATE domains SET removed_at = now() + $1 * interval '1 minute' WHERE id = $2`, i, d.ID)
		if hostname == "a.example.com" {
			last = d
		}
	}
	page, err := db.Domains(t.Context(), store.Filter{Headline: cert.Removed, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, last.ID, page[0].ID)
	page, err = db.Domains(t.Context(), store.Filter{Headline: cert.Removed, Limit: 1, After: "a.example.com"})
	require.NoError(t, err)
	require.Equal(t, []string{"b.example.com"}, hostnames(page))
}

func TestListWithoutALimitEndsAtAHundred(t *testing.T) {
	t.Parallel()
	db := open(t)
	for i := range 101 {
		db.connect("acme", fmt.Sprintf("%03d.example.com", i))
	}
	views, err := db.Domains(t.Context(), store.Filter{})
	require.NoError(t, err)
	require.Len(t, views, 100)
}
