package main

import (
	"cmp"
	"fmt"
	"slices"
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
	a.showDiagnosis(names, cert.Answer{Diagnosis: &d})
	a.showVisits(visits)
}

// showDiagnosis shows the result of a check: the summary first, then what has to be done, then what was seen. Where attempts at the certificate failed
// before, their problems stand before those of the check.
func (a *app) showDiagnosis(names []string, answer cert.Answer) {
	d := answer.Diagnosis
	fmt.Fprintln(a.out, answer.Summary(names))
	a.showMethods(d.Names)
	for _, p := range answer.Problems {
		if !slices.ContainsFunc(d.Problems, func(q cert.Problem) bool { return q.Code == p.Code && q.Message == p.Message }) {
			a.showProblem(p, names[0])
		}
	}
	for _, p := range blockingFirst(d.Problems) {
		a.showProblem(p, names[0])
	}
	a.showSeenRecords(d.Records)
	a.showNameservers(d.Servers)
	a.showCAA(d.CAA)
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
		t.row(cert.Unicode(n.Name), n.By(), n.Reason)
	}
	t.show()
}

// showProblem shows what is wrong, what was found in which place, what fixes it, who acts, and the command that goes on then.
func (a *app) showProblem(p cert.Problem, hostname string) {
	fmt.Fprintf(a.out, "\n%s: %s (%s)\n", p.Severity.Word(), printable(p.Message), p.Code)
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
	fmt.Fprintf(a.out, "  Who:    %s\n", p.WhoActs.Who())
	if command := p.Then.Command(hostname); command != "" {
		fmt.Fprintf(a.out, "  Then:   %s\n", command)
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
		t.row(r.Name, r.Type, r.Value, r.State.Words())
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
			cells := []string{r.Name, r.Type, s.Role.From(s.Server), s.State().Words()}
			if dated {
				cells = append(cells, a.clockOrDash(s.FirstSeen), a.clockOrDash(s.LastSeen))
			}
			t.row(append(cells, s.Shows())...)
		}
	}
	t.show()
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
		record := ""
		if s.Record != nil {
			record = fmt.Sprintf("%s %s %s", s.Record.Name, s.Record.Type, s.Record.Value)
		}
		t.row(s.CA, s.MayIssue(), record)
	}
	t.show()
}

func (a *app) clockOrDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return a.clock(t)
}
