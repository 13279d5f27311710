package control

import (
	"fmt"
	"unicode/utf8"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// written returns a text that a person wrote for others, as it is kept and shown: one line, trimmed, at most maxRunes long. It refuses control
// characters and what is too long: changing it in silence would put words into somebody's mouth. field is what the text is called there.
func written(field, text string, maxRunes int) (string, error) {
	switch {
	case !utf8.ValidString(text):
		return "", Malformed(fmt.Sprintf("%s is not UTF-8", field), "send text in UTF-8")
	case !cert.IsLine(text):
		return "", Malformed(fmt.Sprintf("%s has a line break or a control character: %q", field, cert.Line(text, cert.MaxInput)), "write it in one line, as plain text")
	}
	line := cert.Line(text, len(text))
	if n := utf8.RuneCountInString(line); n > maxRunes {
		return "", Malformed(fmt.Sprintf("%s has %d characters", field, n), fmt.Sprintf("write at most %d", maxRunes))
	}
	return line, nil
}

// checked returns the request with its texts as they are kept. Every verb begins with it, so that no text gets further which Temporal or
// PostgreSQL can't hold.
func (r Request) checked() (Request, error) { return r.checkedAs("reason") }

// checkedAs is checked where people know Reason by another name.
func (r Request) checkedAs(reason string) (Request, error) {
	by, err := written("by", r.By, cert.MaxBy)
	if err != nil {
		return Request{}, err
	}
	why, err := written(reason, r.Reason, cert.MaxReason)
	return Request{Name: r.Name, By: by, Reason: why}, err
}

// searched returns the filter with its texts checked: what no name or tenant can hold is refused, not searched for.
func searched(f store.Filter) (store.Filter, error) {
	for _, text := range []struct {
		field    string
		value    *string
		maxRunes int
	}{{"tenant", &f.Tenant, cert.MaxTenant}, {"contains", &f.Contains, cert.MaxHostname}, {"after", &f.After, cert.MaxHostname}} {
		line, err := written(text.field, *text.value, text.maxRunes)
		if err != nil {
			return f, err
		}
		*text.value = line
	}
	return f, nil
}
