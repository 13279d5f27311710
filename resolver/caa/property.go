package caa

import (
	"slices"
	"strings"
)

// property is the value of an issue or issuewild record.
type property struct {
	issuer     string // issuer domain name; empty: nobody may issue
	parameters []parameter
}

type parameter struct{ tag, value string }

// parse reads an issue-value (RFC 8659 §4.2): [issuer] [";" [tag=value *(";" tag=value)]], with blanks around each part. It reports false
// for a value that the CA can't read. The issuer's own grammar is not checked: what can't be a domain name is not a CA's name.
func (p profile) parse(value string) (property, bool) {
	_, rest, more := strings.Cut(value, ";")
	read := property{issuer: issuerOf(value)}
	if !more || trimBlanks(rest) == "" { // "ca.example;" is as good as "ca.example"
		return read, true
	}
	for part := range strings.SplitSeq(rest, ";") {
		tag, value, ok := strings.Cut(part, "=")
		tag, value = trimBlanks(tag), trimBlanks(value)
		if !ok || !p.isTag(tag) || strings.ContainsFunc(value, isNotVisible) {
			return property{}, false
		}
		read.parameters = append(read.parameters, parameter{tag, value})
	}
	return read, true
}

// issuerOf returns the issuer domain name of an issue-value, whether the rest can be read or not.
func issuerOf(value string) string {
	issuer, _, _ := strings.Cut(value, ";")
	return trimBlanks(issuer)
}

// isTag reports whether the CA accepts a parameter tag: (ALPHA / DIGIT) *( *("-") (ALPHA / DIGIT)) (RFC 8659 §4.2).
func (p profile) isTag(s string) bool {
	switch {
	case s == "":
		return p.emptyTags
	case p.oldTags && strings.Contains(s, "-"):
		return false
	default:
		return isWord(s) && s[0] != '-' && s[len(s)-1] != '-'
	}
}

// values returns the values of the parameters whose tag is the same for the CA, in their order.
func (p profile) values(read property, tag string) []string {
	var values []string
	for _, parameter := range read.parameters {
		if p.sameTag(parameter.tag, tag) {
			values = append(values, parameter.value)
		}
	}
	return values
}

// listsMethod reports whether the CA finds a method in a list such as "http-01,dns-01" (RFC 8657 §4). A label that can't be read makes the
// whole list useless, unless the CA stops before it. Methods are compared letter by letter: RFC 8657 says nothing of their case, and
// ACME's method names are strings that are compared so.
func (p profile) listsMethod(list, method string) bool {
	labels := strings.Split(list, ",")
	if at := slices.Index(labels, method); p.stopsAtMethod && at >= 0 {
		labels = labels[:at+1]
	}
	return slices.Contains(labels, method) && !slices.ContainsFunc(labels, func(label string) bool { return !isWord(label) })
}

func trimBlanks(s string) string { return strings.Trim(s, " \t") }

// isWord reports whether s is 1*(ALPHA / DIGIT / "-").
func isWord(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// isNotVisible reports whether c can't stand in a parameter's value: *(%x21-3A / %x3C-7E), after the value was split at semicolons.
func isNotVisible(c rune) bool { return c <= ' ' || c > '~' }
