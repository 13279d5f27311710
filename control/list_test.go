package control_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

func TestPagesOfAListHoldEveryDomainOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want []string
	for i := range 7 {
		want = append(want, fmt.Sprintf("s%d.example.com", i))
		b.connected(t, want[i])
	}
	for limit := 1; limit <= 8; limit++ {
		var got []string
		after, pages := "", 0
		for {
			page, err := b.List(t.Context(), store.Filter{After: after, Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page.Domains {
				got = append(got, d.Hostname)
			}
			pages++
			if after = page.Next; after == "" {
				break
			}
		}
		if !slices.Equal(got, want) || pages != (len(want)+limit-1)/limit {
			t.Errorf("limit %d: %d pages, %v", limit, pages, got)
		}
	}
}

func TestListsAreFilteredByHeadlineAsPeopleTypeIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "a.example.com")
	b.connected(t, "b.example.com")
	b.store.Record("b.example.com", func(s *cert.Snapshot) { s.Status.HasLive = true })
	page, err := b.List(t.Context(), store.Filter{Headline: "installation COMPLETE"})
	if err != nil || len(page.Domains) != 1 || page.Domains[0].Hostname != "b.example.com" {
		t.Errorf("got %+v, %v", page, err)
	}
	for _, wrong := range []store.Filter{{Headline: "Done"}, {Limit: -1}, {Limit: 501}} {
		if _, err := b.List(t.Context(), wrong); code(t, err) != cert.RequestMalformed {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}
