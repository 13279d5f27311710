package ca

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	legolog "github.com/go-acme/lego/v4/log"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
)

// Accounts stores one active account for each CA, and its block (Blocks). Its errors are those of the database.
type Accounts interface {
	Blocks
	Account(ctx context.Context, directory string) (account cert.Account, found bool, err error)
	// SaveAccount stores the first account for a directory, and returns the one that is stored: two processes may register at once.
	SaveAccount(ctx context.Context, a cert.Account) (cert.Account, error)
	// RetireAccount marks an account that the CA has forgotten as unused, if it is still the active one. Its key is kept.
	RetireAccount(ctx context.Context, directory, url, because string) error
}

// Sealer encrypts keys for storage. The id is bound to what is sealed under it.
type Sealer interface {
	// Seal encrypts a key.
	Seal(plaintext []byte, id string) ([]byte, error)
	// Unseal fails when the sealed bytes were changed, belong to another id, or were sealed by an unknown key.
	Unseal(sealed []byte, id string) ([]byte, error)
}

// Solver answers the CA's challenges. Present and CleanUp may be called again for the same challenge, and CleanUp for one that is not
// presented.
type Solver interface {
	// Present makes the answer visible to the CA before it returns. When it can't in time, the error is a *cert.Failure with Outcome Wait.
	Present(ctx context.Context, c cert.Challenge) error
	// CleanUp removes the answer. Its errors are those of the store.
	CleanUp(ctx context.Context, c cert.Challenge) error
	// Shown reports whether a challenge is presented, by any process, and not removed.
	Shown(ctx context.Context, c cert.Challenge) (bool, error)
}

// Authority is one account at one CA. It is made once per process and is safe for concurrent use.
type Authority struct {
	cfg       Config
	accounts  Accounts
	sealer    Sealer
	solver    Solver
	log       *slog.Logger
	transport *http.Transport

	opening      singleflight.Group
	unregistered *ecdsa.PrivateKey // of a registration whose answer was lost; used under opening only

	mu      sync.Mutex
	current *session // nil until the account is loaded or registered

	breaker breaker
}

// lego has one logger for the whole process, by default on standard error.
var routeLegoLog sync.Once

// New checks the configuration and reads ACME_ROOT_PEM. It sends no request to the CA: a worker can start while the CA is down.
func New(cfg Config, accounts Accounts, sealer Sealer, solver Solver, log *slog.Logger) (*Authority, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	roots, err := config.TrustedRoots(cfg.RootPEM)
	if err != nil {
		return nil, err
	}
	log = log.With("ca", cfg.DisplayName())
	routeLegoLog.Do(func() { legolog.Logger = slog.NewLogLogger(log.Handler(), slog.LevelDebug) })
	return &Authority{cfg: cfg, accounts: accounts, sealer: sealer, solver: solver, log: log, transport: newTransport(roots)}, nil
}

// Identity returns what CAA records are compared with before an order is placed. It registers the account if there is none.
func (a *Authority) Identity(ctx context.Context) (cert.CAIdentity, error) {
	s, err := a.session(ctx)
	if err != nil {
		return cert.CAIdentity{}, err
	}
	return cert.CAIdentity{Name: s.name, Domains: s.issuers, AccountURI: s.accountURL, Directory: a.cfg.Directory}, nil
}

// Directory is the URL of the CA's ACME directory.
func (a *Authority) Directory() string { return a.cfg.Directory }

// newTransport returns the transport of all requests to the CA. HTTP/2 and idle connections save a TLS handshake for each request.
func newTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		// All requests share one HTTP/2 connection. When it dies silently, a ping notices it before all requests have timed out.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}
