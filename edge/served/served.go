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

	mu        sync.RWMutex // for what follows; the goroutine of Follow alone writes names and data, and so reads them without it
	names     map[string]place
	data      *os.File          // where places are; nil: nowhere
	heard     map[string]uint64 // names of which a change was told that is not read yet, with the number of that message
	messages  uint64
	current   bool   // the set was compared with the database, and has heard of changes since
	hears     bool   // the connection for notifications is up
	listening uint64 // counts connects and disconnects

	listDue atomic.Bool
	news    chan struct{} // has a place for one: there is something to do

	// Follow's goroutine alone.
	listAt   time.Time // when the set is compared with the database again
	uncopied []string  // names whose certificates are to be copied
	unsaved  bool
	listed   map[string]place // of names that changed since the list was saved: where the saved list leads
	saveAt   time.Time        // not before
}

// place says what a name is served with: 24 bytes, because there may be 100,000.
type place struct {
	serial   uint64 // the beginning of its digest
	at       int64  // of its certificate in the data file
	length   uint32 // 0: not copied
	redirect bool
}

// Open reads the copy in a folder, which it makes if need be; "" keeps the set in memory only. What is wrong with the copy is logged, and the set
// is then as large as what could be read: it is filled from the database.
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

// Close leaves the folder to another process. It is called when Follow has returned, and nothing is read from the copy after it.
func (s *Set) Close() error {
	var err error
	for _, file := range []*os.File{s.disk.data, s.disk.lock} {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
	}
	return err
}

// Len is the number of names and wildcards that are served.
func (s *Set) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.names)
}

// Copied is the number of those whose certificates are on this disk.
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

// Found is what the set knows of a name.
type Found struct {
	Served        bool // the name, or the wildcard one label above it (RFC 9525 §6.3), is in the set
	Sure          bool // the database has told nothing else
	HTTPSRedirect bool

	place place
	data  *os.File
}

// Copied reports whether the certificate is on this disk.
func (f Found) Copied() bool { return f.place.length > 0 }

// Find looks a name up, in A-labels and lower case.
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

// Certificate reads a certificate that was copied, its key still sealed. Names and HTTPSRedirect stay empty.
func (s *Set) Certificate(f Found) (store.ServedCertificate, error) {
	if !f.Copied() {
		return store.ServedCertificate{}, fmt.Errorf("the certificate is not in the edge's own copy: %w", store.ErrNotFound)
	}
	return s.disk.read(f.data, f.place)
}

// Spoiled says that what was copied for a name can't be used: it is read from the database anew.
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

// connected notes that changes are heard from now on, or no more.
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

// digest stands for a serial number.
func digest(serial string) uint64 {
	sum := sha256.Sum256([]byte(serial))
	return binary.BigEndian.Uint64(sum[:8])
}
