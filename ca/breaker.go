package ca

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme"

	"github.com/evercert/evercert/cert"
)

// Blocks stores why a CA refuses the account, for all processes together. Its errors are those of the database.
type Blocks interface {
	AccountBlock(ctx context.Context, directory string) (block cert.AccountBlock, blocked bool, err error)
	// BlockAccount stores a block and opens the account's case. It returns the block with the wait until the next probe.
	BlockAccount(ctx context.Context, b cert.AccountBlock) (cert.AccountBlock, error)
	// LeaseProbe reports whether the caller may try a request that the CA refused. One process may at a time, when the wait is over or the
	// settings have changed.
	LeaseProbe(ctx context.Context, directory, settings string) (bool, error)
	// UnblockAccount ends the block and closes its case. It reports whether there was a block.
	UnblockAccount(ctx context.Context, directory, resolution string) (bool, error)
}

// breaker is what this process knows of the account's block. A fault of the account (new terms, a deactivated account, a wrong profile or
// external account binding) is one fault of the platform, not one of each domain. So the first refusal blocks the account, and nothing is
// ordered until a probe succeeds. A probe is one request of one domain that would have been made anyway.
type breaker struct {
	mu      sync.Mutex
	block   cert.AccountBlock
	blocked bool
	read    time.Time // when the store was last read
	trial   bool      // this process makes the probe
}

const (
	// blockKnownFor is how long a process uses what it knows of the block before it reads the store again.
	blockKnownFor = 5 * time.Second
	// leastSpread is the shortest time over which domains retry when the account works again. It prevents all of them from ordering at once.
	leastSpread = time.Minute
	// probeInterval is the pause between two checks whether a probe is due.
	probeInterval = time.Minute
)

// Admit returns nil when the account is open and not blocked, or when a probe is due; the next NewOrder or Complete is then the probe.
// Otherwise it returns a cert.Failure with the wait. It sends no request to the CA except a registration.
func (a *Authority) Admit(ctx context.Context) error {
	if _, err := a.session(ctx); err != nil {
		return err
	}
	block, blocked, err := a.knownBlock(ctx)
	if err != nil || !blocked || a.probeIsDue(block) {
		return err
	}
	return waitForAccount(block)
}

func (a *Authority) probeIsDue(b cert.AccountBlock) bool {
	return b.Wait <= 0 || b.Settings != a.settings()
}

// admit allows a request that may place or continue an order. While the account is blocked, one request at a time is allowed: the probe.
func (a *Authority) admit(ctx context.Context) error {
	block, blocked, err := a.knownBlock(ctx)
	if err != nil || !blocked {
		return err
	}
	if !a.probeIsDue(block) {
		return waitForAccount(block)
	}
	leased, err := a.accounts.LeaseProbe(ctx, a.cfg.Directory, a.settings())
	if err != nil {
		return fmt.Errorf("ask to probe the account: %w", err)
	}
	a.breaker.mu.Lock()
	defer a.breaker.mu.Unlock()
	a.breaker.read = time.Time{} // the time of the next probe has changed
	if !leased {
		return waitForAccount(block)
	}
	a.breaker.trial = true
	a.log.Info("probing the account that the CA refused", "kind", block.Kind)
	return nil
}

// knownBlock returns the block with the rest of its wait. It reads the store once per blockKnownFor.
func (a *Authority) knownBlock(ctx context.Context) (block cert.AccountBlock, blocked bool, err error) {
	b := &a.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.read) > blockKnownFor {
		if b.block, b.blocked, err = a.accounts.AccountBlock(ctx, a.cfg.Directory); err != nil {
			return cert.AccountBlock{}, false, fmt.Errorf("ask whether the CA refuses the account: %w", err)
		}
		b.read = time.Now()
	}
	block = b.block
	block.Wait = max(0, block.Wait-time.Since(b.read))
	return block, b.blocked, nil
}

// waitForAccount returns the failure of a domain that waits for a blocked account.
func waitForAccount(b cert.AccountBlock) error {
	return &cert.Failure{Outcome: cert.Wait, RetryAfter: b.Wait + rand.N(max(leastSpread, b.Wait/4)), Problem: b.Problem}
}

