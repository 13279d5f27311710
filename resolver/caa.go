package resolver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// caaSet is the relevant resource record set of a name in one view (RFC 8659 §3): the CAA records nearest to it, going up.
type caaSet struct {
	owner    string // the name or the parent that has them; empty when none has, and every CA may issue
	alias    string // where they really stand when owner is an alias
	platform bool   // alias belongs to the platform
	records  []*dns.CAA
	err      error // a name on the way up was not told: a CA must not issue then (RFC 8659 §3)
}

// climb looks for CAA records at the name and every parent but the root. All are asked at once, as CAs do, because most
// domains have none and the whole way must be gone. A wildcard's way begins at its base name. targets are the platform's names
// that tenants' names are aliases of.
func climb(ctx context.Context, v *lookup.View, name string, targets []string) caaSet {
	levels := parents(strings.TrimPrefix(name, "*."))
	answers := make([]lookup.Answer, len(levels))
	var wg sync.WaitGroup
	for i, level := range levels {
		wg.Go(func() { answers[i] = v.Lookup(ctx, level, dns.TypeCAA) })
	}
	wg.Wait()
	for i, a := range answers {
		switch {
		case a.Err != nil:
			return caaSet{err: a.Err}
		case a.Endless:
			return caaSet{err: lookup.ErrEndless}
		case len(a.Records) > 0:
			return newCAASet(levels[i], a, targets)
		}
	}
	return caaSet{}
}

// parents is the name and the names above it, without the root.
func parents(name string) []string {
	labels := strings.Split(name, ".")
	levels := make([]string, len(labels))
	for i := range labels {
		levels[i] = strings.Join(labels[i:], ".")
	}
	return levels
}

func newCAASet(owner string, a lookup.Answer, targets []string) caaSet {
	set := caaSet{owner: owner}
	if len(a.Aliases) > 0 {
		set.alias = lookup.NoDot(a.End())
		set.platform = slices.ContainsFunc(targets, func(target string) bool { return zoneOf(target) == zoneOf(set.alias) })
	}
	for _, rr := range a.Records {
		if record, ok := rr.(*dns.CAA); ok {
			set.records = append(set.records, record)
		}
	}
	return set
}

// tell lists the records for which the condition holds, as in a zone file.
func (s caaSet) tell(which func(*dns.CAA) bool) string {
	var found []string
	for _, record := range s.records {
		if which(record) {
			found = append(found, lookup.RecordText(record))
		}
	}
	return strings.Join(lookup.Distinct(found), ", ")
}

// permission says whether the CA may issue for the name by the method, by what all views show.
func permission(sets []caaSet, request caaRequest) cert.Verdict {
	var verdicts []cert.Verdict
	for _, set := range sets {
		switch {
		case set.err != nil:
			verdicts = append(verdicts, untold("", set.err).usable)
		case set.judge(request) == permitted:
			verdicts = append(verdicts, cert.OK)
		default:
			verdicts = append(verdicts, cert.Wrong)
		}
	}
	return agree(verdicts...)
}

// caaProblem tells why a permission isn't given.
func caaProblem(name string, sets []caaSet, request caaRequest) cert.Problem {
	var fault error
	for _, set := range sets {
		if set.err != nil {
			fault = firstError(fault, set.err)
			continue
		}
		if refusal := set.judge(request); refusal != permitted {
			return caaRefused(name, set, request, refusal)
		}
	}
	if bogus, ok := errors.AsType[*lookup.BogusError](fault); ok {
		return bogus.Problem(name)
	}
	return caaLookupFailed(name, fault)
}
