package activities

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/evercert/evercert/cert"
)

// Issuance makes keys and CSRs and obtains certificates for them. Private keys leave it only in sealed form.
type Issuance struct {
	Store   IssuanceStore
	CAs     *CAs
	Budgets Budgets
	Keys    interface {
		// Seal encrypts a key and binds the result to id.
		Seal(plaintext []byte, id string) ([]byte, error)
	}
	Log *slog.Logger
}

// IssuanceStore stores each step of an issuance before the next one begins. Its errors are faults, which Temporal retries: the database did
// not answer, or an issuance or certificate that must exist was not found.
type IssuanceStore interface {
	// CreateIssuance stores an issuance with its sealed key. The first call for an id decides; every call returns what is stored.
	CreateIssuance(ctx context.Context, i cert.Issuance, sealedKey []byte) (cert.Issuance, error)
	// Issuance returns a stored issuance.
	Issuance(ctx context.Context, id string) (cert.Issuance, error)
	// MarkOrderTried stores that a newOrder is about to be sent by this account. It is committed when the call returns.
	MarkOrderTried(ctx context.Context, id string, by cert.CAIdentity) error
	// PlaceOrder calls place while it holds the lock of the issuance, and stores the URL that place returns. When a URL is stored already, it
	// returns that one and does not call place. It returns the error of place.
	PlaceOrder(ctx context.Context, id string, place func(context.Context, cert.Issuance) (string, error)) (string, error)
	// KnownOrders returns those of the URLs that belong to an issuance, in any order.
	KnownOrders(ctx context.Context, orderURLs []string) ([]string, error)
	// SaveCertificate stores the certificate of an issuance. To store it again changes nothing; a second certificate for it is an error.
	SaveCertificate(ctx context.Context, c cert.Certificate) error
	// Certificate returns a stored certificate.
	Certificate(ctx context.Context, serial string) (cert.Certificate, error)
}

// CertificateAuthority is one account at one CA. Its errors are a *cert.Failure, which is a verdict; or a cert.Fault of the CA or any other
// error, after which the step can be tried again.
type CertificateAuthority interface {
	// Directory is the URL of the CA's ACME directory.
	Directory() string
	// Identity returns the CA and the account. It registers the account if there is none.
	Identity(ctx context.Context) (cert.CAIdentity, error)
	// Admit returns a *cert.Failure while the CA refuses the account. It does not ask the CA.
	Admit(ctx context.Context) error
	// NewOrder places an order for the names. replaces identifies the certificate that is renewed (RFC 9773); empty for none. After an error
	// that is not a *cert.Failure an order may exist: call FindOrder before NewOrder again.
	NewOrder(ctx context.Context, names []string, replaces string) (orderURL string, err error)
	// FindOrder returns the order for exactly these names whose answer was lost; empty when there is none. known returns those of the orders
	// that belong to other issuances.
	FindOrder(ctx context.Context, names []string, known func(context.Context, []string) ([]string, error)) (orderURL string, err error)
	// Complete takes an order from any state to its certificate. It may run again after any error that is not a *cert.Failure, and at the same
	// time as another run; all of them return the same certificate. It calls progress with each step.
	Complete(ctx context.Context, orderURL string, csr []byte, methods map[string]cert.Method, progress func(string)) (cert.Certificate, error)
	// RenewalInfo returns what the CA suggests for the first certificate of a chain; the zero value if it suggests nothing.
	RenewalInfo(ctx context.Context, chainPEM []byte) (cert.Suggestion, error)
}

// Budgets delays orders that a CA's rate limits would refuse. An error means that the database did not answer.
type Budgets interface {
	// Reserve reserves what one order costs of the budgets of the CA's account, or a place in the queue for it. A second call for the same
	// issuance takes nothing again.
	Reserve(ctx context.Context, r cert.Reservation) (cert.Place, error)
	// Settle ends the reservation and gives back what the order did not cost. A second call changes nothing.
	Settle(ctx context.Context, issuanceID string, issued bool) error
}

