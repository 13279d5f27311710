package store

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"path"
	"slices"

	"github.com/jackc/pgx/v5"
)

// The migrations run in the order of their names (0001_tables.sql, 0002_…). A released migration never changes; a correction is a new
// migration.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the key of the advisory lock under which one process migrates at a time. It may be any number that nothing else in this
// database uses.
const migrationLock = 0x65766572 // "ever"

// migrate brings the tables up to date. Each migration is one transaction, together with its row in schema_migrations: after a crash the
// database is between two migrations, and the next start continues from there. On a database that is up to date it only reads, so that
// edges can start, and the status can be read, while the database is read-only.
func migrate(ctx context.Context, conn *pgx.Conn) error {
	names, err := pending(ctx, conn)
	if err != nil || len(names) == 0 {
		return err
	}
	err = underMigrationLock(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			CREATE TABLE IF NOT EXISTS schema_migrations (
				name       text PRIMARY KEY,
				applied_at timestamptz NOT NULL DEFAULT now()
			)`)
		return err
	})
	if err != nil {
		return fmt.Errorf("create schema_migrations: %w", err)
	}
	for _, name := range names {
		if err := apply(ctx, conn, name); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return nil
}

// pending returns the names of the migrations that the database does not have yet, in order.
func pending(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	var made bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('schema_migrations') IS NOT NULL`).Scan(&made); err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	if !made {
		return names, nil
	}
	rows, err := conn.Query(ctx, `SELECT name FROM schema_migrations`)
	if err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	applied, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(applied, name) }), nil
}

// apply runs one migration, unless it was run before. It checks that under the lock: another process may have run it while this one waited.
func apply(ctx context.Context, conn *pgx.Conn, name string) error {
	sql, err := migrations.ReadFile(path.Join("migrations", name))
	if err != nil {
		return err
	}
	return underMigrationLock(ctx, conn, func(tx pgx.Tx) error {
		noted, err := tx.Exec(ctx, `INSERT INTO schema_migrations (name) VALUES ($1) ON CONFLICT (name) DO NOTHING`, name)
		if err != nil || noted.RowsAffected() == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, string(sql)); err != nil {
			return err
		}
		slog.InfoContext(ctx, "database migrated", "migration", name)
		return nil
	})
}

// underMigrationLock runs f in a transaction that holds the lock until it ends.
func underMigrationLock(ctx context.Context, conn *pgx.Conn, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrationLock); err != nil {
			return fmt.Errorf("wait for the migration lock: %w", err)
		}
		return f(tx)
	})
}
