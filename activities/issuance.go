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

// Issuance makes keys and CSRs and obtains certificates for them. Private keys leave it sealed only.
type Issuance struct {
	Store   IssuanceStore
	CAs     *CAs
	Budgets Budgets
	Keys    interface {
		Seal(plaintext []byte, id string) ([]byte, error)
	}
	Log *slog.Logger
}

// IssuanceStore keeps each step of an issuance before the next one is taken.
type IssuanceStore interface {
	CreateIssuance(ctx context.Context, i cert.Issuance, sealedKey []byte) (cert.Issuance, error)
	Issuance(ctx context.Context, id string) (cert.Issuance, error)
	MarkOrderTried(ctx context.Context, id string, by cert.CAIdentity) error
	PlaceOrder(ctx context.Context, id string, place func(context.Context, cert.Issuance) (string, error)) (string, error)
	KnownOrders(ctx context.Context, orderURLs []string) ([]string, error)
	SaveCertificate(ctx context.Context, c cert.Certificate) error
	Certificate(ctx context.Context, serial string) (cert.Certificate, error)
}

// CertificateAuthority is one account at one CA, step by step.
type CertificateAuthority interface {
	// Directory is the URL of the CA's ACME directory.
	Directory() string
	Identity(ctx context.Context) (cert.CAIdentity, error)
	// Admit returns a cert.Failure while the CA refuses the account, without asking it.
	Admit(ctx context.Context) error
	NewOrder(ctx context.Context, names []string, replaces string) (orderURL string, err error)
	FindOrder(ctx context.Context, names []string, known func(context.Context, []string) ([]string, error)) (orderURL string, err error)
	Complete(ctx context.Context, orderURL string, csr []byte, methods map[string]cert.Method, progress func(string)) (cert.Certificate, error)
}

// Budgets hold back what a CA's rate limits would refuse.
type Budgets interface {
	// Reserve gives the issuance its place in line for what one order costs of the budgets of the CA's account. A repeated call takes
	// nothing twice.
	Reserve(ctx context.Context, r cert.Reservation) (cert.Place, error)
	// Settle ends the reservation and gives back what the order turned out not to cost. A second call changes nothing.
	Settle(ctx context.Context, issuanceID string, issued bool) error
}

// CSRRequest asks for the key and the CSR of one issuance.
type CSRRequest struct {
	IssuanceID string   `json:"issuance_id"`
	DomainID   string   `json:"domain_id"`
	Names      []string `json:"names"`
}

// CSRResult names the CSR; the CSR itself stands in the store, where it can be downloaded.
type CSRResult struct {
	SHA256 string `json:"sha256"` // of the CSR in DER, hexadecimal
}

