package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/evercert/evercert/ca"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/install"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/resolver"
	"github.com/evercert/evercert/store"
)

// Config is what a worker reads from its environment (docs/config.md).
type Config struct {
	config.Logging
	Store     store.Config
	Temporal  control.TemporalConfig
	Keyring   keyring.Config
	Control   control.Config
	Resolver  resolver.Config
	Solver    dcv.SolverConfig
	CAs       []ca.Config `envNumbered:"ACME_"`
	Moving    MovingConfig
	Install   install.Config
	Policy    PolicyConfig
	Caretaker CaretakerConfig
	Early     control.EarlyConfig

	// Methods are the ways to prove control over a name to the CA. dns-01 needs one more record from the tenant, and nothing afterwards; the
	// others work only while the name points to the platform.
	Methods []cert.Method `env:"VALIDATION_METHODS" envDefault:"dns-01,http-01,tls-alpn-01" doc:"validation methods, best first"`
	// ActivitySlots limits activities and local activities. An order holds its slot until it is finished, and mostly waits for the CA.
	ActivitySlots int `env:"WORKER_ACTIVITY_SLOTS" envDefault:"200" doc:"activities that this process runs at once"`
	// WorkflowSlots: new domains start while fewer than half of the slots are in use, or after a second. A task that checks DNS holds its
	// slot during the check.
	WorkflowSlots int `env:"WORKER_WORKFLOW_SLOTS" envDefault:"100" doc:"workflow tasks that this process runs at once"`
	// WorkflowCache needs some 180 kB for each workflow. A workflow outside the cache is read from Temporal and replayed, which takes
	// some milliseconds.
	WorkflowCache int `env:"WORKER_WORKFLOW_CACHE" envDefault:"500" doc:"workflows that this process keeps in memory"`
	// BuildID names this build in Temporal's worker deployments. Two builds whose workflow code differs need different names. When it is
	// empty, the commit is the name if the build knows it, else the digest of the program file.
	BuildID string `env:"WORKER_BUILD_ID" doc:"name of this build; empty: the commit or a digest of the program file"`
	// Deploy auto: a newer build gets new domains as soon as it runs, and moves the domains of builds without workers to itself. Deploy
	// manual: it waits for the command evercert deploy.
	Deploy string `env:"WORKER_DEPLOY" envDefault:"auto" doc:"auto or manual: whether a newer build gets new domains at once"`
	// StopTimeout limits how long running activities may take to end when the process stops. Another worker repeats those that don't end.
	StopTimeout time.Duration `env:"WORKER_STOP_TIMEOUT" envDefault:"10s" doc:"how long running activities may take to end"`
}

// Validate returns an error for unknown methods and for too few slots.
func (c Config) Validate() error {
	errs := []error{ca.CheckList(c.CAs)}
	if len(c.Methods) == 0 {
		errs = append(errs, errors.New("VALIDATION_METHODS is empty; it expects one or more of dns-01,http-01,tls-alpn-01"))
	}
	for _, m := range c.Methods {
		if m != cert.DNS01 && m != cert.HTTP01 && m != cert.TLSALPN01 {
			errs = append(errs, fmt.Errorf("VALIDATION_METHODS has %q; it expects dns-01, http-01 and tls-alpn-01, the best first", m))
		}
	}
	if c.ActivitySlots < 1 {
		errs = append(errs, fmt.Errorf("WORKER_ACTIVITY_SLOTS is %d; it expects at least 1", c.ActivitySlots))
	}
	if c.WorkflowSlots < 2 { // the SDK needs one for new workflows and one for cached workflows
		errs = append(errs, fmt.Errorf("WORKER_WORKFLOW_SLOTS is %d; it expects at least 2", c.WorkflowSlots))
	}
	if c.WorkflowCache < 1 {
		errs = append(errs, fmt.Errorf("WORKER_WORKFLOW_CACHE is %d; it expects at least 1", c.WorkflowCache))
	}
	if strings.ContainsAny(c.BuildID, ":\"\\") { // it is part of Temporal's names and queries
		errs = append(errs, fmt.Errorf(`WORKER_BUILD_ID is %q; it expects a name without colons, quotes and backslashes`, c.BuildID))
	}
	if c.Deploy != deployAuto && c.Deploy != deployManual {
		errs = append(errs, fmt.Errorf("WORKER_DEPLOY is %q; it expects auto or manual", c.Deploy))
	}
	return errors.Join(errs...)
}

// MovingConfig says when an order is placed at the next of several CAs.
type MovingConfig struct {
	MoveAfter   time.Duration `env:"CA_MOVE_AFTER" envDefault:"5m" doc:"how long an order waits for one CA, for an answer, a rate limit or its certificate, before the next CA is tried"`
	ReturnAfter time.Duration `env:"CA_RETURN_AFTER" envDefault:"1h" doc:"how long no order is placed at a CA that could not issue, at least"`
}

// Validate reports times that would move every order, or try a CA that is down without end.
func (c MovingConfig) Validate() error {
	var errs []error
	for name, d := range map[string]time.Duration{"CA_MOVE_AFTER": c.MoveAfter, "CA_RETURN_AFTER": c.ReturnAfter} {
		if d < time.Second {
			errs = append(errs, fmt.Errorf("%s is %s; it expects at least 1s", name, d))
		}
	}
	return errors.Join(errs...)
}

// The values of WORKER_DEPLOY.
const (
	deployAuto   = "auto"
	deployManual = "manual"
)

