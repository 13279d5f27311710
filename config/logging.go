package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Logging is how a process writes its log.
type Logging struct {
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error; debug names every request and DNS question and is large"`
	Format string     `env:"LOG_FORMAT" envDefault:"json" doc:"json for machines, text for people at a terminal"`
}

// Validate reports a format that is none.
func (l Logging) Validate() error {
	if l.Format != "json" && l.Format != "text" {
		return fmt.Errorf("LOG_FORMAT is %q; it expects json or text", l.Format)
	}
	return nil
}

// Logger writes to w as configured.
func (l Logging) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
