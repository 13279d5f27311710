// The evercert command connects and manages domains from a terminal or a script. It asks the database and Temporal directly
// (package control), so it works where the API is not running; doctor asks nobody but DNS.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/resolver"
	"github.com/evercert/evercert/store"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	slog.SetDefault(log)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, terminal: term.IsTerminal(int(os.Stderr.Fd())),
		environ: config.Environment(), now: time.Now, local: time.Local,
	}
	a.diagnose, a.visit = diagnose, visit
	a.open = func(ctx context.Context) (*control.Control, func(), error) {
		return open(ctx, a.environ, a.stackFile, log)
	}
	a.deployment = func() (deployments, func(), error) { return openDeployment(a.environ, a.stackFile, log) }
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// app is the command with the world around it, which tests replace.
type app struct {
	in       io.Reader
	out, err io.Writer
	terminal bool // err is one
	environ  map[string]string
	now      func() time.Time
	local    *time.Location
	open     func(ctx context.Context) (c *control.Control, closeAll func(), err error)
	// deployment is what deploy asks by.
	deployment func() (d deployments, closeAll func(), err error)
	diagnose   func(context.Context, resolver.Config, cert.Question) (cert.Diagnosis, error)  // what doctor checks with
	visit      func(context.Context, doctorSettings, cert.Question) ([]resolver.Visit, error) // what doctor and check visit names by

	bar io.Writer // where a progress bar is drawn; run sets it

	// Flags of every command.
	json      bool
	stackFile string
}

// openTimeout is how long a command waits for PostgreSQL. The servers wait without end; a person does not.
const openTimeout = 10 * time.Second

// open connects to the database and, at its first use, to Temporal.
func open(ctx context.Context, environ map[string]string, stackFile string, log *slog.Logger) (*control.Control, func(), error) {
	settings, err := loadSettings(environ, stackFile)
	if err != nil {
		return nil, nil, err
	}
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	db, err := store.OpenConfig(opening, settings.Store)
	if err != nil {
		return nil, nil, err
	}
	db.UnverifiedNames = settings.Claims.UnverifiedNames
	temporal, err := settings.Temporal.Dial(log)
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	c := control.New(db, control.Temporal(temporal), settings.Control.Rules(), settings.Control.Platform(), log)
	return c, func() { temporal.Close(); db.Close() }, nil
}

// author is who asks, for the timeline.
func (a *app) author() string {
	if user := cert.Line(a.environ["USER"], cert.MaxBy); user != "" {
		return user
	}
	return "the CLI"
}
