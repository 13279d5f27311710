package lookup

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
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

// ServerText formats a name server as people know it: "ns1.example.net (192.0.2.53)".
func ServerText(s authority.Server) string {
	if !s.Address.IsValid() {
		return NoDot(s.Name)
	}
	return fmt.Sprintf("%s (%s)", NoDot(s.Name), s.Address.Addr())
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
