package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// startStack runs `up` until the test ends, and returns once it is ready.
func startStack(t *testing.T, dir, parts string) (stackFile, func() error) {
	t.Helper()
	if cluster := must[*postgresCluster](t)(newPostgresCluster(dir, postgresServer{}, t.Logf)); !strings.HasPrefix(cluster.folder, dir) {
		t.Cleanup(func() { // outside of the test's folder when root runs the tests
			if err := os.RemoveAll(cluster.folder); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- up(ctx, []string{"--dir", dir, "--parts", parts, "--free-ports", "--quiet"}) }()
	stop := func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("up: %v", err)
		}
	})
	var s stackFile
	eventually(t, time.Minute, func() (err error) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("up ended: %v", err)
		default:
		}
		s, err = readStackFile(dir)
		return err
	})
	return s, stop
}

func killAndAwaitReturn(t *testing.T, dir, name string) stackFile {
	t.Helper()
	before := must[stackFile](t)(readStackFile(dir))
	var out bytes.Buffer
	if err := clientCommand(t.Context(), "kill", []string{name, "--dir", dir}, &out); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("killed %s (pid %d)\n", name, before.PIDs[name]); out.String() != want {
		t.Errorf("kill printed %q, want %q", out.String(), want)
	}
	var after stackFile
	eventually(t, 30*time.Second, func() (err error) {
		if after, err = readStackFile(dir); err == nil && (after.PIDs[name] == 0 || after.PIDs[name] == before.PIDs[name]) {
			err = errors.New("stack.json shows no new pid")
		}
		return err
	})
	return after
}

func TestKilledPostgresComesBackWithItsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, stop := startStack(t, dir, "postgres")
	exec := func(sql string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, s.Postgres)
		if err != nil {
			return err
		}
		defer conn.Close(ctx) //nolint:errcheck // the statement has answered
		_, err = conn.Exec(ctx, sql)
		return err
	}
	if err := exec("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if after := killAndAwaitReturn(t, dir, "postgres"); after.Postgres != s.Postgres {
		t.Errorf("the address changed from %s to %s", s.Postgres, after.Postgres)
	}
	eventually(t, 30*time.Second, func() error { return exec("UPDATE kept SET n = 2 WHERE n = 1") })
	if err := up(
		t.Context(), []string{"--dir", dir, "--parts", "postgres", "--quiet"},
	); err == nil ||
		!strings.Contains(err.Error(), "running in") {
		t.Errorf("a second up of the same folder must be refused: %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if _, err := os.Stat(stackFilePath(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stack.json must go when the stack stops: %v", err)
	}
	s, _ = startStack(t, dir, "postgres")
	if err := exec("DO $$ BEGIN IF (SELECT n FROM kept) <> 2 THEN RAISE 'lost'; END IF; END $$"); err != nil {
		t.Errorf("after stopping and starting again, on the same port: %v", err)
	}
}

// TestTheDatabaseAsksForAPassword: every user of the machine can connect to the loopback.
func TestTheDatabaseAsksForAPassword(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, stop := startStack(t, dir, "postgres")
	connect := func(change func(*pgx.ConnConfig)) error {
		settings := must[*pgx.ConnConfig](t)(pgx.ParseConfig(s.Postgres))
		change(settings)
		conn, err := pgx.ConnectConfig(t.Context(), settings)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	}
	check := func() {
		t.Helper()
		if err := connect(func(*pgx.ConnConfig) {}); err != nil {
			t.Errorf("with the password: %v", err)
		}
		for _, password := range []string{"", "wrong"} {
			err := connect(func(c *pgx.ConnConfig) { c.Password = password })
			if refused, is := errors.AsType[*pgconn.PgError](
				err,
			); password != "" && (!is || refused.Code != "28P01") ||
				err == nil { // invalid_password
				t.Errorf("with the password %q: %v", password, err)
			}
		}
	}
	check()
	if info := must[fs.FileInfo](t)(os.Stat(filepath.Join(dir, "postgres_password"))); info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the password has the mode %v", info.Mode())
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// A cluster of an older version of this program trusts everybody, and its stack has no password.
	cluster := must[*postgresCluster](t)(newPostgresCluster(dir, postgresServer{}, t.Logf))
	if err := cluster.writeOwn(filepath.Join(cluster.data(), "pg_hba.conf"), "# who may\nhost all all 127.0.0.1/32 trust\n"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "postgres_password")); err != nil {
		t.Fatal(err)
	}
	before := s.Postgres
	if s, _ = startStack(t, dir, "postgres"); s.Postgres == before {
		t.Error("the password was to be a new one")
	}
	check()
}

