package served

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

const deadline = 30 * time.Second

var errDown = errors.New("the database is down")

// database is a Database in memory. It answers at once, and announces every change unless silent is set.
type database struct {
	mu       sync.Mutex
	serving  map[string]store.ServedCertificate // by name
	heard    func(name string)
	down     bool
	reads    int // of certificates
	lists    int
	hold     chan struct{} // lists wait for it; their answer is outdated by then
	holdRead chan struct{} // certificates wait for it, likewise
	drop     chan struct{} // ends the connection for notifications
}

func newDatabase() *database {
	return &database{serving: map[string]store.ServedCertificate{}, drop: make(chan struct{})}
}

func (d *database) ListenServed(ctx context.Context, changed func(string), lost func()) error {
	for {
		d.mu.Lock()
		down := d.down
		if !down {
			d.heard = changed
		}
		d.mu.Unlock()
		if !down {
			changed("")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.drop:
			lost()
		}
	}
}

// reconnect ends the connection for notifications, or its attempt to reconnect.
func (d *database) reconnect() { d.drop <- struct{}{} }

func (d *database) ServedNames(ctx context.Context, each func(store.Serving)) error {
	d.mu.Lock()
	d.lists++
	var rows []store.Serving
	for name, c := range d.serving {
		rows = append(rows, store.Serving{Name: name, Serial: c.Serial, HTTPSRedirect: c.HTTPSRedirect})
	}
	down, hold := d.down, d.hold
	d.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if down {
		return errDown
	}
	for _, row := range rows {
		each(row)
	}
	return nil
}

func (d *database) ServedCertificates(_ context.Context, names []string) ([]store.ServedCertificate, error) {
	list, hold, err := d.read(names)
	if hold != nil {
		<-hold
	}
	return list, err
}

func (d *database) read(names []string) (list []store.ServedCertificate, hold chan struct{}, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	hold = d.holdRead
	if d.down {
		return nil, hold, errDown
	}
	found := map[string]store.ServedCertificate{}
	for _, name := range names {
		if c, ok := d.serving[name]; ok {
			found[c.Serial] = c
		}
	}
	for name, c := range d.serving {
		if f, ok := found[c.Serial]; ok {
			f.Names = append(f.Names, name)
			found[c.Serial] = f
		}
	}
	for _, c := range found {
		list = append(list, c)
	}
	return list, hold, nil
}

// set changes the database without an announcement. An empty serial retires the names.
func (d *database) set(serial string, names ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		if serial == "" {
			delete(d.serving, name)
			continue
		}
		d.serving[name] = certificate(serial)
	}
}

// install is set with an announcement.
func (d *database) install(serial string, names ...string) {
	d.set(serial, names...)
	d.mu.Lock()
	heard := d.heard
	d.mu.Unlock()
	for _, name := range names {
		heard(name)
	}
}

func (d *database) breakDown(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

func certificate(serial string) store.ServedCertificate {
	return store.ServedCertificate{
		Serial: serial, ChainPEM: []byte(strings.Repeat("chain of "+serial+" ", 100)), NotAfter: time.Unix(1_900_000_000, 0).UTC(),
		KeyID: "leaf:" + serial, SealedKey: []byte("sealed key of " + serial),
	}
}

// bundle is a set with its own database and folder.
type bundle struct {
	t    *testing.T
	db   *database
	dir  string
	keys *keyring.Keyring
	log  *lines
	set  *Set
	stop func()

	mu      sync.Mutex
	changed []string
}

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newKeys(t *testing.T) *keyring.Keyring {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyring.json")
	require.NoError(t, keyring.Generate(path))
	keys, err := keyring.Load(path)
	require.NoError(t, err)
	return keys
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return &bundle{t: t, db: newDatabase(), dir: filepath.Join(t.TempDir(), "copy"), keys: newKeys(t), log: &lines{}}
}

// open reads the copy, as an edge does when it starts.
func (b *bundle) open() *Set {
	b.t.Helper()
	return Open(b.dir, b.keys, slog.New(slog.NewTextHandler(b.log, nil)))
}

// run opens the set and follows the database until stop.
func (b *bundle) run() {
	b.t.Helper()
	b.set = b.open()
	b.follow(b.set)
}

func (b *bundle) follow(set *Set) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- set.Follow(ctx, b.db, func(name string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.changed = append(b.changed, name)
		})
	}()
	b.stop = sync.OnceFunc(func() {
		cancel()
		require.ErrorIs(b.t, <-ended, context.Canceled)
		require.NoError(b.t, set.Close())
	})
	b.t.Cleanup(b.stop)
}

func (b *bundle) eventually(what string, condition func() bool) {
	b.t.Helper()
	require.Eventually(b.t, condition, deadline, time.Millisecond, what)
}

// copied waits until the copy on the disk equals the database.
func (b *bundle) copied() {
	b.t.Helper()
	b.eventually("everything is on the disk", func() bool {
		reader := &Set{disk: &disk{dir: b.dir, keys: b.keys, log: slog.New(slog.DiscardHandler)}} // without the lock, which others wait for
		reader.names, reader.data = reader.disk.load()
		defer reader.Close() //nolint:errcheck // nothing was written
		b.db.mu.Lock()
		defer b.db.mu.Unlock()
		if len(reader.names) != len(b.db.serving) {
			return false
		}
		for name, c := range b.db.serving {
			if got, err := reader.Certificate(reader.Find(name)); err != nil || got.Serial != c.Serial {
				return false
			}
		}
		return true
	})
}

// serves fails the test unless the set has the certificate of a name.
func serves(t *testing.T, set *Set, name, serial string) {
	t.Helper()
	found := set.Find(name)
	require.True(t, found.Served, name)
	got, err := set.Certificate(found)
	require.NoError(t, err, name)
	require.Equal(t, certificate(serial), got)
}

func (b *bundle) announced(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.changed, name)
}

func shop(i int) string { return fmt.Sprintf("shop%05d.customers.example", i) }
