package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// Record is a DNS record that a tenant adds, and what the newest check saw of it. Before the first check all but the record is empty.
type Record struct {
	cert.Record
	State   cert.RecordWord `json:"state,omitempty"`
	Verdict cert.Verdict    `json:"verdict,omitempty"` // as a CA would see it
	Found   []string        `json:"found,omitempty"`
	Seen    []cert.Sighting `json:"seen,omitempty"` // server by server, with times
}

// Panel is a domain's DNS as the newest check saw it. Before the first check there is no time and no verdict, and only the
// records that are to be added.
type Panel struct {
	CheckedAt time.Time         `json:"checked_at,omitzero"`
	Verdict   cert.Verdict      `json:"verdict,omitempty"` // ok: a certificate can be ordered now
	Records   []Record          `json:"records"`
	Problems  []cert.Problem    `json:"problems"` // those that only warn too
	Names     []cert.NameResult `json:"names,omitempty"`
	CAA       []cert.CAAState   `json:"caa,omitempty"`
	Servers   []cert.Nameserver `json:"servers,omitempty"`
}

// Records returns the DNS records that the domain needs (row D1), with what the newest check saw of each.
func (c *Control) Records(ctx context.Context, name string) ([]Record, error) {
	panel, err := c.Panel(ctx, name)
	return panel.Records, err
}

// Panel returns the DNS records that the domain needs, and all that the newest check saw.
func (c *Control) Panel(ctx context.Context, name string) (Panel, error) {
	view, err := c.live(ctx, name)
	if err != nil {
		return Panel{}, err
	}
	expected, err := c.expected(ctx, view.Domain)
	if err != nil {
		return Panel{}, err
	}
	d, err := c.newestCheck(ctx, view)
	if err != nil {
		return Panel{}, err
	}
	return Panel{
		CheckedAt: d.CheckedAt, Verdict: d.Verdict, Records: withStates(expected, &d), Problems: listed(d.Problems),
		Names: d.Names, CAA: d.CAA, Servers: d.Servers,
	}, nil
}

// changesShown is all that the store keeps.
const changesShown = 200

// Changes returns what changed in the domain's records from check to check, server by server, newest first.
func (c *Control) Changes(ctx context.Context, name string) ([]cert.RecordChange, error) {
	view, err := c.find(ctx, name)
	if err != nil {
		return nil, err
	}
	changes, err := c.store.Changes(ctx, view.ID, changesShown)
	if err != nil {
		return nil, fmt.Errorf("read the changes of %s: %w", view.Hostname, err)
	}
	shown := make([]cert.RecordChange, len(changes))
	for i, change := range changes {
		change.Server, change.Found = cert.Line(change.Server, cert.MaxDetail), cert.Values(change.Found)
		shown[i] = change
	}
	return shown, nil
}

// newestCheck returns the whole of the newest check. Where it could not be kept, the snapshot has it without each
// server's sightings. The zero Diagnosis is that of a domain that was never checked.
func (c *Control) newestCheck(ctx context.Context, view store.View) (cert.Diagnosis, error) {
	d, err := c.store.Check(ctx, view.ID)
	none := errors.Is(err, store.ErrNotFound)
	if err != nil && !none {
		return cert.Diagnosis{}, fmt.Errorf("read the newest check of %s: %w", view.Hostname, err)
	}
	if short := view.Diagnosis; short != nil && (none || short.CheckedAt.After(d.CheckedAt)) {
		return short.Clean(), nil
	}
	return d.Clean(), nil
}

func (c *Control) expected(ctx context.Context, d cert.Domain) ([]cert.Record, error) {
	secret, err := c.store.TenantSecret(ctx, d.Tenant)
	if err != nil {
		return nil, fmt.Errorf("read the secret of tenant %s: %w", d.Tenant, err)
	}
	return c.platform.ExpectedRecords(d, secret), nil
}

// withStates joins the expected records with what a diagnosis saw of them. A record that is no longer
// expected, because the platform moved, is left out.
func withStates(expected []cert.Record, d *cert.Diagnosis) []Record {
	records := make([]Record, len(expected))
	for i, r := range expected {
		records[i] = Record{Record: r}
		if d == nil {
			continue
		}
		if at := slices.IndexFunc(d.Records, func(s cert.RecordState) bool { return s.Same(r) }); at >= 0 {
			seen := d.Records[at]
			records[i].State, records[i].Verdict, records[i].Found, records[i].Seen = seen.Word(), seen.Verdict, seen.Found, seen.Seen
		}
	}
	return records
}
