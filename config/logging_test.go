package config_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
)

func TestF24_NoLogHasACharacterThatATerminalObeys(t *testing.T) {
	t.Parallel()
	const name = "x\x00\x1b[31m\u009b31m\x7f\u202e\u2066\u2028\xff\ufeff"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		config.Logging{Format: format}.Logger(&out).With(name, name).WithGroup(name).Info(name, "name", name, name, []string{name})
		if line := strings.TrimSuffix(out.String(), "\n"); !cert.IsLine(line) || line == "" {
			t.Errorf("%s: %q", format, line)
		}
		var read map[string]any
		if format == "json" &&
			(json.Unmarshal(out.Bytes(), &read) != nil || !strings.HasPrefix(read["msg"].(string), "x\x00\x1b[31m\u009b31m\x7f\u202e")) {
			t.Errorf("%q", out.String())
		}
	}
}
