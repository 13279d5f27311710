package resolver

import (
	"errors"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// finding is what one view, or all of them together, show in the place of an expected record.
type finding struct {
	record  cert.Verdict // is it there and right
	usable  cert.Verdict // does it do what it is for; unknown where the record is right and the platform's part is not
	found   []string     // as in a zone file: "CNAME other.example"
	problem cert.Problem // why it isn't usable; without a code when there is nothing to tell
	fault   string       // why nothing was told
}

func right(found []string) finding {
	return finding{record: cert.OK, usable: cert.OK, found: found}
}

func wrong(found []string, p cert.Problem) finding {
	p.Found = strings.Join(found, ", ")
	return finding{record: cert.Wrong, usable: cert.Wrong, found: found, problem: p}
}

// untold is the finding of a view that gave no answer.
func untold(name string, err error) finding {
	if bogus, ok := errors.AsType[*lookup.BogusError](err); ok {
		return finding{record: cert.Unknown, usable: cert.Wrong, fault: err.Error(), problem: bogus.Problem(name)}
	}
	return finding{record: cert.Unknown, usable: cert.Unknown, fault: err.Error(), problem: lookupFailed(name, err)}
}

// rightButBroken is the finding of a tenant's record that is right and leads to a part of the platform that is broken.
func rightButBroken(found []string, p cert.Problem) finding {
	return finding{record: cert.OK, usable: cert.Unknown, found: found, problem: p}
}

// notAskedFor is the finding of a name that the tenant was asked for no address record of, as an apex is on a platform whose
// addresses aren't configured: it is no way to be validated, and nobody is blamed for it.
var notAskedFor = finding{record: cert.Wrong, usable: cert.Wrong}

// agree puts together what the views say: one that shows something wrong is enough, because the CA may see the same;
// those that gave no answer don't count unless all are such.
func agree(verdicts ...cert.Verdict) cert.Verdict {
	switch {
	case slices.Contains(verdicts, cert.Wrong):
		return cert.Wrong
	case slices.Contains(verdicts, cert.OK):
		return cert.OK
	default:
		return cert.Unknown
	}
}

// merge makes one finding of those of all views.
func merge(findings []finding) finding {
	var records, usables []cert.Verdict
	for _, f := range findings {
		records, usables = append(records, f.record), append(usables, f.usable)
	}
	m := finding{record: agree(records...), usable: agree(usables...)}
	var same []finding // those that say what the verdict says
	for _, f := range findings {
		if f.record == m.record {
			m.found = append(m.found, f.found...)
		}
		if f.usable == m.usable {
			same = append(same, f)
		}
	}
	m.found = lookup.Distinct(m.found)
	if m.usable == cert.OK {
		return m
	}
	m.problem = mostTelling(same)
	if m.usable == cert.Wrong && slices.Contains(usables, cert.OK) && m.problem.Code != cert.DNSSECBogus {
		m.problem = notYetEverywhere(m.problem)
	}
	return m
}

// mostTelling chooses the problem that was seen rather than one of nothing found, and collects why nobody answered.
func mostTelling(findings []finding) cert.Problem {
	best := findings[0].problem
	var failures []string
	for _, f := range findings {
		if best.Found == "" && f.problem.Found != "" {
			best = f.problem
		}
		if f.problem.Code == cert.DNSLookupFailed && f.problem.Found != "" {
			failures = append(failures, f.problem.Found)
		}
	}
	if best.Code == cert.DNSLookupFailed {
		best.Found = strings.Join(lookup.Distinct(failures), "; ")
	}
	return best
}
