package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/evercert/evercert/edge/served"
	"github.com/evercert/evercert/edge/terminator"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

const (
	// how long a handshake waits for the database when the copy has a valid certificate that may be outdated
	copyPatience    = 250 * time.Millisecond
	unknownPatience = 250 * time.Millisecond // how long a handshake waits before it may ask for a name that is not in the list
	unknownAtOnce   = 8                      // lookups of such names at once: clients that invent names get no more of the database
	downFor         = time.Second            // after an error the database is not asked for names in the copy, or in no list
	openAgain       = 2 * time.Second        // between two attempts to connect to a database that refuses
)

// source gives the terminator what is served, with the keys unsealed: from the edge's own copy when that is known to be current, else from
// the database, and from the copy again when the database fails. Unsealed keys exist only in this process's memory.
type source struct {
	store *store.Store
	names *served.Set
	keys  *keyring.Keyring
	log   *slog.Logger

	patience  time.Duration // copyPatience
	unknown   chan struct{} // a place for each lookup of a name that is not in the list
	downUntil atomic.Int64  // in nanoseconds since 1970
}

func newSource(db *store.Store, names *served.Set, keys *keyring.Keyring, log *slog.Logger) *source {
	return &source{store: db, names: names, keys: keys, log: log, patience: copyPatience, unknown: make(chan struct{}, unknownAtOnce)}
}

// NotServed implements terminator.Source.
func (s *source) NotServed(name string) bool {
	found := s.names.Find(name)
	return found.Sure && !found.Served
}

// Load implements terminator.Source.
func (s *source) Load(ctx context.Context, name string) (terminator.Material, error) {
	found := s.names.Find(name)
	if found.Sure && !found.Served {
		return terminator.Material{}, terminator.ErrNotServed
	}
	copied, notAfter, copyErr := s.copied(name, found)
	valid := time.Now().Before(notAfter)
	if copyErr == nil && found.Sure && valid {
		return copied, nil
	}
	asking := ctx
	if copyErr == nil && valid {
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, s.patience)
		defer cancel()
	}
	current, err := s.ask(asking, name, found.Served, copyErr == nil)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return terminator.Material{}, terminator.ErrNotServed
	case err != nil && copyErr == nil:
		return copied, nil
	case err != nil:
		return terminator.Material{}, err
	}
	key, err := s.open(current.SealedKey, current.KeyID, current.Serial)
	if err != nil {
		return terminator.Material{}, err
	}
	return terminator.Material{Serial: current.Serial, ChainPEM: current.ChainPEM, Key: key, HTTPSRedirect: current.HTTPSRedirect}, nil
}

// copied reads the edge's own copy. A certificate that can't be used is logged, and copied again.
func (s *source) copied(name string, found served.Found) (m terminator.Material, notAfter time.Time, err error) {
	if !found.Copied() {
		return terminator.Material{}, time.Time{}, store.ErrNotFound
	}
	c, err := s.names.Certificate(found)
	if err == nil {
		m = terminator.Material{Serial: c.Serial, ChainPEM: c.ChainPEM, HTTPSRedirect: found.HTTPSRedirect}
		m.Key, err = s.open(c.SealedKey, c.KeyID, c.Serial)
	}
	if err != nil {
		s.log.Warn("a certificate of the edge's own copy can't be used: the database is asked", "name", name, "error", err)
		s.names.Spoiled(name)
	}
	return m, c.NotAfter, err
}

func (s *source) open(sealed []byte, keyID, serial string) (crypto.Signer, error) {
	der, err := s.keys.Unseal(sealed, keyID)
	if err != nil {
		return nil, fmt.Errorf("open the key of certificate %s: %w", serial, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der) // RFC 5958; the worker seals this form
	if err != nil {
		return nil, fmt.Errorf("read the key of certificate %s: %w", serial, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key of certificate %s can't sign", serial)
	}
	return signer, nil
}

// ask asks the database, unless it has just failed and there is another answer. listed and copied say whether the name is in the list, and
// its certificate in the copy.
func (s *source) ask(ctx context.Context, name string, listed, copied bool) (store.Served, error) {
	if (copied || !listed) && time.Now().UnixNano() < s.downUntil.Load() {
		return store.Served{}, terminator.ErrNotAsked
	}
	if !listed {
		turn := time.NewTimer(unknownPatience)
		defer turn.Stop()
		select {
		case s.unknown <- struct{}{}:
			defer func() { <-s.unknown }()
		case <-turn.C:
			return store.Served{}, terminator.ErrNotAsked
		}
	}
	current, err := s.served(ctx, name, !copied)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.downUntil.Store(time.Now().Add(downFor).UnixNano())
	}
	return current, err
}

// served repeats the query while the database fails; a patient one until ctx ends: when PostgreSQL restarts, handshakes wait instead of
// failing.
func (s *source) served(ctx context.Context, name string, patient bool) (store.Served, error) {
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		current, err := s.store.Served(ctx, name)
		if err == nil || errors.Is(err, store.ErrNotFound) || !patient {
			return current, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return store.Served{}, err
		}
	}
}

// Listen implements terminator.Source. It waits for the database without a limit; meanwhile the copy is served.
func (s *source) Listen(ctx context.Context, changed func(name string)) error {
	for {
		err := s.store.Migrate(ctx)
		if err == nil {
			return s.names.Follow(ctx, s.store, changed)
		}
		if ctx.Err() == nil {
			s.log.ErrorContext(ctx, "the database refuses this edge: it serves what it has copied", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(openAgain):
		}
	}
}

// challenges reads the answers to challenges, on connections that visitors' handshakes don't use.
type challenges struct{ *store.Store }

// HTTPToken returns the key authorization of an http-01 token; empty when no challenge is open.
func (c challenges) HTTPToken(ctx context.Context, token string) (string, error) {
	return noneIfNotFound(c.Store.HTTPToken(ctx, token))
}

// TLSChallenge returns the key authorization for a name in a tls-alpn-01 handshake; empty when no challenge is open.
func (c challenges) TLSChallenge(ctx context.Context, name string) (string, error) {
	return noneIfNotFound(c.Store.TLSChallenge(ctx, name))
}

func noneIfNotFound(keyAuthorization string, err error) (string, error) {
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return keyAuthorization, err
}
