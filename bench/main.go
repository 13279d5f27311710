// Command bench measures evercert on this machine, on real parts, and prints ratios: absolute figures of a shared machine
// say little. It connects domains whose DNS is ready and takes the time from the first connect to the last one that
// is verified on the edge, beside raw ACME calls by lego's acme/api, without any durability, against the same CA in
// the same run. It diagnoses many domains at once, too, with and without zones whose servers are dead, on a DNS tree of its own.
// And it measures an edge that serves 100,000 names.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	legolog "github.com/go-acme/lego/v4/log"
	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/stack"
)

// caddyAsShipped is the rate at which Caddy, as it is shipped, obtains certificates for names enrolled at once: its
// limiter lets 10 orders pass in 10 seconds.
const caddyAsShipped = 1.0

func main() {
	if len(os.Args) == 3 && os.Args[1] == nameserversRole {
		runNameservers()
		return
	}
	if len(os.Args) == 2 && os.Args[1] == plainRole {
		fmt.Fprintln(os.Stderr, "bench:", runPlain())
		os.Exit(1)
	}
	domains := flag.Int("domains", 500, "domains to connect, and certificates to obtain by raw calls")
	atOnce := flag.Int("diagnoses", 1000, "domains to diagnose at once")
	names := flag.Int("names", 100_000, "names of the edge that is measured")
	only := flag.String(
		"only", "", "measure only this: issuance, diagnoses or edge, all when empty; or fleet, what -domains at rest cost in memory and disk",
	)
	flag.Parse()
	legolog.Logger = log.New(io.Discard, "", 0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *domains, *atOnce, *names); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop only frees the signal handler, and the process ends
	}
}

// run measures what was asked for.
func run(ctx context.Context, only string, domains, atOnce, names int) error {
	switch only {
	case "":
		if err := diagnoses(ctx, atOnce); err != nil {
			return err
		}
		if err := edge(ctx, names); err != nil {
			return err
		}
		return issuance(ctx, domains)
	case "edge":
		return edge(ctx, names)
	case "diagnoses":
		return diagnoses(ctx, atOnce)
	case "issuance":
		return issuance(ctx, domains)
	case "fleet":
		return fleet(ctx, domains)
	default:
		return fmt.Errorf("-only is %q; it expects issuance, diagnoses, edge or fleet", only)
	}
}

// benchParts are all but the gate to the database, which is there for faults.
var benchParts = []string{"postgres", "temporal", "dns", "ca", "worker", "edge", "api"}

// issuance measures domains from connected to served, beside raw calls.
func issuance(ctx context.Context, domains int) (err error) {
	fmt.Println("starting the stack: PostgreSQL, Temporal, CA, DNS, worker, edge, API")
	s, err := stack.Start(stack.Options{CA: []string{"retry-after=0"}, Env: map[string]string{"LOG_LEVEL": "warn"}, Parts: benchParts})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()

	syscall.Sync() // what was written before, the build included, goes to the disk now and not while domains wait for it
	raw, err := bestRaw(ctx, s, domains)
	if err != nil {
		return err
	}
	rate, err := connect(ctx, s, domains)
	if err != nil {
		return err
	}
	fmt.Printf("\n%-52s %8.1f certificates/s\n", "raw acme/api calls, best concurrency, no durability", raw)
	fmt.Printf("%-52s %8.1f domains/s\n", fmt.Sprintf("evercert, %d domains, connect to verified on the edge", domains), rate)
	fmt.Printf("%-52s %8.2f\n", "ratio evercert / raw", rate/raw)
	fmt.Printf("%-52s %8.1f\n", "ratio evercert / Caddy as shipped (1.0/s by its limiter)", rate/caddyAsShipped)
	return nil
}

// connect enrolls the domains by the CLI and waits until each is verified on the edge.
func connect(ctx context.Context, s *stack.Stack, n int) (perSecond float64, err error) {
	var file strings.Builder
	for i := range n {
		fmt.Fprintf(&file, "bench%05d.ready.test\n", i)
	}
	path := filepath.Join(s.Dir, "domains.csv")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		return 0, err
	}
	db, err := pgx.Connect(ctx, s.Info().Postgres)
	if err != nil {
		return 0, err
	}
	defer db.Close(context.WithoutCancel(ctx)) //nolint:errcheck // read only
	before := cpuOfParts(s)
	begin := time.Now()
	enrol := exec.CommandContext(
		ctx, stack.Bin("evercert"), "connect", "--file", path, "--tenant", "bench", "--workers", "32", "--stack",
		filepath.Join(s.Dir, "stack.json"),
	)
	var output strings.Builder
	enrol.Stdout, enrol.Stderr = &output, &output
	if err := enrol.Start(); err != nil {
		return 0, err
	}
	enrolled := make(chan error, 1)
	go func() { enrolled <- enrol.Wait() }()
	took, err := awaitComplete(ctx, db, n, begin, enrolled)
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, output.String())
	}
	fmt.Printf("\r%d domains verified in %s        \n", n, took.Round(10*time.Millisecond))
	printCPU(before, cpuOfParts(s), n)
	return float64(n) / took.Seconds(), nil
}

func awaitComplete(ctx context.Context, db *pgx.Conn, n int, begin time.Time, enrolled <-chan error) (time.Duration, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case err := <-enrolled:
			if err != nil {
				return 0, fmt.Errorf("evercert connect: %w", err)
			}
			fmt.Printf("\rall %d connected after %s\n", n, time.Since(begin).Round(10*time.Millisecond))
			enrolled = nil
		case <-tick.C:
		}
		var complete int
		if err := db.QueryRow(ctx, `SELECT count(*) FROM domains WHERE headline = $1`, cert.InstallationComplete).Scan(&complete); err != nil {
			return 0, err
		}
		fmt.Printf("\r%d of %d complete", complete, n)
		if complete == n {
			return time.Since(begin), nil
		}
	}
}
