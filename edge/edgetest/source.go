package edgetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/evercert/evercert/edge/terminator"
)

// Source is a terminator.Source in memory. It has no transactions and no delay of its own, and its news never get lost.
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

// NewSource serves nothing yet.
func NewSource() *Source {
	return &Source{served: map[string]terminator.Material{}, heard: make(chan struct{})}
}

// NotServed implements terminator.Source: it knows nothing, as before the names were read from the database, until Complete.
func (s *Source) NotServed(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.look(name)
	return s.complete && errors.Is(err, terminator.ErrNotServed)
}

// Complete makes NotServed know every name from now on.
func (s *Source) Complete() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = true
}

// Load implements terminator.Source.
func (s *Source) Load(ctx context.Context, name string) (terminator.Material, error) {
	s.mu.Lock()
	s.loads++
	m, err := s.look(name)
	hold := s.hold
	s.mu.Unlock()
	if hold != nil { // with an answer that may be outdated when it arrives
		select {
		case <-hold:
		case <-ctx.Done():
			return terminator.Material{}, ctx.Err()
		}
	}
	return m, err
}

func (s *Source) look(name string) (terminator.Material, error) {
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

// Listen implements terminator.Source. It may have several listeners, none of which leaves.
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

// Install serves a certificate's names with it, and tells the listeners.
func (s *Source) Install(c Issued) { s.install(c, c.ChainPEM, false) }

// InstallRedirecting is Install with HTTPS redirect switched on.
func (s *Source) InstallRedirecting(c Issued) { s.install(c, c.ChainPEM, true) }

// InstallWithoutChain serves the leaf alone.
func (s *Source) InstallWithoutChain(c Issued) { s.install(c, c.LeafPEM, false) }

func (s *Source) install(c Issued, chain []byte, redirect bool) {
	for _, name := range c.Names {
		s.Put(name, terminator.Material{Serial: c.Serial, ChainPEM: chain, Key: c.Key, HTTPSRedirect: redirect})
	}
}

// Put serves a name with whatever is given, and tells the listeners.
func (s *Source) Put(name string, m terminator.Material) {
	s.mu.Lock()
	s.served[name] = m
	s.mu.Unlock()
	s.Tell(name)
}

// Replace is Put without news, as if they had been lost.
func (s *Source) Replace(name string, m terminator.Material) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served[name] = m
}

// Retire ends serving a name, and tells the listeners.
func (s *Source) Retire(name string) {
	s.mu.Lock()
	delete(s.served, name)
	s.mu.Unlock()
	s.Tell(name)
}

// Tell gives the listeners news of a name.
func (s *Source) Tell(name string) {
	s.mu.Lock()
	hears := slices.Clone(s.hears)
	s.mu.Unlock()
	for _, changed := range hears {
		changed(name)
	}
}

// Break makes every load fail with err, as when the database is down; nil mends it.
func (s *Source) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

// Hold keeps back the answers of loads from now on, until release is called.
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

// Heard is closed when the first listener hears all news.
func (s *Source) Heard() <-chan struct{} { return s.heard }

// Loads is how often the source was asked.
func (s *Source) Loads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}
