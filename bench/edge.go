package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/miekg/dns" //nolint:depguard // the bench asks as a CA does
	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/e2e/edgefleet"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

const (
	plainRole     = "plain-edge" // this program as a server of plain crypto/tls, beside which the edge is measured
	cachedNames   = 10_000       // EDGE_CACHE_SIZE of the edge that is measured
	cpuRounds     = 40
	cpuHandshakes = 250  // a round
	floodPerS     = 2000 // handshakes for unknown names
	knownPerS     = 100  // handshakes for known names, and as many questions of a CA by HTTP and by DNS, while they are timed
	floodTime     = 10 * time.Second
)

// edgeBench is an edge with its names, and what it is measured beside.
type edgeBench struct {
	postgres *stack.Stack
	settings map[string]string
	keys     *keyring.Keyring
	ca       *edgefleet.CA
	names    int
	edge     *edgefleet.Edge
	plain    *exec.Cmd // beside it
	plainAt  string
	db       *store.Store
}

// edge measures an edge process that serves many names: processor time of a handshake beside plain crypto/tls, memory, what a flood of
// unknown names does to others, and a start without a database.
func edge(ctx context.Context, names int) (err error) {
	fmt.Printf("an edge with %d names, each with a certificate of its own\n", names)
	b := &edgeBench{names: names}
	defer func() { err = errors.Join(err, b.stop()) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for _, measure := range []func(context.Context) error{b.handshakes, b.memory, b.flood, b.restart} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *edgeBench) prepare(ctx context.Context) (err error) {
	if b.postgres, err = stack.Start(stack.Options{Parts: []string{"postgres"}}); err != nil {
		return err
	}
	url, file := b.postgres.Info().Postgres, filepath.Join(b.postgres.Dir, "bench-keyring.json")
	if err := keyring.Generate(file); err != nil {
		return err
	}
	if b.keys, err = keyring.Load(file); err != nil {
		return err
	}
	if b.db, err = store.Open(ctx, url); err != nil {
		return err
	}
	if b.ca, err = edgefleet.NewCA(); err != nil {
		return err
	}
	begin := time.Now()
	if err := b.ca.Fill(ctx, url, b.keys, b.names); err != nil {
		return err
	}
	fmt.Printf("%-52s %8s\n", "names made and stored", time.Since(begin).Round(time.Second))
	b.settings = map[string]string{
		"DATABASE_URL":    url,
		"KEYRING_FILE":    file,
		"EDGE_COPY_DIR":   filepath.Join(b.postgres.Dir, "edge-copy"),
		"EDGE_CACHE_SIZE": strconv.Itoa(cachedNames),
		"DCV_RATE_LIMIT":  "0",
	}
	begin = time.Now()
	if b.edge, err = edgefleet.StartEdge(ctx, b.settings); err != nil {
		return err
	}
	if err := edgefleet.AwaitCopied(ctx, b.settings["EDGE_COPY_DIR"], b.keys, b.names); err != nil {
		return err
	}
	fmt.Printf("%-52s %8s\n", "copied to the edge's disk", time.Since(begin).Round(100*time.Millisecond))
	return nil
}

func (b *edgeBench) stop() (err error) {
	if b.edge != nil {
		err = b.edge.Kill()
	}
	if b.plain != nil {
		b.plain.Process.Kill() //nolint:errcheck // it has ended, then
		b.plain.Wait()         //nolint:errcheck // it was killed
	}
	if b.db != nil {
		b.db.Close()
	}
	if b.postgres != nil {
		err = errors.Join(err, b.postgres.Stop())
	}
	return err
}

// cached is one of the names that the edge has in memory.
func (b *edgeBench) cached() string { return edgefleet.Name(rand.IntN(min(cachedNames, b.names))) } //nolint:gosec // any will do

// handshakes takes turns with a plain server, so that both meet the same load of the machine.
func (b *edgeBench) handshakes(ctx context.Context) error {
	if err := b.startPlain(ctx); err != nil {
		return err
	}
	for i := range min(cachedNames, b.names) {
		if err := edgefleet.Handshake(ctx, b.edge.HTTPS, edgefleet.Name(i), b.ca.Roots); err != nil {
			return err
		}
	}
	known, err := b.beside(func(address string) error { return edgefleet.HandshakeUnchecked(ctx, address, b.cached()) })
	if err != nil {
		return err
	}
	hello := newHello(ctx)
	unknown, err := b.beside(func(address string) error {
		if !hello.isRefused(ctx, address, rand.IntN(1e9)) { //nolint:gosec // any will do
			return errors.New("an unknown name was not refused")
		}
		return nil
	})
	if err != nil {
		return err
	}
	known.print("processor time of a handshake")
	unknown.print("processor time of an unknown name")
	return nil
}

// besides is the processor time that the plain server and the edge took for the same.
type besides struct{ plain, edge time.Duration }

// beside lets both do the same, in turns, so that they meet the same load of the machine.
func (b *edgeBench) beside(do func(address string) error) (spent besides, err error) {
	for range cpuRounds {
		for _, server := range []struct {
			pid     int
			address string
			spent   *time.Duration
		}{{b.plain.Process.Pid, b.plainAt, &spent.plain}, {b.edge.PID(), b.edge.HTTPS, &spent.edge}} {
			before := cpuOf(server.pid)
			for range cpuHandshakes {
				if err := do(server.address); err != nil {
					return besides{}, err
				}
			}
			*server.spent += cpuOf(server.pid) - before
		}
	}
	return spent, nil
}

func (s besides) print(what string) {
	const n = cpuRounds * cpuHandshakes
	fmt.Printf(
		"%-52s %8.2f   (%.0f µs, %.0f µs)\n", what+", edge / plain", float64(s.edge)/float64(s.plain), float64(s.edge/n)/1e3,
		float64(s.plain/n)/1e3,
	)
}

// cpuOf is the processor time that a process has used: of each of its threads, in nanoseconds.
func cpuOf(pid int) time.Duration {
	var sum time.Duration
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is well-formed
	for _, task := range tasks {
		if raw, err := os.ReadFile(task); err == nil {
			ns, _ := strconv.ParseInt(strings.Fields(string(raw))[0], 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}

// startPlain runs this program as the plain server.
func (b *edgeBench) startPlain(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.plain = exec.CommandContext(ctx, self, plainRole)
	output, err := b.plain.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.plain.Start(); err != nil {
		return err
	}
	if _, err := fmt.Fscanln(output, &b.plainAt); err != nil {
		return fmt.Errorf("the plain server: %w", err)
	}
	return nil
}

// runPlain serves as many names as the edge has in memory with net/http, crypto/tls and a map.
func runPlain() error {
	ca, err := edgefleet.NewCA()
	if err != nil {
		return err
	}
	byName := map[string]*tls.Certificate{}
	for i := range cachedNames {
		c, err := ca.Issue(edgefleet.Name(i))
		if err != nil {
			return err
		}
		byName[edgefleet.Name(i)] = c
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return byName[hello.ServerName], nil },
	}}
	return server.ServeTLS(listener, "", "")
}

// memory prints what the process holds, now that its cache is full.
func (b *edgeBench) memory(context.Context) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.edge.PID()))
	if err != nil {
		return err
	}
	for _, field := range []string{"VmRSS", "VmHWM"} {
		_, rest, _ := strings.Cut(string(status), field+":")
		kB, _ := strconv.Atoi(strings.Fields(rest)[0])
		what := map[string]string{"VmRSS": "memory of the edge", "VmHWM": "at most, since its start"}[field]
		fmt.Printf("%-52s %8.0f MB\n", fmt.Sprintf("%s, %d of its names in memory", what, min(cachedNames, b.names)), float64(kB)*1024/1e6)
	}
	return nil
}

