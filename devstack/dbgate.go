package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// dbGate stands between the product and its database, and does the faults that were ordered. Temporal's databases are in the
// same cluster and are reached past the gate: so the product's database alone can go away.
type dbGate struct {
	server   string // address of PostgreSQL
	database databaseAdmin

	setting sync.Mutex // one fault is put in place after the other

	mu       sync.Mutex
	fault    gateFault
	changed  chan struct{} // closed when fault changes
	undo     context.CancelFunc
	triggers []*gateTrigger
	numbered int // triggers so far
	conns    map[*gateConn]bool
	counts   gateCounts
	unlock   context.CancelFunc
}

// gateCounts is what `devstack db stats` prints.
type gateCounts struct {
	Open       int `json:"open"`       // connections now
	Accepted   int `json:"accepted"`   // connections since the start
	Refused    int `json:"refused"`    // closed at once, by the fault refuse
	Cut        int `json:"cut"`        // ended by a fault
	Statements int `json:"statements"` // that reached the gate, each with the values bound to it
}

func newDBGate(server string, database databaseAdmin) *dbGate {
	return &dbGate{server: server, database: database, changed: make(chan struct{}), conns: map[*gateConn]bool{}}
}

// runDBGate is the part dbgate.
func runDBGate(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("dbgate", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "`address` for the product")
	control := flags.String("control", "127.0.0.1:0", "`address` of the control endpoint")
	port := flags.Int("postgres-port", 5432, "PostgreSQL `port` on the loopback")
	if err := flags.Parse(args); err != nil {
		return err
	}
	server := postgresServer{port: *port, password: os.Getenv(postgresPasswordVariable)}
	g := newDBGate(hostPort(*port), postgresAdmin{url: server.url(productDatabase)})
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *listen, err)
	}
	failed := make(chan error, 2)
	go func() { failed <- g.serve(ctx, l) }()
	go func() { failed <- serveControl(ctx, *control, dbControl(g)) }()
	fmt.Printf("gate to the product's database on %s\n", *listen)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// serve accepts connections until ctx ends.
func (g *dbGate) serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // Accept says that it was closed
	defer stop()
	for {
		client, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		c := &gateConn{gate: g, client: client, closed: make(chan struct{})}
		if !g.admit(c) {
			_ = client.Close() // nothing was written to it
			continue
		}
		go c.run(ctx)
	}
}

// admit counts a connection and reports whether it may stay.
func (g *dbGate) admit(c *gateConn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fault.kind == refuseFault {
		g.counts.Refused++
		return false
	}
	g.counts.Accepted++
	g.conns[c] = true
	return true
}

func (g *dbGate) forget(c *gateConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

func (g *dbGate) stats() gateCounts {
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := g.counts
	counts.Open = len(g.conns)
	return counts
}

// pass waits as long as the fault of the moment wants a packet to wait: an instant, the delay of slow, until hang is over.
func (g *dbGate) pass(c *gateConn) error {
	for {
		g.mu.Lock()
		fault, changed := g.fault, g.changed
		g.mu.Unlock()
		switch fault.kind {
		case hangFault:
			select {
			case <-changed:
				continue
			case <-c.closed:
				return net.ErrClosed
			}
		case slowFault:
			select {
			case <-time.After(fault.delay):
			case <-c.closed:
				return net.ErrClosed
			}
		}
		return nil
	}
}

// gateConn is one connection of the product.
type gateConn struct {
	gate           *dbGate
	client, server net.Conn

	mu     sync.Mutex
	once   sync.Once
	closed chan struct{}
	lose   bool // the server's next complete answer is dropped, and the connection cut
}

// cut ends the connection on both sides.
func (c *gateConn) cut() {
	c.once.Do(func() {
		close(c.closed)
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = c.client.Close() // the other side finds out
		if c.server != nil {
			_ = c.server.Close()
		}
	})
}

// run dials the server and copies both ways until either side ends.
func (c *gateConn) run(ctx context.Context) {
	defer c.gate.forget(c)
	defer c.cut()
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", c.gate.server)
	if err != nil {
		slog.Warn("PostgreSQL can't be reached", "err", err)
		return
	}
	c.mu.Lock()
	c.server = server
	c.mu.Unlock()
	select {
	case <-c.closed: // it was cut before it had a server
		_ = server.Close()
		return
	default:
	}
	go func() {
		defer c.cut()
		c.ended("server", c.answers())
	}()
	c.ended("client", c.requests())
}

func (c *gateConn) ended(side string, err error) {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		slog.Info("connection ended", "side", side, "err", err)
	}
}

// requests copies what the client sends, message by message, so that a trigger sees each statement before the server does.
func (c *gateConn) requests() error {
	messages := newRequestReader(c.client)
	for {
		m, err := messages.next()
		if err != nil {
			return err
		}
		if err := c.gate.pass(c); err != nil {
			return err
		}
		if m.statement != "" {
			if err := c.gate.statement(c, m); err != nil {
				return err
			}
		}
		if _, err := c.server.Write(m.raw); err != nil {
			return err
		}
	}
}

// answers copies what the server sends.
func (c *gateConn) answers() error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.server.Read(buffer)
		if err != nil {
			return err
		}
		if err := c.gate.pass(c); err != nil {
			return err
		}
		c.mu.Lock()
		lose := c.lose
		c.mu.Unlock()
		if lose {
			if readyForQuery(buffer[:n]) {
				return net.ErrClosed // the statement was carried out, and the client gets no answer
			}
			continue
		}
		if _, err := c.client.Write(buffer[:n]); err != nil {
			return err
		}
	}
}
