package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/evercert/evercert/edge/terminator"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

// source gives the terminator what the database says, with the keys unsealed. A key is in clear in this process's memory only.
type source struct {
	store *store.Store
	keys  *keyring.Keyring
}

func (s source) Load(ctx context.Context, name string) (terminator.Material, error) {
	served, err := s.served(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return terminator.Material{}, terminator.ErrNotServed
	}
	if err != nil {
		return terminator.Material{}, err
	}
	der, err := s.keys.Unseal(served.SealedKey, served.KeyID)
	if err != nil {
		return terminator.Material{}, fmt.Errorf("open the key of certificate %s: %w", served.Serial, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der) // RFC 5958, as it was sealed
	if err != nil {
		return terminator.Material{}, fmt.Errorf("read the key of certificate %s: %w", served.Serial, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return terminator.Material{}, fmt.Errorf("the key of certificate %s can't sign", served.Serial)
	}
	return terminator.Material{Serial: served.Serial, ChainPEM: served.ChainPEM, Key: signer, HTTPSRedirect: served.HTTPSRedirect}, nil
}

// served asks again while the database fails, until ctx ends: when PostgreSQL restarts, the handshakes of that moment rather
// wait for it than break off.
func (s source) served(ctx context.Context, name string) (store.Served, error) {
	for pause := 20 * time.Millisecond; ; pause *= 2 {
		served, err := s.store.Served(ctx, name)
		if err == nil || errors.Is(err, store.ErrNotFound) {
			return served, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return store.Served{}, err
		}
	}
}

func (s source) Listen(ctx context.Context, changed func(name string)) error {
	return s.store.ListenServed(ctx, changed)
}

// TLSChallenge is the key authorization to show in a tls-alpn-01 handshake for a name; empty when no challenge is open.
func (s source) TLSChallenge(ctx context.Context, name string) (string, error) {
	keyAuthorization, err := s.store.TLSChallenge(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return keyAuthorization, err
}
