package resolver

import (
	"context"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// fromWildcard reports whether an answer comes from a wildcard record in place of records of the name. A name beside it that nobody has
// added shows the same then (RFC 4592 §2.1.1). A record of the name that is equal to the wildcard's is taken for the wildcard's; nothing
// depends on the difference.
func fromWildcard(ctx context.Context, v *lookup.View, a lookup.Answer, qtype uint16) bool {
	if a.Empty() {
		return false
	}
	beside := v.Lookup(ctx, v.Beside(a.Name), qtype)
	return beside.Err == nil && sameTexts(beside.Text(), a.Text())
}

// addressFromWildcard does the same for a name's addresses. A registered domain is below no wildcard of the tenant's.
func addressFromWildcard(ctx context.Context, v *lookup.View, name string, shown []string) bool {
	if name == cert.RegisteredDomain(name) || len(shown) == 0 {
		return false
	}
	beside := v.LookupAddresses(ctx, v.Beside(name))
	return beside.Err() == nil && sameTexts(beside.Text(), shown)
}

// wildcardBeside reports whether a wildcard record answers for the addresses of names beside a name.
func wildcardBeside(ctx context.Context, v *lookup.View, name string) bool {
	return name != cert.RegisteredDomain(name) && len(v.LookupAddresses(ctx, v.Beside(name)).Text()) > 0
}

// sameTexts compares records in any order (RFC 1034 §3.6).
func sameTexts(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// wildcardOf names the wildcard record that answers for a name, as providers' forms take it.
func wildcardOf(name string) string {
	_, above, _ := strings.Cut(name, ".")
	return cert.FormName("*." + above)
}

// isBelow reports whether a name is below another.
func isBelow(name, above string) bool { return strings.HasSuffix(name, "."+above) }
