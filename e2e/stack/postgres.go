package stack

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

var shared struct {
	once sync.Once
	s    *Stack
	url  string
	err  error
}

// Database gives a test an empty database of its own on a PostgreSQL server that the package's tests share. The server
// is started at the first call, or is the one that EVERCERT_TEST_POSTGRES names. Call Main from TestMain to stop it.
func Database(t testing.TB) string {
	t.Helper()
	logParts(t, []string{"postgres"})
	shared.once.Do(func() {
		if shared.url = os.Getenv("EVERCERT_TEST_POSTGRES"); shared.url != "" {
			return
		}
		if shared.s, shared.err = Start(Options{Parts: []string{"postgres"}}); shared.err == nil {
			shared.url = shared.s.Info().Postgres
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	name := "test_" + uuid.NewString()[:8]
	if err := execute(shared.url, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execute(shared.url, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(shared.url)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// Main runs a package's tests and stops what they shared.
func Main(m *testing.M) {
	code := m.Run()
	if shared.s != nil {
		if err := shared.s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func execute(databaseURL, sql string) error {
	conn, err := pgx.Connect(context.Background(), databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the statement's own error is what counts
	_, err = conn.Exec(context.Background(), sql)
	return err
}