// CreateCSR makes a P-256 key and a CSR for the names (row B1) and stores both, the key sealed. A second run returns what the first one
// stored: the key of a run that lost is dropped before anybody saw it.
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
	// The names stand in the SAN only: CAs ignore or refuse a CN longer than 64 characters (RFC 5280 appendix A), and no browser reads it.
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: r.Names}, key)
	if err != nil {
		return cert.Issuance{}, &cert.Failure{Outcome: cert.Refused, Err: err, Problem: cert.Problem{
			Code: cert.CSRRejected, WhoActs: cert.PlatformActs,
			Message: "no certificate signing request could be made for the names", Remediation: "contact support: a name can't stand in a certificate",
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
	Tenant     string                 `json:"tenant,omitempty"`   // whose share of the CA's limits the order is
	NotAfter   time.Time              `json:"not_after,omitzero"` // end of the live certificate; zero without one
}

// OrderCertificate takes an issuance from its CSR to a stored certificate. Each step is stored before the next, and a second run
// goes on from there: one order per issuance, one CSR per order, for ever, so that even two runs at once lead
// to one certificate.
func (a *Issuance) OrderCertificate(ctx context.Context, r OrderRequest) (cert.Certificate, error) {
	defer beat(ctx)()
	issuance, err := a.Store.Issuance(ctx, r.IssuanceID)
	if err != nil {
		return cert.Certificate{}, leave(fmt.Errorf("read issuance: %w", err))
	}
	if issuance.Serial != "" { // an earlier run came to the end and could not say so
		c, err := a.Store.Certificate(ctx, issuance.Serial)
		return c, leave(err)
	}
	authority, ok := a.CAs.at(r.Directory)
	if !ok {
		return cert.Certificate{}, leave(notUsed(r.Directory))
	}
	c, err := a.order(ctx, authority, issuance, r)
	if err != nil {
		err = a.CAs.move(ctx, issuance, authority, err)
		if f := (*cert.Failure)(nil); errors.As(err, &f) && (f.Outcome == cert.Refused || f.Outcome == cert.OrderGone || f.Outcome == cert.NextCA) {
			a.settle(ctx, issuance, false) // this order ends without a certificate
		}
		return cert.Certificate{}, leave(err)
	}
	// From here the CA has counted this certificate against our limits, installed or not. If we die before the next line is done, the next run downloads the same one.
	c.IssuanceID, c.DomainID = issuance.ID, issuance.DomainID
	if err := a.Store.SaveCertificate(ctx, c); err != nil {
		return cert.Certificate{}, leave(fmt.Errorf("store certificate %s: %w", c.Serial, err))
	}
	a.settle(ctx, issuance, true)
	return c, nil
}

// order places the order of an issuance, unless it is placed, and takes it to its certificate.
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

// longestOrder is how long an order may take. Domain validation takes minutes. Let's Encrypt's orders live for a week at most (RFC 8555 §7.1.3
// expires); a CA that names no end, or gives odd answers about one order for ever, is not asked until the live certificate has ended.
const longestOrder = 24 * time.Hour

// givenUp returns err, or that the order is gone if its CA has had it for too long and is still no further.
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

// placedElsewhere returns a failure when an order was placed, or may have been, at another CA, or was placed by another account. It can be
// continued only there: this CA must not be asked for it, because what it answers says nothing about this account. An issuance without a
// directory was stored before directories were; its account tells then.
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

// settle balances the budgets. What a crash leaves unbalanced grows back with time, so an error here is only logged.
func (a *Issuance) settle(ctx context.Context, i cert.Issuance, issued bool) {
	if err := a.Budgets.Settle(ctx, i.ID, issued); err != nil {
		a.Log.Warn("budgets were not settled", "issuance", i.ID, "error", err)
	}
}

// placeOrder makes the one order of an issuance. "Tried" is stored before the CA is asked: whoever comes after a crash
// then looks for an order whose answer was lost before making another.
func (a *Issuance) placeOrder(ctx context.Context, at CertificateAuthority, i cert.Issuance, r OrderRequest, by cert.CAIdentity) (string, error) {
	if i.OrderTries == 0 { // a retry has paid already
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
		if locked.OrderTries > 1 { // another run, before or beside this one, may have made the order
			found, err := at.FindOrder(ctx, i.Names, a.Store.KnownOrders)
			if err != nil || found != "" {
				return found, err
			}
		}
		return at.NewOrder(ctx, i.Names, i.Replaces)
	})
}

// waitFor is the wait for a place in line. It is nobody's failure.
func waitFor(p cert.Place) error {
	return &cert.Failure{Outcome: cert.Wait, RetryAfter: p.Wait, Problem: cert.Problem{
		Code: cert.WaitingForBudget, WhoActs: cert.PlatformActs,
		Message:     fmt.Sprintf("the CA's limits leave no room for another order now; place %d in line, at %s", p.N, p.At.UTC().Format("2006-01-02T15:04Z")),
		Remediation: "evercert orders by itself at that time",
	}}
}

// quietFor is how long an order may take before the activity says that it lives. Most orders take less, and each heartbeat is a billed action.
const quietFor = 4 * time.Second

// beat tells Temporal from time to time that the activity lives, so that a killed worker's order is taken up by
// another after HeartbeatTimeout and not only after the whole time limit.
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
