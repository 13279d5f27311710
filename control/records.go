package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// Records returns the DNS records that the domain needs (row D1), with what the newest check saw of each.
func (c *Control) Records(ctx context.Context, name string) ([]cert.RecordState, error) {
	d, err := c.Diagnosis(ctx, name)
	return d.Records, err
}

// Diagnosis returns the DNS records that the domain needs, and all that the newest check saw.
func (c *Control) Diagnosis(ctx context.Context, name string) (cert.Diagnosis, error) {
	view, err := c.live(ctx, name)
	if err != nil {
		return cert.Diagnosis{}, err
	}
	return c.diagnosis(ctx, view)
}

func (c *Control) diagnosis(ctx context.Context, view store.View) (cert.Diagnosis, error) {
	expected, err := c.expected(ctx, view.Domain)
	if err != nil {
		return cert.Diagnosis{}, err
	}
	d, err := c.newestCheck(ctx, view)
	if err != nil {
		return cert.Diagnosis{}, err
	}
	d = d.WithRecords(expected)
	d.Problems = listed(d.Problems, view.Status, view.Paused)
	return d, nil
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
		return *short, nil
	}
	return d, nil
}

func (c *Control) expected(ctx context.Context, d cert.Domain) ([]cert.Record, error) {
	secret, err := c.store.TenantSecret(ctx, d.Tenant)
	if err != nil {
		return nil, fmt.Errorf("read the secret of tenant %s: %w", d.Tenant, err)
	}
	return c.platform.ExpectedRecords(d, secret), nil
}
