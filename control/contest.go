package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

const (
	// contestPatience is how long somebody who connects a name waits for the check that decides whether another tenant's claim yields: as
	// long as a check takes.
	contestPatience = checkPatience
	contestPoll     = 200 * time.Millisecond
	// contestTimeout is how long the holders' workflows have to answer. Connecting does not depend on Temporal: without it, the names stay
	// where they are.
	contestTimeout = 3 * time.Second
)

// contest is what happens when a tenant connects names that another has: each domain that holds some has the tenant's ownership records
// looked for. A claim that was never verified yields to them at once, and a verified domain after a notice (workflows, rival.go). It
// returns the connected domain, or the refusal with the records that would decide. Those who can't wait (patience 0) ask again later.
func (c *Control) contest(ctx context.Context, d cert.Domain, patience time.Duration) (store.Connected, error) {
	holders, err := c.store.Holders(ctx, d)
	if err != nil {
		return store.Connected{}, err
	}
	if len(holders) == 0 { // in quarantine, or given up at this moment
		return c.store.Connect(ctx, d)
	}
	secret, err := c.store.TenantSecret(ctx, d.Tenant)
	if err != nil {
		return store.Connected{}, fmt.Errorf("read the secret of tenant %s: %w", d.Tenant, err)
	}
	movesAt, checking := c.askHolders(ctx, d, holders)
	if checking && patience > 0 {
		if movesAt, err = c.awaitHolders(ctx, d, patience); err != nil {
			return store.Connected{}, err
		}
		connected, err := c.store.Connect(ctx, d)
		if !isTaken(err) {
			return connected, err
		}
	}
	records, _ := cert.OwnershipRecords(wantedOf(holders), d.Tenant, secret)
	return store.Connected{}, heldByAnother(holders, records, movesAt)
}

// askHolders asks each holder to have the tenant's ownership records looked for. checking reports whether one of them does now, or is about
// to give its names up; movesAt is when the last of those moves that have seen them. Without an answer a claim stands until somebody asks
// again.
func (c *Control) askHolders(ctx context.Context, d cert.Domain, holders []store.Holder) (movesAt time.Time, checking bool) {
	ctx, cancel := context.WithTimeout(ctx, contestTimeout)
	defer cancel()
	for _, h := range holders {
		view := store.View{Snapshot: cert.Snapshot{Domain: h.Domain, Seq: h.Seq}}
		answer, err := c.put(ctx, view, workflows.Contest, workflows.ContestRequest{Tenant: d.Tenant, Names: h.Wanted})
		var refusal cert.Problem
		switch {
		case err == nil:
			checking = checking || answer.MovesAt.IsZero()
			movesAt = latest(movesAt, answer.MovesAt)
		case errors.As(err, &refusal) && refusal.Code == cert.RequestRefused:
			_, gone := errors.AsType[removed](err)
			checking = checking || gone || refusal.Message == workflows.StillChecking ||
				refusal.Message == workflows.WasRemoved // else it has checked a moment ago
		default:
			c.log.WarnContext(ctx, "a claimed name could not be contested", "hostname", h.Hostname, "error", err)
		}
	}
	return movesAt, checking
}

// awaitHolders returns when no holder checks any more, or the patience is over, and when the last of those moves that have seen the
// records.
func (c *Control) awaitHolders(ctx context.Context, d cert.Domain, patience time.Duration) (movesAt time.Time, err error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(contestPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return movesAt, fmt.Errorf("wait for the check of the ownership records of %s: %w", d.Hostname, context.Cause(ctx))
		case <-late.C:
			return movesAt, nil
		case <-tick.C:
		}
		holders, err := c.store.Holders(ctx, d)
		if err != nil || len(holders) == 0 {
			return movesAt, err
		}
		var checking bool
		if movesAt, checking = c.askHolders(ctx, d, holders); !checking {
			return movesAt, nil
		}
	}
}

func isTaken(err error) bool {
	var p cert.Problem
	return errors.As(err, &p) && p.Code == cert.NameTaken
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func wantedOf(holders []store.Holder) []string {
	var names []string
	for _, h := range holders {
		names = append(names, h.Wanted...)
	}
	return names
}

// heldByAnother does not name the tenant that has the names.
func heldByAnother(holders []store.Holder, records []cert.Record, movesAt time.Time) cert.Problem {
	shown := cert.Unicode(holders[0].Wanted[0])
	p := cert.Problem{Code: cert.NameTaken, WhoActs: cert.TenantActs, Record: &records[0]}
	if !movesAt.IsZero() {
		p.Message = fmt.Sprintf(
			"%s is connected by another account, which has got notice: your ownership record was seen, and the name is yours from %s on",
			shown,
			movesAt.UTC().Format("2006-01-02 15:04 MST"),
		)
		p.Remediation = "connect it again then; until it is connected keep your record, and let no ownership record of the other account " +
			"stand beside it"
		return p
	}
	adds := make([]string, len(records))
	for i, r := range records {
		adds[i] = fmt.Sprintf("a TXT record %s with the value %s", cert.FormName(r.Name), r.Value)
	}
	add := strings.Join(adds, ", and ")
	p.Message = shown + " is connected by another account, which has not shown that it owns it"
	p.Remediation = "if it is yours, add " + add + ", and connect it again: it is yours as soon as that is seen, which is checked once a " +
		"minute at most"
	if slices.ContainsFunc(holders, func(h store.Holder) bool { return h.Verified }) {
		p.Message = shown + " is connected by another account already"
		p.Remediation = "if it is yours, add " + add + ", delete the ownership record of the other account, and connect it again: " +
			"the other account gets notice, and then the whole domain moves (your record is checked once a minute at most); " +
			"where that has names which are not yours, it removes yours first, or contact support"
	}
	return p
}