// CSRRequest asks for the key and the CSR of one issuance.
type CSRRequest struct {
	IssuanceID string   `json:"issuance_id"`
	DomainID   string   `json:"domain_id"`
	Names      []string `json:"names"`
}

// CSRResult identifies the CSR, which is in the store and can be downloaded from there.
type CSRResult struct {
	SHA256 string `json:"sha256"` // of the CSR in DER, hexadecimal
}

// CreateCSR makes a P-256 key and a CSR for the names (row B1) and stores both, with the key sealed. It may run twice: the second run
// returns what the first one stored, and discards its own key.
func (a *Issuance) CreateCSR(ctx context.Context, r CSRRequest) (CSRResult, error) {
	stored, err := a.createIssuance(ctx, r)
	if err != nil {
		return CSRResult{}, leave(err)
	}
	sum := sha256.Sum256(stored.CSR)
	return CSRResult{SHA256: hex.EncodeToString(sum[:])}, nil
}

func (a *Issuance) createIssuance(ctx context.Context, r CSRRequest) (cert.Issuance, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert.Issuance{}, fmt.Errorf("make key: %w", err)
	}
	// The names are only in the SAN: CAs ignore or refuse a CN longer than 64 characters (RFC 5280 appendix A), and no browser reads it.
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: r.Names}, key)
	if err != nil {
		return cert.Issuance{}, &cert.Failure{Outcome: cert.Refused, Err: err, Problem: cert.Problem{
			Code:        cert.CSRRejected,
			WhoActs:     cert.PlatformActs,
			Message:     "no certificate signing request could be made for the names",
			Remediation: "contact support: a name can't stand in a certificate",
		}}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return cert.Issuance{}, fmt.Errorf("encode key: %w", err)
	}
	keyID := "leaf:" + r.IssuanceID
	sealed, err := a.Keys.Seal(der, keyID)
	if err != nil {
		return cert.Issuance{}, fmt.Errorf("seal key: %w", err)
	}
	return a.Store.CreateIssuance(ctx, cert.Issuance{
		ID: r.IssuanceID, DomainID: r.DomainID, Names: r.Names, KeyID: keyID, CSR: csr,
	}, sealed)
}

// OrderRequest asks for the certificate of one issuance.
type OrderRequest struct {
	IssuanceID string                 `json:"issuance_id"`
	Directory  string                 `json:"directory,omitempty"` // of the CA that the check of DNS was made for; empty: the platform's first
	Methods    map[string]cert.Method `json:"methods"`
	Renewal    bool                   `json:"renewal,omitempty"`
	Tenant     string                 `json:"tenant,omitempty"`   // the tenant whose share of the CA's limits the order uses
	NotAfter   time.Time              `json:"not_after,omitzero"` // the end of the certificate in use; zero when there is none
}

// Issued is a certificate that was obtained, and when its CA suggests to renew it.
type Issued struct {
	cert.Certificate

	Window cert.Window `json:"window,omitzero"` // the zero value is no suggestion that can be followed
}

