package edgefleet

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/edge/served"
	"github.com/evercert/evercert/keyring"
)

// Edge is an edge of its own process.
type Edge struct {
	HTTPS, HTTP, DNS string // addresses

	cmd   *exec.Cmd
	ended chan error

	once   sync.Once
	killed error
	mu     sync.Mutex
	log    strings.Builder
}

// StartEdge runs bin/edge on free ports with settings of its own until Kill, or until ctx ends. It returns when the edge listens.
func StartEdge(ctx context.Context, settings map[string]string) (*Edge, error) {
	e := &Edge{cmd: exec.CommandContext(ctx, stack.Bin("edge")), ended: make(chan error, 1)}
	all := map[string]string{
		"EDGE_HTTPS_LISTEN": "127.0.0.1:0",
		"EDGE_HTTP_LISTEN":  "127.0.0.1:0",
		"DCV_LISTEN":        "127.0.0.1:0",
		"VALIDATION_ZONE":   "dcv.test",
		"LOG_FORMAT":        "json",
	}
	maps.Copy(all, settings)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e.cmd.Env = append(e.cmd.Env, name+"="+all[name])
	}
	output, err := e.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: run `make build` first", err)
	}
	listening := make(chan struct{})
	go func() {
		e.read(output, sync.OnceFunc(func() { close(listening) }))
		e.ended <- e.cmd.Wait()
	}()
	select {
	case <-listening:
		return e, nil
	case err := <-e.ended:
		return nil, fmt.Errorf("the edge ended: %w\n%s", err, e.Log())
	case <-time.After(time.Minute):
		return nil, errors.Join(fmt.Errorf("the edge does not listen\n%s", e.Log()), e.Kill())
	}
}

// read keeps the log, and finds the addresses in it.
func (e *Edge) read(output io.Reader, listening func()) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var line struct{ Msg, HTTPS, HTTP, DNS string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "edge serves" {
			e.HTTPS, e.HTTP, e.DNS = line.HTTPS, line.HTTP, line.DNS
			listening()
		}
		e.mu.Lock()
		e.log.Write(append(lines.Bytes(), '\n'))
		e.mu.Unlock()
	}
}

// Log is what the edge has logged.
func (e *Edge) Log() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.String()
}

// PID is its process id.
func (e *Edge) PID() int { return e.cmd.Process.Pid }

// Kill ends it with -9.
func (e *Edge) Kill() error {
	if err := e.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	e.once.Do(func() { e.killed = <-e.ended })
	if _, ok := errors.AsType[*exec.ExitError](e.killed); ok || e.killed == nil || errors.Is(e.killed, context.Canceled) {
		return nil // it was killed on purpose
	}
	return e.killed
}

// Handshake opens a TLS connection for a name and closes it, as a browser that trusts roots.
func Handshake(ctx context.Context, address, name string, roots *x509.CertPool) error {
	return handshake(ctx, address, &tls.Config{ServerName: name, RootCAs: roots})
}

// HandshakeUnchecked is Handshake by a client that does as little as it can.
func HandshakeUnchecked(ctx context.Context, address, name string) error {
	//nolint:gosec // the client's work is not what is measured
	return handshake(ctx, address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
}

func handshake(ctx context.Context, address string, config *tls.Config) error {
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	// Without the minute in which the port can't be used again: there are many connections.
	return errors.Join(conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0), conn.Close())
}

// AwaitCopied waits until the copy in a folder has n names with their certificates.
func AwaitCopied(ctx context.Context, dir string, keys *keyring.Keyring, n int) error {
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	for {
		set := served.Open(dir, keys, slog.New(slog.DiscardHandler)) // reads: the edge has the lock
		copied := set.Copied()
		if err := set.Close(); err != nil || copied == n {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d names are copied: %w", copied, n, ctx.Err())
		case <-poll.C:
		}
	}
}
