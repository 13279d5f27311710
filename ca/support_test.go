package ca_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evercert/evercert/ca"
	"github.com/evercert/evercert/ca/catest"
	"github.com/evercert/evercert/cert"
)

// memoryAccounts stores accounts in memory. It does not simulate a database that fails or is slow.
type memoryAccounts struct {
	mu      sync.Mutex
	kept    map[string]cert.Account // the active ones
	retired []string                // URLs
	blocks  map[string]cert.AccountBlock
	due     bool // the time of the next probe has come
	leased  bool // another process took that probe first
	cases   int  // that were opened
}

func newAccounts() *memoryAccounts {
	return &memoryAccounts{kept: map[string]cert.Account{}, blocks: map[string]cert.AccountBlock{}}
}

func (m *memoryAccounts) Account(_ context.Context, directory string) (cert.Account, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.kept[directory]
	return a, ok, nil
}

func (m *memoryAccounts) SaveAccount(_ context.Context, a cert.Account) (cert.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if first, ok := m.kept[a.Directory]; ok {
		return first, nil
	}
	m.kept[a.Directory] = a
	return a, nil
}

func (m *memoryAccounts) RetireAccount(_ context.Context, directory, url, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept[directory].URL == url {
		m.retired = append(m.retired, url)
		delete(m.kept, directory)
	}
	return nil
}

func (m *memoryAccounts) AccountBlock(_ context.Context, directory string) (cert.AccountBlock, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blocks[directory]
	if b.Wait = 5 * time.Minute; m.due {
		b.Wait = 0
	}
	return b, ok, nil
}

func (m *memoryAccounts) BlockAccount(_ context.Context, b cert.AccountBlock) (cert.AccountBlock, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.blocks[b.Directory]; !ok {
		m.cases++
	}
	m.blocks[b.Directory] = b
	b.Wait = 5 * time.Minute
	return b, nil
}

func (m *memoryAccounts) LeaseProbe(_ context.Context, directory, settings string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.blocks[directory]
	if m.leased {
		return false, nil
	}
	leased := m.due || b.Settings != settings
	b.Settings, m.due = settings, false
	m.blocks[directory] = b
	return leased, nil
}

func (m *memoryAccounts) UnblockAccount(_ context.Context, directory, _ string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, was := m.blocks[directory]
	delete(m.blocks, directory)
	return was, nil
}

// probeIsDue allows the next probe.
func (m *memoryAccounts) probeIsDue() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.due = true
}

// sealer encrypts with its own key; it does not simulate the rotation of that key.
type sealer struct{ aead cipher.AEAD }

func newSealer(t testing.TB) sealer {
	t.Helper()
	block, err := aes.NewCipher([]byte(rand.Text())[:16])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return sealer{aead}
}

func (s sealer) Seal(plaintext []byte, id string) ([]byte, error) {
	return s.aead.Seal(nil, nil, plaintext, []byte(id)), nil
}

func (s sealer) Unseal(sealed []byte, id string) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, []byte(id))
}

// notes is a Solver that records what is presented. No server shows it.
type notes struct {
	mu        sync.Mutex
	presented []cert.Challenge // now
	ever      []cert.Challenge
}

func (n *notes) Present(_ context.Context, c cert.Challenge) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ever = append(n.ever, c)
	if !slices.Contains(n.presented, c) {
		n.presented = append(n.presented, c)
	}
	return nil
}

func (n *notes) CleanUp(_ context.Context, c cert.Challenge) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.presented = slices.DeleteFunc(n.presented, func(p cert.Challenge) bool { return p == c })
	return nil
}

func (n *notes) Shown(_ context.Context, c cert.Challenge) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.presented, c), nil
}

func (n *notes) now() []cert.Challenge {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.presented)
}

// setup is a new account at a new CA of package catest.
type setup struct {
	*ca.Authority
	server   *catest.Server
	config   ca.Config
	accounts *memoryAccounts
	sealer   sealer
	solver   *notes
}

