package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/edge/edgetest"
	"github.com/evercert/evercert/install"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

func TestMain(m *testing.M) { stack.Main(m) }

const deadline = 30 * time.Second

// bundle is an edge with its own database, and acts as its worker.
type bundle struct {
	ca          *edgetest.CA
	databaseURL string
	store       *store.Store
	keys        *keyring.Keyring
	install     install.Builtin
	prober      *install.Prober
	env         map[string]string // of the edge
	edge        *edge
	https       string // its address
	stop        func()
	log         *logged
}

// logged is what the edge has logged.
type logged struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// setup starts the edge; change adapts its environment.
func setup(t *testing.T, change ...func(env map[string]string)) *bundle {
	t.Helper()
	b := &bundle{ca: edgetest.NewCA(t), databaseURL: stack.Database(t), log: &logged{}}
	var err error
	if b.store, err = store.Open(t.Context(), b.databaseURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.store.Close)
	b.install = install.Builtin{Serving: b.store}
	file := filepath.Join(t.TempDir(), "keys.json")
	b.keys = newKeyring(t, file)
	b.env = map[string]string{
		"DATABASE_URL": b.databaseURL, "KEYRING_FILE": file, "EDGE_HTTPS_LISTEN": "127.0.0.1:0", "EDGE_HTTP_LISTEN": "127.0.0.1:0",
		"VALIDATION_ZONE": "dcv.test", "DCV_LISTEN": "127.0.0.1:0", "EDGE_COPY_DIR": t.TempDir(),
	}
	for _, f := range change {
		f(b.env)
	}
	b.start(t)
	return b
}

// start runs the edge until b.stop, as main does.
func (b *bundle) start(t *testing.T) {
	t.Helper()
	c, err := config.LoadFrom[Config](b.env)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Load(c.Keyring.File)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if b.edge, err = open(ctx, c, keys, slog.New(slog.NewTextHandler(b.log, nil))); err != nil {
		t.Fatal(err)
	}
	b.https = b.edge.https.Addr().String()
	b.prober = install.NewProber(install.Config{Addresses: []string{b.https}})
	ended := make(chan error, 1)
	go func() { ended <- b.edge.serve(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		b.edge.close()
	})
	t.Cleanup(b.stop)
}

func newKeyring(t *testing.T, file string) *keyring.Keyring {
	t.Helper()
	if err := keyring.Generate(file); err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// connect adds a domain of a new tenant.
func (b *bundle) connect(t *testing.T, names ...string) cert.Domain {
	t.Helper()
	d := cert.Domain{ID: uuid.NewString(), Hostname: names[0], Names: names, Tenant: "tenant of " + names[0]}
	if _, err := b.store.Connect(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// issue stores the n-th certificate of a domain, as a worker does.
func (b *bundle) issue(t *testing.T, d cert.Domain, n int) cert.Certificate {
	t.Helper()
	return b.keep(t, d, n, b.ca.Issue(t, d.Names...))
}

// keep stores a certificate with its sealed key.
func (b *bundle) keep(t *testing.T, d cert.Domain, n int, issued edgetest.Issued) cert.Certificate {
	t.Helper()
	issued.DomainID, issued.IssuanceID = d.ID, fmt.Sprintf("%s/%d", d.ID, n)
	keyID := "leaf:" + issued.IssuanceID
	sealed, err := b.keys.Seal(issued.KeyPKCS8, keyID)
	if err != nil {
		t.Fatal(err)
	}
	issuance := cert.Issuance{ID: issued.IssuanceID, DomainID: d.ID, Names: d.Names, KeyID: keyID, CSR: []byte("of no interest to an edge")}
	if _, err := b.store.CreateIssuance(t.Context(), issuance, sealed); err != nil {
		t.Fatal(err)
	}
	if err := b.store.SaveCertificate(t.Context(), issued.Certificate); err != nil {
		t.Fatal(err)
	}
	return issued.Certificate
}

// put installs a certificate without verifying it.
func (b *bundle) put(t *testing.T, names []string, c cert.Certificate) {
	t.Helper()
	if err := b.install.Install(t.Context(), names, c.Serial); err != nil {
		t.Fatal(err)
	}
}

// installed issues, installs and verifies.
func (b *bundle) installed(t *testing.T, d cert.Domain, n int) cert.Certificate {
	t.Helper()
	c := b.issue(t, d, n)
	b.put(t, d.Names, c)
	if err := b.prober.Verify(t.Context(), b.prober.Edges()[0], d.Names, c.Serial); err != nil {
		t.Fatalf("%v\n%s", err, cert.AsProblem(err).Found)
	}
	return c
}

func (b *bundle) handshake(name string) error {
	conn, err := tls.Dial("tcp", b.https, &tls.Config{ServerName: name, RootCAs: b.ca.Roots})
	if err != nil {
		return err
	}
	return conn.Close()
}

func (b *bundle) plainStatus(t *testing.T, host string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.edge.plain.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := http.DefaultTransport.RoundTrip(request) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// admit opens the bundle's database to connections, or ends its connections and refuses new ones.
func (b *bundle) admit(t *testing.T, open bool) {
	t.Helper()
	u, err := url.Parse(b.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	conn, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the statement has finished
	if _, err := conn.Exec(
		t.Context(),
		fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS %t", pgx.Identifier{name}.Sanitize(), open),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name); err != nil {
		t.Fatal(err)
	}
}
