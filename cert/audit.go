package cert

import "slices"

// FindingKind says what the caretaker found wrong (row F22). Codes are extended, never renamed.
type FindingKind string

// What the caretaker finds, in the order in which it is shown.
const (
	WorkflowEnded   FindingKind = "workflow-ended"     // a connected domain's workflow is not running
	WorkflowStuck   FindingKind = "workflow-stuck"     // it runs, and its task fails again and again or is taken by no worker
	WorkflowReset   FindingKind = "workflow-reset"     // an operator reset it, and it has written nothing since
	TimerPast       FindingKind = "timer-past"         // what should happen next should have happened some time ago
	RowMissing      FindingKind = "row-missing"        // a workflow runs for a domain that the tables don't know
	RemovedRuns     FindingKind = "removed-runs"       // a workflow runs for a domain that was removed
	NotServed       FindingKind = "not-served"         // a name of the live certificate is not served
	ServedOtherwise FindingKind = "served-otherwise"   // a name is served with another certificate than the live one
	ServedStray     FindingKind = "served-stray"       // a name is served that no connected domain has
	CaseNotOpen     FindingKind = "case-not-open"      // the domain says that people have it, and there is no case
	CaseNotClosed   FindingKind = "case-not-closed"    // there is an open case, and the domain does not need people
	CaseEnded       FindingKind = "case-workflow-gone" // an open case whose workflow is not running
	CaseRowMissing  FindingKind = "case-row-missing"   // the workflow of a case runs that the tables don't know, or know as ended
)

// FindingKinds are all of them.
var FindingKinds = []FindingKind{
	WorkflowEnded, WorkflowStuck, WorkflowReset, TimerPast, RowMissing, RemovedRuns, NotServed, ServedOtherwise, ServedStray,
	CaseNotOpen, CaseNotClosed, CaseEnded, CaseRowMissing,
}

// NotRepaired is the kind of the platform's cases about domains that the caretaker found something wrong with and could not repair.
const NotRepaired CaseKind = "not-repaired"

// Repair says what became of a finding.
type Repair string

// What became of a finding.
const (
	Repaired   Repair = "repaired"    // the repair was made, or ordered from the workflow
	UnderWay   Repair = "under-way"   // it was ordered a moment ago
	Unrepaired Repair = "unrepaired"  // the caretaker can't repair it, or its repair did not help: people must act
	NotTouched Repair = "not-touched" // nothing was to be repaired (dry run)
)

// Finding is one thing that the caretaker found wrong.
type Finding struct {
	Kind    FindingKind `json:"kind"`
	Subject string      `json:"subject"` // a hostname, a name or the id of a case
	Detail  string      `json:"detail"`  // what is wrong, in words
	Repair  Repair      `json:"repair"`
}

// AuditCount says how often something was found.
type AuditCount struct {
	Kind       FindingKind `json:"kind"`
	Found      int         `json:"found"`
	Repaired   int         `json:"repaired"`
	Unrepaired int         `json:"unrepaired"`
}

// Audit is the sum of what the caretaker found.
type Audit struct {
	Domains int          `json:"domains"`          // that were compared
	Counts  []AuditCount `json:"counts,omitempty"` // of the kinds that were found, in the order of FindingKinds
}

// Note counts a finding.
func (a *Audit) Note(f Finding) {
	count := AuditCount{Kind: f.Kind, Found: 1}
	switch f.Repair {
	case Repaired:
		count.Repaired = 1
	case Unrepaired:
		count.Unrepaired = 1
	case UnderWay, NotTouched:
	}
	a.add(count)
}

// Add adds what was found elsewhere.
func (a *Audit) Add(b Audit) {
	a.Domains += b.Domains
	for _, count := range b.Counts {
		a.add(count)
	}
}

func (a *Audit) add(count AuditCount) {
	i := slices.IndexFunc(a.Counts, func(c AuditCount) bool { return c.Kind == count.Kind })
	if i < 0 {
		a.Counts = append(a.Counts, count)
		slices.SortStableFunc(a.Counts, func(x, y AuditCount) int {
			return slices.Index(FindingKinds, x.Kind) - slices.Index(FindingKinds, y.Kind)
		})
		return
	}
	c := &a.Counts[i]
	c.Found, c.Repaired, c.Unrepaired = c.Found+count.Found, c.Repaired+count.Repaired, c.Unrepaired+count.Unrepaired
}

// Total is the sum over all kinds.
func (a Audit) Total() (sum AuditCount) {
	for _, c := range a.Counts {
		sum.Found, sum.Repaired, sum.Unrepaired = sum.Found+c.Found, sum.Repaired+c.Repaired, sum.Unrepaired+c.Unrepaired
	}
	return sum
}
