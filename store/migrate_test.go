package store_test

import (
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/store"
)

func TestProcessesThatStartAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	empty := stack.Database(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			s, err := store.Open(t.Context(), empty)
			if errs[i] = err; err == nil {
				defer s.Close()
				errs[i] = s.SetTenantState(t.Context(), "acme", store.TenantActive) // the tables are there
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	raw, err := pgxpool.New(t.Context(), empty)
	require.NoError(t, err)
	defer raw.Close()
	files, err := os.ReadDir("migrations")
	require.NoError(t, err)
	var applied int
	require.NoError(t, raw.QueryRow(t.Context(), `SELECT count(*) FROM schema_migrations`).Scan(&applied))
	require.Equal(t, len(files), applied)
}

func TestOpeningAgainKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	db := open(t)
	d := db.connect("acme", "www.example.com")
	again := openAt(t, db.url)
	view, err := again.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	require.Equal(t, d, view.Domain)
}

// TestF22_ADatabaseWithoutWritesOpens: edges start and the status can be read while the database is read-only, as after a fail-over to a
// standby.
func TestF22_ADatabaseWithoutWritesOpens(t *testing.T) {
	t.Parallel()
	db := open(t)
	db.connect("acme", "www.example.com")
	raw, err := pgxpool.New(t.Context(), db.url)
	require.NoError(t, err)
	defer raw.Close()
	_, err = raw.Exec(
		t.Context(),
		`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`,
	)
	require.NoError(t, err)
	again := openAt(t, db.url)
	view, err := again.Domain(t.Context(), "www.example.com")
	require.NoError(t, err)
	require.Equal(t, "acme", view.Tenant)
	require.ErrorContains(t, again.SetTenantState(t.Context(), "acme", store.TenantActive), "read-only", "the database takes no writes")
}

// A failed migration leaves nothing, not even its row: the next start runs it as a whole.
func TestFailedMigrationLeavesNothing(t *testing.T) {
	t.Parallel()
	occupied := stack.Database(t)
	raw, err := pgxpool.New(t.Context(), occupied)
	require.NoError(t, err)
	defer raw.Close()
	_, err = raw.Exec(t.Context(), `CREATE TABLE cases (id text)`) // the last table of 0001: all others are created before it
	require.NoError(t, err)
	_, err = store.Open(t.Context(), occupied)
	require.ErrorContains(t, err, "0001_tables.sql")
	var tables, applied int
	require.NoError(t, raw.QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables))
	require.NoError(t, raw.QueryRow(t.Context(), `SELECT count(*) FROM schema_migrations`).Scan(&applied))
	require.Equal(t, 2, tables, "cases and schema_migrations")
	require.Zero(t, applied)

	_, err = raw.Exec(t.Context(), `DROP TABLE cases`)
	require.NoError(t, err)
	require.NoError(t, openAt(t, occupied).Ready(t.Context()))
}
