package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

// judged is what doctor and check return when they were carried out and the diagnosis is not ok, or not there yet (no verdict).
// It was told already.
type judged struct{ verdict cert.Verdict }

func (j judged) Error() string {
	return "the diagnosis is " + cmp.Or(string(j.verdict), "not there yet")
}

func judge(v cert.Verdict) error {
	if v == cert.OK {
		return nil
	}
	return judged{v}
}

// showVerdict prints what doctor found.
func (a *app) showVerdict(names []string, d cert.Diagnosis, visits []resolver.Visit) {
	if a.json {
		a.printJSON(a.out, struct {
			cert.Diagnosis
			HTTPS []resolver.Visit `json:"https,omitempty"`
		}{d, visits})
		return
	}
	a.showDiagnosis(names, d, attempts{})
	a.showVisits(visits)
}

// attempts are those at a connected domain's certificate that failed in a row; no look at the DNS shows why.
type attempts struct {
	failed   int
	held     bool // support has the domain, and nothing is ordered
	problems []cert.Problem
}

// showDiagnosis tells a diagnosis: the verdict first, then what has to be done, then what was seen.
func (a *app) showDiagnosis(names []string, d cert.Diagnosis, before attempts) {
	problems := blockingFirst(d.Problems)
	if d.Verdict == cert.OK && before.failed > 0 {
		fmt.Fprintln(a.out, before.line(names))
	} else {
		fmt.Fprintln(a.out, verdictLine(names, d.Verdict, problems))
	}
	a.showMethods(d.Names)
	for _, p := range before.problems {
		if !slices.ContainsFunc(d.Problems, func(q cert.Problem) bool { return q.Code == p.Code && q.Message == p.Message }) {
			a.showProblem(p)
		}
	}
	for _, p := range problems {
		a.showProblem(p)
	}
	a.showSeenRecords(d.Records)
	a.showNameservers(d.Servers)
	a.showCAA(d.CAA)
}

// line is the verdict on a domain whose records are right, and whose certificate fails all the same.
func (before attempts) line(names []string) string {
	who, failed := enumerate(unicodes(names)), "1 attempt failed"
	if before.failed > 1 {
		failed = fmt.Sprintf("%d attempts in a row failed", before.failed)
	}
	if before.held {
		return fmt.Sprintf("%s: the records are right, but %s. Nothing is ordered until support hands the domain back.", who, failed)
	}
	return fmt.Sprintf("%s: the records are right, but %s.", who, failed)
}

// verdictLine is the diagnosis in one line.
func verdictLine(names []string, v cert.Verdict, problems []cert.Problem) string {
	who := enumerate(unicodes(names))
	warnings := 0
	for _, p := range problems {
		if p.Severity == cert.Warns {
			warnings++
		}
	}
	blocking := len(problems) - warnings
	switch {
	case v == cert.OK && warnings > 0:
		return fmt.Sprintf("%s: ready, with %s. A certificate ordered now is expected to be issued.", who, count(warnings, "warning"))
	case v == cert.OK:
		return who + ": ready. A certificate ordered now is expected to be issued."
	case v == cert.Wrong && blocking > 0:
		return fmt.Sprintf("%s: not ready. %s in the way of a certificate.", who, stands(blocking))
	case v == cert.Wrong:
		return who + ": not ready. A certificate can't be ordered by any of the methods allowed."
	case slices.ContainsFunc(problems, func(p cert.Problem) bool { return p.Severity != cert.Warns && p.WhoActs != cert.PlatformActs }):
		return who + ": could not tell. Answers that a CA needs did not come: try again in a minute. What is wrong for sure stands below, and can be mended meanwhile."
	default:
		return who + ": could not tell. Answers that a CA needs did not come; that is no fault of the domain's. Try again in a minute."
	}
}

