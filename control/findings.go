package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// Execution is what Temporal says about a workflow id.
type Execution struct {
	Running   bool
	Run       string    // the newest one's id
	StartedAt time.Time // the newest run
	Reset     bool      // the run was made by a reset

	// The workflow task that waits for a worker or is being worked on, if there is one.
	TaskSince    time.Time // zero: there is none
	TaskAttempts int
}

const (
	// overdueAfter is how long what should have happened next may be late. A fleet that was down for a while is through with its backlog by
	// then.
	overdueAfter = 15 * time.Minute
	// stuckAttempts is how often a workflow task may fail in a row. One that was lost by Temporal or a worker works at its second attempt.
	stuckAttempts = 5
	// settledAfter is how long a new certificate may be served before it stands in the domain's row. Verification and the record take seconds.
	settledAfter = 15 * time.Minute
	// repairTime is how long a repair may take that was ordered from a workflow.
	repairTime = 2 * time.Minute
)

// remedy is what the caretaker does about a finding.
type remedy int

const (
	tellPeople remedy = iota // nothing else helps
	resume                   // start the workflow again
	wake                     // the workflow checks again and records anew
	reinstall                // wake, and install the live certificate again
	oweCase                  // the workers start the case's workflow
)

// diagnosis is a finding about a domain, and what is to be done.
type diagnosis struct {
	kind   cert.FindingKind
	detail string
	remedy remedy
}

// compare holds what the tables say about a connected domain against its workflow and the workflow of its open case (the zero Execution
// if it has none). A domain in order has no findings, also in the middle of a renewal or between two runs.
func compare(row store.Inspected, domain, people Execution, now time.Time) []diagnosis {
	found := append(compareWorkflow(row, domain, now), compareServed(row, now)...)
	switch {
	case row.Status.Escalated && row.OpenCase == "":
		found = append(found, diagnosis{cert.CaseNotOpen, "people should have the domain, and there was no open case", wake})
	case !row.Status.Escalated && row.OpenCase != "":
		found = append(found, diagnosis{cert.CaseNotClosed, "case " + row.OpenCase + " was open, and the domain does not need people", wake})
	case row.OpenCase != "" && row.CaseStarted && !people.Running:
		found = append(found, diagnosis{cert.CaseEnded, "the workflow of case " + row.OpenCase + " was not running", oweCase})
	}
	return found
}

func compareWorkflow(row store.Inspected, domain Execution, now time.Time) []diagnosis {
	overdue := !row.NextActionAt.IsZero() && now.Sub(row.NextActionAt) > overdueAfter
	switch {
	case !domain.Running:
		return []diagnosis{{cert.WorkflowEnded, "its workflow was not running", resume}}
	case domain.TaskAttempts >= stuckAttempts:
		return []diagnosis{
			{cert.WorkflowStuck, fmt.Sprintf("its workflow can't go on: its task has failed %d times", domain.TaskAttempts-1), tellPeople},
		}
	case !domain.TaskSince.IsZero() && now.Sub(domain.TaskSince) > overdueAfter:
		return []diagnosis{
			{cert.WorkflowStuck, "its workflow waits for a worker since " + domain.TaskSince.UTC().Format("2006-01-02 15:04 MST"), tellPeople},
		}
	case !domain.TaskSince.IsZero():
		return nil // it is at work, or a worker is about to take it
	case row.Run != "" && row.Run != domain.Run && !succeeds(row, domain):
		return []diagnosis{{cert.WorkflowReset, "its workflow was reset, and what people read was of another run", wake}}
	case overdue:
		return []diagnosis{
			{cert.TimerPast, "what was to come next at " + row.NextActionAt.UTC().Format("2006-01-02 15:04 MST") + " did not happen", wake},
		}
	}
	return nil
}

// succeeds reports whether a run follows the one that wrote the row: a domain at rest whose run was continued as new has nothing to
// record. A run that began before the row was written, or that a reset made, goes on from an older state than the row's.
func succeeds(row store.Inspected, run Execution) bool {
	return !run.Reset && !run.StartedAt.Before(row.SnapshotAt)
}

// compareServed checks whether each name of the live certificate is served with it. While a new one is being installed and verified, that
// one may be served before it stands in the row.
func compareServed(row store.Inspected, now time.Time) []diagnosis {
	if !row.Status.HasLive || row.Serial == "" {
		return nil
	}
	var missing, other []string
	for _, name := range row.Names {
		if len(row.LiveNames) > 0 && !slices.Contains(row.LiveNames, name) {
			continue // added since; the next certificate will have it
		}
		i := slices.IndexFunc(row.Served, func(s store.ServedName) bool { return s.Name == name })
		switch {
		case i < 0:
			missing = append(missing, name)
		case row.Served[i].Serial != row.Serial && !renews(row, row.Served[i], now):
			other = append(other, name+" (serial "+row.Served[i].Serial+")")
		}
	}
	var found []diagnosis
	if len(missing) > 0 {
		found = append(found, diagnosis{cert.NotServed, listing(missing) + " was not served", reinstall})
	}
	if len(other) > 0 {
		found = append(
			found,
			diagnosis{cert.ServedOtherwise, listing(other) + " was served with another certificate than the live one", reinstall},
		)
	}
	return found
}

// renews reports whether a name is served with the domain's next certificate: newer than the live one, and not yet proved.
func renews(row store.Inspected, served store.ServedName, now time.Time) bool {
	return served.DomainID == row.ID && served.NotBefore.After(row.LiveFrom) &&
		(row.Status.Certificate != cert.CertificateActive || now.Sub(served.InstalledAt) < settledAfter)
}

// listedNames bounds how many names a sentence has.
const listedNames = 5

func listing(names []string) string {
	if len(names) > listedNames {
		return strings.Join(names[:listedNames], ", ") + fmt.Sprintf(" and %d more", len(names)-listedNames)
	}
	return strings.Join(names, ", ")
}
