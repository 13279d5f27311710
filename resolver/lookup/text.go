package lookup

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// Hostile answers stay small: a diagnosis is kept in workflow histories and shown on pages.
const (
	maxTexts      = 10  // records shown of one name
	maxTextLength = 255 // characters shown of one record
)

// RecordText formats a record as in a zone file, without its name and TTL: "TXT \"value\"". Long ones are cut.
func RecordText(rr dns.RR) string {
	text := fmt.Sprintf("%s %s", dns.TypeToString[rr.Header().Rrtype], strings.TrimPrefix(rr.String(), rr.Header().String()))
	return cert.Line(text, maxTextLength)
}

// Distinct returns the texts in their order, each once, and no more than the first ten.
func Distinct(texts []string) []string {
	seen := map[string]bool{}
	var kept []string
	for _, text := range texts {
		if !seen[text] && len(kept) < maxTexts {
			seen[text] = true
			kept = append(kept, text)
		}
	}
	return kept
}

// NoDot returns a name as people write it: without trailing dot.
func NoDot(name string) string { return strings.TrimSuffix(name, ".") }

// root is the root zone, as ZoneText has it.
const root = "the root of DNS"

// ZoneText returns a zone as people call it.
func ZoneText(zone string) string {
	if zone == "." {
		return root
	}
	return NoDot(zone)
}
