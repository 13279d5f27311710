package config

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/evercert/evercert/cert"
)

// Logging configures the log of a process.
type Logging struct {
	// Level debug logs every request and DNS question, which is much.
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error"`
	Format string     `env:"LOG_FORMAT" envDefault:"json" doc:"json for machines, text for people at a terminal"`
}

// Validate returns an error for an unknown format.
func (l Logging) Validate() error {
	if l.Format != "json" && l.Format != "text" {
		return fmt.Errorf("LOG_FORMAT is %q; it expects json or text", l.Format)
	}
	return nil
}

// Logger returns a logger that writes to w.
func (l Logging) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(terminalJSON{w}, options))
}

// terminalJSON escapes characters that slog's JSON does not (DEL, C1, changes of text direction): logs contain text from other people, such
// as paths and the names in TLS handshakes, and are read in terminals. The text format quotes all of them.
type terminalJSON struct{ w io.Writer }

// Write gets one whole line from slog.
func (t terminalJSON) Write(line []byte) (int, error) {
	if _, err := t.w.Write(cert.EscapeJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
