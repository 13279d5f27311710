package control

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// Connection is a wish to connect a domain, as a person typed it.
type Connection struct {
	Hostname string
	Also     []string // further names on the same certificate
	Tenant   string
}

// Result is a connected domain and what its tenant has to do.
type Result struct {
	Domain
	Records []cert.RecordState `json:"records"`        // to add to the DNS
	Created bool               `json:"created"`        // false: this tenant had connected it before
	Hint    string             `json:"hint,omitempty"` // something that people often want and did not ask for
}

// maxNames is how many names a certificate may hold at the CAs that matter (Let's Encrypt: 100).
const maxNames = 100

var tenantPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Connect claims the names for the tenant; a worker starts the domain's workflow, and everything goes by itself (row A1).
// Asking twice is the same as asking once. Its errors are cert.Problems that name the input, unless evercert has a fault; nothing is half-created.
//
// Temporal need not answer for that: the claim is the record that a workflow is owed (Starting).
func (c *Control) Connect(ctx context.Context, want Connection) (Result, error) {
	d, err := c.claim(ctx, want, contestPatience)
	if err != nil {
		return Result{}, err
	}
	view, err := c.store.Domain(ctx, d.Domain.Hostname)
	if err != nil {
		return Result{}, fmt.Errorf("read %s after connecting it: %w", d.Domain.Hostname, err)
	}
	expected, err := c.expected(ctx, d.Domain)
	if err != nil {
		return Result{}, err
	}
	if !d.Created && c.withoutWorkflow(ctx, view) {
		if err := c.restart(ctx, view, "its workflow was not running when somebody connected it again"); err != nil {
			c.log.WarnContext(ctx, "the workflow of a connected domain is not running, and could not be started again", "hostname", view.Hostname, "error", err)
		}
	}
	var seen cert.Diagnosis
	if view.Diagnosis != nil {
		seen = *view.Diagnosis
	}
	return Result{Domain: newDomain(view), Records: seen.WithRecords(expected).Records, Created: d.Created, Hint: c.hint(d.Domain)}, nil
}

// claim checks what was asked and writes the claim, in one transaction. Names that another tenant has are contested.
func (c *Control) claim(ctx context.Context, want Connection, patience time.Duration) (store.Connected, error) {
	d, err := c.parse(want)
	if err != nil {
		return store.Connected{}, err
	}
	connected, err := c.store.Connect(ctx, d)
	if isTaken(err) {
		connected, err = c.contest(ctx, d, patience)
	}
	if err != nil {
		return store.Connected{}, fmt.Errorf("connect %s: %w", d.Hostname, err)
	}
	return connected, nil
}

func (c *Control) parse(want Connection) (cert.Domain, error) {
	if want.Tenant == "" {
		return cert.Domain{}, Malformed("the tenant is missing", "say whose domain it is")
	}
	if !tenantPattern.MatchString(want.Tenant) {
		return cert.Domain{}, Malformed(fmt.Sprintf("%.80q can't be a tenant's id", want.Tenant),
			"use 1 to 63 lower-case letters, digits, dots, hyphens and underscores, beginning with a letter or a digit")
	}
	hostname, err := c.rules.Parse(want.Hostname)
	if err != nil {
		return cert.Domain{}, err
	}
	names := []string{hostname}
	for _, also := range want.Also {
		name, err := c.rules.Parse(also)
		if err != nil {
			return cert.Domain{}, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > maxNames {
		return cert.Domain{}, Malformed(fmt.Sprintf("%d names are too many for one certificate, which holds at most %d", len(names), maxNames),
			"connect them as several domains")
	}
	return cert.Domain{ID: uuid.NewString(), Hostname: hostname, Names: names, Tenant: want.Tenant}, nil
}

// hint names what may surprise the tenant: a name that can't be delegated, and the other half of the pair of www and apex, which visitors type and
// tenants forget. That is never added in silence.
func (c *Control) hint(d cert.Domain) string {
	for _, name := range d.Names {
		if !cert.CanDelegate(name) {
			return fmt.Sprintf("%s has %d characters: too long for a record at %s, which may have 253; there is no delegation to add, and its certificate is "+
				"validated by http-01, which works once the name leads here", cert.Unicode(name), len(name), cert.DelegationName("…"))
		}
	}
	registered := cert.RegisteredDomain(d.Hostname)
	pair := map[string]string{registered: "www." + registered, "www." + registered: registered}[d.Hostname]
	if pair == "" || slices.Contains(d.Names, pair) {
		return ""
	}
	return fmt.Sprintf("%s is not included; connect it too if visitors type it", cert.Unicode(pair))
}
