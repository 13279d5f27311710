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

// valueLifetime limits how long a value stays when it is not deleted because the process died. It is longer than any CA takes to validate,
// and shorter than the life of an order.
const valueLifetime = 2 * time.Hour

// Challenges stores the answers to challenges. Every error means that the store could not be read or written; there are no other kinds.
//
// The Put methods store an answer that expires after ttl. To store it again succeeds and sets the new end. Every reader of the store sees
// the answer when Put returns. The Delete methods delete an answer; to delete one that does not exist succeeds. The Shows methods report
// whether exactly this answer is stored and has not expired.
type Challenges interface {
	// The answer to http-01: the key authorization that edges return for a token.
	PutHTTPToken(ctx context.Context, token, keyAuthorization string, ttl time.Duration) error
	DeleteHTTPToken(ctx context.Context, token string) error
	ShowsHTTPToken(ctx context.Context, token, keyAuthorization string) (bool, error)

	// The answer to dns-01: one of the TXT values of a full name, in lower case and without a trailing dot. A name may have many values.
	PutTXT(ctx context.Context, name, value string, ttl time.Duration) error
	DeleteTXT(ctx context.Context, name, value string) error
	ShowsTXT(ctx context.Context, name, value string) (bool, error)

	// The answer to tls-alpn-01: the key authorization whose certificate edges present for a name, in A-labels and lower case.
	PutTLSChallenge(ctx context.Context, name, keyAuthorization string, ttl time.Duration) error
	DeleteTLSChallenge(ctx context.Context, name, keyAuthorization string) error
	ShowsTLSChallenge(ctx context.Context, name, keyAuthorization string) (bool, error)
}

// Delegations knows where the platform expects _acme-challenge.NAME to be delegated to.
type Delegations interface {
	// DelegationTarget returns the full name under the validation zone, without a trailing dot. It fails when the name is not connected.
	DelegationTarget(ctx context.Context, name string) (string, error)
}

// Solver answers challenges. It has no state of its own: Present and CleanUp of one challenge may run in different processes, and each may
// run twice.
type Solver struct {
	challenges  Challenges
	delegations Delegations
	instances   instances
}

// NewSolver returns a Solver over the store.
func NewSolver(challenges Challenges, delegations Delegations, config SolverConfig) *Solver {
	return &Solver{challenges: challenges, delegations: delegations, instances: instances{config.Instances, shownWithin}}
}

// Present makes the answer to a challenge visible. When it returns nil, the CA may be asked to validate: each of DCV_INSTANCES shows the
// dns-01 value. When one of them does not within ten seconds, the error is a *cert.Failure with Outcome Wait. The value stays stored, and
// Present may be called again.
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

// CleanUp deletes the answer to a challenge.
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

// Shown reports whether the answer is visible: it was presented, not deleted, and valueLifetime has not passed.
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
		return false, fmt.Errorf("read the answer to %s for %s: %w", c.Method, c.Name, err)
	}
	return shown, nil
}

// dns01Value returns the TXT value that proves control for a key authorization (RFC 8555 §8.4).
func dns01Value(keyAuthorization string) string {
	sum := sha256.Sum256([]byte(keyAuthorization))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
