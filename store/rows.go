package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// runner is a connection pool or a transaction.
type runner interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// list runs a query and reads every row of its answer.
func list[T any](ctx context.Context, db runner, read pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, read)
}

// one runs a query for a single row; without one the error matches ErrNotFound.
func one[T any](ctx context.Context, db runner, read pgx.RowToFunc[T], sql string, args ...any) (T, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		var none T
		return none, err
	}
	row, err := pgx.CollectExactlyOneRow(rows, read)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return row, err
}

// noNil replaces nil by an empty list, which is not written to the database as NULL or JSON null.
func noNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
