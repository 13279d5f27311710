package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// findPostgres returns the folder that holds initdb and postgres. An existing
// cluster (major not empty) needs binaries of its own major version. Without
// any on this machine it installs or fetches them, and says so.
func findPostgres(ctx context.Context, folder, major string, say func(string, ...any)) (string, error) {
	fetched := filepath.Join(folder, "fetched")
	found := postgresFolders(ctx, fetched)
	if bin, ok := pickVersion(ctx, found, major); ok {
		return bin, nil
	}
	if len(found) > 0 {
		return "", fmt.Errorf(
			"the database in %s was made by PostgreSQL %s, but only other versions are installed (%s): install %s, or delete the folder to begin "+
				"anew",
			displayPath(folder),
			major,
			strings.Join(found, ", "),
			major,
		)
	}
	if os.Geteuid() == 0 {
		return installPostgres(ctx, major, say)
	}
	say("%-9s no PostgreSQL found on this machine: fetching its binaries (about 20 MB)", "postgres")
	if err := fetchPostgres(fetched); err != nil {
		return "", fmt.Errorf(
			"no PostgreSQL is installed and its binaries can't be fetched: %w (install PostgreSQL 13 or newer and try again)", err,
		)
	}
	return filepath.Join(fetched, "bin"), nil
}

// installPostgres uses the system's packages: binaries fetched for a user
// would be started as root's child under an account that can't read them.
func installPostgres(ctx context.Context, major string, say func(string, ...any)) (string, error) {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return "", errors.New("no PostgreSQL is installed: install it with your system's package manager, or run this as a user other than root")
	}
	say("%-9s no PostgreSQL found on this machine: installing the package postgresql", "postgres")
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "postgresql"}} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	if bin, ok := pickVersion(ctx, postgresFolders(ctx, ""), major); ok {
		return bin, nil
	}
	return "", errors.New("the package postgresql was installed, but no usable initdb and postgres were found")
}

// fetchPostgres lets the library fetch and unpack the binaries. It can only do
// so by starting a server of its own once, which is stopped and thrown away.
func fetchPostgres(target string) error {
	port, err := randomFreePort(false)
	if err != nil {
		return err
	}
	trial := target + ".trial"
	defer os.RemoveAll(trial) //nolint:errcheck // a leftover does no harm
	db := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(embeddedpostgres.V17).Port(uint32(port)).BinariesPath(target).
		RuntimePath(trial).DataPath(filepath.Join(trial, "data")).Logger(io.Discard))
	if err := db.Start(); err != nil {
		return err
	}
	return db.Stop()
}

// postgresFolders lists the folders with both binaries, in the order of PATH,
// then the places where packages put them, newest first.
func postgresFolders(ctx context.Context, fetched string) []string {
	candidates := filepath.SplitList(os.Getenv("PATH"))
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		candidates = append(candidates, strings.TrimSpace(string(out)))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
	} {
		matches, _ := filepath.Glob(pattern) // only a malformed pattern fails
		slices.SortFunc(matches, func(a, b string) int { return versionIn(b) - versionIn(a) })
		candidates = append(candidates, matches...)
	}
	candidates = append(candidates, "/usr/local/bin", "/usr/local/pgsql/bin")
	if fetched != "" {
		candidates = append(candidates, filepath.Join(fetched, "bin"))
	}
	var folders []string
	for _, dir := range candidates {
		if dir = postgresFolder(dir); dir != "" && !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	return folders
}

// postgresFolder resolves links: a link to postgres alone, without initdb and
// the shared files beside it, leads to the real installation.
func postgresFolder(dir string) string {
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil {
		return ""
	}
	dir = filepath.Dir(real)
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return ""
	}
	return dir
}

func pickVersion(ctx context.Context, folders []string, major string) (string, bool) {
	for _, dir := range folders {
		out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
		if err != nil {
			continue
		}
		if v := versionIn(string(out)); v > 0 && (major == "" || strconv.Itoa(v) == major) {
			return dir, true
		}
	}
	return "", false
}

var firstNumber = regexp.MustCompile(`[0-9]+`)

// versionIn is the first number in s, the major version: 15 in
// "/usr/lib/postgresql/15/bin" and in "postgres (PostgreSQL) 15.8". 0: none.
func versionIn(s string) int {
	n, err := strconv.Atoi(firstNumber.FindString(s))
	if err != nil {
		return 0
	}
	return n
}
