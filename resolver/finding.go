package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/lookup"
)

// finding is what one server, or all of them together, show in the place of an expected record.
type finding struct {
	record  cert.Verdict // is it there and right
	usable  cert.Verdict // does it do what it is for; unknown where the record is right and the platform's part is not
	found   []string     // as in a zone file: "CNAME other.example"
	problem cert.Problem // why it isn't usable; without a code when there is nothing to report
	fault   string       // why no answer came
	strays  []netip.Addr // of a name that leads here: its addresses that are not the platform's, and why it isn't usable
}

func right(found []string) finding {
	return finding{record: cert.OK, usable: cert.OK, found: found}
}

func wrong(found []string, p cert.Problem) finding {
	p.Found = strings.Join(found, ", ")
	return finding{record: cert.Wrong, usable: cert.Wrong, found: found, problem: p}
}

// unanswered is the finding where no answer came. found is what was seen before that, such as the aliases on the way.
//
// A time-out or SERVFAIL is unknown. An answer that fails DNSSEC validation is wrong for its use: every CA discards it, too
// (RFC 4035 §5.5). Whether the record is there is unknown in both cases.
func unanswered(name string, found []string, err error) finding {
	f := finding{record: cert.Unknown, usable: cert.Unknown, found: found, fault: err.Error()}
	if bogus, ok := errors.AsType[*lookup.BogusError](err); ok {
		f.usable, f.problem = cert.Wrong, bogus.Problem(name)
		return f
	}
	f.problem = waiting(fmt.Sprintf("We could not check the DNS records of %s: no answer came.", cert.Unicode(name)), err)
	if server, ok := errors.AsType[*lookup.ServerError](err); ok {
		f.problem.Message = fmt.Sprintf("We could not check the DNS records of %s: no answer to the question for %s came from %s.",
			cert.Unicode(name), server.Asked, server.Servers())
		f.problem.Remediation += " If it lasts for hours, ask whoever runs that server."
	}
	return f
}

// rightButBroken is the finding of a tenant's record that is right and leads to a part of the platform that gives no answer.
func rightButBroken(found []string, p cert.Problem) finding {
	return finding{record: cert.OK, usable: cert.Unknown, found: found, problem: p}
}

// notExpected is the finding of a name for which the tenant was asked for no address record, as an apex is on a platform whose
// addresses aren't configured: the name can't be validated by its address, and no problem is reported for that.
var notExpected = finding{record: cert.Wrong, usable: cert.Wrong}

// waiting returns the problem of a look-up that failed: never the tenant's fault, and it passes by itself.
func waiting(message string, fault error) cert.Problem {
	p := cert.Problem{Code: cert.DNSLookupFailed, WhoActs: cert.PlatformActs, Message: message, Remediation: cert.NothingToDo}
	if fault != nil {
		p.Found = fault.Error()
	}
	return p
}

// agree returns the verdict of several servers together. One that shows something wrong is enough for wrong, because the CA may ask that
// one; those that gave no answer do not count unless none did.
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

// merge returns one finding for those of several servers. Its problem is one that was seen, if any was.
func merge(findings []finding) finding {
	var records, usables []cert.Verdict
	for _, f := range findings {
		records, usables = append(records, f.record), append(usables, f.usable)
	}
	m := finding{record: agree(records...), usable: agree(usables...)}
	var same []finding // those whose verdict became the verdict of all
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
	if m.strays = commonStrays(same); m.strays == nil { // stray addresses, which a CA may do without, are not the whole reason
		same = slices.DeleteFunc(same, func(f finding) bool { return len(f.strays) > 0 })
	}
	m.problem = clearest(same)
	if m.usable == cert.Wrong && slices.Contains(usables, cert.OK) && m.problem.Code != cert.DNSSECBogus {
		m.problem = notYetEverywhere(m.problem)
	}
	return m
}

// commonStrays returns the stray addresses of all servers; none where a server has another reason than those.
func commonStrays(same []finding) []netip.Addr {
	var strays []netip.Addr
	for _, f := range same {
		if len(f.strays) == 0 {
			return nil
		}
		strays = append(strays, f.strays...)
	}
	return strays
}

// clearest returns the first problem that has something found, or else the first; with the reasons of all servers where none answered.
func clearest(findings []finding) cert.Problem {
	best := findings[0].problem
	var faults []string
	for _, f := range findings {
		if best.Found == "" && f.problem.Found != "" {
			best = f.problem
		}
		if f.problem.Code == cert.DNSLookupFailed && f.problem.Found != "" {
			faults = append(faults, f.problem.Found)
		}
	}
	if best.Code == cert.DNSLookupFailed {
		best.Found = strings.Join(lookup.Distinct(faults), "; ")
	}
	return best
}

// notYetEverywhere adds to a problem that servers differ, as they do for a while after a change.
func notYetEverywhere(p cert.Problem) cert.Problem {
	p.Message += " Some servers show the right records already, others don't yet."
	p.Remediation = "If you changed it within the last day, just wait: the change is on its way. If not: " + p.Remediation
	return p
}
