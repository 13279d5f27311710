package caa

import (
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
)

// profile is how one CA reads CAA records where it departs from RFC 8659 and RFC 8657. The zero profile departs nowhere; it is that of
// every CA of which nothing else is known. Where the RFCs say nothing, it takes the reading that lets fewer orders through: an order
// that a CA refuses counts against its limits.
//
// docs/diagnosis.md has a table of records and what each profile makes of them; a test runs its rows.
type profile struct {
	issuers []string // issuer domain names in lower case, any of which shows that it is this CA (RFC 8555 §7.1.1, caaIdentities)

	critical uint8    // flag bits that it reads as critical, beside the one that is (RFC 8659 §4.1)
	knows    []string // property tags that it knows, beside issue, issuewild and iodef; in lower case

	exactIssuer   bool // compares issuer domain names letter by letter; others regardless of case, as DNS does (RFC 4343)
	exactTags     bool // compares parameter tags letter by letter, so that it takes no notice of AccountURI
	oldTags       bool // reads parameter tags by RFC 6844 §5.2: without hyphens
	emptyTags     bool // accepts a parameter without a tag
	stopsAtMethod bool // reads a list of methods up to the one that it wants, and no further
}

// criticalBit is the issuer critical flag (RFC 8659 §4.1).
const criticalBit = 128

// asWritten is the zero profile: RFC 8659 and RFC 8657 as they are written.
var asWritten = profile{}

var profiles = []profile{
	{
		// Let's Encrypt: github.com/letsencrypt/boulder, va/caa.go.
		issuers: []string{"letsencrypt.org"},
		// filterCAA: so many people take 1 for the critical flag that it must be meant.
		critical: 1,
		// filterCAA: known, and of no consequence for TLS (pull requests 7307 and 8374).
		knows: []string{"issuemail", "issuevmc"},
		// caaDomainMatches, caaAccountURIMatches and caaValidationMethodMatches compare with ==. Whether AccountURI should be read is
		// under discussion (issue 8614); hyphens and tags without a letter too (pull request 8977).
		exactIssuer: true, exactTags: true, oldTags: true, emptyTags: true, stopsAtMethod: true,
	},
	{
		// Sectigo, which ZeroSSL is a name of: sectigo.com/faqs, "CAA Record": issuemail is processed since 2024-09-15.
		issuers: []string{"sectigo.com", "comodoca.com", "comodo.com", "usertrust.com", "trust-provider.com"},
		knows:   []string{"issuemail"},
	},
	{
		// DigiCert: docs.digicert.com, "DNS CAA resource record check": issuemail is processed since 2025-03-13.
		issuers: []string{"digicert.com"},
		knows:   []string{"issuemail"},
	},
}

// profileOf returns the CA's profile. A CA is known by the issuer domain names that its directory has.
func profileOf(ca cert.CAIdentity) profile {
	for _, p := range profiles {
		if slices.ContainsFunc(ca.Domains, func(d string) bool { return slices.Contains(p.issuers, d) }) {
			return p
		}
	}
	return asWritten
}

func (p profile) isCritical(flags uint8) bool { return flags&(criticalBit|p.critical) != 0 }

// understands reports whether the CA knows a property tag. Tags are compared regardless of case (RFC 8659 §4.1).
func (p profile) understands(tag string) bool {
	switch tag = strings.ToLower(tag); tag {
	case "issue", "issuewild", "iodef":
		return true
	default:
		return slices.Contains(p.knows, tag)
	}
}

// sameIssuer reports whether the CA takes one issuer domain name for the other.
func (p profile) sameIssuer(a, b string) bool {
	return a == b || !p.exactIssuer && strings.EqualFold(a, b)
}

// sameTag reports whether the CA takes one parameter tag for the other.
func (p profile) sameTag(a, b string) bool { return a == b || !p.exactTags && strings.EqualFold(a, b) }
