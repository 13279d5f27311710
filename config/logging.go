package config

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/evercert/evercert/cert"
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
	return slog.New(slog.NewJSONHandler(terminalJSON{w}, options))
}

// terminalJSON escapes what slog's JSON leaves as it is (DEL, C1, changes of direction): logs are full of other people's texts, such as paths and
// the names in TLS handshakes, and are read in terminals. The text format quotes all of it.
type terminalJSON struct{ w io.Writer }

// Write gets a whole line from slog.
func (t terminalJSON) Write(line []byte) (int, error) {
	if _, err := t.w.Write(cert.EscapeJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
