package dcv

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
)

// valueLifetime is how long a value stays when nobody takes it away, because the process died in between. It is longer than
// any CA takes to validate, and shorter than the life of an order.
const valueLifetime = 2 * time.Hour

// Challenges keeps what CAs are shown. Storing a value that is there, and deleting one that isn't, are no errors.
type Challenges interface {
	PutHTTPToken(ctx context.Context, token, keyAuthorization string, ttl time.Duration) error
	DeleteHTTPToken(ctx context.Context, token string) error
	PutTXT(ctx context.Context, name, value string, ttl time.Duration) error
	DeleteTXT(ctx context.Context, name, value string) error
	PutTLSChallenge(ctx context.Context, name, keyAuthorization string, ttl time.Duration) error
	DeleteTLSChallenge(ctx context.Context, name, keyAuthorization string) error
	ShowsHTTPToken(ctx context.Context, token, keyAuthorization string) (bool, error)
	ShowsTXT(ctx context.Context, name, value string) (bool, error)
	ShowsTLSChallenge(ctx context.Context, name, keyAuthorization string) (bool, error)
}

// Delegations knows where _acme-challenge.NAME is delegated to.
type Delegations interface {
	// DelegationTarget is the full name under the validation zone, without a trailing dot.
	DelegationTarget(ctx context.Context, name string) (string, error)
}

// Solver answers challenges. It keeps nothing itself: Present and CleanUp of one challenge may run in different processes,
// and each may run twice.
type Solver struct {
	challenges  Challenges
	delegations Delegations
	instances   instances
}

// NewSolver returns a Solver over the store.
func NewSolver(challenges Challenges, delegations Delegations, config SolverConfig) *Solver {
	return &Solver{challenges: challenges, delegations: delegations, instances: instances{config.Instances, shownWithin}}
}

// Present makes the answer to a challenge visible. The CA may be told to look as soon as it returns: each of DCV_INSTANCES has
// shown a dns-01 value by then. One that does not within ten seconds is a *cert.Failure with Outcome Wait; the value stays,
// and Present may be called again.
func (s *Solver) Present(ctx context.Context, c cert.Challenge) error {
	switch c.Method {
	case cert.DNS01:
		target, err := s.delegations.DelegationTarget(ctx, c.Name)
		if err == nil {
			err = s.challenges.PutTXT(ctx, target, dns01Value(c.KeyAuthorization), valueLifetime)
		}
		if err == nil {
			err = s.instances.await(ctx, target, dns01Value(c.KeyAuthorization))
		}
		if err != nil {
			return fmt.Errorf("present dns-01 for %s: %w", c.Name, err)
		}
	case cert.HTTP01:
		if err := s.challenges.PutHTTPToken(ctx, c.Token, c.KeyAuthorization, valueLifetime); err != nil {
			return fmt.Errorf("present http-01 for %s: %w", c.Name, err)
		}
	case cert.TLSALPN01:
		if err := s.challenges.PutTLSChallenge(ctx, strings.ToLower(c.Name), c.KeyAuthorization, valueLifetime); err != nil {
			return fmt.Errorf("present tls-alpn-01 for %s: %w", c.Name, err)
		}
	default:
		return fmt.Errorf("present a challenge for %s: there is no way to answer %q", c.Name, c.Method)
	}
	return nil
}

// CleanUp takes the answer away.
func (s *Solver) CleanUp(ctx context.Context, c cert.Challenge) error {
	switch c.Method {
	case cert.DNS01:
		target, err := s.delegations.DelegationTarget(ctx, c.Name)
		if err == nil {
			err = s.challenges.DeleteTXT(ctx, target, dns01Value(c.KeyAuthorization))
		}
		if err != nil {
			return fmt.Errorf("clean up dns-01 for %s: %w", c.Name, err)
		}
	case cert.HTTP01:
		if err := s.challenges.DeleteHTTPToken(ctx, c.Token); err != nil {
			return fmt.Errorf("clean up http-01 for %s: %w", c.Name, err)
		}
	case cert.TLSALPN01:
		if err := s.challenges.DeleteTLSChallenge(ctx, strings.ToLower(c.Name), c.KeyAuthorization); err != nil {
			return fmt.Errorf("clean up tls-alpn-01 for %s: %w", c.Name, err)
		}
	default:
		return fmt.Errorf("clean up a challenge for %s: there is no way to answer %q", c.Name, c.Method)
	}
	return nil
}

// Shown reports whether the answer is visible: it was presented, not taken away, and has not come to its end, valueLifetime later.
func (s *Solver) Shown(ctx context.Context, c cert.Challenge) (shown bool, err error) {
	switch c.Method {
	case cert.DNS01:
		var target string
		if target, err = s.delegations.DelegationTarget(ctx, c.Name); err == nil {
			shown, err = s.challenges.ShowsTXT(ctx, target, dns01Value(c.KeyAuthorization))
		}
	case cert.HTTP01:
		shown, err = s.challenges.ShowsHTTPToken(ctx, c.Token, c.KeyAuthorization)
	case cert.TLSALPN01:
		shown, err = s.challenges.ShowsTLSChallenge(ctx, strings.ToLower(c.Name), c.KeyAuthorization)
	}
	if err != nil {
		return false, fmt.Errorf("look for the answer to %s for %s: %w", c.Method, c.Name, err)
	}
	return shown, nil
}

// dns01Value is the TXT value that shows a key authorization (RFC 8555 §8.4).
func dns01Value(keyAuthorization string) string {
	sum := sha256.Sum256([]byte(keyAuthorization))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
