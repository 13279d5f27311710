package caa

import (
	"context"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Lookup asks DNS for the CAA records at exactly one name, with CNAMEs followed.
type Lookup func(ctx context.Context, name string) Answer

// Answer is what DNS says of one name. Without records and without an error, the name has none.
type Answer struct {
	Records  []*dns.CAA
	Alias    string // the name at which the records stand, where CNAMEs lead to it; without a trailing dot
	Platform bool   // Alias is a name of the platform
	Err      error  // no answer came; see Fault
}

// Set is the relevant resource record set of a name (RFC 8659 §3): the CAA records nearest to it, on the way up.
type Set struct {
	Owner string // the name or the parent that has them; empty when none has, and every CA may issue
	Answer
}

// Find returns the records that govern a name: those at the name itself, or at the nearest parent that has any. The root is not
// asked. A wildcard's way begins at its base name.
//
// All names on the way are asked at once, as CAs do: most domains have no CAA records, and the whole way must be asked in any case.
func Find(ctx context.Context, lookup Lookup, name string) Set {
	way := wayUp(strings.TrimPrefix(name, "*."))
	answers := make([]Answer, len(way))
	var wg sync.WaitGroup
	for i, at := range way {
		wg.Go(func() { answers[i] = lookup(ctx, at) })
	}
	wg.Wait()
	for i, a := range answers {
		// An error below the first records may hide nearer ones, so it counts; an error above them does not (RFC 8659 §3).
		if a.Err != nil || len(a.Records) > 0 {
			return Set{Owner: way[i], Answer: a}
		}
	}
	return Set{}
}

// wayUp returns the name and the names above it, without the root.
func wayUp(name string) []string {
	labels := strings.Split(name, ".")
	way := make([]string, len(labels))
	for i := range labels {
		way[i] = strings.Join(labels[i:], ".")
	}
	return way
}
