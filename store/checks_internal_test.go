package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
)

// statements counts the statements sent to the database. Each is a round trip and, outside of a transaction, a commit if it writes.
type statements struct{ atomic.Int32 }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.Add(1)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestAFirstCheckIsOneStatementAndALaterOneTwo: a domain whose records are ready is checked once, and each commit costs.
func TestAFirstCheckIsOneStatementAndALaterOneTwo(t *testing.T) {
	t.Parallel()
	url := stack.Database(t)
	opened, err := Open(t.Context(), url)
	require.NoError(t, err)
	opened.Close()
	settings, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	sent := &statements{}
	settings.ConnConfig.Tracer = sent
	pool, err := pgxpool.NewWithConfig(t.Context(), settings)
	require.NoError(t, err)
	defer pool.Close()
	s := &Store{pool: pool}

	domain := uuid.NewString()
	for i, want := range []int32{1, 2, 2, 1} {
		verdict := []cert.Verdict{cert.Wrong, cert.Wrong, cert.OK, cert.OK}[i]
		minute := min(i, 2) // the last one is the one before it, again
		sent.Store(0)
		_, err := s.KeepCheck(t.Context(), domain, cert.Diagnosis{CheckedAt: time.Unix(int64(60*minute), 0), Records: []cert.RecordState{
			{Record: cert.Record{Name: "www.example.com", Type: "CNAME"}, Seen: []cert.Sighting{{Server: "ns1", Verdict: verdict}}},
		}})
		require.NoError(t, err)
		require.Equal(t, want, sent.Load(), fmt.Sprintf("check %d", i+1))
	}
	changes, err := s.Changes(t.Context(), domain, 0)
	require.NoError(t, err)
	require.Len(t, changes, 1)
}
