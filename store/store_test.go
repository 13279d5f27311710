package store_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/store"
)

func TestMain(m *testing.M) { stack.Main(m) }

// deadline limits how long a test waits for other processes, on a busy machine.
const deadline = 30 * time.Second

// database is a store with its own database. Its method sql changes what no caller can, such as times.
type database struct {
	*store.Store
	t   testing.TB
	url string
	raw *pgxpool.Pool
}

func open(t testing.TB) *database {
	t.Helper()
	db := &database{t: t, url: stack.Database(t)}
	db.Store = openAt(t, db.url)
	raw, err := pgxpool.New(t.Context(), db.url)
	require.NoError(t, err)
	t.Cleanup(raw.Close)
	db.raw = raw
	return db
}

func openAt(t testing.TB, databaseURL string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), databaseURL)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// sql runs a statement and returns how many rows it changed.
func (db *database) sql(sql string, args ...any) int64 {
	db.t.Helper()
	tag, err := db.raw.Exec(db.t.Context(), sql, args...)
	require.NoError(db.t, err)
	return tag.RowsAffected()
}

// count returns the single number that a query answers with.
func (db *database) count(sql string, args ...any) (n int) {
	db.t.Helper()
	require.NoError(db.t, db.raw.QueryRow(db.t.Context(), sql, args...).Scan(&n))
	return n
}

// awaitWaiting returns when this number of statements wait for locks of other transactions, or when enough returns true.
func (db *database) awaitWaiting(ctx context.Context, statements int, enough func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for !enough() {
		var waiting int
		err := db.raw.QueryRow(ctx, `
			SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
		if err != nil || waiting >= statements {
			return err
		}
	}
	return nil
}

// connect connects a hostname and its further names for a tenant.
func (db *database) connect(tenant string, names ...string) cert.Domain {
	db.t.Helper()
	connected, err := db.Connect(db.t.Context(), newDomain(tenant, names...))
	require.NoError(db.t, err)
	require.True(db.t, connected.Created)
	return connected.Domain
}

func newDomain(tenant string, names ...string) cert.Domain {
	return cert.Domain{ID: uuid.NewString(), Hostname: names[0], Names: names, Tenant: tenant}
}

// record records a pending snapshot, changed by the given functions.
func (db *database) record(d cert.Domain, seq int64, change ...func(*cert.Snapshot)) cert.Snapshot {
	db.t.Helper()
	snap := pending(d, seq)
	for _, c := range change {
		c(&snap)
	}
	require.NoError(db.t, db.RecordStatus(db.t.Context(), snap))
	return snap
}

func pending(d cert.Domain, seq int64) cert.Snapshot {
	return cert.Snapshot{
		Domain: d, Run: firstRun, Seq: seq, At: time.Now().UTC().Truncate(time.Microsecond),
		Status: cert.Status{Domain: cert.DomainPendingDNS, Certificate: cert.CertificateNone, Renewal: cert.RenewalNone},
	}
}

func verified(s *cert.Snapshot) { s.Verified = true }

func removed(s *cert.Snapshot) { s.Status.Domain = cert.DomainRemoved }

// problem returns the cert.Problem in an error.
func problem(t *testing.T, err error) cert.Problem {
	t.Helper()
	var p cert.Problem
	require.ErrorAs(t, err, &p)
	require.NotEmpty(t, p.Message)
	require.NotEmpty(t, p.Remediation)
	require.NotEmpty(t, p.WhoActs)
	return p
}

func TestOpenWaitsForTheServer(t *testing.T) {
	t.Parallel()
	target, err := url.Parse(stack.Database(t))
	require.NoError(t, err)
	server := target.Host
	front, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, front.Close()) })
	var refused atomic.Int32
	go func() {
		for {
			conn, err := front.Accept()
			if err != nil {
				return
			}
			if refused.Add(1) <= 4 { // pgx tries with TLS and without: two attempts
				conn.Close() //nolint:errcheck // the test closes it at once
				continue
			}
			go forward(conn, server)
		}
	}()
	target.Host = front.Addr().String()
	require.NoError(t, openAt(t, target.String()).Ready(t.Context()))
	require.Greater(t, refused.Load(), int32(4))
}

func forward(conn net.Conn, to string) {
	defer conn.Close() //nolint:errcheck // the data has passed through it
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()     //nolint:errcheck // as above
	go io.Copy(server, conn) //nolint:errcheck // ends with the connection
	io.Copy(conn, server)    //nolint:errcheck // ends with the connection
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	closed, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = store.Open(ctx, "postgres://evercert:hunter2@"+closed.Addr().String()+"/evercert")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestOpenReportsARefusalAtOnce(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(stack.Database(t))
	require.NoError(t, err)
	u.Path = "/there_is_no_such_database"
	_, err = store.Open(t.Context(), u.String())
	require.ErrorContains(t, err, "there_is_no_such_database")
}

func TestOpenNeverShowsThePassword(t *testing.T) {
	t.Parallel()
	for _, malformed := range []string{
		"postgres://evercert:hunter2@host:port/name", "postgres://evercert:hunter2@host/name?sslmode=perhaps",
		"user=evercert password=hunter2 port=x",
	} {
		_, err := store.Open(t.Context(), malformed)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestReadyNoticesThatTheDatabaseIsGone(t *testing.T) {
	t.Parallel()
	db := open(t)
	require.NoError(t, db.Ready(t.Context()))
	db.Close()
	require.Error(t, db.Ready(t.Context()))
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	require.NoError(t, store.Config{URL: "postgres://localhost/evercert", MaxConns: 20}.Validate())
	require.ErrorContains(t, store.Config{MaxConns: 20}.Validate(), "DATABASE_URL")
	require.ErrorContains(t, store.Config{URL: "postgres://localhost/evercert", MaxConns: 1}.Validate(), "DATABASE_MAX_CONNS")
	_, err := store.OpenConfig(t.Context(), store.Config{URL: "postgres://localhost/evercert"})
	require.ErrorContains(t, err, "DATABASE_MAX_CONNS")
}

// Times are read in UTC whatever the time zone of the process: they are shown in JSON and to people.
func TestTimesAreReadInUTC(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	db.record(d, 1, func(s *cert.Snapshot) { s.NotAfter = time.Now() })
	view, err := db.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	for _, at := range []time.Time{view.ConnectedAt, view.UpdatedAt, view.NotAfter, view.At} {
		require.Equal(t, time.UTC, at.Location())
	}
}
