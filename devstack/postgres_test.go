package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

func TestOnlyAPIDFileThatPostgreSQLCanNotDealWithIsRemoved(t *testing.T) {
	t.Parallel()
	postgres := filepath.Join(t.TempDir(), "postgres")
	if err := os.Symlink("/bin/sh", postgres); err != nil {
		t.Fatal(err)
	}
	// It runs until the test's end: nothing is ever written to its input.
	running := exec.CommandContext(t.Context(), postgres, "-c", "read -r line")
	input, err := running.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(input.Close(), ignoreExit(running.Wait())); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		what, content string
		removed       bool
	}{
		{"cut off before the pid", "", true},
		{"of another program", strconv.Itoa(os.Getpid()) + "\n/data\n", true},
		{"of a process that is gone", "2147483647\n/data\n", false},
		{"of PostgreSQL", strconv.Itoa(running.Process.Pid) + "\n/data\n", false},
	} {
		cluster := &postgresCluster{folder: t.TempDir(), say: t.Logf}
		if err := os.Mkdir(cluster.data(), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(cluster.data(), "postmaster.pid")
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := cluster.removeForeignPIDFile(); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) != c.removed {
			t.Errorf("%s: removed %t, want %t", c.what, !c.removed, c.removed)
		}
	}
}

// ignoreExit leaves out how a process ended.
func ignoreExit(err error) error {
	if errors.As(err, new(*exec.ExitError)) {
		return nil
	}
	return err
}
