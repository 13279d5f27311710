package cert

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// How long text from outside may be, in runes. Text that a person wrote is refused above it, text that a machine sent is cut.
const (
	MaxBy       = 100  // who asked
	MaxReason   = 500  // why, and a note on a case
	MaxTenant   = 63   // a tenant's id
	MaxDetail   = 500  // what another machine said: a CA's error, a snippet of a page, a DNS record in a message
	MaxIssuer   = 100  // the name of who issued a certificate
	MaxLink     = 700  // a URL that another machine gave; a longer one is not shown: cut, it leads nowhere
	MaxTXT      = 512  // a TXT value as it is kept; each of its strings has 255 bytes at most
	MaxHostname = 253  // RFC 1035 §2.3.4, without the last dot
	MaxText     = 1000 // a whole message, which may have such a text inside
	MaxFound    = 20   // values that one server shows in one place
	MaxInput    = 80   // of an input that is refused, shown again in the refusal
)

// cut marks where text was cut.
const cut = '…'

// Line returns s as one line of text that is safe to keep and to print: valid UTF-8, without control characters and without characters that
// nobody sees, trimmed, and at most maxRunes long. It may still mean something to a renderer: see Markdown.
//
// Invalid bytes become U+FFFD. Line breaks and tabs become a space. Controls (C0, C1, DEL) and invisible characters are left out: they
// can move a terminal's cursor, reverse the order of the text (U+202A–U+202E, U+2066–U+2069) or hide a part of it. A cut ends with "…".
func Line(s string, maxRunes int) string {
	line := visible(s)
	if maxRunes <= 0 {
		return ""
	}
	if utf8.RuneCountInString(line) <= maxRunes {
		return line
	}
	kept := []rune(line)[:maxRunes-1]
	return strings.TrimRightFunc(string(kept), unicode.IsSpace) + string(cut)
}

// IsLine reports whether s is text that Line would keep as it is, but for its length, spaces around it, and invisible characters that do no
// harm, such as the joiners inside an emoji: it is valid UTF-8 and has no line break, no tab, no control character
// and no change of direction. The marks of direction that Arabic and Hebrew texts need (U+200E, U+200F, U+061C) are none.
func IsLine(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, harmful) < 0
}

// harmful reports whether a person who writes r in a line made an error or an attack.
func harmful(r rune) bool {
	return unicode.IsControl(r) || r >= '\u2028' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// visible returns s without what Line leaves out, at any length.
func visible(s string) string {
	if plain(s) {
		return strings.TrimSpace(s)
	}
	var line strings.Builder
	line.Grow(len(s))
	var last rune
	for _, r := range s { // an invalid byte is a U+FFFD
		switch {
		case breaks(r):
			if last == ' ' { // CR and LF are one break
				continue
			}
			r = ' '
		case invisible(r):
			continue
		}
		line.WriteRune(r)
		last = r
	}
	return strings.TrimSpace(line.String())
}

// plain reports whether s is printable ASCII, as most text is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func breaks(r rune) bool {
	return r >= '\t' && r <= '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}

// invisible reports whether r is a control character or shows nothing: formats, fillers, the tags and variation selectors of plane 14, in which
// text can be hidden. U+FE0F, which gives an emoji its colours, stays.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Other_Default_Ignorable_Code_Point) || r >= 0xE0000 && r <= 0xE0FFF
}

// Markdown returns s as one line that a Markdown renderer shows as it is: no link, image, emphasis, code, heading, list or HTML comes of it,
// and addresses in it are no links. What Line leaves out is left out; the length is the caller's.
//
// The Temporal Web UI renders details and summaries as CommonMark and drops HTML and images, and replaces {namespace}, {workflowId} and
// {runId}. So an escaped punctuation mark (CommonMark §2.4) is enough there, and in renderers that find bare addresses while they parse.
func Markdown(s string) string {
	line := visible(s)
	var out strings.Builder
	out.Grow(len(line) + len(line)/8)
	for i := range len(line) { // every mark is one byte, and no byte of a longer rune looks like one
		if marks(line, i) {
			out.WriteByte('\\')
		}
		out.WriteByte(line[i])
	}
	return out.String()
}

// marks reports whether the byte at i of a line could mean something in Markdown.
func marks(line string, i int) bool {
	switch line[i] {
	case '\\', '`', '*', '_', '{', '}', '[', ']', '<', '&', '|', '~', '$', '^', '@', '#':
		return true
	case '-', '+', '>', '=': // a list, a quotation, or the line above as a heading
		return i == 0
	case ':': // an address, or the ruler of a table
		return i == 0 || strings.HasPrefix(line[i:], "://")
	case '.', ')':
		return strings.Trim(line[:i], "0123456789") == "" || // a numbered list
			line[i] == '.' && i >= 3 && strings.EqualFold(line[i-3:i], "www")
	}
	return false
}

// EscapeJSON returns encoded JSON with the characters written as \u escapes that encoding/json leaves as they are and that a terminal or a
// reader would obey: DEL, C1, and what Line calls invisible. The value stays the same.
func EscapeJSON(encoded []byte) []byte {
	if !slices.ContainsFunc(encoded, func(b byte) bool { return b > '~' }) {
		return encoded
	}
	out := make([]byte, 0, len(encoded)+len(encoded)/8)
	for len(encoded) > 0 {
		r, size := utf8.DecodeRune(encoded)
		switch {
		case r == utf8.RuneError && size == 1 || r <= '~' || !invisible(r) && r != '\u2028' && r != '\u2029':
			out = append(out, encoded[:size]...)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		encoded = encoded[size:]
	}
	return out
}

// Clean returns the problem with each of its texts as Line returns it. The record is ours, and stays.
func (p Problem) Clean() Problem {
	p.Message, p.Remediation, p.Found = Line(p.Message, MaxText), Line(p.Remediation, MaxText), Line(p.Found, MaxText)
	return p
}

// Clean returns the diagnosis with each text that came from a server as Line returns it, at most MaxFound values in each place, and the
// state of each record in a word.
func (d Diagnosis) Clean() Diagnosis {
	d.Problems = slices.Clone(d.Problems)
	for i, p := range d.Problems {
		d.Problems[i] = p.Clean()
	}
	d.Records = slices.Clone(d.Records)
	for i := range d.Records {
		r := &d.Records[i]
		if r.State == "" {
			r.State = r.word()
		}
		r.Found, r.Seen = Values(r.Found), slices.Clone(r.Seen)
		for j, s := range r.Seen {
			s.Server, s.Found, s.Error = Line(s.Server, MaxDetail), Values(s.Found), Line(s.Error, MaxDetail)
			r.Seen[j] = s
		}
	}
	d.Names = slices.Clone(d.Names)
	for i, n := range d.Names {
		d.Names[i].Reason = Line(n.Reason, MaxText)
	}
	d.Servers = slices.Clone(d.Servers)
	for i, s := range d.Servers {
		s.Zone, s.Name, s.Address = Line(s.Zone, MaxDetail), Line(s.Name, MaxDetail), Line(s.Address, MaxDetail)
		s.Detail = Line(s.Detail, MaxDetail)
		d.Servers[i] = s
	}
	return d
}

// Values returns what a server shows in a place, each as Line returns it, and at most MaxFound of them with the number of the others.
func Values(values []string) []string {
	if values == nil {
		return nil
	}
	kept := make([]string, 0, min(len(values), MaxFound+1))
	for i, value := range values {
		if i == MaxFound {
			return append(kept, fmt.Sprintf("… and %d more", len(values)-MaxFound))
		}
		kept = append(kept, Line(value, MaxTXT))
	}
	return kept
}
