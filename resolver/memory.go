package resolver

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
)

// remember lets count what name servers showed when they last gave an answer, where they are silent now. A CA asks from other places and
// may reach them, and a server that comes back has what it had before.
//
// It holds back only what is right at all servers that answer, and only for DNS_SILENT_WAIT: a server that is gone does not hold a domain
// for ever.
func (e *evidence) remember(now time.Time) {
	var wrong []cert.LastAnswer
	for _, last := range e.question.Before {
		if last.Sighting.Verdict == cert.Wrong && now.Sub(last.At) < e.config.SilentWait {
			wrong = append(wrong, last)
		}
	}
	for _, r := range e.records {
		if r.want.Purpose != cert.ForAddress {
			e.waitForSilent(&r.finding, wrong, []*recordEvidence{r})
		}
	}
	for _, n := range e.names {
		var addresses []*recordEvidence
		for _, r := range e.records {
			if r.want.Purpose == cert.ForAddress && r.want.Name == n.name {
				addresses = append(addresses, r)
			}
		}
		e.waitForSilent(&n.pointed, wrong, addresses)
	}
}

// waitForSilent makes a finding unknown where a server that is silent now showed none of the records: of several addresses one is enough.
func (e *evidence) waitForSilent(f *finding, wrong []cert.LastAnswer, records []*recordEvidence) {
	if f.usable != cert.OK || len(records) == 0 {
		return
	}
	for _, s := range records[0].seen {
		if s.Role != cert.Authoritative || s.Verdict != cert.Unknown {
			continue
		}
		var showed []cert.LastAnswer
		for _, r := range records {
			i := slices.IndexFunc(wrong, func(last cert.LastAnswer) bool {
				return last.Sighting.Server == s.Server && last.Sighting.Role == s.Role && last.Record.Same(r.want)
			})
			if i >= 0 {
				showed = append(showed, wrong[i])
			}
		}
		if len(showed) == len(records) {
			f.usable, f.problem = cert.Unknown, silentAfterWrong(showed[0], e.config.SilentWait)
			return
		}
	}
}

// silentAfterWrong is nobody's fault: the server may come back with the right record, or the wait ends.
func silentAfterWrong(last cert.LastAnswer, wait time.Duration) cert.Problem {
	const minute = "2006-01-02 15:04 UTC"
	showed := "had none"
	if len(last.Sighting.Found) > 0 {
		showed = "had " + strings.Join(last.Sighting.Found, ", ")
	}
	return cert.Problem{
		Code: cert.NameserverUnreachable, WhoActs: cert.PlatformActs, Severity: cert.Blocks, Record: &last.Record,
		Found: last.Sighting.Server + " " + showed,
		Message: fmt.Sprintf("The name server %s gives no answer now. When it last did, on %s, it did not have the right record at %s (it %s), "+
			"and a CA may ask it.",
			last.Sighting.Server, last.At.UTC().Format(minute), last.Record.Name, showed),
		Remediation: fmt.Sprintf("%s We go on when it has the right record, and on %s at the latest. "+
			"If it stays silent, ask your DNS provider about it.",
			cert.NothingToDo, last.At.Add(wait).UTC().Format(minute)),
	}
}
