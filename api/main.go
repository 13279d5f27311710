// The api process is evercert's HTTP API: what people may ask (package control) as JSON over HTTP, described by openapi.yaml.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
)

// Config is what the process reads from its environment.
type Config struct {
	config.Logging
	Store    store.Config
	Temporal control.TemporalConfig
	Control  control.Config
	Claims   control.ClaimConfig
	Listen   string        `env:"API_LISTEN" envDefault:"127.0.0.1:8080" doc:"host and port to listen on; it speaks plain HTTP, so put a TLS proxy before it where others share the network"`
	Token    config.Secret `env:"API_TOKEN,notEmpty" doc:"bearer token of every caller, 16 characters or more; make one with: openssl rand -hex 24"`
}

// Validate reports what the embedded settings can't know of.
func (c Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("API_LISTEN is %q; it expects host:port, such as 127.0.0.1:8080", c.Listen))
	}
	if len(c.Token) < 16 {
		errs = append(errs, errors.New("API_TOKEN is too short; it expects 16 characters or more"))
	}
	return errors.Join(errs...)
}

func main() {
	settings, err := config.Load[Config]()
	if err != nil {
		fmt.Fprintln(os.Stderr, "evercert api:", err)
		os.Exit(2)
	}
	log := settings.Logger(os.Stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, settings, log); err != nil {
		log.Error("the API stops", "error", err)
		os.Exit(1) //nolint:gocritic // stop only frees the signal handler, and the process ends
	}
}

// drainTime is how long requests under way may take when the process is to end.
const drainTime = 15 * time.Second

// run serves until ctx ends.
func run(ctx context.Context, settings Config, log *slog.Logger) error {
	log.LogAttrs(ctx, slog.LevelInfo, "evercert api starts", config.Log(settings))
	db, err := store.OpenConfig(ctx, settings.Store)
	if err != nil {
		return err
	}
	defer db.Close()
	db.UnverifiedNames = settings.Claims.UnverifiedNames
	temporal, err := settings.Temporal.Dial(log)
	if err != nil {
		return err
	}
	defer temporal.Close()
	c := control.New(db, control.Temporal(temporal), settings.Control.Rules(), settings.Control.Platform(), log)
	handler, err := newHandler(c, settings.Token, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", settings.Listen)
	if err != nil {
		return fmt.Errorf("API_LISTEN: %w", err)
	}
	return serve(ctx, listener, handler, log)
}

// serve answers requests until ctx ends, and then lets those under way finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := newServer(handler, log)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	log.Info("evercert api listens", "address", listener.Addr().String())
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return fmt.Errorf("requests were still under way after %s: %w", drainTime, err)
	}
	log.Info("evercert api has stopped")
	return nil
}

func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:                      handler,
		DisableGeneralOptionsHandler: true,            // OPTIONS * is answered by our handler, as every request is
		ReadHeaderTimeout:            5 * time.Second, // a slow header is an attack or a dead line
		ReadTimeout:                  15 * time.Second,
		WriteTimeout:                 requestTimeout + 15*time.Second, // longer than any handler, so that a late one can still say so
		IdleTimeout:                  2 * time.Minute,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
