package edgetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/evercert/evercert/edge/terminator"
)

// Source is a terminator.Source in memory. It has no transactions, answers at once, and announces every change.
type Source struct {
	mu       sync.Mutex
	served   map[string]terminator.Material
	down     error
	complete bool
	hold     chan struct{}
	loads    int
	hears    []func(name string)
	heard    chan struct{}
}

// NewSource returns a Source without certificates.
func NewSource() *Source {
	return &Source{served: map[string]terminator.Material{}, heard: make(chan struct{})}
}

// NotServed implements terminator.Source. It returns false until Complete is called, as before the names were read from the database.
func (s *Source) NotServed(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find(name)
	return s.complete && errors.Is(err, terminator.ErrNotServed)
}

// Complete makes NotServed answer for every name from now on.
func (s *Source) Complete() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = true
}

// Load implements terminator.Source.
func (s *Source) Load(ctx context.Context, name string) (terminator.Material, error) {
	s.mu.Lock()
	s.loads++
	m, err := s.find(name)
	hold := s.hold
	s.mu.Unlock()
	if hold != nil { // the answer may be outdated when it is returned
		select {
		case <-hold:
		case <-ctx.Done():
			return terminator.Material{}, ctx.Err()
		}
	}
	return m, err
}

func (s *Source) find(name string) (terminator.Material, error) {
	if s.down != nil {
		return terminator.Material{}, s.down
	}
	if m, ok := s.served[name]; ok {
		return m, nil
	}
	_, zone, _ := strings.Cut(name, ".")
	if m, ok := s.served["*."+zone]; ok {
		return m, nil
	}
	return terminator.Material{}, terminator.ErrNotServed
}

// Listen implements terminator.Source. There may be several listeners.
func (s *Source) Listen(ctx context.Context, changed func(name string)) error {
	s.mu.Lock()
	s.hears = append(s.hears, changed)
	first := len(s.hears) == 1
	s.mu.Unlock()
	changed("")
	if first {
		close(s.heard)
	}
	<-ctx.Done()
	return ctx.Err()
}

// Install serves a certificate's names with it, and announces them.
func (s *Source) Install(c Issued) { s.install(c, c.ChainPEM, false) }

// InstallRedirecting is like Install, with HTTPS redirect switched on.
func (s *Source) InstallRedirecting(c Issued) { s.install(c, c.ChainPEM, true) }

// InstallWithoutChain serves the leaf alone.
func (s *Source) InstallWithoutChain(c Issued) { s.install(c, c.LeafPEM, false) }

func (s *Source) install(c Issued, chain []byte, redirect bool) {
	for _, name := range c.Names {
		s.Put(name, terminator.Material{Serial: c.Serial, ChainPEM: chain, Key: c.Key, HTTPSRedirect: redirect})
	}
}

// Put serves a name with the material, and announces it.
func (s *Source) Put(name string, m terminator.Material) {
	s.mu.Lock()
	s.served[name] = m
	s.mu.Unlock()
	s.Announce(name)
}

// Replace is like Put without an announcement, as if it had been lost.
func (s *Source) Replace(name string, m terminator.Material) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served[name] = m
}

// Retire stops serving a name, and announces it.
func (s *Source) Retire(name string) {
	s.mu.Lock()
	delete(s.served, name)
	s.mu.Unlock()
	s.Announce(name)
}

// Announce announces a change of a name to the listeners.
func (s *Source) Announce(name string) {
	s.mu.Lock()
	hears := slices.Clone(s.hears)
	s.mu.Unlock()
	for _, changed := range hears {
		changed(name)
	}
}

// Break makes every load fail with err, as when the database is down; nil ends it.
func (s *Source) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

// Hold delays the answers of loads until release is called.
func (s *Source) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hold := make(chan struct{})
	s.hold = hold
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(hold)
		s.hold = nil
	}
}

// Heard is closed when the first listener hears all announcements.
func (s *Source) Heard() <-chan struct{} { return s.heard }

// Loads returns how often the source was asked.
func (s *Source) Loads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}