// flood times visitors and the CA without and with handshakes for unknown names, in turns.
func (b *edgeBench) flood(ctx context.Context) error {
	if err := b.db.PutHTTPToken(ctx, "token", "token.thumbprint", time.Hour); err != nil {
		return err
	}
	value := cert.DelegationLabel("shop.test", []byte("a tenant's secret")) + ".dcv.test"
	if err := b.db.PutTXT(ctx, value, "digest", time.Hour); err != nil {
		return err
	}
	asks := []asking{
		{
			what:    "plain crypto/tls, a known name",
			flooded: b.plainAt,
			ask:     func() error { return edgefleet.HandshakeUnchecked(ctx, b.plainAt, b.cached()) },
		},
		{
			what:    "edge, a known name",
			flooded: b.edge.HTTPS,
			ask:     func() error { return edgefleet.HandshakeUnchecked(ctx, b.edge.HTTPS, b.cached()) },
		},
		{what: "edge, http-01", flooded: b.edge.HTTPS, ask: func() error { return b.askHTTP(ctx) }},
		{what: "edge, dns-01", flooded: b.edge.HTTPS, ask: func() error { return askDNS(b.edge.DNS, value) }},
	}
	before, err := b.queries(ctx)
	if err != nil {
		return err
	}
	results, sent := floods(ctx, asks)
	after, err := b.queries(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%-52s %8.0f /s\n", "handshakes for unknown names", float64(sent)/(floodTime*time.Duration(len(asks))).Seconds())
	fmt.Printf("%-52s %8d\n", "scans of the table of served names meanwhile", after-before)
	for i, a := range asks {
		quiet, flooded := results[i].quiet.p99(), results[i].flooded.p99()
		fmt.Printf(
			"%-52s %8.2f   (%s, %s)\n", "p99 in the flood / before, "+a.what, float64(flooded)/float64(quiet), quiet.Round(10*time.Microsecond),
			flooded.Round(10*time.Microsecond),
		)
	}
	return nil
}

// queries counts the scans of served_names, by any index or none, as PostgreSQL's statistics know them.
func (b *edgeBench) queries(ctx context.Context) (n int64, err error) {
	conn, err := pgx.Connect(ctx, b.settings["DATABASE_URL"])
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // read only
	select {                                     // PostgreSQL's processes report once a second
	case <-time.After(1200 * time.Millisecond):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	err = conn.QueryRow(ctx, `SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'served_names'`).Scan(&n)
	return n, err
}

func (b *edgeBench) askHTTP(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.edge.HTTP+dcv.HTTP01Path+"token", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

func askDNS(address, name string) error {
	answer, err := dns.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT), address)
	if err == nil && len(answer.Answer) != 1 {
		err = errors.New(dns.RcodeToString[answer.Rcode])
	}
	return err
}

// restart starts the edge while PostgreSQL is down.
func (b *edgeBench) restart(ctx context.Context) error {
	if _, err := b.postgres.Devstack("stop", "postgres"); err != nil {
		return err
	}
	best := time.Hour
	for range 3 {
		if err := b.edge.Kill(); err != nil {
			return err
		}
		begin := time.Now()
		var err error
		if b.edge, err = edgefleet.StartEdge(ctx, b.settings); err != nil {
			return err
		}
		if err := edgefleet.Handshake(ctx, b.edge.HTTPS, b.cached(), b.ca.Roots); err != nil {
			return err
		}
		best = min(best, time.Since(begin))
	}
	fmt.Printf("%-52s %8s\n", "PostgreSQL down, edge started: first name served after", best.Round(time.Millisecond))
	group, _ := errgroup.WithContext(ctx)
	group.SetLimit(4)
	const sample = 2000
	for range sample {
		group.Go(func() error {
			return edgefleet.Handshake(ctx, b.edge.HTTPS, edgefleet.Name(rand.IntN(b.names)), b.ca.Roots) //nolint:gosec // any will do
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Printf("%-52s %8s\n", "names served of a sample", fmt.Sprintf("%d/%d", sample, sample))
	return nil
}
