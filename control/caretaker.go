package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// CaretakerStore is what the caretaker reads and writes; *store.Store is one.
type CaretakerStore interface {
	Inspect(ctx context.Context, after string, limit int) ([]store.Inspected, error)
	KeptState(ctx context.Context, domainID string) (cert.Domain, json.RawMessage, error)
	NoteTended(ctx context.Context, domainID string, kinds []cert.FindingKind) error
	NoteHealthy(ctx context.Context, domainIDs []string) error
	OpenPlatformCase(ctx context.Context, c cert.Case) error
	CloseOrphanedCases(ctx context.Context) error
	OweCase(ctx context.Context, id string) error
	Strays(ctx context.Context, limit int) ([]store.Stray, error)
	RetireStray(ctx context.Context, name, serial string) error
	UnknownHostnames(ctx context.Context, hostnames []string) ([]store.Unknown, error)
	UnheardCases(ctx context.Context, ids []string) ([]store.UnheardCase, error)
}

// CaretakerWorkflows is how the caretaker reaches workflows.
type CaretakerWorkflows interface {
	// Describe returns what Temporal knows of a workflow id; the zero Execution if it knows nothing.
	Describe(ctx context.Context, id string) (Execution, error)
	// Resume starts the workflow of a domain again from the state that was kept; nil for a new one. It changes nothing where one runs.
	Resume(ctx context.Context, d cert.Domain, kept json.RawMessage, cause string) error
	// Wake asks the workflow of an id to check again. It returns ErrNotRunning.
	Wake(ctx context.Context, id string, w workflows.WakeRequest) error
	// WakeCase asks the workflow of a case to record it anew, and to see whether it is closed. It returns ErrNotRunning.
	WakeCase(ctx context.Context, caseID string) error
	// Forget asks the workflow of a domain that was removed to end.
	Forget(ctx context.Context, hostname, cause string) error
	// EachRunning calls each with the ids of the running workflows of a type, as far as Temporal's lists know them, which lag behind.
	EachRunning(ctx context.Context, workflowType string, each func(ids []string) error) error
}

const (
	// caretakerPage is how many domains are compared in one activity.
	caretakerPage = 500
	// caretakerWorkers is how many workflows are asked about at once: 10,000 domains take some ten seconds, and Temporal has room for others.
	caretakerWorkers = 16
	// straysAtOnce bounds how many names without a domain one walk takes away.
	straysAtOnce = 1000
)

// Caretaker compares what the tables, Temporal and the edges' list say about each domain, and repairs what differs (row F22). Several may
// be at work at the same time.
type Caretaker struct {
	Store     CaretakerStore
	Workflows CaretakerWorkflows
	// Directories are those of the CAs that the platform orders from; certificates of another one are replaced. Empty: none is.
	Directories []string
	Now         func() time.Time   // nil is time.Now
	Report      func(cert.Finding) // is called with each finding, one at a time; nil: they are logged
	Log         *slog.Logger
	// DryRun repairs nothing.
	DryRun bool
	// Cautious refuses to start workflows again when most of them seem to be gone: then it is likelier that the wrong Temporal was asked.
	Cautious bool
}

// Page compares the connected domains after a hostname, a page of them, and after the last page what no domain leads to. next is where
// the following page begins; empty after the last one. What can't be read is a finding, unless that is so with the whole page.
func (c Caretaker) Page(ctx context.Context, after string) (next string, sum cert.Audit, err error) {
	rows, err := c.Store.Inspect(ctx, after, caretakerPage)
	if err != nil {
		return "", sum, err
	}
	p := &page{Caretaker: c}
	if err := p.inspect(ctx, rows); err != nil {
		return "", sum, err
	}
	if len(rows) < caretakerPage {
		err = p.inspectStrays(ctx)
	} else {
		next = rows[len(rows)-1].Hostname
	}
	return next, p.sum, err
}

// page is the work on one page.
type page struct {
	Caretaker

	mu  sync.Mutex
	sum cert.Audit
}