func stands(problems int) string {
	if problems == 1 {
		return "1 problem stands"
	}
	return fmt.Sprintf("%d problems stand", problems)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// enumerate joins names as a sentence does.
func enumerate(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// blockingFirst sorts what keeps a certificate away before what only harms visitors. A problem that says nothing of it blocks.
func blockingFirst(problems []cert.Problem) []cert.Problem {
	sorted := slices.Clone(problems)
	slices.SortStableFunc(sorted, func(p, q cert.Problem) int { return weight(p) - weight(q) })
	return sorted
}

func weight(p cert.Problem) int {
	if p.Severity == cert.Warns {
		return 1
	}
	return 0
}

// showMethods says of each name by which method it would be validated, and why.
func (a *app) showMethods(names []cert.NameResult) {
	if len(names) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	t := a.newTable("NAME", "VALIDATED BY", "WHY")
	for _, n := range names {
		t.row(cert.Unicode(n.Name), cmp.Or(string(n.Method), "wait"), n.Reason)
	}
	t.show()
}

// showProblem tells what is wrong, what was found in which place, what mends it, and whose turn it is.
func (a *app) showProblem(p cert.Problem) {
	word := "Blocks"
	if p.Severity == cert.Warns {
		word = "Warns"
	}
	fmt.Fprintf(a.out, "\n%s: %s (%s)\n", word, printable(p.Message), p.Code)
	if p.Record != nil {
		fmt.Fprintf(a.out, "  Needed: %s %s %s\n", printable(p.Record.Name), p.Record.Type, printable(p.Record.Value))
	}
	switch {
	case p.Found != "":
		fmt.Fprintf(a.out, "  Found:  %s\n", printable(p.Found))
	case p.Record != nil:
		fmt.Fprintln(a.out, "  Found:  nothing")
	}
	if p.Remediation != "" {
		fmt.Fprintf(a.out, "  To do:  %s\n", sentence(printable(p.Remediation)))
	}
	fmt.Fprintf(a.out, "  Who:    %s\n", actor(p.WhoActs))
}

// actor says whose turn it is.
func actor(who cert.Actor) string {
	switch who {
	case cert.TenantActs:
		return "the tenant, whose domain it is"
	case cert.PlatformActs:
		return "the platform"
	case cert.CAActs:
		return "the CA"
	case cert.RegistrarActs:
		return "the registrar of the domain"
	default:
		return string(who)
	}
}

// showSeenRecords is the table of the records to add, and beneath it what each server shows in their place.
func (a *app) showSeenRecords(records []cert.RecordState) {
	if len(records) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	t := a.newTable("NAME", "TYPE", "VALUE", "STATE")
	for _, r := range records {
		t.row(r.Name, r.Type, r.Value, stateWord(r.State))
	}
	t.show()
	a.showSightings(records)
}

// showSightings is a row for each record and server.
func (a *app) showSightings(records []cert.RecordState) {
	dated, any := false, false
	for _, r := range records {
		any = any || len(r.Seen) > 0
		dated = dated || slices.ContainsFunc(r.Seen, func(s cert.Sighting) bool { return !s.FirstSeen.IsZero() || !s.LastSeen.IsZero() })
	}
	if !any {
		return
	}
	header := []string{"RECORD", "TYPE", "SERVER", "STATE"}
	if dated {
		header = append(header, "FIRST SEEN", "LAST SEEN")
	}
	fmt.Fprintln(a.out)
	t := a.newTable(append(header, "SHOWS")...)
	for _, r := range records {
		for _, s := range r.Seen {
			cells := []string{r.Name, r.Type, serverName(s.Role, s.Server), stateWord(s.State())}
			if dated {
				cells = append(cells, a.clockOrDash(s.FirstSeen), a.clockOrDash(s.LastSeen))
			}
			t.row(append(cells, shows(s))...)
		}
	}
	t.show()
}

// serverName tells a resolver from the name servers of the domain.
func serverName(role cert.ServerRole, server string) string {
	if role == cert.Recursive {
		return "resolver " + server
	}
	return server
}

func shows(s cert.Sighting) string {
	switch {
	case s.Error != "":
		return s.Error
	case s.Verdict == cert.Unknown && len(s.Found) == 0:
		return "no answer"
	case len(s.Found) == 0:
		return "nothing"
	default:
		return strings.Join(s.Found, ", ")
	}
}

// showNameservers is the table of the authoritative servers of the names' zones.
func (a *app) showNameservers(servers []cert.Nameserver) {
	if len(servers) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	t := a.newTable("ZONE", "NAME SERVER", "ADDRESS", "STATE", "DETAIL")
	for _, s := range servers {
		t.row(s.Zone, s.Name, s.Address, string(s.State), s.Detail)
	}
	t.show()
}

// showCAA says of each CA whether it may issue for all the names, and what would let it.
func (a *app) showCAA(states []cert.CAAState) {
	if len(states) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	t := a.newTable("CA", "MAY ISSUE", "CAA RECORD THAT LETS IT")
	for _, s := range states {
		may := map[cert.Verdict]string{cert.OK: "yes", cert.Wrong: "no", cert.Unknown: "could not tell"}[s.Verdict]
		record := ""
		if s.Record != nil {
			record = fmt.Sprintf("%s %s %s", s.Record.Name, s.Record.Type, s.Record.Value)
		}
		t.row(s.CA, may, record)
	}
	t.show()
}

func (a *app) clockOrDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return a.clock(t)
}
