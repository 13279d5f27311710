package resolver

import (
	"context"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// A wildcard record answers for the names below it that don't exist (RFC 4592 §2.2.1, §3.3.1). A name below such a name doesn't exist
// either, and shows the same; below a name with records of its own there is nothing. So one question more shows the difference: for a label
// that nobody has added.

// wildcardText returns the wildcard record whose TXT or CNAME records a name shows, such as "*.example.com"; empty where they are the
// name's own.
func wildcardText(ctx context.Context, v *lookup.View, name string, a lookup.Answer) string {
	return wildcardFor(v, name, a.Text(), func(name string) []string { return v.Lookup(ctx, name, dns.TypeTXT).Text() })
}

// wildcardAddress returns the wildcard record whose addresses a name shows, as wildcardText does.
func wildcardAddress(ctx context.Context, v *lookup.View, name string, shown lookup.Addresses) string {
	return wildcardFor(v, name, shown.Text(), func(name string) []string { return v.LookupAddresses(ctx, name).Text() })
}

// wildcardBeside returns the wildcard record that answers for the addresses of names beside a name that exists; empty where none does.
func wildcardBeside(ctx context.Context, v *lookup.View, name string) string {
	if name == cert.RegisteredDomain(name) {
		return ""
	}
	return wildcardAddress(ctx, v, v.Beside(name), v.LookupAddresses(ctx, v.Beside(name)))
}

// wildcardFor asks below the name, then upwards for where the wildcard stands: at the highest level that shows the same.
func wildcardFor(v *lookup.View, name string, shown []string, ask func(name string) []string) string {
	registered := cert.RegisteredDomain(name)
	if len(shown) == 0 || name == registered || !sameTexts(ask(v.Below(name)), shown) {
		return ""
	}
	level := parent(name)
	for level != registered && sameTexts(ask(v.Beside(level)), shown) {
		level = parent(level)
	}
	return "*." + level
}

func parent(name string) string {
	_, above, _ := strings.Cut(name, ".")
	return above
}

// isBelow reports whether a name is below another.
func isBelow(name, above string) bool { return strings.HasSuffix(name, "."+above) }

// sameTexts compares records in any order (RFC 1034 §3.6).
func sameTexts(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
