// Package control is what people may ask evercert for: connect a domain, look at it, check its records, request a
// certificate, pause, resume, remove. The API and the CLI both speak through it, so that they answer alike. It checks what was asked
// and claims names in the store; everything after that is the domain's workflow's to decide.
package control

import (
	"context"
	"log/slog"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/calendar"
	"github.com/evercert/evercert/store"
)

// Store is what control reads and writes; *store.Store is one.
type Store interface {
	Ready(ctx context.Context) error
	TenantSecret(ctx context.Context, tenant string) ([]byte, error)
	Connect(ctx context.Context, d cert.Domain) (store.Connected, error)
	Holders(ctx context.Context, d cert.Domain) ([]store.Holder, error)
	Quarantine(ctx context.Context, after string, limit int) ([]store.Quarantined, error)
	LiftQuarantine(ctx context.Context, name, detail string) (store.Quarantined, error)
	Line(ctx context.Context, domainID string) (store.Line, error)
	Domain(ctx context.Context, hostname string) (store.View, error)
	Domains(ctx context.Context, f store.Filter) ([]store.View, error)
	Timeline(ctx context.Context, domainID string, limit int) ([]store.TimelineEntry, error)
	Check(ctx context.Context, domainID string) (cert.Diagnosis, error)
	Changes(ctx context.Context, domainID string, limit int) ([]cert.RecordChange, error)
	Cases(ctx context.Context, f store.CaseFilter) ([]cert.Case, error)
	ConfiguredCAs(ctx context.Context) ([]cert.ConfiguredCA, error)
	Touched(ctx context.Context, t calendar.Touched) (int, error)
	Issuance(ctx context.Context, id string) (cert.Issuance, error)
	Certificate(ctx context.Context, serial string) (cert.Certificate, error)
	CaretakerStore
}

// Workflows is how control reaches the domains' workflows; Temporal returns one.
type Workflows interface {
	Ready(ctx context.Context) error
	// Start begins the workflow of a domain. It changes nothing where one runs already.
	Start(ctx context.Context, d cert.Domain) error
	// Ask sends a verb to a domain's workflow and waits for its answer. It returns ErrNotRunning, a cert.Problem when the
	// workflow refuses or is late, or a fault.
	Ask(ctx context.Context, hostname, verb string, argument any) (cert.Answer, error)
	// StartCase begins the workflow of a case. It changes nothing where one runs already.
	StartCase(ctx context.Context, c cert.Case) error
	// ResolveCase tells the workflow of a case that the case is closed. It returns ErrNotRunning when none runs.
	ResolveCase(ctx context.Context, caseID string) error
	// Ended returns the hostnames whose workflow was ended from outside or failed in the last days, as far as Temporal's lists know it. Some may run again.
	Ended(ctx context.Context) ([]string, error)
	CaretakerWorkflows
}

// Control answers people's requests. It is safe for use by many goroutines.
type Control struct {
	store     Store
	workflows Workflows
	rules     cert.NameRules
	platform  cert.Platform
	log       *slog.Logger
	checks    checks
}

// New returns a Control over a store and the workflows. rules say which names may be connected, platform where their records lead to.
func New(s Store, w Workflows, rules cert.NameRules, platform cert.Platform, log *slog.Logger) *Control {
	return &Control{store: s, workflows: w, rules: rules, platform: platform, log: log}
}