// heard evaluates what the end of a request says about the account. s is nil during registration. It returns err, or what err means for the
// account.
func (a *Authority) heard(ctx context.Context, s *session, err error) error {
	var f *cert.Failure
	switch {
	case err == nil, errors.As(err, &f) && f.Outcome == cert.Refused: // a verdict on the names: the account was accepted
		a.accepted(ctx)
		return err
	case f == nil || f.Problem.Code != cert.AccountProblem:
		return err
	}
	kind := externalAccountRequired
	if _, problem := refusal(err); problem != nil {
		kind = kindOf(problem.Type)
	}
	if s != nil && kind == unauthorized {
		// Some CAs use this error for a name that the account may not order. The account itself then still works.
		switch works, askErr := a.accountWorks(ctx, s); {
		case askErr != nil:
			return fmt.Errorf("ask whether the account works, after %s: %w", err.Error(), askErr)
		case works:
			return &cert.Failure{Outcome: cert.Wait, RetryAfter: unknownRetry, Err: f.Err, Problem: cert.Problem{
				Code: cert.CARejected, WhoActs: cert.PlatformActs, Message: f.Problem.Message,
				Remediation: "ask the CA why the account may not order this name; evercert tries again by itself",
			}}
		}
	}
	return a.block(ctx, s, kind, f)
}

// block blocks the account for all processes.
func (a *Authority) block(ctx context.Context, s *session, kind string, f *cert.Failure) error {
	block := cert.AccountBlock{Directory: a.cfg.Directory, Kind: kind, Problem: f.Problem, Settings: a.settings()}
	if s != nil {
		block.AccountURL = s.accountURL
	}
	kept, err := a.accounts.BlockAccount(context.WithoutCancel(ctx), block)
	if err != nil {
		return fmt.Errorf("note that the CA refuses the account (%s): %w", f.Problem.Message, err)
	}
	a.log.Error("the CA refuses the account: every domain waits",
		"account", block.AccountURL, "kind", kind, "problem", f.Problem.Message, "next_probe", kept.Wait)
	a.breaker.mu.Lock()
	defer a.breaker.mu.Unlock()
	a.breaker.block, a.breaker.blocked, a.breaker.read, a.breaker.trial = kept, true, time.Now(), false
	waits := waitForAccount(kept).(*cert.Failure) //nolint:errorlint // made here
	waits.Err = f.Err
	return waits
}

// accepted ends the block when this process was probing. If the store can't be written, the next probe repeats it.
func (a *Authority) accepted(ctx context.Context) {
	if !a.endTrial() {
		return
	}
	was, err := a.accounts.UnblockAccount(context.WithoutCancel(ctx), a.cfg.Directory, "the CA accepts the account again")
	if err != nil {
		a.log.Warn("the CA accepts the account again, and that could not be noted", "error", err)
		return
	}
	a.breaker.mu.Lock()
	a.breaker.blocked, a.breaker.read = false, time.Now()
	a.breaker.mu.Unlock()
	if was {
		a.log.Info("the CA accepts the account again: domains go on")
	}
}

// endTrial ends the probe of this process, and reports whether there was one.
func (a *Authority) endTrial() (was bool) {
	a.breaker.mu.Lock()
	defer a.breaker.mu.Unlock()
	was, a.breaker.trial = a.breaker.trial, false
	return was
}

// accountWorks reads the account at the CA. Every request of a deactivated account is answered with unauthorized (RFC 8555 §7.3.6).
func (a *Authority) accountWorks(ctx context.Context, s *session) (bool, error) {
	account, err := s.account(ctx)
	switch {
	case refusedAs(err, unauthorized):
		return false, nil
	case err != nil:
		return false, err
	}
	return account.Status == acme.StatusValid, nil
}

// Watch probes a blocked account while that needs no order, until ctx ends. It probes at once, so that changed settings are tried when a
// worker starts.
func (a *Authority) Watch(ctx context.Context) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		if err := a.Probe(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("the account could not be probed", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Probe probes a blocked account if the probe is due and needs no order: it repeats a refused registration, or reads a refused account. New
// terms and profiles show only at an order, so the next domain's order is then the probe.
func (a *Authority) Probe(ctx context.Context) error {
	block, blocked, err := a.accounts.AccountBlock(ctx, a.cfg.Directory)
	if err != nil || !blocked {
		return err
	}
	if block.AccountURL == "" {
		if _, err = a.session(ctx); errors.As(err, new(*cert.Failure)) { // still refused, or not due yet
			return nil
		}
		return err
	}
	if block.Kind != unauthorized {
		return nil
	}
	if err := a.admit(ctx); err != nil {
		if errors.As(err, new(*cert.Failure)) { // not due yet
			return nil
		}
		return err
	}
	s, err := a.session(ctx)
	if err != nil {
		return err
	}
	works, err := a.accountWorks(ctx, s)
	if err != nil || !works {
		a.endTrial()
		return err
	}
	a.accepted(ctx)
	return nil
}

// settings returns a hash of the settings that a CA may refuse.
func (a *Authority) settings() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{a.cfg.Profile, a.cfg.Contact, a.cfg.EABKeyID, string(a.cfg.EABKey)}, "\x00")))
	return hex.EncodeToString(sum[:])
}
