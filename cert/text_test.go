package cert_test

import (
	"bytes"
	"encoding/json"
	"html"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/evercert/evercert/cert"
)

func TestF24_ALineHasNoControlCharacter(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"":                                "",
		"plain text":                      "plain text",
		"  spaces around \n":              "spaces around",
		"nul\x00inside":                   "nulinside",
		"\x1b[31mred\x1b[0m":              "[31mred[0m",
		"\x1b]8;;http://x\x07click":       "]8;;http://xclick",
		"\u009b31mC1":                     "31mC1",
		"del\x7f":                         "del",
		"one\r\ntwo\nthree\tfour\u2028a":  "one two three four a",
		"a\u0085b\u2029c":                 "a b c",
		"\ufeffbom and \u200bzero\u200d":  "bom and zero",
		"user\u202etxt.exe \u2066x\u2069": "usertxt.exe x",
		"tag\U000e0041\U000e007f \u3164.": "tag .",
		"bad \xff\xfe utf-8":              "bad \ufffd\ufffd utf-8",
		"surrogate \xed\xa0\x80":          "surrogate \ufffd\ufffd\ufffd",
		"Zoë’s café, 東京, العربية, 🎉 ❤\ufe0f": "Zoë’s café, 東京, العربية, 🎉 ❤\ufe0f",
	} {
		require.Equal(t, want, cert.Line(given, 100), "%q", given)
	}
}

func TestF24_ALineIsBoundedAndShowsTheCut(t *testing.T) {
	t.Parallel()
	require.Equal(t, "12345", cert.Line("12345", 5))
	require.Equal(t, "1234…", cert.Line("123456", 5))
	require.Equal(t, "12…", cert.Line("12   6", 5), "no space before the cut")
	require.Equal(t, "東…", cert.Line("東京都", 2), "runes, not bytes")
	require.Equal(t, "…", cert.Line("12", 1))
	require.Empty(t, cert.Line("12", 0))
	require.Empty(t, cert.Line("12", -1))
	require.Equal(t, "ab", cert.Line("ab"+strings.Repeat("\x00 ", 1<<19), 5), "what is left out doesn't count")
	require.Equal(t, cert.MaxDetail, utf8.RuneCountInString(cert.Line(strings.Repeat("x", 1<<20), cert.MaxDetail)))
}

func TestF24_WhatAPersonMayWrite(t *testing.T) {
	t.Parallel()
	for _, fine := range []string{
		"", "ticket 4711", "Zoë 東京 العربية 👩\u200d💻 ❤\ufe0f", "'; DROP TABLE domains; --", "[x](http://x)",
		" spaces ",
	} {
		require.True(t, cert.IsLine(fine), "%q", fine)
	}
	for _, harmful := range []string{
		"\x00", "a\nb", "a\tb", "\x1b[0m", "\x7f", "\u0085", "\u009b", "\u2028", "\u202e", "\u2066", "\xff",
		"\xed\xa0\x80",
	} {
		require.False(t, cert.IsLine(harmful), "%q", harmful)
	}
}

func TestF24_MarkdownShowsTextAsItIs(t *testing.T) {
	t.Parallel()
	for _, text := range hostileMarkdown {
		requireLiteral(t, text)
	}
	require.Equal(t, `http\://x/%3Cimg%3E\[click here\](http\://y)`, cert.Markdown("http://x/%3Cimg%3E[click here](http://y)"))
	require.Equal(
		t,
		`the CA did not answer (503), e.g. at 10:05; a-b + c = d`,
		cert.Markdown("the CA did not answer (503), e.g. at 10:05; a-b + c = d"),
		"plain text stays readable",
	)
}