// OrderCertificate takes an issuance from its CSR to a stored certificate. It may run twice, even at the same time: each step is stored
// before the next, and a later run continues from there. An issuance has one order, and an order one CSR, so all runs lead to one
// certificate.
func (a *Issuance) OrderCertificate(ctx context.Context, r OrderRequest) (Issued, error) {
	defer beat(ctx)()
	issuance, err := a.Store.Issuance(ctx, r.IssuanceID)
	if err != nil {
		return Issued{}, leave(fmt.Errorf("read issuance: %w", err))
	}
	if issuance.Serial != "" { // an earlier run finished but could not report it
		c, err := a.Store.Certificate(ctx, issuance.Serial)
		return Issued{Certificate: c}, leave(err)
	}
	authority, ok := a.CAs.at(r.Directory)
	if !ok {
		return Issued{}, leave(notUsed(r.Directory))
	}
	c, err := a.order(ctx, authority, issuance, r)
	if err != nil {
		err = a.CAs.move(ctx, issuance, authority, err)
		if f := (*cert.Failure)(nil); errors.As(err, &f) && (f.Outcome == cert.Refused || f.Outcome == cert.OrderGone || f.Outcome == cert.NextCA) {
			a.settle(ctx, issuance, false) // this order has ended without a certificate
		}
		return Issued{}, leave(err)
	}
	// From here the CA has counted this certificate against our limits, installed or not. If the process dies before the next line is done,
	// the next run downloads the same certificate.
	c.IssuanceID, c.DomainID = issuance.ID, issuance.DomainID
	if err := a.Store.SaveCertificate(ctx, c); err != nil {
		return Issued{}, leave(fmt.Errorf("store certificate %s: %w", c.Serial, err))
	}
	a.settle(ctx, issuance, true)
	return Issued{c, a.window(ctx, authority, c)}, nil
}

// window asks the CA when it suggests to renew a certificate. Without a suggestion that can be followed the rule of thirds holds
// (cert.RenewAt). One that says "renew now" of a certificate that was issued a moment ago is not followed: it would lead to one order after
// the other.
func (a *Issuance) window(ctx context.Context, at CertificateAuthority, c cert.Certificate) cert.Window {
	s, err := at.RenewalInfo(ctx, c.ChainPEM)
	if err != nil {
		a.Log.Info("the CA suggests no time of renewal that can be followed; the rule of thirds holds", "serial", c.Serial, "reason", err)
		return cert.Window{}
	}
	soonest := c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 10)
	if s.Window.Start.Before(soonest) || !s.Window.Start.After(time.Now()) {
		return cert.Window{}
	}
	a.Log.Debug(
		"the CA suggests a time of renewal",
		"serial", c.Serial, "start", s.Window.Start, "end", s.Window.End, "explanation", s.Explanation, "ask_again", s.AskAgain,
	)
	return s.Window
}

// order places the order of an issuance, unless that is done, and completes it.
func (a *Issuance) order(ctx context.Context, at CertificateAuthority, i cert.Issuance, r OrderRequest) (cert.Certificate, error) {
	identity, err := at.Identity(ctx)
	if err != nil {
		return cert.Certificate{}, fmt.Errorf("ask the CA who it is: %w", err)
	}
	if err := placedElsewhere(i, identity); err != nil {
		return cert.Certificate{}, err
	}
	if err := at.Admit(ctx); err != nil {
		return cert.Certificate{}, fmt.Errorf("ask whether the CA accepts the account: %w", err)
	}
	if i.OrderURL == "" {
		if i.OrderURL, err = a.placeOrder(ctx, at, i, r, identity); err != nil {
			return cert.Certificate{}, err
		}
	}
	progress := func(step string) { a.Log.Debug("order", "issuance", i.ID, "order", i.OrderURL, "step", step) }
	c, err := at.Complete(ctx, i.OrderURL, i.CSR, r.Methods, progress)
	c.Directory = identity.Directory
	return c, givenUp(i, err)
}

// longestOrder limits how long an order may take. Domain validation takes minutes, and Let's Encrypt's orders live for a week at most (RFC
// 8555 §7.1.3, expires). The limit is for a CA that sends no expiry, or answers wrongly about one order for ever: it must not be asked
// until the certificate in use has expired.
const longestOrder = 24 * time.Hour

// givenUp returns err, or that the order is gone when the CA has not finished it within longestOrder.
func givenUp(i cert.Issuance, err error) error {
	var problem cert.Problem
	if f, ok := errors.AsType[*cert.Failure](err); ok && f.Outcome == cert.Wait {
		problem = f.Problem
	} else if fault, ok := errors.AsType[*cert.Fault](err); ok {
		problem = fault.Problem
	}
	age := time.Since(i.OrderedAt)
	if problem.Code != cert.CAUnavailable || i.OrderedAt.IsZero() || age < longestOrder {
		return err
	}
	problem.Message = fmt.Sprintf("the order has not become a certificate within %s: %s", age.Round(time.Hour), problem.Message)
	problem.Remediation = "evercert places another order by itself"
	return &cert.Failure{Outcome: cert.OrderGone, Problem: problem, Err: err}
}

