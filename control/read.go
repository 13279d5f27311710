package control

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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
	if view.Seq == 0 && view.Status.Domain != cert.DomainRemoved {
		line, err := c.store.Line(ctx, view.ID)
		if err != nil {
			return Domain{}, fmt.Errorf("status of %s: %w", view.Hostname, err)
		}
		d.waitsIn(line, time.Now())
	}
	return d, nil
}

// shortLine is a line so short that its end is seconds away: nobody needs to know more.
const shortLine = 50

// waitsIn tells the place of a new domain in line, and the time at which its first check comes at the pace of the last minute.
func (d *Domain) waitsIn(line store.Line, now time.Time) {
	if line.Place <= shortLine {
		return
	}
	d.NextAction = fmt.Sprintf("the first DNS check: place %d in line", line.Place)
	if line.PerMinute > 0 {
		d.NextActionAt = now.Add(time.Duration(line.Place) * time.Minute / time.Duration(line.PerMinute))
	}
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

// CaseFilter chooses cases. Its zero value chooses the newest open ones.
type CaseFilter struct {
	Closed bool   // closed ones, too
	Name   string // any name of one domain; empty is every domain
	After  string // the Next of the page before
	Limit  int    // DefaultPage if zero
}

// CasePage is a part of the list of cases. Next is the After of the filter that continues it; empty at the end.
type CasePage struct {
	Cases []cert.Case `json:"cases"`
	Next  string      `json:"next,omitempty"`
}

// Cases returns the escalations that a filter lets through, the newest first.
func (c *Control) Cases(ctx context.Context, f CaseFilter) (CasePage, error) {
	limit, err := pageLength(f.Limit, "cases")
	if err != nil {
		return CasePage{}, err
	}
	filter := store.CaseFilter{OpenOnly: !f.Closed, Limit: limit + 1} // one more shows whether there is a next page
	if filter.After, err = casePlace(f.After); err != nil {
		return CasePage{}, err
	}
	if f.Name != "" {
		view, err := c.find(ctx, f.Name)
		if err != nil {
			return CasePage{}, err
		}
		filter.Hostname = view.Hostname
	}
	found, err := c.store.Cases(ctx, filter)
	if err != nil {
		return CasePage{}, fmt.Errorf("list cases: %w", err)
	}
	page := CasePage{Cases: []cert.Case{}}
	for _, each := range found {
		if len(page.Cases) == limit {
			page.Next = caseCursor(page.Cases[limit-1])
			break
		}
		page.Cases = append(page.Cases, shownCase(each))
	}
	return page, nil
}

// caseCursor returns the place of a case in the list as text that needs no escaping in a URL.
func caseCursor(c cert.Case) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %s", c.OpenedAt.UnixMicro(), c.ID))
}

// casePlace reads what caseCursor wrote.
func casePlace(cursor string) (store.CasePlace, error) {
	if cursor == "" {
		return store.CasePlace{}, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	micros, id, _ := strings.Cut(string(text), " ")
	opened, notNumber := strconv.ParseInt(micros, 10, 64)
	at := time.UnixMicro(opened).UTC()
	if err != nil || notNumber != nil || id == "" || !cert.IsLine(id) || at.Year() < 1970 || at.Year() > 9999 {
		return store.CasePlace{}, Malformed(fmt.Sprintf("after is %q", cert.Line(cursor, cert.MaxInput)), "send the next of the page before, as it was")
	}
	return store.CasePlace{OpenedAt: at, ID: id}, nil
}

// shownCase is a case with its texts fit to be shown, however they were written.
func shownCase(c cert.Case) cert.Case {
	c.Reason, c.Problems = cert.Line(c.Reason, cert.MaxText), listed(c.Problems, cert.Status{Escalated: c.ClosedAt.IsZero()}, false)
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
