package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a setting whose value is never shown: it is not printed, logged or encoded. string(s) returns the value.
type Secret string

const redacted = "[redacted]"

// String returns a placeholder. It shows whether the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format keeps the value out of every fmt verb: %d and %x would show it otherwise.
func (s Secret) Format(f fmt.State, _ rune) {
	io.WriteString(f, s.String()) //nolint:errcheck // Format can't return an error
}

// LogValue keeps the value out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the value out of JSON and of every other encoding that calls it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
