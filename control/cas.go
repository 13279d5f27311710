package control

import (
	"context"

	"github.com/evercert/evercert/cert"
)

// CAs returns the platform's CAs in the order in which they are tried, each with what keeps orders from it now (row F12). The list is
// that of the newest worker; it is empty before the first one has started.
func (c *Control) CAs(ctx context.Context) ([]cert.ConfiguredCA, error) {
	cas, err := c.store.ConfiguredCAs(ctx)
	if err != nil {
		return nil, err
	}
	for i, ca := range cas {
		cas[i].Blocked, cas[i].Absence = clean(ca.Blocked), clean(ca.Absence)
	}
	return cas, nil
}

// clean returns a problem without characters that a terminal or a page would obey.
func clean(p *cert.Problem) *cert.Problem {
	if p == nil {
		return nil
	}
	cleaned := p.Clean()
	return &cleaned
}
