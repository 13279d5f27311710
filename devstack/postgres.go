package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

const (
	postgresUser    = "evercert" // superuser of the private cluster
	productDatabase = "evercert"
)

// postgresSettings are given on the command line, so that an older cluster
// gets them as well. fsync and synchronous_commit stay on: a kill -9 must lose
// nothing. The cluster has no replicas, hence the minimal write-ahead log.
var postgresSettings = []string{
	"listen_addresses=" + loopback,
	"unix_socket_directories=", // a socket's path has a length limit, and no client needs one
	"max_connections=300",
	"shared_buffers=256MB",
	"fsync=on",
	"synchronous_commit=on",
	"recovery_init_sync_method=syncfs", // one call after a crash, not an fsync of each of thousands of files
	"wal_level=minimal",
	"max_wal_senders=0",
	"max_wal_size=2GB",
	"jit=off", // compiling costs more than it saves on short queries
	"log_min_messages=warning",
	"log_checkpoints=off",
}

// postgresCluster is the private cluster of one stack.
type postgresCluster struct {
	folder     string // holds the folder data
	server     postgresServer
	newPass    bool   // the password was made just now: an older cluster does not know it
	bin        string // the folder of initdb and postgres
	credential *syscall.Credential
	say        func(format string, args ...any)
}

// newPostgresCluster decides under which user and in which folder the cluster
// lives. PostgreSQL refuses to run as root, so root hands it to another user.
func newPostgresCluster(dir string, server postgresServer, say func(string, ...any)) (*postgresCluster, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the folder of the database: %w", err)
	}
	c := &postgresCluster{folder: filepath.Join(abs, "postgres"), server: server, say: say}
	if os.Geteuid() != 0 {
		return c, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL doesn't run as root, and there is no user postgres or nobody to run it as: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s has the id %q: %w", account.Username, account.Uid, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s has the group %q: %w", account.Username, account.Gid, err)
	}
	c.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if !traversable(abs) {
		sum := sha256.Sum256([]byte(abs))
		c.folder = filepath.Join("/var/tmp", "evercert-"+hex.EncodeToString(sum[:6]))
		say("%-9s user %s can't enter %s: its data is kept in %s", "postgres", account.Username, displayPath(dir), c.folder)
	}
	return c, nil
}

// traversable reports whether every folder down to path lets other users through.
func traversable(path string) bool {
	for {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(path)
		if parent == path {
			return true
		}
		path = parent
	}
}

func (c *postgresCluster) data() string { return filepath.Join(c.folder, "data") }

// prepare finds the binaries and makes the cluster when there is none.
func (c *postgresCluster) prepare(ctx context.Context) error {
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of the database: %w", err)
	}
	if c.credential != nil {
		if err := os.Chown(c.folder, int(c.credential.Uid), int(c.credential.Gid)); err != nil {
			return fmt.Errorf("hand the folder of the database to its user: %w", err)
		}
	}
	version, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("find an existing database: %w", err)
	}
	major := strings.TrimSpace(string(version))
	if c.bin, err = findPostgres(ctx, c.folder, major, c.say); err != nil {
		return err
	}
	if major == "" {
		return c.initdb(ctx)
	}
	if err := c.removeForeignPIDFile(); err != nil {
		return err
	}
	return c.demandPassword(ctx)
}

// initdb makes the cluster under another name and renames it when complete, so
// that a kill -9 can't leave half a cluster. It doesn't sync (-N): losing power
// during the first seconds of a development database is acceptable.
func (c *postgresCluster) initdb(ctx context.Context) error {
	unfinished := c.data() + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("clear a cut-off initdb: %w", err)
	}
	password := filepath.Join(c.folder, "password") // for initdb alone
	if err := c.writeOwn(password, c.server.password+"\n"); err != nil {
		return err
	}
	defer os.Remove(password) //nolint:errcheck // in a folder that only its user may enter
	if err := c.run(ctx, "", "initdb", "--pgdata", unfinished, "--no-sync", "--encoding", "UTF8", "--locale", "C",
		"--username", postgresUser, "--auth", passwordMethod, "--pwfile", password); err != nil {
		return err
	}
	if err := os.Rename(unfinished, c.data()); err != nil {
		return fmt.Errorf("put the new cluster in place: %w", err)
	}
	return nil
}

