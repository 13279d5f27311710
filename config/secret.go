package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a setting that is never shown: neither printed, nor logged, nor encoded. string(s) is its value.
type Secret string

const redacted = "[redacted]"

// String returns what is shown in the secret's place; of an empty one, that it is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format keeps the value out of every fmt verb; %d or %x would show it otherwise.
func (s Secret) Format(f fmt.State, _ rune) {
	io.WriteString(f, s.String()) //nolint:errcheck // a fmt.State has nobody to tell
}

// LogValue keeps the value out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps the value out of JSON and every other encoding that asks.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
