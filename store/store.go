// Package store is evercert's database, PostgreSQL. Each exported method is one transaction. Constraints of the tables refuse what must not
// happen (migrations/*.sql): two domains with one name, two certificates of one issuance, a status that does not exist.
//
//	Methods return ErrNotFound when what was asked for does not exist, a cert.Problem when a person has to act, and otherwise the database's
//	error with the step that failed.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evercert/evercert/config"
)

// ErrNotFound means that there is no such row. Test for it with errors.Is.
var ErrNotFound = errors.New("not found")

// connectTimeout is for a host that accepts connections and does not answer; connect_timeout in the URL overrides it.
const connectTimeout = 10 * time.Second

// Store is a pool of connections to the database. It is safe for concurrent use.
type Store struct {
	// Clock is the time used for reservations of budgets; nil is the database's clock, which all processes share. Set it before the first use.
	Clock func() time.Time

	// UnverifiedNames limits the names that a tenant may have connected without ever having all of their records seen; 0 is no limit. Set it
	// before the first use.
	UnverifiedNames int

	rooms  rooms // of UnverifiedNames
	pool   *pgxpool.Pool
	orders chan struct{} // a place for each PlaceOrder that may hold a connection
}

// Open connects to the database with the default pool and brings its tables up to date. While no server answers, it logs and retries until
// ctx ends. When the server refuses (wrong password, no such database), it returns the error at once.
func Open(ctx context.Context, databaseURL string) (*Store, error) {
	return OpenConfig(ctx, Config{URL: config.Secret(databaseURL), MaxConns: defaultMaxConns})
}

// OpenConfig is like Open, with the configured size of the pool.
func OpenConfig(ctx context.Context, c Config) (*Store, error) {
	s, err := OpenLater(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.Migrate(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// OpenLater returns a store that connects at the first query, for processes that can also work without a database. It fails only for wrong
// settings. Until Migrate has returned nil, the tables may be missing or older than this program.
func OpenLater(ctx context.Context, c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	settings, err := pgxpool.ParseConfig(string(c.URL))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	settings.MaxConns = int32(c.MaxConns)
	settings.AfterConnect = readTimesInUTC
	if settings.ConnConfig.ConnectTimeout == 0 {
		settings.ConnConfig.ConnectTimeout = connectTimeout
	}
	if settings.ConnConfig.RuntimeParams["application_name"] == "" {
		settings.ConnConfig.RuntimeParams["application_name"] = "evercert"
	}
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return &Store{pool: pool, orders: make(chan struct{}, c.MaxConns/2)}, nil
}

// Migrate waits for the server and brings the tables up to date, as Open does.
func (s *Store) Migrate(ctx context.Context) error {
	if err := migrateWhenUp(ctx, s.pool.Config().ConnConfig); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	return nil
}

// Close waits for running statements and closes every connection but those of ListenServed, which end with their context.
func (s *Store) Close() { s.pool.Close() }

// Ready returns nil when the database answers, for health checks.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}

// migrateWhenUp waits for the server and runs the migrations on a separate connection.
func migrateWhenUp(ctx context.Context, settings *pgx.ConnConfig) error {
	var pause backoff
	for {
		conn, err := pgx.ConnectConfig(ctx, settings)
		if err == nil {
			return errors.Join(migrate(ctx, conn), conn.Close(context.WithoutCancel(ctx)))
		}
		if !notUpYet(err) {
			return err
		}
		slog.WarnContext(ctx, "the database does not answer yet", "error", err)
		if waited := pause.wait(ctx); waited != nil {
			return fmt.Errorf("%w; the last attempt: %w", waited, err)
		}
	}
}

// notUpYet reports whether an error may pass by itself. An answer of the server does not pass, unless the server says that it is starting
// (57P03) or full (53300).
func notUpYet(err error) bool {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return true
	}
	return answer.Code == "57P03" || answer.Code == "53300"
}

// IsPermanent reports whether the database refused a value, and would refuse it again: a character that text can't hold, a key that is too
// long for its index, a constraint (PostgreSQL, appendix A: classes 22, 23 and 54). Errors that may pass by themselves, such as a read-only
// or full database, are not permanent.
func (s *Store) IsPermanent(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(answer.Code, "22") || strings.HasPrefix(answer.Code, "23") || strings.HasPrefix(answer.Code, "54"))
}

// readTimesInUTC makes times be read in UTC, whatever the time zone of the process.
func readTimesInUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}
