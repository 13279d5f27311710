package terminator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

const (
	lookupTimeout   = 2 * time.Second  // the longest a handshake waits for the database
	missingFor      = 2 * time.Second  // how long an unknown name is believed to stay unknown, when no change is told
	revalidateAfter = 10 * time.Minute // bounds what a lost notification can do: an entry this old is loaded again
	retryAfter      = time.Second      // between two tries to refresh an entry while the database is down
	refreshesAtOnce = 8                // leaves database connections to the names that are not in the cache
	intermediates   = 256              // kept once for all certificates of the same issuer
)

// errUnusable marks what the source has and clients of the name could not use.
var errUnusable = errors.New("the certificate cannot be used")

// certificates holds what names are served with. It is bounded: the names that were asked for longest ago leave first.
// What an entry serves never changes, the entry is replaced; connections that use a replaced one go on undisturbed.
type certificates struct {
	source    Source
	log       *slog.Logger
	now       func() time.Time
	flights   singleflight.Group // one load of a name at a time
	refreshes chan struct{}      // a place for each refresh under way
	epoch     atomic.Uint64      // entries of an earlier one are loaded again when they are next asked for

	mu      sync.Mutex // orders the end of a load and the news of a change
	loaded  *lru.Cache[string, *entry]
	missing *lru.Cache[string, time.Time] // names without a certificate, and until when that is believed
	loading map[string]*load

	issuers *lru.Cache[string, []byte] // intermediates by what they are
}

// load is one question to the source under way. Its answer is stale if the name changed after the question was put.
type load struct{ overtaken bool }

func newCertificates(source Source, size int, log *slog.Logger) (*certificates, error) {
	loaded, err := lru.New[string, *entry](size)
	if err != nil {
		return nil, fmt.Errorf("cache of %d certificates: %w", size, err)
	}
	missing, err := lru.New[string, time.Time](size)
	if err != nil {
		return nil, fmt.Errorf("cache of %d unknown names: %w", size, err)
	}
	issuers, err := lru.New[string, []byte](intermediates)
	if err != nil {
		return nil, fmt.Errorf("cache of %d intermediates: %w", intermediates, err)
	}
	return &certificates{
		source: source, log: log, now: time.Now, refreshes: make(chan struct{}, refreshesAtOnce),
		loaded: loaded, missing: missing, loading: map[string]*load{}, issuers: issuers,
	}, nil
}

// get returns what name is served with, from the cache if it is there, even if it is outdated: the refresh runs behind
// the client's back. For one that has expired the client waits, because there may be a newer one. The error is ErrNotServed, or says that the source
// could not tell.
func (c *certificates) get(ctx context.Context, name string) (*entry, error) {
	if e, ok := c.loaded.Get(name); ok {
		if c.now().After(e.notAfter) {
			return c.replaceExpired(ctx, name, e)
		}
		if c.outdated(e) {
			c.refresh(name, e)
		}
		return e, nil
	}
	if until, ok := c.missing.Get(name); ok && c.now().Before(until) {
		return nil, ErrNotServed
	}
	if !plausible(name) || c.source.NotServed(name) {
		return nil, ErrNotServed
	}
	return c.load(ctx, name)
}

// isUnknown reports, without asking anybody, that there is nothing to serve a name with.
func (c *certificates) isUnknown(name string) bool {
	return !c.loaded.Contains(name) && (!plausible(name) || c.source.NotServed(name))
}

// replaceExpired looks for a newer certificate, once in retryAfter. Without one the expired one is served: the client can tell why it does not work.
func (c *certificates) replaceExpired(ctx context.Context, name string, e *entry) (*entry, error) {
	if c.now().UnixNano() < e.retryAt.Load() {
		return e, nil
	}
	fresh, err := c.load(ctx, name)
	if errors.Is(err, ErrNotServed) {
		return nil, err
	}
	if err != nil {
		fresh = e
	}
	fresh.retryAt.Store(c.now().Add(retryAfter).UnixNano())
	return fresh, nil
}