// PolicyConfig holds the platform's times and counts. Workflows read them at each check (cert.Policy).
type PolicyConfig struct {
	// FirstChecks are the pauses between the DNS checks that follow the first one, while tenants still use their DNS provider's page.
	FirstChecks []time.Duration `env:"DNS_FIRST_CHECKS" envDefault:"1m,5m,15m,1h" doc:"pauses between the first DNS checks"`
	// CheckInterval is the pause between later checks. Each check costs three Temporal actions.
	CheckInterval time.Duration `env:"DNS_CHECK_INTERVAL" envDefault:"2h" doc:"between the DNS checks after those"`
	// LateAfter: a change of name servers may take two days. Later, the timeline and the status say that the records are late.
	LateAfter time.Duration `env:"DNS_LATE_AFTER" envDefault:"48h" doc:"how long a domain may lack its records before they are called late"`
	// EscalateAfter limits how long a domain may lack its records, or an order its certificate, before a case is opened.
	EscalateAfter time.Duration `env:"DNS_ESCALATE_AFTER" envDefault:"72h" doc:"how long a domain may lack its records before a case is opened"`
	// EscalatedInterval is the pause between DNS checks of a domain with a case.
	EscalatedInterval time.Duration `env:"DNS_ESCALATED_INTERVAL" envDefault:"24h" doc:"between DNS checks of an escalated domain"`
	// After DormantAfter without ever having its records, a domain is checked every DormantInterval.
	DormantAfter    time.Duration `env:"DNS_DORMANT_AFTER" envDefault:"720h" doc:"since a domain was connected and never had its records"`
	DormantInterval time.Duration `env:"DNS_DORMANT_INTERVAL" envDefault:"168h" doc:"between DNS checks of such a domain"`
	// MaxFailures in a row stop automatic attempts and open a case.
	MaxFailures int `env:"MAX_FAILURES" envDefault:"3" doc:"failed attempts in a row before a case is opened"`
	// RetryAfterFailures are the waits after the first, second, … failure; the last one repeats. CAs count failures: Let's Encrypt pauses a
	// name that fails for months.
	RetryAfterFailures []time.Duration `env:"RETRY_AFTER_FAILURES" envDefault:"2h,8h,24h" doc:"waits after the first, second, … failure"`
	// HoldInterval is the pause between checks of a renewal on hold. Near the certificate's end the pauses are shorter.
	HoldInterval time.Duration `env:"RENEWAL_HOLD_INTERVAL" envDefault:"24h" doc:"between DNS checks of a renewal on hold"`
	// After ClaimLifetime, a domain is removed if it was never verified and none of its records was seen in that time. 0s keeps it for ever:
	// who connects a name first keeps it until another tenant proves to own it. The timeline warns ClaimWarning before.
	ClaimLifetime time.Duration `env:"CLAIM_LIFETIME" envDefault:"168h" doc:"how long an unverified domain without records is kept; 0s: for ever"`
	ClaimWarning  time.Duration `env:"CLAIM_WARNING" envDefault:"48h" doc:"how long before that end the timeline warns of it"`
	// MoveNotice is the time between another tenant's proof for a verified domain and the move to that tenant. A shorter notice leaves less
	// time to notice a hijacked DNS account.
	MoveNotice time.Duration `env:"MOVE_NOTICE" envDefault:"72h" doc:"from another tenant's proof for a verified domain to its move"`
}

// Validate returns an error for times with which a domain would be checked without a pause, or never.
func (p PolicyConfig) Validate() error {
	var errs []error
	for name, d := range map[string]time.Duration{
		"DNS_CHECK_INTERVAL": p.CheckInterval, "DNS_ESCALATED_INTERVAL": p.EscalatedInterval,
		"DNS_DORMANT_INTERVAL": p.DormantInterval, "RENEWAL_HOLD_INTERVAL": p.HoldInterval,
		"DNS_ESCALATE_AFTER": p.EscalateAfter, "DNS_LATE_AFTER": p.LateAfter,
	} {
		if d < time.Second {
			errs = append(errs, fmt.Errorf("%s is %s; it expects at least 1s", name, d))
		}
	}
	for name, list := range map[string][]time.Duration{"DNS_FIRST_CHECKS": p.FirstChecks, "RETRY_AFTER_FAILURES": p.RetryAfterFailures} {
		for _, d := range list {
			if d < time.Second {
				errs = append(errs, fmt.Errorf("%s has %s; it expects at least 1s each", name, d))
			}
		}
	}
	if p.ClaimLifetime != 0 && p.ClaimLifetime < time.Second {
		errs = append(errs, fmt.Errorf("CLAIM_LIFETIME is %s; it expects 0s, for no end, or at least 1s", p.ClaimLifetime))
	}
	if p.ClaimWarning < 0 || p.MoveNotice < 0 {
		errs = append(errs, fmt.Errorf("CLAIM_WARNING is %s and MOVE_NOTICE is %s; they expect 0s or more", p.ClaimWarning, p.MoveNotice))
	}
	if p.MaxFailures < 1 {
		errs = append(errs, fmt.Errorf("MAX_FAILURES is %d; it expects at least 1", p.MaxFailures))
	}
	return errors.Join(errs...)
}

func (p PolicyConfig) policy() cert.Policy {
	return cert.Policy{
		FirstChecks:        p.FirstChecks,
		CheckInterval:      p.CheckInterval,
		LateAfter:          p.LateAfter,
		EscalateDNSAfter:   p.EscalateAfter,
		EscalatedInterval:  p.EscalatedInterval,
		DormantAfter:       p.DormantAfter,
		DormantInterval:    p.DormantInterval,
		MaxFailures:        p.MaxFailures,
		RetryAfterFailures: p.RetryAfterFailures,
		HoldInterval:       p.HoldInterval,
		ClaimLifetime:      p.ClaimLifetime,
		ClaimWarning:       p.ClaimWarning,
		MoveNotice:         p.MoveNotice,
	}
}