// inspected is a domain's row with what Temporal says.
type inspected struct {
	store.Inspected
	found []diagnosis
}

func (p *page) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// changeCA asks those domains for a new certificate whose live one comes from a CA that the platform does not order from any more, such
// as its staging environment. That is not a finding: nothing is wrong, and the CA's limits may let it take days. A domain that is at it
// already ignores the signal.
func (p *page) changeCA(ctx context.Context, rows []store.Inspected) {
	for _, row := range rows {
		if p.DryRun || len(p.Directories) == 0 || row.LiveCA == "" || slices.Contains(p.Directories, row.LiveCA) {
			continue
		}
		request := workflows.WakeRequest{Cause: "its certificate comes from a CA that the platform does not order from any more", Renew: true}
		if err := p.Workflows.Wake(ctx, workflows.DomainID(row.Hostname), request); err != nil {
			p.Log.WarnContext(ctx, "a certificate of another CA is not replaced yet", "hostname", row.Hostname, "error", err)
		}
	}
}

func (p *page) inspect(ctx context.Context, rows []store.Inspected) error {
	domains := make([]inspected, len(rows))
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(caretakerWorkers)
	for i, row := range rows {
		g.Go(func() (err error) {
			domains[i], err = p.describe(each, row)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	p.sum.Domains = len(rows)
	p.changeCA(ctx, rows)
	if err := p.cautious(domains); err != nil {
		return err
	}
	g, each = errgroup.WithContext(ctx)
	g.SetLimit(caretakerWorkers)
	var healthy []string
	for _, d := range domains {
		switch {
		case len(d.found) > 0:
			g.Go(func() error { return p.repair(each, d) })
		case !d.Tended.At.IsZero() || d.Reported:
			healthy = append(healthy, d.ID)
		}
	}
	if err := g.Wait(); err != nil || len(healthy) == 0 || p.DryRun {
		return err
	}
	return p.Store.NoteHealthy(ctx, healthy)
}

func (p *page) describe(ctx context.Context, row store.Inspected) (inspected, error) {
	domain, err := p.Workflows.Describe(ctx, workflows.DomainID(row.Hostname))
	if err != nil {
		return inspected{}, fmt.Errorf("read the workflow of %s: %w", row.Hostname, err)
	}
	var people Execution
	if row.OpenCase != "" && row.CaseStarted {
		if people, err = p.Workflows.Describe(ctx, workflows.EscalationID(row.OpenCase)); err != nil {
			return inspected{}, fmt.Errorf("read the case of %s: %w", row.Hostname, err)
		}
	}
	return inspected{row, compare(row, domain, people, p.now())}, nil
}

// fewWorkflows is how many workflows may be gone before it is asked whether this is the right Temporal.
const fewWorkflows = 10

func (p *page) cautious(domains []inspected) error {
	ended := 0
	for _, d := range domains {
		if slices.ContainsFunc(d.found, func(f diagnosis) bool { return f.kind == cert.WorkflowEnded }) {
			ended++
		}
	}
	if !p.Cautious || p.DryRun || ended <= fewWorkflows || ended*2 <= len(domains) {
		return nil
	}
	return cert.Problem{
		Code: cert.RequestRefused, WhoActs: cert.PlatformActs,
		Message: fmt.Sprintf(
			"of %d domains in a row, %d have no running workflow: this may be the wrong Temporal or namespace; nothing was done",
			len(domains),
			ended,
		),
		Remediation: "compare TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE with those of the workers; " +
			"if they are right, repeat the command with --yes",
	}
}

// repair does what is to be done about a domain. What was ordered a moment ago is left to take effect; what did not help is done again,
// and a case is opened for the platform.
func (p *page) repair(ctx context.Context, d inspected) error {
	var (
		request workflows.WakeRequest
		kinds   []cert.FindingKind
		causes  []string // of the wake
		failed  []string // for the case
		anew    bool     // something is done that was not done a moment ago
		deaf    = slices.ContainsFunc(d.found, func(f diagnosis) bool { return f.remedy == tellPeople })
	)
	for _, f := range d.found {
		result := p.outcome(d, f, deaf)
		p.note(f, d.Hostname, result)
		kinds = append(kinds, f.kind)
		switch result {
		case cert.NotTouched, cert.UnderWay:
			continue
		case cert.Unrepaired:
			failed = append(failed, f.detail)
		case cert.Repaired:
		}
		anew = true
		switch {
		case f.remedy == resume:
			if err := resumeKept(ctx, p.Store, p.Workflows, d.ID, f.detail); err != nil {
				return err
			}
		case f.remedy == oweCase:
			if err := p.Store.OweCase(ctx, d.OpenCase); err != nil {
				return err
			}
		case !deaf:
			causes, request.Reinstall = append(causes, f.detail), request.Reinstall || f.remedy == reinstall
		}
	}
	if !anew {
		return nil
	}
	if err := p.Store.NoteTended(ctx, d.ID, kinds); err != nil {
		return err
	}
	if len(causes) > 0 {
		request.Cause = strings.Join(causes, "; ")
		err := p.Workflows.Wake(ctx, workflows.DomainID(d.Hostname), request)
		if err != nil && !errors.Is(err, ErrNotRunning) { // ended at this moment: the next walk sees it
			return fmt.Errorf("wake %s: %w", d.Hostname, err)
		}
	}
	if len(failed) > 0 {
		return p.tellPeople(ctx, d, strings.Join(failed, "; "))
	}
	return nil
}

// outcome says what becomes of a finding. deaf is a workflow that can't go on, whatever it is asked.
func (p *page) outcome(d inspected, f diagnosis, deaf bool) cert.Repair {
	before := slices.Contains(d.Tended.For, f.kind)
	if f.remedy == resume {
		before = before && d.SnapshotAt.Before(d.Tended.At) // it was started, and ended before it recorded anything
	}
	switch {
	case p.DryRun:
		return cert.NotTouched
	case before && f.remedy != resume && f.remedy != tellPeople && p.now().Sub(d.Tended.At) < repairTime:
		return cert.UnderWay
	case before, f.remedy == tellPeople, deaf:
		return cert.Unrepaired
	default:
		return cert.Repaired
	}
}

// resumeKept starts the workflow of a domain again. It does nothing when the domain was removed meanwhile.
func resumeKept(ctx context.Context, s CaretakerStore, w CaretakerWorkflows, domainID, cause string) error {
	d, kept, err := s.KeptState(ctx, domainID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := w.Resume(ctx, d, kept, cause); err != nil {
		return fmt.Errorf("start the workflow of %s again: %w", d.Hostname, err)
	}
	return nil
}

func (p *page) tellPeople(ctx context.Context, d inspected, what string) error {
	shown := cert.Unicode(d.Hostname)
	return p.Store.OpenPlatformCase(ctx, cert.Case{
		ID: store.PlatformCaseID(d.ID), Hostname: d.Hostname, Tenant: d.Tenant, Kind: cert.NotRepaired, OpenedAt: p.now(),
		Reason: "the caretaker could not repair " + shown + ": " + what,
		Problems: []cert.Problem{{
			Code: cert.InternalError, WhoActs: cert.PlatformActs, Message: what,
			Remediation: "see the workflow " + workflows.DomainID(
				d.Hostname,
			) + " in the Temporal Web UI and the log of the workers; the case closes by itself",
		}},
	})
}

// note counts a finding and reports it.
func (p *page) note(f diagnosis, subject string, r cert.Repair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	finding := cert.Finding{Kind: f.kind, Subject: subject, Detail: f.detail, Repair: r}
	p.sum.Note(finding)
	if p.Report != nil {
		p.Report(finding)
		return
	}
	p.Log.Warn("the caretaker found something", "kind", f.kind, "subject", subject, "detail", f.detail, "repair", r)
}
