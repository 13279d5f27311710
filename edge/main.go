// Command edge terminates TLS for the connected domains: it serves each name with its installed certificate, over HTTP/1.1 and HTTP/2, and
// forwards requests to the platform. It answers the CA's http-01 requests on plain HTTP and its tls-alpn-01 requests over TLS, and can be a
// name server of the validation zone.
//
//	Any number of edge processes may run. Each reads its certificates from the database and keeps a sealed copy, from which it serves when
//
// it
//
//	starts while the database is down.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/edge/served"
	"github.com/evercert/evercert/edge/terminator"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

func main() {
	c, err := config.Load[Config]()
	if err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(2)
	}
	log := c.Logger(os.Stderr)
	slog.SetDefault(log)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, log); err != nil {
		log.Error("the edge ended", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends and the requests in progress are answered.
func run(ctx context.Context, c Config, log *slog.Logger) error {
	keys, err := keyring.Load(c.Keyring.File)
	if err != nil {
		return err
	}
	e, err := open(ctx, c, keys, log)
	if err != nil {
		return err
	}
	defer e.close()
	log.LogAttrs(
		ctx,
		slog.LevelInfo,
		"edge serves",
		slog.String("https", e.https.Addr().String()),
		slog.String("http", e.plain.Addr().String()),
		slog.String("dns", e.dnsAddress()),
		config.Log(c),
	)
	return e.serve(ctx)
}

// gcPercent is for a heap of some tens of megabytes, most of it certificates that stay. At Go's 100 the garbage collector takes a twentieth
// of the processor time of a handshake, with this value half as much. GOGC in the environment overrides it.
const gcPercent = 150

// challengeConns is the number of connections to PostgreSQL that are used only for the CA's requests, so that a flood of handshakes can't
// delay them.
const challengeConns = 4

// edge holds everything that this process serves.
type edge struct {
	store, challenges *store.Store
	names             *served.Set
	source            *source

	terminator   *terminator.Terminator
	https, plain net.Listener
	dns          *dcv.Server // nil unless DCV_LISTEN is set
}

// open makes an edge that serves from its own copy. When there is no copy, it waits for the database.
func open(ctx context.Context, c Config, keys *keyring.Keyring, log *slog.Logger) (*edge, error) {
	db, err := store.OpenLater(ctx, c.Store)
	if err != nil {
		return nil, err
	}
	c.Store.MaxConns = challengeConns
	answers, err := store.OpenLater(ctx, c.Store)
	if err != nil {
		db.Close()
		return nil, err
	}
	e := &edge{store: db, challenges: answers, names: served.Open(c.copyFolder(), keys, log)}
	if e.names.Len() == 0 {
		err = db.Migrate(ctx)
	}
	e.source = newSource(db, e.names, keys, log)
	if err == nil {
		err = e.listen(ctx, c, log)
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *edge) close() {
	e.store.Close()
	e.challenges.Close()
	e.names.Close() //nolint:errcheck // the process ends, or makes the copy anew
}

// listen binds every address. Clients that connect before serve wait.
func (e *edge) listen(ctx context.Context, c Config, log *slog.Logger) error {
	upstream, err := c.upstream()
	if err != nil {
		return err
	}
	answers := challenges{e.challenges}
	e.terminator, err = terminator.New(terminator.Options{
		Source: e.source, Challenges: dcv.HTTP01(answers), TLSChallenges: dcv.TLSALPN01(answers), Upstream: upstream,
		PublicHTTPSPort: c.PublicHTTPSPort, CacheSize: c.CacheSize, Log: log,
	})
	if err != nil {
		return err
	}
	if e.https, err = net.Listen("tcp", c.HTTPSListen); err != nil {
		return fmt.Errorf("EDGE_HTTPS_LISTEN: %w", err)
	}
	if e.plain, err = net.Listen("tcp", c.HTTPListen); err != nil {
		return errors.Join(fmt.Errorf("EDGE_HTTP_LISTEN: %w", err), e.https.Close())
	}
	if c.DCV.Enabled() {
		if e.dns, err = dcv.Listen(ctx, c.DCV, answers, log); err != nil {
			return errors.Join(err, e.https.Close(), e.plain.Close())
		}
	}
	return nil
}

// serve answers until ctx ends, or until one part fails, which stops the others: the process is then started again.
func (e *edge) serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.terminator.Serve(ctx, e.https, e.plain) })
	if e.dns != nil {
		group.Go(func() error { return e.dns.Serve(ctx) })
	}
	return group.Wait()
}

func (e *edge) dnsAddress() string {
	if e.dns == nil {
		return "off"
	}
	return e.dns.Addr()
}