// placedElsewhere returns a failure when an order was placed, or may have been, at another CA or by another account. It can be continued
// only there: the answers of this CA about it mean nothing. An issuance without a directory was stored by an older version; its account URL
// decides then.
func placedElsewhere(i cert.Issuance, now cert.CAIdentity) error {
	otherCA := i.OrderTries > 0 && i.Directory != "" && i.Directory != now.Directory
	otherAccount := i.OrderURL != "" && i.AccountURL != now.AccountURI
	if !otherCA && !otherAccount {
		return nil
	}
	why := "the order was placed by an account that is not used any more"
	if otherCA {
		why = "the order was placed at another CA"
	}
	return &cert.Failure{Outcome: cert.OrderGone, Problem: cert.Problem{
		Code: cert.CAUnavailable, WhoActs: cert.CAActs, Message: why, Remediation: "evercert places another order by itself",
	}}
}

// settle settles the reservation. When a crash prevents that, the budget grows back with time, so an error here is only logged.
func (a *Issuance) settle(ctx context.Context, i cert.Issuance, issued bool) {
	if err := a.Budgets.Settle(ctx, i.ID, issued); err != nil {
		a.Log.Warn("budgets were not settled", "issuance", i.ID, "error", err)
	}
}

// placeOrder places the one order of an issuance. It stores "tried" before it asks the CA: after a crash, the next run then searches for an
// order whose answer was lost before it places another.
func (a *Issuance) placeOrder(
	ctx context.Context, at CertificateAuthority, i cert.Issuance, r OrderRequest, by cert.CAIdentity,
) (string, error) {
	if i.OrderTries == 0 { // a retry has reserved already
		place, err := a.Budgets.Reserve(ctx, cert.Reservation{
			IssuanceID: i.ID, Directory: by.Directory, Tenant: r.Tenant, Names: i.Names, Renewal: r.Renewal, NotAfter: r.NotAfter,
		})
		if err != nil {
			return "", fmt.Errorf("reserve budget: %w", err)
		}
		if place.Wait > 0 {
			return "", waitFor(place)
		}
	}
	if err := a.Store.MarkOrderTried(ctx, i.ID, by); err != nil {
		return "", fmt.Errorf("note the order: %w", err)
	}
	return a.Store.PlaceOrder(ctx, i.ID, func(ctx context.Context, locked cert.Issuance) (string, error) {
		if locked.OrderTries > 1 { // another run, earlier or at the same time, may have placed the order
			found, err := at.FindOrder(ctx, i.Names, a.Store.KnownOrders)
			if err != nil || found != "" {
				return found, err
			}
		}
		return at.NewOrder(ctx, i.Names, i.Replaces)
	})
}

// waitFor returns the wait for a place in the queue. It does not count as a failure.
func waitFor(p cert.Place) error {
	return &cert.Failure{Outcome: cert.Wait, RetryAfter: p.Wait, Problem: cert.Problem{
		Code:    cert.WaitingForBudget,
		WhoActs: cert.PlatformActs,
		Message: fmt.Sprintf(
			"the CA's limits leave no room for another order now; place %d in line, at %s", p.N, p.At.UTC().Format("2006-01-02T15:04Z"),
		),
		Remediation: "evercert orders by itself at that time",
	}}
}

// quietFor is how long an order runs without a heartbeat. Most orders take less time, and each heartbeat is a billed action.
const quietFor = 4 * time.Second

// beat sends heartbeats to Temporal. So when a worker is killed, another one takes over its order after HeartbeatTimeout, instead of after
// the whole time-out.
func beat(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(quietFor)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			case <-done:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { close(done) }
}
