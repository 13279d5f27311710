package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// EarlyConfig says how waiting domains are asked for between their checks.
type EarlyConfig struct {
	// Interval is the time between two turns of a domain in the first half hour; later turns are seldomer.
	Interval time.Duration `env:"EARLY_CHECK_INTERVAL" envDefault:"30s" doc:"time between questions for missing records; 0s: none"`
	// Rate bounds the questions of this process. Where it does not do for all waiting domains, their turns come later.
	Rate int `env:"EARLY_CHECK_RATE" envDefault:"200" doc:"questions a second, at most, that ask for missing records"`
}

// Validate returns an error for times and rates that would ask without end, or never.
func (c EarlyConfig) Validate() error {
	switch {
	case c.Interval != 0 && c.Interval < time.Second:
		return fmt.Errorf("EARLY_CHECK_INTERVAL is %s; it expects 0s, for never, or at least 1s", c.Interval)
	case c.Rate < 1:
		return fmt.Errorf("EARLY_CHECK_RATE is %d; it expects at least 1", c.Rate)
	}
	return nil
}

// Early asks the name servers of waiting domains for the records that are missing, between the checks of the workflow and without
// Temporal, and wakes the workflow when its records are there (row F9). It decides nothing: the check that follows does.
type Early struct {
	Config    EarlyConfig
	Store     EarlyStore
	Servers   EarlyServers
	Workflows interface {
		Wake(ctx context.Context, id string, w workflows.WakeRequest) error
	}
	Log *slog.Logger

	budget *rate.Limiter
}

// EarlyStore keeps whose turn it is.
type EarlyStore interface {
	// TakeEarly returns the domains whose turn it is, at most limit, and sets their next turn. An error means that the database did not
	// answer.
	TakeEarly(ctx context.Context, shortest time.Duration, limit int) ([]store.EarlyCheck, error)
	// NoteEarly keeps what the servers of a domain showed, unless there is a newer check.
	NoteEarly(ctx context.Context, domainID string, check time.Time, seen string) error
}

// EarlyServers asks single name servers.
type EarlyServers interface {
	// AskServer returns what a server shows in the place of a record. An error means that it gave no answer.
	AskServer(ctx context.Context, server netip.Addr, want cert.Record) (cert.Shown, error)
}

const (
	// earlyTick is between two looks at whose turn it is, when it was nobody's.
	earlyTick = time.Second
	// earlyBatch is how many domains a worker takes at a time: it is through with them before their next turn.
	earlyBatch = 100
	// earlyAtOnce is how many domains are asked for at the same time. A server that is silent costs a place for some seconds.
	earlyAtOnce = 32
	// earlyServers is how many name servers of a domain are asked. More than a few show the same.
	earlyServers = 4
	// earlyChange is how old the newest check must be for a change to lead to a new one although records are still missing.
	earlyChange = 5 * time.Minute
)

