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

// Config is all that a worker is told by its environment (docs/config.md).
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

	Methods       []cert.Method `env:"VALIDATION_METHODS" envDefault:"dns-01,http-01,tls-alpn-01" doc:"how control over a name may be shown to the CA, best first; dns-01 needs one more record from the tenant and none ever after, the others work only while the name leads to the platform"`
	ActivitySlots int           `env:"WORKER_ACTIVITY_SLOTS" envDefault:"200" doc:"activities, and local ones, that this process runs at once; an order holds its slot until it is done, mostly waiting for the CA"`
	WorkflowSlots int           `env:"WORKER_WORKFLOW_SLOTS" envDefault:"100" doc:"workflow tasks that this process runs at once, new domains begin while fewer than half of the slots are taken, or after a second; a task that looks at DNS holds its slot for the look"`
	WorkflowCache int           `env:"WORKER_WORKFLOW_CACHE" envDefault:"500" doc:"workflows that this process keeps in memory, some 180 kB each; another one that wakes is read from Temporal and replayed, which takes some milliseconds"`
	BuildID       string        `env:"WORKER_BUILD_ID" doc:"name of this build, for worker deployments; two builds whose workflow code differs need different ones. Empty: made of the program file, or of the commit where the build knows it"`
	Deploy        string        `env:"WORKER_DEPLOY" envDefault:"auto" doc:"auto: a newer build takes new domains as soon as it runs, and moves what builds without workers left behind; manual: it waits for evercert deploy"`
	StopTimeout   time.Duration `env:"WORKER_STOP_TIMEOUT" envDefault:"10s" doc:"how long running activities may take to end when the process is told to stop; what is cut off goes on elsewhere"`
}

// Validate reports methods that don't exist and slots that leave no room to work.
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
	if c.WorkflowSlots < 2 { // the SDK needs one for new work and one for the work it knows
		errs = append(errs, fmt.Errorf("WORKER_WORKFLOW_SLOTS is %d; it expects at least 2", c.WorkflowSlots))
	}
	if c.WorkflowCache < 1 {
		errs = append(errs, fmt.Errorf("WORKER_WORKFLOW_CACHE is %d; it expects at least 1", c.WorkflowCache))
	}
	if strings.ContainsAny(c.BuildID, ":\"\\") { // it stands in names and queries of Temporal's
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

// PolicyConfig is the platform's choice of times and counts; workflows read it at each look (cert.Policy).
type PolicyConfig struct {
	FirstChecks        []time.Duration `env:"DNS_FIRST_CHECKS" envDefault:"1m,5m,15m,1h" doc:"delays of the DNS checks after the one at once, when tenants are still at their DNS provider's page"`
	CheckInterval      time.Duration   `env:"DNS_CHECK_INTERVAL" envDefault:"2h" doc:"between the DNS checks after those; each costs three Temporal actions"`
	LateAfter          time.Duration   `env:"DNS_LATE_AFTER" envDefault:"48h" doc:"how long a domain may be without its records before they are called late, on its timeline and where people look; a change of nameservers may take two days"`
	EscalateAfter      time.Duration   `env:"DNS_ESCALATE_AFTER" envDefault:"72h" doc:"how long a domain may be without its records, or an order without its certificate, before people get the case"`
	EscalatedInterval  time.Duration   `env:"DNS_ESCALATED_INTERVAL" envDefault:"24h" doc:"between DNS checks of an escalated domain"`
	DormantAfter       time.Duration   `env:"DNS_DORMANT_AFTER" envDefault:"720h" doc:"since a domain was connected without ever having its records"`
	DormantInterval    time.Duration   `env:"DNS_DORMANT_INTERVAL" envDefault:"168h" doc:"between DNS checks of such a domain"`
	MaxFailures        int             `env:"MAX_FAILURES" envDefault:"3" doc:"failed attempts in a row after which attempts stop and people get the case"`
	RetryAfterFailures []time.Duration `env:"RETRY_AFTER_FAILURES" envDefault:"2h,8h,24h" doc:"wait after the first, second, … failure; the last one repeats. CAs count failures: Let's Encrypt pauses a name that fails for months"`
	HoldInterval       time.Duration   `env:"RENEWAL_HOLD_INTERVAL" envDefault:"24h" doc:"between looks at a renewal that is on hold; looks get denser when the certificate nears its end"`
	ClaimLifetime      time.Duration   `env:"CLAIM_LIFETIME" envDefault:"168h" doc:"how long a domain that was never verified may be without any of its records seen before it is removed; 0s: for ever, so that who connects a name first keeps it until somebody shows that it is theirs"`
	ClaimWarning       time.Duration   `env:"CLAIM_WARNING" envDefault:"48h" doc:"how long before that end the timeline warns of it"`
	MoveNotice         time.Duration   `env:"MOVE_NOTICE" envDefault:"72h" doc:"from the moment at which another tenant has shown that a verified domain is its own until it moves there; shorter leaves less time to notice a hijacked DNS account"`
}

// Validate reports times that would make a domain spin or never look.
func (p PolicyConfig) Validate() error {
	var errs []error
	for name, d := range map[string]time.Duration{
		"DNS_CHECK_INTERVAL": p.CheckInterval, "DNS_ESCALATED_INTERVAL": p.EscalatedInterval,
		"DNS_DORMANT_INTERVAL": p.DormantInterval, "RENEWAL_HOLD_INTERVAL": p.HoldInterval, "DNS_ESCALATE_AFTER": p.EscalateAfter, "DNS_LATE_AFTER": p.LateAfter,
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
		FirstChecks: p.FirstChecks, CheckInterval: p.CheckInterval, LateAfter: p.LateAfter, EscalateDNSAfter: p.EscalateAfter, EscalatedInterval: p.EscalatedInterval,
		DormantAfter: p.DormantAfter, DormantInterval: p.DormantInterval, MaxFailures: p.MaxFailures,
		RetryAfterFailures: p.RetryAfterFailures, HoldInterval: p.HoldInterval,
		ClaimLifetime: p.ClaimLifetime, ClaimWarning: p.ClaimWarning, MoveNotice: p.MoveNotice,
	}
}