// plausible keeps questions from the database that it can't answer with a certificate: scanners send addresses and junk.
func plausible(name string) bool {
	return len(name) <= 253 && strings.Contains(name, ".") && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

func (c *certificates) outdated(e *entry) bool {
	now := c.now()
	return (e.stale.Load() || e.epoch != c.epoch.Load() || now.Sub(e.loadedAt) > revalidateAfter) && now.UnixNano() >= e.retryAt.Load()
}

// load asks the source; clients that ask for the same name meanwhile share the answer.
func (c *certificates) load(ctx context.Context, name string) (*entry, error) {
	// The load has a time limit of its own: it serves all who wait, so the first one's leaving must not end it.
	answer := c.flights.DoChan(name, func() (any, error) { return c.ask(name) })
	select {
	case result := <-answer:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*entry), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *certificates) ask(name string) (*entry, error) {
	epoch := c.epoch.Load()
	question := c.begin(name)
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	material, err := c.source.Load(ctx, name)
	var e *entry
	if err == nil {
		if e, err = newEntry(name, material); err != nil {
			err = fmt.Errorf("%w: %w", errUnusable, err)
		}
	}
	switch {
	case errors.Is(err, ErrNotServed):
		c.endMissing(name, question)
		return nil, ErrNotServed
	case err != nil:
		c.endFailed(name)
		if errors.Is(err, ErrNotAsked) { // whoever was asked before it has logged why
			return nil, err
		}
		c.log.Warn("certificate not loaded", "name", name, "older_one_served", c.loaded.Contains(name), "error", err)
		return nil, fmt.Errorf("load the certificate of %s: %w", name, err)
	}
	e.epoch, e.loadedAt = epoch, c.now()
	c.shareIssuers(e)
	c.end(name, question, e)
	return e, nil
}

// shareIssuers keeps each intermediate once.
func (c *certificates) shareIssuers(e *entry) {
	for i, der := range e.certificate.Certificate[1:] {
		if kept, ok := c.issuers.Get(string(der)); ok {
			e.certificate.Certificate[i+1] = kept
		} else {
			c.issuers.Add(string(der), der)
		}
	}
}

func (c *certificates) begin(name string) *load {
	c.mu.Lock()
	defer c.mu.Unlock()
	question := &load{}
	c.loading[name] = question
	return question
}

func (c *certificates) end(name string, question *load, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loading, name)
	e.stale.Store(question.overtaken)
	c.loaded.Add(name, e)
}

func (c *certificates) endMissing(name string, question *load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loading, name)
	c.loaded.Remove(name)
	if !question.overtaken {
		c.missing.Add(name, c.now().Add(missingFor))
	}
}

func (c *certificates) endFailed(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loading, name)
}

// refresh loads an entry again in the background, once at a time.
func (c *certificates) refresh(name string, e *entry) {
	if !e.refreshing.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer e.refreshing.Store(false)
		c.refreshes <- struct{}{}
		defer func() { <-c.refreshes }()
		for range 2 { // a load that was under way when the name changed is joined, and its answer is stale: once more
			fresh, err := c.load(context.Background(), name)
			if errors.Is(err, ErrNotServed) {
				return
			}
			if err != nil {
				e.retryAt.Store(c.now().Add(retryAfter).UnixNano())
				return
			}
			if !fresh.stale.Load() {
				return
			}
		}
	}()
}

// changed takes the news of a Source: the certificate of a name, of all names below a wildcard, or ("") of any name.
func (c *certificates) changed(name string) {
	if name == "" {
		// Everything at once would be a stampede: each entry is served on and loaded again when it is next asked for.
		c.mu.Lock()
		defer c.mu.Unlock()
		c.epoch.Add(1)
		c.missing.Purge()
		for _, question := range c.loading {
			question.overtaken = true
		}
		return
	}
	for _, affected := range c.overtake(name) {
		if e, ok := c.loaded.Peek(affected); ok {
			c.refresh(affected, e)
		}
	}
}

// overtake marks as outdated whatever is known, or being asked, of the names that a change is about. It returns the loaded ones.
func (c *certificates) overtake(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for asked, question := range c.loading {
		question.overtaken = question.overtaken || concerns(name, asked)
	}
	if !strings.HasPrefix(name, "*.") {
		c.missing.Remove(name)
		if e, ok := c.loaded.Peek(name); ok {
			e.stale.Store(true)
			return []string{name}
		}
		return nil
	}
	for _, unknown := range c.missing.Keys() {
		if concerns(name, unknown) {
			c.missing.Remove(unknown)
		}
	}
	var affected []string
	for _, known := range c.loaded.Keys() {
		if e, ok := c.loaded.Peek(known); ok && concerns(name, known) {
			e.stale.Store(true)
			affected = append(affected, known)
		}
	}
	return affected
}

// concerns tells whether a change of a name, or of a wildcard, touches another name. A wildcard stands for one label (RFC 9525 §6.3).
func concerns(changed, name string) bool {
	if zone, ok := strings.CutPrefix(changed, "*."); ok {
		_, rest, _ := strings.Cut(name, ".")
		return rest == zone
	}
	return changed == name
}
