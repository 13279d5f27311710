package activities

import (
	"context"

	"github.com/evercert/evercert/cert"
)

// Caretaker compares all domains with what else is known about them, page by page (row F22).
type Caretaker struct {
	Inspector interface {
		// Page compares the domains after a hostname, and repairs what it can. next is the hostname after which the following page begins; empty
		// after the last page. An error means that the database or Temporal did not answer.
		Page(ctx context.Context, after string) (next string, sum cert.Audit, err error)
	}
}

// InspectRequest says where a page begins.
type InspectRequest struct {
	After string `json:"after,omitempty"` // the last hostname of the page before; empty for the first page
}

// InspectResult is what a page found, and where the next one begins; Next is empty after the last page.
type InspectResult struct {
	Next string     `json:"next,omitempty"`
	Sum  cert.Audit `json:"sum"`
}

// InspectDomains compares a page of domains with their workflows, certificates and cases, and repairs what differs. It may run twice: to
// start a workflow that runs changes nothing, and what was repaired shortly before is not repaired again.
func (a *Caretaker) InspectDomains(ctx context.Context, r InspectRequest) (InspectResult, error) {
	defer beat(ctx)()
	next, sum, err := a.Inspector.Page(ctx, r.After)
	if err != nil {
		return InspectResult{}, leave(err)
	}
	return InspectResult{Next: next, Sum: sum}, nil
}
