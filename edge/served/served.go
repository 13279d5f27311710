package served

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

// Set is the set of served names. Any number of goroutines may use it; one runs Follow.
type Set struct {
	log  *slog.Logger
	disk *disk // used by Open, and by Follow's goroutine

	mu        sync.RWMutex // for the fields below; only Follow's goroutine writes names and data, so it reads them without the lock
	names     map[string]place
	data      *os.File          // the file that places point into; nil: none
	heard     map[string]uint64 // names whose change was announced and not read yet, with the number of the announcement
	messages  uint64
	current   bool   // the set was compared with the database, and announcements have arrived since
	hears     bool   // the connection for notifications is up
	listening uint64 // counts connects and disconnects

	listDue atomic.Bool
	news    chan struct{} // a channel of size one: there is something to do

	// Used by Follow's goroutine only.
	listAt   time.Time // when the set is compared with the database again
	uncopied []string  // names whose certificates are to be copied
	unsaved  bool
	listed   map[string]place // of names that changed since the list was saved: their places in the saved list
	saveAt   time.Time        // not before
}

// place says what a name is served with. It has 24 bytes, because there may be 100,000.
type place struct {
	serial   uint64 // the beginning of its digest
	at       int64  // of its certificate in the data file
	length   uint32 // 0: not copied
	redirect bool
}

// Open reads the copy in a folder, and creates the folder if needed; with "" the set is in memory only. Faults of the copy are logged. The
// set then holds what could be read, and the rest is read from the database.
func Open(dir string, keys *keyring.Keyring, log *slog.Logger) *Set {
	s := &Set{
		log: log, disk: &disk{dir: dir, keys: keys, log: log, slack: slack}, listed: map[string]place{},
		names: map[string]place{}, heard: map[string]uint64{}, news: make(chan struct{}, 1),
	}
	if dir == "" {
		return s
	}
	begin := time.Now()
	s.disk.acquire()
	s.names, s.data = s.disk.load()
	log.Info("the edge's own copy is read", "folder", dir, "names", len(s.names), "copied", s.Copied(), "took", time.Since(begin))
	return s
}

// Close releases the folder for another process. Call it after Follow has returned; the copy can't be read afterwards.
func (s *Set) Close() error {
	var err error
	for _, file := range []*os.File{s.disk.data, s.disk.lock} {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
	}
	return err
}

// Len returns the number of names and wildcards that are served.
func (s *Set) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.names)
}

// Copied returns the number of those whose certificates are on this disk.
func (s *Set) Copied() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	copied := 0
	for _, p := range s.names {
		if p.length > 0 {
			copied++
		}
	}
	return copied
}

// Found is what the set knows about a name.
type Found struct {
	Served        bool // the name, or the wildcard one label above it (RFC 9525 §6.3), is in the set
	Sure          bool // no change was announced that is not read yet
	HTTPSRedirect bool

	place place
	data  *os.File
}

// Copied reports whether the certificate is on this disk.
func (f Found) Copied() bool { return f.place.length > 0 }

// Find finds a name, in A-labels and lower case.
func (s *Set) Find(name string) Found {
	_, parent, _ := strings.Cut(name, ".")
	wildcard := "*." + parent
	s.mu.RLock()
	defer s.mu.RUnlock()
	f := Found{Sure: s.current, data: s.data}
	if len(s.heard) > 0 {
		_, own := s.heard[name]
		_, above := s.heard[wildcard]
		f.Sure = f.Sure && !own && !above
	}
	if f.place, f.Served = s.names[name]; !f.Served {
		f.place, f.Served = s.names[wildcard]
	}
	f.HTTPSRedirect = f.place.redirect
	return f
}

// Certificate reads a copied certificate, whose key is still sealed. Names and HTTPSRedirect stay empty.
func (s *Set) Certificate(f Found) (store.ServedCertificate, error) {
	if !f.Copied() {
		return store.ServedCertificate{}, fmt.Errorf("the certificate is not in the edge's own copy: %w", store.ErrNotFound)
	}
	return s.disk.read(f.data, f.place)
}

// Spoiled reports that a name's copy can't be used: it is then read from the database again.
func (s *Set) Spoiled(name string) {
	s.mu.RLock()
	_, own := s.names[name]
	s.mu.RUnlock()
	if !own {
		_, parent, _ := strings.Cut(name, ".")
		name = "*." + parent
	}
	s.hear(name)
}

// hear notes that a name has changed.
func (s *Set) hear(name string) {
	s.mu.Lock()
	s.messages++
	s.heard[name] = s.messages
	s.mu.Unlock()
	s.wake()
}

// connected notes whether announcements arrive from now on.
func (s *Set) connected(hears bool) {
	s.mu.Lock()
	s.listening++
	s.hears, s.current = hears, false
	s.mu.Unlock()
	if hears {
		s.listDue.Store(true)
		s.wake()
	}
}

func (s *Set) wake() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// digest returns a number that stands for a serial number.
func digest(serial string) uint64 {
	sum := sha256.Sum256([]byte(serial))
	return binary.BigEndian.Uint64(sum[:8])
}