var hostileMarkdown = []string{
	"", "plain", "[click](http://x.example)", "![img](http://x/y.png)", "**bold** __bold__ *em* _em_ ~~del~~", "`code` ``code``", "```", "~~~",
	"<img src=x onerror=alert(1)>", "<http://x.example>", "<script>alert(1)</script>", "http://x.example/", "https://x.example",
	"ftp://x.example",
	"see www.example.com now", "WWW.example.com", "mail me@example.com", "mailto:me@example.com", "# heading", "- item", "+ item", "* item",
	"1. one",
	"12) two", "> quote", "---", "===", "***", "a | b", ":-", "|-|", "[x]: http://x", "[^1]: note", "&lt;b&gt; &amp; &#42;", `\*`, `\`, `a\`,
	"{workflowId}",
	"$x$", "a  ", "    indented", "\tindented", "line\n# two", "line\r\n\r\n* x", "- [ ] task", "#1 @user", "\x00\x1b[31m", ".x", ")x",
	"x\u2028# y",
	"http:\u200b//x.example", "ww\u200bw.example.com",
}

// requireLiteral renders text alone, below a line, and inside one, and requires that what is shown is the text itself.
func requireLiteral(t *testing.T, text string) {
	t.Helper()
	literal := cert.Line(text, len(text)+1)
	escaped := cert.Markdown(text)
	for _, around := range [][2]string{{"", ""}, {"Event.\n", "\nNext"}, {"Event: ", ", again"}, {"x\n\n", ""}} {
		var rendered bytes.Buffer
		require.NoError(t, renderer.Convert([]byte(around[0]+escaped+around[1]), &rendered))
		shown := rendered.String()
		for _, mark := range []string{"<p>", "</p>", "<br>"} {
			shown = strings.ReplaceAll(shown, mark, "")
		}
		require.NotContains(t, shown, "<", "%q rendered as %q", text, rendered.String())
		require.Equal(t, squeeze(around[0]+literal+around[1]), squeeze(html.UnescapeString(shown)), "%q rendered as %q", text, rendered.String())
	}
}

var renderer = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList))

// squeeze removes spaces: renderers may drop those beside a line break.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

func TestF24_JSONHasNoCharacterThatATerminalObeys(t *testing.T) {
	t.Parallel()
	given := map[string]string{"a": "del\x7f c1\u009b bidi\u202e bom\ufeff tag\U000e0041 \u2028 東京 \x00\x1b <b>", "b": "plain"}
	encoded, err := json.Marshal(given)
	require.NoError(t, err)
	escaped := cert.EscapeJSON(encoded)
	require.True(t, cert.IsLine(string(escaped)), "%s", escaped)
	require.NotContains(t, string(escaped), "\ufeff")
	require.Contains(t, string(escaped), "東京")
	var back map[string]string
	require.NoError(t, json.Unmarshal(escaped, &back))
	require.Equal(t, given, back)
	require.Equal(t, []byte("{\"a\":\"b\"}\n"), cert.EscapeJSON([]byte("{\"a\":\"b\"}\n")))
}

func TestF24_ADiagnosisHasNoTextThatServersCanHarmWith(t *testing.T) {
	t.Parallel()
	const bad = "x\x00\x1b[31m\u202e\xff\n" // becomes x[31m and U+FFFD
	const good = "x[31m\ufffd"
	many := slices.Repeat([]string{bad}, cert.MaxFound+3)
	d := cert.Diagnosis{
		Names:    []cert.NameResult{{Name: "a.example", Reason: bad}},
		Problems: []cert.Problem{{Message: bad, Remediation: bad, Found: strings.Repeat("y", 1<<20), Record: &cert.Record{Name: "a.example"}}},
		Records:  []cert.RecordState{{Found: many, Seen: []cert.Sighting{{Server: bad, Found: []string{bad}, Error: bad}}}},
		Servers:  []cert.Nameserver{{Zone: bad, Name: bad, Address: bad, Detail: bad}},
	}
	clean := d.Clean()
	require.Equal(t, cert.MaxText, utf8.RuneCountInString(clean.Problems[0].Found))
	clean.Problems[0].Found = ""
	require.Len(t, clean.Records[0].Found, cert.MaxFound+1)
	require.Equal(t, "… and 3 more", clean.Records[0].Found[cert.MaxFound])
	clean.Records[0].Found = clean.Records[0].Found[:1]
	require.Equal(t, cert.Diagnosis{
		Names:    []cert.NameResult{{Name: "a.example", Reason: good}},
		Problems: []cert.Problem{{Message: good, Remediation: good, Record: &cert.Record{Name: "a.example"}}},
		Records:  []cert.RecordState{{Found: []string{good}, Seen: []cert.Sighting{{Server: good, Found: []string{good}, Error: good}}}},
		Servers:  []cert.Nameserver{{Zone: good, Name: good, Address: good, Detail: good}},
	}, clean)
	require.Equal(t, bad, d.Servers[0].Detail, "the given one is not changed")
	require.Equal(t, bad, d.Records[0].Seen[0].Error)
	require.Equal(t, cert.Diagnosis{}, cert.Diagnosis{}.Clean())
}

func FuzzLine(f *testing.F) {
	for _, text := range hostileMarkdown {
		f.Add(text, 10)
	}
	f.Add("bad \xff\xed\xa0\x80 \u202e\ufeff\U000e0041", 3)
	f.Fuzz(func(t *testing.T, s string, maxRunes int) {
		maxRunes %= 2000
		line := cert.Line(s, maxRunes)
		require.True(t, utf8.ValidString(line))
		require.LessOrEqual(t, utf8.RuneCountInString(line), max(maxRunes, 0))
		require.True(t, cert.IsLine(line), "%q", line)
		require.False(t, strings.ContainsFunc(line, func(r rune) bool {
			return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		}), "%q", line)
		require.Equal(t, strings.TrimSpace(line), line)
		require.Equal(t, line, cert.Line(line, maxRunes), "once is enough")
		if whole := cert.Line(s, len(s)); cert.IsLine(s) && utf8.RuneCountInString(whole) <= maxRunes {
			require.Equal(t, whole, line, "nothing is cut that fits")
		}
	})
}

func FuzzMarkdown(f *testing.F) {
	for _, text := range hostileMarkdown {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		escaped := cert.Markdown(s)
		require.True(t, cert.IsLine(escaped), "%q", escaped)
		require.LessOrEqual(t, len(escaped), 2*max(len(s), 3*utf8.RuneCountInString(s)))
		requireLiteral(t, s)
	})
}