// passwordMethod is how a client shows that it knows the password (pg_hba.conf).
const passwordMethod = "scram-sha-256"

// demandPassword gives a cluster its password that has none, because an older version of this program made it, or whose password is lost.
// Trust would make every user of this machine its superuser. PostgreSQL's single-user mode needs no password.
func (c *postgresCluster) demandPassword(ctx context.Context) error {
	rules := filepath.Join(c.data(), "pg_hba.conf")
	content, err := os.ReadFile(rules)
	if err != nil {
		return fmt.Errorf("read who may connect to the database: %w", err)
	}
	trusts := slices.ContainsFunc(strings.Split(string(content), "\n"), func(line string) bool {
		return !strings.HasPrefix(line, "#") && strings.HasSuffix(strings.TrimSpace(line), "trust")
	})
	if !trusts && !c.newPass {
		return nil
	}
	c.say("%-9s its cluster gets a password", "postgres")
	args := []string{"--single", "-D", c.data()}
	for _, s := range postgresSettings {
		args = append(args, "-c", s)
	}
	statement := fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'\n", postgresUser, c.server.password) // hexadecimal
	if err := c.run(ctx, statement, "postgres", append(args, "postgres")...); err != nil {
		return err
	}
	return c.writeOwn(rules, "host all all "+loopback+"/32 "+passwordMethod+"\n")
}

// run runs one of PostgreSQL's programs to its end, as the cluster's user.
func (c *postgresCluster) run(ctx context.Context, input, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	cmd.Dir = c.folder
	cmd.SysProcAttr = childAttributes(c.credential, syscall.SIGKILL)
	var output strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &output, &output
	err := startProcess(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, output.String())
	}
	return nil
}

// writeOwn writes a file that the cluster's user may read, and no other user.
func (c *postgresCluster) writeOwn(path, content string) error {
	err := os.WriteFile(path, []byte(content), 0o600)
	if err == nil && c.credential != nil {
		err = os.Chown(path, int(c.credential.Uid), int(c.credential.Gid))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// removeForeignPIDFile removes a postmaster.pid that PostgreSQL would refuse to
// start with for ever: one that a crash cut off before the pid was in it, and one
// whose pid belongs to another program by now, after a restart of the machine or
// container. PostgreSQL itself deals with a pid that is gone.
// The lock on the stack's folder says that no other supervisor runs this one.
func (c *postgresCluster) removeForeignPIDFile() error {
	path := filepath.Join(c.data(), "postmaster.pid")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read postmaster.pid: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		c.say("%-9s postmaster.pid was cut off by a crash: removed", "postgres")
		return os.Remove(path)
	}
	if name := processName(pid); name == "" || strings.Contains(name, "post") {
		return nil
	}
	c.say("%-9s postmaster.pid names another program's process: removed", "postgres")
	return os.Remove(path)
}

// command starts the postmaster. If the supervisor dies it gets SIGQUIT, upon
// which it takes its backends along at once.
func (c *postgresCluster) command() (*exec.Cmd, error) {
	args := []string{"-D", c.data(), "-p", strconv.Itoa(c.server.port)}
	for _, s := range postgresSettings {
		args = append(args, "-c", s)
	}
	cmd := childCommand(c.credential, syscall.SIGQUIT, filepath.Join(c.bin, "postgres"), args...)
	cmd.Dir = c.folder
	return cmd, nil
}

// ready makes sure that the product's database exists.
func (c *postgresCluster) ready(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.server.url("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // each statement has answered
	var exists bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", productDatabase).Scan(&exists)
	if err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{productDatabase}.Sanitize())
	return err
}

// postgresServer is the cluster as clients reach it. Every user of this machine can connect to the loopback, hence the password.
type postgresServer struct {
	port     int
	password string // hexadecimal
}

func (p postgresServer) url(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(postgresUser, p.password),
		Host:     hostPort(p.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// postgresPasswordVariable hands the password to the parts of this program: other users see command lines, and no environments.
const postgresPasswordVariable = "DEVSTACK_POSTGRES_PASSWORD"
