package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// Quarantine lists the names that are kept for a tenant after their removal, by name, those after one. Limit 0 means DefaultPage.
func (c *Control) Quarantine(ctx context.Context, after string, limit int) ([]store.Quarantined, error) {
	if limit == 0 {
		limit = DefaultPage
	}
	if limit < 1 || limit > MaxPage {
		return nil, Malformed(fmt.Sprintf("a page can't have %d names", limit), fmt.Sprintf("ask for 1 to %d", MaxPage))
	}
	if len(after) > cert.MaxHostname || !cert.IsLine(after) {
		return nil, Malformed("the list can't begin after that name", "use the last name of the page before")
	}
	return c.store.Quarantine(ctx, after, limit)
}

// LiftQuarantine ends the quarantine of a name before its time, so that any tenant may connect it (row F19). Who did it, and why, stands
// on the timeline of the domain that had the name. A reason is demanded: the quarantine protects a former owner whose records may still
// lead here.
func (c *Control) LiftQuarantine(ctx context.Context, r Request) (store.Quarantined, error) {
	r, err := r.checked()
	if err != nil {
		return store.Quarantined{}, err
	}
	if r.Reason == "" {
		return store.Quarantined{}, Malformed("the reason is missing", "say why another account may have the name: --reason TEXT")
	}
	name, err := c.rules.Parse(r.Name)
	if err != nil {
		return store.Quarantined{}, err
	}
	lifted, err := c.store.LiftQuarantine(ctx, name, "the quarantine of "+name+" was lifted by "+r.By+": "+r.Reason)
	if errors.Is(err, store.ErrNotFound) {
		return store.Quarantined{}, refused(cert.Unicode(name)+" is in no quarantine", "nothing has to be lifted; connect it", cert.PlatformActs)
	}
	return lifted, err
}
