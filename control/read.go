package control

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// timelineLength is how many entries a timeline shows: several years of a domain that renews every month.
const timelineLength = 500

// Status returns the domain that has this name, or the newest removed one. A connected domain whose workflow is not running has the problem
// WorkflowMissing.
func (c *Control) Status(ctx context.Context, name string) (Domain, error) {
	view, err := c.find(ctx, name)
	if err != nil {
		return Domain{}, err
	}
	d := newDomain(view)
	if c.withoutWorkflow(ctx, view) {
		d.addMissing()
	}
	return d, nil
}

// Timeline returns what happened to the domain, newest first.
func (c *Control) Timeline(ctx context.Context, name string) ([]Event, error) {
	view, err := c.find(ctx, name)
	if err != nil {
		return nil, err
	}
	entries, err := c.store.Timeline(ctx, view.ID, timelineLength)
	if err != nil {
		return nil, fmt.Errorf("read the timeline of %s: %w", view.Hostname, err)
	}
	events := make([]Event, len(entries))
	for i, e := range entries {
		e.Detail = cert.Line(e.Detail, cert.MaxText)
		events[i] = Event{At: e.At, Event: e.Event}
	}
	return events, nil
}

// Cases returns the escalations, those of one domain if a name is given.
func (c *Control) Cases(ctx context.Context, openOnly bool, name string) ([]cert.Case, error) {
	hostname := ""
	if name != "" {
		view, err := c.find(ctx, name)
		if err != nil {
			return nil, err
		}
		hostname = view.Hostname
	}
	found, err := c.store.Cases(ctx, openOnly, hostname)
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	cases := make([]cert.Case, len(found))
	for i, each := range found {
		cases[i] = shownCase(each)
	}
	return cases, nil
}

// shownCase is a case with its texts fit to be shown, however they were written.
func shownCase(c cert.Case) cert.Case {
	c.Reason, c.Problems = cert.Line(c.Reason, cert.MaxText), listed(c.Problems)
	c.Records = cert.Diagnosis{Records: c.Records}.Clean().Records
	c.Notes = slices.Clone(c.Notes)
	for i, n := range c.Notes {
		n.Author, n.Text = cert.Line(n.Author, cert.MaxBy), cert.Line(n.Text, cert.MaxText)
		c.Notes[i] = n
	}
	c.Assignee, c.Resolution = cert.Line(c.Assignee, cert.MaxBy), cert.Line(c.Resolution, cert.MaxText)
	return c
}

// Chain returns the live certificate with its chain, leaf first, in PEM, as the CA gave it.
func (c *Control) Chain(ctx context.Context, name string) ([]byte, error) {
	certificate, err := c.liveCertificate(ctx, name)
	return certificate.ChainPEM, err
}

// CSR returns the certificate signing request that the live certificate was made from, in PEM (row B1).
func (c *Control) CSR(ctx context.Context, name string) ([]byte, error) {
	certificate, err := c.liveCertificate(ctx, name)
	if err != nil {
		return nil, err
	}
	issuance, err := c.store.Issuance(ctx, certificate.IssuanceID)
	if err != nil {
		return nil, fmt.Errorf("read the issuance of serial %s: %w", certificate.Serial, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: issuance.CSR}), nil // RFC 7468 §7
}

func (c *Control) liveCertificate(ctx context.Context, name string) (cert.Certificate, error) {
	view, err := c.find(ctx, name)
	if err != nil {
		return cert.Certificate{}, err
	}
	if view.Serial == "" {
		return cert.Certificate{}, refused(cert.Unicode(view.Hostname)+" has no certificate yet", "ask again when its headline is "+string(cert.InstallationComplete), cert.TenantActs)
	}
	certificate, err := c.store.Certificate(ctx, view.Serial)
	if errors.Is(err, store.ErrNotFound) {
		return cert.Certificate{}, fmt.Errorf("certificate %s of %s is not in the store: %w", view.Serial, view.Hostname, err)
	}
	if err != nil {
		return cert.Certificate{}, fmt.Errorf("read certificate %s: %w", view.Serial, err)
	}
	return certificate, nil
}
