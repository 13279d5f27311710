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
	lookupTimeout   = 2 * time.Second  // the longest that a handshake waits for the database
	missingFor      = 2 * time.Second  // how long an unknown name is not asked for again, unless its change is announced
	revalidateAfter = 10 * time.Minute // an entry this old is loaded again, in case a notification was lost
	retryAfter      = time.Second      // between two attempts to refresh an entry while the database is down
	refreshesAtOnce = 8                // leaves database connections for names that are not in the cache
	intermediates   = 256              // each is kept once for all certificates of its issuer
)

// errUnusable means that the source has a certificate that clients of the name would reject.
var errUnusable = errors.New("the certificate cannot be used")

// certificates caches what names are served with. Its size is limited: the least recently used names leave first. An entry never changes;
// it is replaced, and connections that use the old one continue.
type certificates struct {
	source    Source
	log       *slog.Logger
	now       func() time.Time
	loads     singleflight.Group // one load of a name at a time
	refreshes chan struct{}      // a place for each refresh under way
	epoch     atomic.Uint64      // entries of an earlier epoch are loaded again when they are next used

	mu      sync.Mutex // orders the end of a load and the announcement of a change
	loaded  *lru.Cache[string, *entry]
	missing *lru.Cache[string, time.Time] // names without a certificate, and until when they are not asked for again
	loading map[string]*load

	issuers *lru.Cache[string, []byte] // intermediates by their content
}

// load is a question to the source in progress. Its answer is stale when the name changes after the question was asked.
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

// get returns what name is served with. A cached entry is returned even if it is stale; it is then refreshed in the background. When the
// certificate has expired, the client waits, because there may be a newer one. The error is ErrNotServed, or says why the source could not
// answer.
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

// isUnknown reports, from memory only, that no certificate is installed for the name.
func (c *certificates) isUnknown(name string) bool {
	return !c.loaded.Contains(name) && (!plausible(name) || c.source.NotServed(name))
}

// replaceExpired loads the newest certificate, at most once per retryAfter. When there is none, the expired one is served, so that the
// client sees the reason.
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

// plausible reports whether name can be a connected name: scanners send addresses and random text, which must not reach the database.
func plausible(name string) bool {
	return len(name) <= 253 && strings.Contains(name, ".") && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

func (c *certificates) outdated(e *entry) bool {
	now := c.now()
	return (e.stale.Load() || e.epoch != c.epoch.Load() || now.Sub(e.loadedAt) > revalidateAfter) && now.UnixNano() >= e.retryAt.Load()
}

// load asks the source. Clients that ask for the same name meanwhile share the answer.
func (c *certificates) load(ctx context.Context, name string) (*entry, error) {
	// The load has its own time limit: it serves all clients that wait, so it must not end when the first one leaves.
	answer := c.loads.DoChan(name, func() (any, error) { return c.ask(name) })
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
		if errors.Is(err, ErrNotAsked) { // whoever failed before it has logged why
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
		for range 2 { // the name may have changed during a load that is joined here; its answer is stale, so load once more
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

// changed handles a change announced by a Source: of a name, of all names below a wildcard, or ("") of any name.
func (c *certificates) changed(name string) {
	if name == "" {
		// Loading every entry at once would overload the database: each entry is still served, and loaded again when it is next used.
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

// overtake marks as stale what is cached, or being loaded, of the names that a change concerns. It returns the cached ones.
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

// concerns reports whether a change of a name, or of a wildcard, concerns another name. A wildcard stands for one label (RFC 9525 §6.3).
func concerns(changed, name string) bool {
	if zone, ok := strings.CutPrefix(changed, "*."); ok {
		_, rest, _ := strings.Cut(name, ".")
		return rest == zone
	}
	return changed == name
}
