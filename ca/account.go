package ca

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/evercert/evercert/cert"
)

// openWithin limits loading or registering the account: two requests, and the wait for a slow CA.
const openWithin = 2 * time.Minute

// Account returns the URL of the account at the CA. It loads the account, or registers it if there is none; callers at the same time share
// one registration.
func (a *Authority) Account(ctx context.Context) (accountURL string, err error) {
	s, err := a.session(ctx)
	if err != nil {
		return "", err
	}
	return s.accountURL, nil
}

// session returns the account, ready to sign.
func (a *Authority) session(ctx context.Context) (*session, error) {
	if s := a.opened(); s != nil {
		return s, nil
	}
	result := a.opening.DoChan("", func() (any, error) {
		if s := a.opened(); s != nil {
			return s, nil
		}
		// Other callers wait for this too, so it must not end with the first caller's context.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), openWithin)
		defer cancel()
		s, err := a.open(ctx)
		if err != nil {
			return nil, fmt.Errorf("open the account at %s: %w", a.cfg.DisplayName(), err)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.current = s
		return s, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*session), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *Authority) opened() *session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// open loads the account. If there is none, it registers one.
func (a *Authority) open(ctx context.Context) (*session, error) {
	account, found, err := a.accounts.Account(ctx, a.cfg.Directory)
	if err != nil {
		return nil, fmt.Errorf("load it: %w", err)
	}
	if !found {
		if account, err = a.register(ctx); err != nil {
			return nil, err
		}
	}
	key, err := a.unseal(account)
	if err != nil {
		return nil, err
	}
	s := a.newSession(key, account.URL)
	directory, err := s.directory(ctx)
	if err != nil {
		return nil, s.failure("read the directory", err)
	}
	if len(s.issuers) == 0 {
		s.issuers = directory.Meta.CaaIdentities
	}
	return s, nil
}

// CheckKey returns an error when the key of the stored account can't be unsealed: this process then has another keyring than the one that
// sealed the key, and the others could not unseal what it seals. It reads only the store. Without an account it returns nil.
func (a *Authority) CheckKey(ctx context.Context) error {
	account, found, err := a.accounts.Account(ctx, a.cfg.Directory)
	if err != nil {
		return fmt.Errorf("load the account at %s: %w", a.cfg.DisplayName(), err)
	}
	if !found {
		return nil
	}
	if _, err := a.unseal(account); err != nil {
		return fmt.Errorf("KEYRING_FILE is not the one with which the account at %s was registered: %w", a.cfg.DisplayName(), err)
	}
	return nil
}

// unseal returns the account's private key.
func (a *Authority) unseal(account cert.Account) (*ecdsa.PrivateKey, error) {
	der, err := a.sealer.Unseal(account.SealedKey, a.keyID())
	if err != nil {
		return nil, fmt.Errorf("unseal its key: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("read its key: what was unsealed is no PKCS#8 key") // the cause could quote the key
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read its key: it is a %T; P-256 was expected", parsed)
	}
	return key, nil
}

// register makes an account at the CA and stores it. When two processes do so at once, both use the account that was stored first; the
// other account stays unused at the CA.
func (a *Authority) register(ctx context.Context) (cert.Account, error) {
	if err := a.admit(ctx); err != nil {
		return cert.Account{}, err
	}
	if a.unregistered == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return cert.Account{}, fmt.Errorf("make its key: %w", err)
		}
		a.unregistered = key
	}
	der, err := x509.MarshalPKCS8PrivateKey(a.unregistered)
	if err != nil {
		return cert.Account{}, fmt.Errorf("encode its key: %w", err)
	}
	sealed, err := a.sealer.Seal(der, a.keyID())
	if err != nil {
		return cert.Account{}, fmt.Errorf("seal its key: %w", err)
	}
	url, err := a.newAccount(ctx)
	if err = a.heard(ctx, nil, err); err != nil {
		return cert.Account{}, err
	}
	// If the process dies here, the account is lost and the next process registers another one. Let's Encrypt allows 10 registrations in 3
	// hours for an IP address.
	account, err := a.accounts.SaveAccount(
		ctx, cert.Account{Directory: a.cfg.Directory, URL: url, Contact: a.cfg.Contact, KeyID: a.keyID(), SealedKey: sealed},
	)
	if err != nil {
		return cert.Account{}, fmt.Errorf("keep it: %w", err)
	}
	a.unregistered = nil
	a.log.Info("ACME account registered", "account", account.URL)
	return account, nil
}

// newAccount registers the key at the CA. To register a key again returns its account (RFC 8555 §7.3.1).
func (a *Authority) newAccount(ctx context.Context) (url string, err error) {
	s := a.newSession(a.unregistered, "")
	directory, err := s.directory(ctx)
	if err != nil {
		return "", s.failure("read the directory", err)
	}
	if directory.Meta.ExternalAccountRequired && a.cfg.EABKeyID == "" {
		return "", &cert.Failure{Outcome: cert.Wait, Problem: cert.Problem{
			Code: cert.AccountProblem, WhoActs: cert.PlatformActs,
			Message:     s.name + " registers only accounts that are bound to one that its customers have with it",
			Remediation: "get a key for external account binding from the CA and set ACME_EAB_KID and ACME_EAB_HMAC",
		}}
	}
	if terms := directory.Meta.TermsOfService; terms != "" {
		a.log.Info("agreeing to the CA's terms of service", "terms", terms)
	}
	request := acme.Account{TermsOfServiceAgreed: true, Contact: a.cfg.contacts()}
	header, err := s.call(ctx, anyAnswer, func(core *api.Core) (err error) {
		if a.cfg.EABKeyID != "" {
			_, err = core.Accounts.NewEAB(request, a.cfg.EABKeyID, string(a.cfg.EABKey))
		} else {
			_, err = core.Accounts.New(request)
		}
		return err
	})
	switch location := header.Get("Location"); {
	case accepted(err) && usableURL(location): // the URL is in the header, so a truncated body does not matter
		return location, nil
	case err == nil:
		return "", s.fault("register", errors.New("the answer names no account"))
	default:
		return "", s.registrationFailure(err)
	}
}

// forget retires an account that the CA does not know any more, so that the next call registers a new one.
func (a *Authority) forget(ctx context.Context, s *session) error {
	a.mu.Lock()
	if a.current == s {
		a.current = nil
	}
	a.mu.Unlock()
	a.log.Warn("the CA has forgotten the account; the next call registers a new one", "account", s.accountURL)
	if err := a.accounts.RetireAccount(
		context.WithoutCancel(ctx), a.cfg.Directory, s.accountURL, "the CA does not know it any more",
	); err != nil {
		return fmt.Errorf("retire the account that the CA has forgotten: %w", err)
	}
	return nil
}

// usableURL reports whether a URL from the CA can be stored: the database and Temporal refuse some characters.
func usableURL(url string) bool {
	return url != "" && len(url) <= maxURL && cert.IsLine(url)
}

// maxURL is far above what CAs use; it limits the size of histories and of an index.
const maxURL = 1000

func (a *Authority) keyID() string { return "account:" + a.cfg.Directory }

func (a *Authority) newSession(key *ecdsa.PrivateKey, accountURL string) *session {
	return &session{
		name: a.cfg.DisplayName(), issuers: a.cfg.CAAIdentities, directoryURL: a.cfg.Directory, accountURL: accountURL,
		key: key, timeout: a.cfg.Timeout, transport: a.transport,
	}
}
