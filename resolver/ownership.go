package resolver

import (
	"context"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
)

// ownership looks for the TXT record that says which tenant a domain belongs to.
func (v *view) ownership(ctx context.Context, want cert.Record) finding {
	a := v.lookup(ctx, want.Name, dns.TypeTXT)
	switch {
	case a.err != nil:
		return untold(subject(want), a.err)
	case hasText(a.records, want.Value):
		return right(a.tell())
	case namesTenant(a.records):
		return wrong(a.tell(), ownershipMismatch(want))
	}
	for _, name := range doubledNames(want) {
		if doubled := v.lookup(ctx, name, dns.TypeTXT); hasText(doubled.records, want.Value) {
			return wrong([]string{name + " " + tellRecord(doubled.records[0])}, ownershipDoubled(want, name))
		}
	}
	return wrong(a.tell(), ownershipMissing(want))
}

// doubledNames are where a record lands when a DNS provider adds the domain to a name that has it already.
func doubledNames(want cert.Record) []string {
	names := []string{want.Name + "." + zoneOf(want.Name)}
	if s := subject(want); s != zoneOf(want.Name) {
		names = append(names, want.Name+"."+s)
	}
	return names
}

// texts are the values of TXT records, without the quotes and blanks that slip in by copying.
func texts(records []dns.RR) []string {
	var values []string
	for _, rr := range records {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Trim(strings.ReplaceAll(strings.Join(txt.Txt, ""), `\"`, `"`), "\" \t"))
		}
	}
	return values
}

func hasText(records []dns.RR, want string) bool {
	return slices.Contains(texts(records), want)
}

// namesTenant tells whether a TXT record is an ownership record, of whatever tenant.
func namesTenant(records []dns.RR) bool {
	prefix, _, _ := strings.Cut(cert.OwnershipValue("", nil), "=")
	return slices.ContainsFunc(texts(records), func(value string) bool { return strings.HasPrefix(value, prefix+"=") })
}
