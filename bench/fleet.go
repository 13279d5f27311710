package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/e2e/stack"
)

// fleet measures what domains at rest cost: memory of the parts, and disk for each domain. It takes minutes.
func fleet(ctx context.Context, domains int) (err error) {
	fmt.Printf("starting the stack, then connecting %d domains: some %d minutes\n", domains, 1+domains/1500)
	s, err := stack.Start(stack.Options{CA: []string{"retry-after=0"}, Env: map[string]string{"LOG_LEVEL": "warn"}, Parts: benchParts})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	before, err := diskOf(ctx, s)
	if err != nil {
		return err
	}
	if _, err := connect(ctx, s, domains); err != nil {
		return err
	}
	after, err := diskOf(ctx, s)
	if err != nil {
		return err
	}
	for _, part := range []string{"worker", "temporal", "edge", "api"} {
		now, peak := memoryOf(s.Info().PIDs[part])
		fmt.Printf("%-52s %8d MiB, at most %d MiB\n", part+", resident", now>>10, peak>>10)
	}
	fmt.Printf("%-52s %8.1f KB\n", "disk for a domain, evercert's and Temporal's databases", float64(after-before)/float64(domains)/1000)
	return nil
}

// diskOf is the size of all databases of the cluster in bytes, dead rows taken away.
func diskOf(ctx context.Context, s *stack.Stack) (size int64, err error) {
	db, err := pgx.Connect(ctx, s.Info().Postgres)
	if err != nil {
		return 0, err
	}
	defer db.Close(context.WithoutCancel(ctx)) //nolint:errcheck // read only
	rows, err := db.Query(ctx, `SELECT datname FROM pg_database WHERE NOT datistemplate`)
	if err != nil {
		return 0, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if err := vacuum(ctx, s, name); err != nil {
			return 0, fmt.Errorf("vacuum %s: %w", name, err)
		}
	}
	err = db.QueryRow(ctx, `SELECT sum(pg_database_size(datname))::bigint FROM pg_database WHERE NOT datistemplate`).Scan(&size)
	return size, err
}

func vacuum(ctx context.Context, s *stack.Stack, database string) error {
	settings, err := pgx.ParseConfig(s.Info().Postgres)
	if err != nil {
		return err
	}
	settings.Database = database
	db, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, `VACUUM FULL`)
	return errors.Join(err, db.Close(ctx))
}

// memoryOf is the resident memory of a process in KiB, now and at its highest (proc(5), VmRSS and VmHWM); zero where there is no /proc.
func memoryOf(pid int) (now, peak int) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmRSS":
			now = kib
		case "VmHWM":
			peak = kib
		}
	}
	return now, peak
}
