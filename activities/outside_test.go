package activities_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

const (
	issuanceID = "11111111-1111-1111-1111-111111111111/1"
	domainID   = "11111111-1111-1111-1111-111111111111"
)

// liveUntil is the end of the certificate that the issuance renews.
var liveUntil = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)

var names = []string{"shop.example.com", "www.shop.example.com"}

// errLost is the error of a call that broke off, whether or not it had its effect.
var errLost = errors.New("the connection was lost")

// fault fails the next call of a name: after its effect when done is set, else before it. err is errLost unless it is set.
type fault struct {
	call string
	done bool
	err  error
}

// outside is a store, a CA, budgets and a keyring in memory. It outlives workers: each run of an activity acts as another worker. It does
// not simulate validation, limits of the CA, or a database that loses a lock.
type outside struct {
	mu    sync.Mutex
	calls []string
	fault []fault

	issuances    map[string]cert.Issuance
	sealed       map[string][]byte // by key id
	certificates map[string]cert.Certificate
	row          sync.Mutex // the lock that PlaceOrder holds
	read         func()     // if set: called when an issuance was read

	identity cert.CAIdentity // of the configured CA
	orders   []order
	takes    time.Duration // how long Complete takes
	beats    int           // heartbeats that reached Temporal
	place    cert.Place    // what Reserve answers
	reserved cert.Reservation
	settled  []settled

	begins     time.Time       // of certificates, which live for 90 days; zero: they have an end only
	suggestion cert.Suggestion // what RenewalInfo answers

	keys [][]byte     // every private key that was given to Seal
	log  *slog.Logger // writes to text
	text bytes.Buffer
}

// settled is a call of Settle.
type settled struct {
	id     string
	issued bool
}

// order is an order at the CA.
type order struct {
	url    string
	names  []string
	csr    []byte // once finalized
	serial string
}

func newOutside() *outside {
	o := &outside{issuances: map[string]cert.Issuance{}, sealed: map[string][]byte{}, certificates: map[string]cert.Certificate{}}
	o.identity = cert.CAIdentity{Name: "test-ca", AccountURI: "https://ca.example/account/1", Directory: "https://ca.example/directory"}
	o.log = slog.New(slog.NewTextHandler(&o.text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return o
}

// breaks makes the next call of a name fail.
func (o *outside) breaks(f fault) {
	if f.err == nil {
		f.err = errLost
	}
	o.fault = append(o.fault, f)
}

// fails records a call, and reports whether it fails here.
func (o *outside) fails(call string, done bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !done {
		o.calls = append(o.calls, call)
	}
	i := slices.IndexFunc(o.fault, func(f fault) bool { return f.call == call && f.done == done })
	if i < 0 {
		return nil
	}
	err := o.fault[i].err
	o.fault = slices.Delete(o.fault, i, i+1)
	return err
}

// do is one call: it fails before its effect, after it, or not.
func (o *outside) do(ctx context.Context, call string, effect func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := o.fails(call, false); err != nil {
		return err
	}
	o.mu.Lock()
	err := effect()
	o.mu.Unlock()
	if err != nil {
		return err
	}
	return o.fails(call, true)
}

// run executes an activity as one worker does, through Temporal's conversion of results and errors.
func run[R any](o *outside, name string, request any) (R, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	activities.Set{Issuance: &activities.Issuance{Store: o, CAs: &activities.CAs{List: []activities.CertificateAuthority{o}}, Budgets: o, Keys: o, Log: o.log}}.Register(env)
	env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { o.beats++ })
	var result R
	value, err := env.ExecuteActivity(name, request)
	if err == nil {
		err = value.Get(&result)
	}
	return result, err
}

func (o *outside) createCSR() (activities.CSRResult, error) {
	return run[activities.CSRResult](o, "CreateCSR", activities.CSRRequest{IssuanceID: issuanceID, DomainID: domainID, Names: names})
}

func (o *outside) orderCertificate() (cert.Certificate, error) {
	return run[cert.Certificate](o, "OrderCertificate", renewalRequest)
}

// renewalRequest renews the certificate that ends at liveUntil.
var renewalRequest = activities.OrderRequest{
	IssuanceID: issuanceID, Methods: map[string]cert.Method{names[0]: cert.DNS01, names[1]: cert.HTTP01},
	Renewal: true, Tenant: "acme", NotAfter: liveUntil,
}

// count returns how often a call was made.
func (o *outside) count(call string) (n int) {
	for _, c := range o.calls {
		if c == call {
			n++
		}
	}
	return n
}
