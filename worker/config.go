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
	Policy    cert.Policy
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
