package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/evercert/evercert/cert"
)

// terminal is a writer to what may be a terminal. All that the command prints goes through it, and nothing in that can steer the
// terminal: a control character other than a line break or a tab, and what changes the direction of text, becomes U+FFFD.
type terminal struct {
	to     io.Writer
	rest   []byte // the begin of a character whose end comes with the next Write
	failed error  // of the first Write that failed
}

func (t *terminal) Write(p []byte) (int, error) {
	given := append(t.rest, p...)
	t.rest = nil
	safe := make([]byte, 0, len(given))
	for len(given) > 0 {
		if !utf8.FullRune(given) {
			t.rest = bytes.Clone(given)
			break
		}
		r, size := utf8.DecodeRune(given)
		if r != '\n' && r != '\t' && !cert.IsLine(string(given[:size])) {
			r = utf8.RuneError
		}
		safe = utf8.AppendRune(safe, r)
		given = given[size:]
	}
	if _, err := t.to.Write(safe); err != nil {
		t.failed = cmp.Or(t.failed, err)
		return 0, err
	}
	return len(p), nil
}

// printJSON writes one value, indented for people's eyes as well.
func (a *app) printJSON(w io.Writer, v any) { a.encode(w, v, "  ") }

// encode writes one value as JSON, and reports an output that can't be written.
func (a *app) encode(w io.Writer, v any, indent string) {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetIndent("", indent)
	err := encoder.Encode(v)
	if err == nil {
		_, err = w.Write(cert.EscapeJSON(encoded.Bytes()))
	}
	if err != nil {
		fmt.Fprintln(a.err, "evercert: write JSON:", err)
	}
}
