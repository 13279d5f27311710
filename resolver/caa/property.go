package caa

import "strings"

// property is the value of an issue or issuewild record.
type property struct {
	issuer     string              // issuer domain name; empty: nobody may issue
	parameters map[string][]string // values by tag in lower case, in their order
}

// parseProperty reads an issue-value (RFC 8659 §4.2): [issuer] [";" [tag=value *(";" tag=value)]].
func parseProperty(value string) (property, bool) {
	issuer, rest, more := strings.Cut(value, ";")
	p := property{issuer: trimBlanks(issuer), parameters: map[string][]string{}}
	if strings.ContainsFunc(p.issuer, isNotDomainCharacter) {
		return property{}, false
	}
	if !more || trimBlanks(rest) == "" {
		return p, true
	}
	for part := range strings.SplitSeq(rest, ";") {
		tag, parameter, ok := strings.Cut(part, "=")
		tag, parameter = strings.ToLower(trimBlanks(tag)), trimBlanks(parameter)
		if !ok || !isTag(tag) || strings.ContainsFunc(parameter, isNotVisible) {
			return property{}, false
		}
		p.parameters[tag] = append(p.parameters[tag], parameter)
	}
	return p, true
}

func trimBlanks(s string) string { return strings.Trim(s, " \t") }

func isTag(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !isAlphanumeric(c) && c != '-' })
}

func isNotDomainCharacter(c rune) bool { return !isAlphanumeric(c) && c != '-' && c != '.' }

func isNotVisible(c rune) bool { return c <= ' ' || c > '~' }

func isAlphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
