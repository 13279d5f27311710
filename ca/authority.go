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

// Account is an account at a CA as it is kept. The key is P-256, in PKCS#8, and leaves this package sealed only.
type Account struct {
	Directory string // of the CA
	URL       string // the account's name at the CA
	Contact   string
	KeyID     string // that the key is sealed under
	SealedKey []byte
}

// Accounts keeps one active account for each CA, and what the CA has against it.
type Accounts interface {
	Blocks
	Account(ctx context.Context, directory string) (account Account, found bool, err error)
	// SaveAccount keeps the first account that is saved for a directory and returns the one kept: two processes may register at once.
	SaveAccount(ctx context.Context, a Account) (Account, error)
	// RetireAccount takes an account that the CA has forgotten out of use, if it is still the active one. Its key is kept.
	RetireAccount(ctx context.Context, directory, url, because string) error
}

// Sealer encrypts keys at rest. The id is bound to what is sealed under it.
type Sealer interface {
	Seal(plaintext []byte, id string) ([]byte, error)
	Unseal(sealed []byte, id string) ([]byte, error)
}

// Solver shows the CA what its challenges ask for. Present and CleanUp may be called again for the same challenge, and
// CleanUp for one that is not there.
type Solver interface {
	Present(ctx context.Context, c cert.Challenge) error
	CleanUp(ctx context.Context, c cert.Challenge) error
	// Shown reports whether a challenge is presented, by whichever process, and was not taken back.
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

// lego writes to a logger of its whole process, by default to standard error.
var routeLegoLog sync.Once

// New checks the configuration and reads ACME_ROOT_PEM. It asks the CA for nothing: a worker can start while the CA is down.
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

// Identity is what CAA records are compared with before an order is placed. It registers the account if there is none.
func (a *Authority) Identity(ctx context.Context) (cert.CAIdentity, error) {
	s, err := a.session(ctx)
	if err != nil {
		return cert.CAIdentity{}, err
	}
	return cert.CAIdentity{Name: s.name, Domains: s.issuers, AccountURI: s.accountURL, Directory: a.cfg.Directory}, nil
}

// Directory is the URL of the CA's ACME directory.
func (a *Authority) Directory() string { return a.cfg.Directory }

// newTransport carries all requests to the CA. HTTP/2 and idle connections save a TLS handshake for each request.
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
		// All requests share one HTTP/2 connection. If it dies in silence, a ping notices before every one of them has timed out.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}