func TestDNSAndCAComeBackAtTheSameAddress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, _ := startStack(t, dir, "dns,ca")
	command := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := clientCommand(t.Context(), args[0], append(args[1:], "--dir="+dir), &out)
		return out.String(), err
	}
	if _, err := command("dns", "set", "shop.empty.test", "TXT", "-begins with a dash"); err != nil {
		t.Fatal(err)
	}
	if out, err := command("ca", "stats"); err != nil || out != `{"orders":0,"finalizes":0,"certificates":0,"rejected":0}`+"\n" {
		t.Errorf("ca stats: %q, %v", out, err)
	}
	for _, name := range []string{"dns", "ca"} {
		after := killAndAwaitReturn(t, dir, name)
		if after.DNS != before.DNS || after.ACMEDirectory != before.ACMEDirectory {
			t.Errorf("after the kill of %s the addresses differ: %+v", name, after)
		}
	}
	eventually(t, 30*time.Second, func() error {
		out, err := command("dns", "list")
		if err == nil && !strings.Contains(out, "-begins with a dash") {
			err = fmt.Errorf("dns list: %q", out)
		}
		return err
	})
	out, err := command("status", "--json")
	var statuses []partStatus
	if err != nil || json.Unmarshal([]byte(out), &statuses) != nil || len(statuses) != 2 || statuses[1].Restarts != 1 {
		t.Errorf("status: %q, %v", out, err)
	}
	if _, err := command("kill", "worker"); err == nil || !strings.Contains(err.Error(), "worker") {
		t.Errorf("killing what isn't there: %v", err)
	}
}

func TestStoppedPartStaysDownUntilItIsStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, _ := startStack(t, dir, "dns")
	command := func(name string) error {
		return clientCommand(t.Context(), name, []string{"dns", "--dir", dir}, &bytes.Buffer{})
	}
	state := func() (st partStatus) {
		var out bytes.Buffer
		var all []partStatus
		if err := clientCommand(t.Context(), "status", []string{"--json", "--dir", dir}, &out); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &all); err != nil || len(all) != 1 {
			t.Fatalf("status: %s, %v", out.String(), err)
		}
		return all[0]
	}
	if err := command("start"); err == nil {
		t.Error("starting a part that runs must be refused")
	}
	for range 2 { // twice is the same as once
		if err := command("stop"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 30*time.Second, func() error {
		if st := state(); st.State != "stopped" || st.PID != 0 {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	if (processID{before.PIDs["dns"], processStart(before.PIDs["dns"])}).alive() {
		t.Error("its process is still there")
	}
	if after := must[stackFile](t)(readStackFile(dir)); after.PIDs["dns"] != 0 {
		t.Errorf("stack.json still shows pid %d", after.PIDs["dns"])
	}
	if err := command("kill"); err == nil {
		t.Error("killing a part that is down must be refused")
	}
	if err := command("start"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error { return accepts(before.DNS)(t.Context()) })
	if err := command("stop"); err != nil { // and the stack stops all the same
		t.Fatal(err)
	}
}

func TestCommandsSayWhenNoStackRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := clientCommand(t.Context(), "status", []string{"--dir", dir}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "no stack is running") {
		t.Errorf("got %v", err)
	}
	// A supervisor that was killed with -9 leaves its file.
	if err := writeJSON(stackFilePath(dir), stackFile{SupervisorPID: os.Getpid(), SupervisorStart: "1"}); err != nil {
		t.Fatal(err)
	}
	err = clientCommand(t.Context(), "status", []string{"--dir", dir}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "no stack is running") {
		t.Errorf("with the file of a killed supervisor: %v", err)
	}
}

func TestPartThatNeverStartsEndsTheStartUp(t *testing.T) {
	t.Parallel()
	dir, bin := t.TempDir(), t.TempDir()
	for _, name := range []string{"worker", "evercert"} {
		script := "#!/bin/sh\n[ \"$1\" = keyring ] && exit 0\necho the database is on fire\nexit 3\n"
		if err := os.WriteFile(bin+"/"+name, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := up(t.Context(), []string{"--dir", dir, "--bin", bin, "--parts", "worker", "--free-ports", "--quiet"})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "the database is on fire") {
		t.Errorf("the reason and the log must be printed: %v", err)
	}
}

func TestOnlyOurOrphansAreEnded(t *testing.T) {
	t.Parallel()
	pids := newPIDFile(t.TempDir())
	// This test's own pid with another start time: a pid that was used again.
	pids.pids["worker"] = processID{os.Getpid(), "1"}
	if err := writeJSON(pids.path, pids.pids); err != nil {
		t.Fatal(err)
	}
	if ended, err := pids.endOrphans(time.Second); err != nil || len(ended) != 0 {
		t.Errorf("ended %v, %v", ended, err)
	}
}
