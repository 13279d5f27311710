package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// Headlines are all the lines by which lists can be filtered.
var Headlines = []cert.Headline{
	cert.Pending, cert.Issuing, cert.Installing, cert.InstallationComplete, cert.RequestCertificate, cert.ContactSupport,
	cert.InvalidSignature, cert.RenewalHeld, cert.Expired, cert.Removed,
}

// Bounds of a page of a list.
const (
	DefaultPage = 100
	MaxPage     = 500
)

// Page is a part of a list. Next is the After of the filter that continues it; empty at the end.
type Page struct {
	Domains []Domain `json:"domains"`
	Next    string   `json:"next,omitempty"`
}

// List returns the domains that a filter lets through, by hostname. Limit 0 means DefaultPage. Removed domains are listed only by their
// headline. Those whose workflow was ended within the last days have the problem WorkflowMissing.
func (c *Control) List(ctx context.Context, f store.Filter) (Page, error) {
	f, err := checked(f)
	if err != nil {
		return Page{}, err
	}
	limit := f.Limit
	f.Limit++ // one more shows whether there is a next page
	views, err := c.store.Domains(ctx, f)
	if err != nil {
		return Page{}, fmt.Errorf("list domains: %w", err)
	}
	page := Page{Domains: []Domain{}}
	for _, v := range views {
		if len(page.Domains) == limit {
			page.Next = page.Domains[limit-1].Hostname
			break
		}
		page.Domains = append(page.Domains, newDomain(v))
	}
	c.markMissing(ctx, views, page.Domains)
	return page, nil
}

// pageLength returns how long a page of a list is to be; 0 is DefaultPage.
func pageLength(limit int, what string) (int, error) {
	if limit == 0 {
		return DefaultPage, nil
	}
	if limit < 1 || limit > MaxPage {
		return 0, Malformed(fmt.Sprintf("a page can't have %d %s", limit, what), fmt.Sprintf("ask for 1 to %d", MaxPage))
	}
	return limit, nil
}

func checked(f store.Filter) (store.Filter, error) {
	limit, err := pageLength(f.Limit, "domains")
	if err != nil {
		return f, err
	}
	f.Limit = limit
	if f, err = searched(f); err != nil {
		return f, err
	}
	f.Contains = strings.ToLower(f.Contains)
	if f.Headline == "" {
		return f, nil
	}
	var known []string
	for _, h := range Headlines {
		if strings.EqualFold(string(h), string(f.Headline)) {
			f.Headline = h
			return f, nil
		}
		known = append(known, string(h))
	}
	return f, Malformed(fmt.Sprintf("%.80q is not a headline", f.Headline), "use one of: "+strings.Join(known, ", "))
}