// Run asks until ctx ends.
func (e Early) Run(ctx context.Context) {
	if e.Config.Interval == 0 {
		return
	}
	e.budget = rate.NewLimiter(rate.Limit(e.Config.Rate), e.Config.Rate)
	tick := time.NewTicker(earlyTick)
	defer tick.Stop()
	for {
		taken, err := e.Store.TakeEarly(ctx, e.Config.Interval, earlyBatch)
		if err != nil && ctx.Err() == nil {
			e.Log.WarnContext(ctx, "waiting domains are not asked for early", "error", err)
		}
		var g errgroup.Group
		g.SetLimit(earlyAtOnce)
		for _, c := range taken {
			g.Go(func() error {
				if err := e.ask(ctx, c); err != nil && ctx.Err() == nil {
					e.Log.WarnContext(ctx, "a waiting domain was not asked for", "hostname", c.Hostname, "error", err)
				}
				return nil
			})
		}
		_ = g.Wait() // errors are logged
		if len(taken) == earlyBatch {
			continue // more of them may be due
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask asks for a domain's missing records, and wakes its workflow when that is worth a check.
//
// That is so when the records are complete that one order needs, and were not at the newest check. It is so, too, when anything else has
// changed since the last turn and the newest check is some minutes old: the change may be a way to the platform that only a check
// understands, such as the addresses of a CDN. A record that comes alone leads to no check, because the next ones are typed just then.
func (e Early) ask(ctx context.Context, c store.EarlyCheck) error {
	answers, err := e.askServers(ctx, c.Check)
	if err != nil {
		return err
	}
	cause := ""
	switch seen := digest(answers); {
	case complete(c.Check.Records, answers) && !complete(c.Check.Records, nil):
		cause = "the name servers show the records"
	case c.Seen == "":
		return e.Store.NoteEarly(ctx, c.DomainID, c.Check.CheckedAt, seen)
	case c.Seen != seen && time.Since(c.Check.CheckedAt) > earlyChange:
		cause = "the name servers show other records than before"
	default:
		return nil
	}
	if err := e.Workflows.Wake(ctx, workflows.DomainID(c.Hostname), workflows.WakeRequest{Cause: cause, Check: true}); err != nil {
		return fmt.Errorf("wake its workflow: %w", err)
	}
	return nil
}

// earlyAnswer is what all servers that were asked show of a record.
type earlyAnswer struct {
	right bool // at all that answered, and one did
	text  []string
}

// askServers asks for the records that the newest check did not find, at the name servers that answered it.
func (e Early) askServers(ctx context.Context, check cert.Diagnosis) (map[cert.Record]earlyAnswer, error) {
	answers := map[cert.Record]earlyAnswer{}
	for _, r := range check.Records {
		if r.Verdict == cert.OK {
			continue
		}
		var answer earlyAnswer
		asked, right := 0, 0
		for _, server := range serversOf(check, r.Record) {
			if err := e.budget.Wait(ctx); err != nil {
				return nil, err
			}
			shown, err := e.Servers.AskServer(ctx, server, r.Record)
			if err != nil {
				continue // a server that is silent now shows nothing new
			}
			asked++
			if shown.Right {
				right++
			}
			answer.text = append(answer.text, shown.Text...)
		}
		answer.right = asked > 0 && right == asked
		answers[r.Record] = answer
	}
	return answers, nil
}

// serversOf returns the addresses of the name servers that answered for the zone of a record, the smallest zone first.
func serversOf(check cert.Diagnosis, want cert.Record) []netip.Addr {
	var zone string
	for _, s := range check.Servers {
		if (want.Name == s.Zone || strings.HasSuffix(want.Name, "."+s.Zone)) && len(s.Zone) > len(zone) {
			zone = s.Zone
		}
	}
	var addresses []netip.Addr
	for _, s := range check.Servers {
		address, err := netip.ParseAddr(s.Address)
		if err == nil && s.Zone == zone && s.State == cert.ServerAnswers && len(addresses) < earlyServers {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// complete reports whether the records are there that one order needs: all that show ownership, and for each name the delegation or one
// that leads to the platform.
func complete(records []cert.RecordState, answers map[cert.Record]earlyAnswer) bool {
	provable := map[string]bool{}
	for _, r := range records {
		right := r.Verdict == cert.OK || answers[r.Record].right
		switch r.Purpose {
		case cert.ForOwnership:
			if !right {
				return false
			}
		case cert.ForDelegation, cert.ForAddress:
			provable[r.Hostname] = provable[r.Hostname] || right
		}
	}
	for _, is := range provable {
		if !is {
			return false
		}
	}
	return len(provable) > 0
}

// digest is the same for the same answers.
func digest(answers map[cert.Record]earlyAnswer) string {
	var lines []string
	for r, a := range answers {
		text := slices.Clone(a.text)
		slices.Sort(text)
		lines = append(lines, r.Name+" "+r.Type+" "+r.Value+" "+strings.Join(slices.Compact(text), " "))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}