func newSetup(t *testing.T) setup {
	t.Helper()
	server := catest.New(t)
	s := setup{
		server: server, accounts: newAccounts(), sealer: newSealer(t), solver: &notes{},
		config: ca.Config{Directory: server.DirectoryURL, RootPEM: server.RootPEM, Name: "Test CA", Timeout: 10 * time.Second},
	}
	s.restart(t)
	return s
}

// restart makes the authority anew, as another process would.
func (s *setup) restart(t *testing.T) {
	t.Helper()
	s.Authority = newAuthority(t, s.config, s.accounts, s.sealer, s.solver)
}

// restartForProbe allows the next probe of the account, and makes the authority anew, so that it reads that.
func (s *setup) restartForProbe(t *testing.T) {
	t.Helper()
	s.accounts.probeIsDue()
	s.restart(t)
}

func newAuthority(t *testing.T, config ca.Config, accounts ca.Accounts, sealer ca.Sealer, solver ca.Solver) *ca.Authority {
	t.Helper()
	a, err := ca.New(config, accounts, sealer, solver, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issuance does for one issuance what the activity OrderCertificate does and stores.
type issuance struct {
	authority *ca.Authority
	names     []string
	csr       []byte

	mu       sync.Mutex // as the row of an issuance is locked during one newOrder
	tried    bool
	orderURL string
}

func newIssuance(t *testing.T, a *ca.Authority, names ...string) *issuance {
	t.Helper()
	return &issuance{authority: a, names: names, csr: newCSR(t, names...)}
}

func newCSR(t *testing.T, names ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// place places the one order of the issuance.
func (i *issuance) place(ctx context.Context) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.orderURL != "" {
		return i.orderURL, nil
	}
	again := i.tried
	i.tried = true
	var err error
	if again {
		nothingKnown := func(context.Context, []string) ([]string, error) { return nil, nil }
		if i.orderURL, err = i.authority.FindOrder(ctx, i.names, nothingKnown); err != nil || i.orderURL != "" {
			return i.orderURL, err
		}
	}
	i.orderURL, err = i.authority.NewOrder(ctx, i.names, "")
	return i.orderURL, err
}

// attempt is one run of the activity.
func (i *issuance) attempt(ctx context.Context) (cert.Certificate, error) {
	url, err := i.place(ctx)
	if err != nil {
		return cert.Certificate{}, err
	}
	methods := map[string]cert.Method{}
	for _, name := range i.names {
		methods[name] = cert.DNS01
	}
	return i.authority.Complete(ctx, url, i.csr, methods, nil)
}

// run repeats attempts as Temporal does, while they end in a plain error.
func (i *issuance) run(t *testing.T) (cert.Certificate, error) {
	t.Helper()
	const enough = 10
	var err error
	for range enough {
		var c cert.Certificate
		if c, err = i.attempt(t.Context()); err == nil || errors.As(err, new(*cert.Failure)) {
			return c, err
		}
		t.Logf("retried: %v", err)
	}
	t.Fatalf("no end after %d attempts: %v", enough, err)
	return cert.Certificate{}, nil
}

// want checks that an error is a failure with this outcome and code, and returns it.
func want(t *testing.T, err error, outcome cert.Outcome, code cert.Code) cert.Failure {
	t.Helper()
	var f *cert.Failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v (%T); want a failure with outcome %s", err, err, outcome)
	}
	if f.Outcome != outcome || f.Problem.Code != code {
		t.Fatalf("got %s %s (%v); want %s %s", f.Outcome, f.Problem.Code, err, outcome, code)
	}
	if f.Problem.Message == "" || f.Problem.Remediation == "" || f.Problem.WhoActs == "" {
		t.Errorf("the problem leaves people without a message, a remedy or somebody who acts: %+v", f.Problem)
	}
	return *f
}

// wantPlain checks that an error is not a verdict on the issuance, so that the step is tried again.
func wantPlain(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.As(err, new(*cert.Failure)) {
		t.Fatalf("got %v; want an error without a failure", err)
	}
}
