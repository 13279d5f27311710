package main

import (
	"os"
	"testing"
	"time"
)

// TestMain lets the test binary stand in for devstack when the supervisor
// under test starts a part of its own.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "part" {
		main()
		return
	}
	os.Exit(m.Run())
}

// eventually polls until f succeeds, and fails the test after limit.
func eventually(t *testing.T, limit time.Duration, f func() error) {
	t.Helper()
	var err error
	done := func() bool {
		err = f()
		return err == nil
	}
	if !poll(limit, 10*time.Millisecond, done) {
		t.Fatalf("not within %s: %v", limit, err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := randomFreePort(true)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
