package workflows

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/drawn"
)

var update = flag.Bool("update", false, "write the table of transitions into docs/lifecycle.md")

type silentLog struct{}

func (silentLog) Debug(string, ...any) {}
func (silentLog) Info(string, ...any)  {}
func (silentLog) Warn(string, ...any)  {}
func (silentLog) Error(string, ...any) {}

var _ log.Logger = silentLog{}

var (
	tableTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tableShop = cert.Domain{
		ID: "11111111-1111-1111-1111-111111111111", Hostname: "shop.example.com", Names: []string{"shop.example.com"}, Tenant: "acme",
	}
)

func tableCertificate(serial string, begun time.Time) *Certificate {
	return newCertificate(activities.Issued{Certificate: cert.Certificate{Serial: serial, Issuer: "Test CA", NotBefore: begun, NotAfter: begun.Add(90 * 24 * time.Hour)}})
}

// legal returns a possible state of a domain in a phase, with its second certificate, so that every effect changes something.
func legal(p Phase) State {
	s := NewState(tableShop)
	s.Phase, s.ConnectedAt = p, tableTime.Add(-80*24*time.Hour)
	s.Records.Verified, s.Records.Checks, s.Records.CheckedAt = true, 3, tableTime.Add(-time.Hour)
	s.Serving.Live = tableCertificate("01", tableTime.Add(-80*24*time.Hour))
	switch p {
	case AwaitingDNS:
		s.Serving.Live, s.Records.Verified, s.Records.Since = nil, false, tableTime.Add(-50*time.Hour)
		s.Records.ClaimSince = s.Records.Since
	case Issuing:
		s.Attempt.Issuance, s.Attempt.Issuances, s.Attempt.Since = s.ID+"/2", 2, tableTime.Add(-time.Hour)
	case Installing:
		s.Serving.Issued, s.Attempt.Since = tableCertificate("02", tableTime.Add(-time.Hour)), tableTime.Add(-time.Hour)
	case RenewalDue:
		s.Records.Since, s.Serving.Held = tableTime.Add(-time.Hour), true
	case AwaitingRetry:
		s.Attempt.Since, s.Attempt.Failures, s.Attempt.NextAt = tableTime.Add(-time.Hour), 1, tableTime.Add(time.Hour)
		s.Problems = []cert.Problem{{Code: cert.CAAForbids, Message: "a CAA record forbids it"}}
	case AwaitingHandBack:
		s.Attempt.Failures, s.Cases = 3, 1
		s.Case = &cert.Case{ID: s.ID + "/1", Kind: cert.TooManyFailures, OpenedAt: tableTime.Add(-time.Hour)}
	}
	return s
}

// before adds what an event needs that may happen in every phase.
func before(e Event, s State) State {
	switch e {
	case Resumed:
		s.Pause = &PauseState{By: "kim", Since: tableTime.Add(-time.Hour)}
	case NearlyExpired, Expired:
		s.Serving.Live = tableCertificate("01", tableTime.Add(-80*24*time.Hour))
	case ClaimYields, RivalProved, RivalGone, MovesAway:
		s.Rival = &Rival{Tenant: "beta", Names: []string{"shop.example.com"}, CheckedAt: tableTime}
	case OlderExpired:
		s.Serving.Before, s.Serving.Lacking = tableCertificate("00", tableTime.Add(-90*24*time.Hour)), []string{"edge-2:443"}
	}
	return s
}

func happeningOf(e Event) happening {
	h := happening{at: tableTime, text: "because", by: "kim", wait: time.Minute}
	h.problem = cert.Problem{Code: cert.CAUnavailable, Message: "no answer"}
	switch e {
	case Issued:
		h.issued.Certificate = cert.Certificate{Serial: "02", Issuer: "Test CA", NotBefore: tableTime, NotAfter: tableTime.Add(90 * 24 * time.Hour)}
	case ServedInPart, RefusedInPart:
		h.lacking = []string{"edge-2:443"}
	case RecordsTooLate:
		h.caseKind = cert.NoRecords
	case RefusedAtLast:
		h.caseKind = cert.TooManyFailures
	case NamePaused:
		h.caseKind = cert.CAStopped
	case TakesTooLong:
		h.caseKind = cert.CannotFinish
	case NearlyExpired, Expired:
		h.caseKind = cert.RenewalLate
	}
	return h
}

func tableDomain(t *testing.T, s State) *domain {
	t.Helper()
	payload := encode(t, s) // the copies share no pointer
	var own State
	decode(t, payload, &own)
	return &domain{state: own, log: silentLog{}}
}

// TestEveryPhaseMeetsEveryEvent: a pair in the table has exactly its effects, in order; a pair that is not in the table is a fault.
func TestEveryPhaseMeetsEveryEvent(t *testing.T) {
	t.Parallel()
	allowed := 0
	for _, p := range Phases {
		for _, e := range Events {
			d, h := tableDomain(t, before(e, legal(p))), happeningOf(e)
			row, ok := Lookup(p, e)
			if !ok {
				unchanged := encode(t, d.state)
				require.Panics(t, func() { d.happens(e, h) }, "%s in %s", e, p)
				require.JSONEq(t, unchanged, encode(t, d.state), "%s in %s", e, p)
				continue
			}
			allowed++
			want := tableDomain(t, before(e, legal(p)))
			for _, effect := range row.Effects {
				require.Contains(t, effects, effect)
				effects[effect](want, h)
			}
			want.state.Phase = row.To
			require.NotPanics(t, func() { d.happens(e, h) }, "%s in %s", e, p)
			require.JSONEq(t, encode(t, want.state), encode(t, d.state), "%s in %s", e, p)
			require.Equal(t, want.events, d.events, "%s in %s", e, p)
			require.Equal(t, row.To, d.state.Phase)
			require.Equal(t, want.changed || !silent[e], d.changed, "%s in %s is recorded", e, p)
		}
	}
	require.Greater(t, allowed, 60, "the table has fewer rows than there are in a life")
}

// TestTheTableIsWhole: everything in it is known and used, and every phase has a way out.
func TestTheTableIsWhole(t *testing.T) {
	t.Parallel()
	used, happened, reached := map[Effect]bool{}, map[Event]bool{}, map[Phase]bool{AwaitingDNS: true}
	for _, p := range Phases {
		row, known := transitions[p]
		require.True(t, known, "%s has no row", p)
		if p == Removed {
			require.Empty(t, row, "nothing happens after the end")
			continue
		}
		require.Equal(t, Removed, row[Removal].To, "%s can be removed", p)
		for e, transition := range row {
			require.Contains(t, Events, e)
			require.Contains(t, Phases, transition.To, "%s in %s", e, p)
			happened[e], reached[transition.To] = true, true
			for _, effect := range transition.Effects {
				used[effect] = true
			}
		}
		require.Len(t, eventsOf(p), len(row))
	}
	require.Len(t, transitions, len(Phases))
	require.Len(t, reached, len(Phases), "a phase that no event leads to")
	require.Len(t, happened, len(Events), "an event that never happens")
	require.Len(t, used, len(effects), "an effect that nothing has")
	for e := range silent {
		require.Contains(t, Events, e)
	}
}

const (
	tableBegins = "<!-- The table of transitions begins: `go test ./workflows -run TestLifecycle -update` writes it. -->"
	tableEnds   = "<!-- The table of transitions ends. -->"
)

// TestLifecycleShowsTheTable: the document has the table that the code uses.
func TestLifecycleShowsTheTable(t *testing.T) {
	t.Parallel()
	drawn.Section(t, "../docs/lifecycle.md", tableBegins, tableEnds, "\n"+drawTable()+"\n"+drawDiagram()+"\n", *update)
}

// drawTable formats the transitions of each phase, and once those of every phase.
func drawTable() string {
	var b strings.Builder
	b.WriteString("| phase | event | next phase | effects, in this order |\n|---|---|---|---|\n")
	row := func(phase string, e Event, to Phase, done []Effect) {
		words := make([]string, len(done))
		for i, effect := range done {
			words[i] = string(effect)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", phase, e, to, strings.Join(words, "; "))
	}
	for _, p := range Phases {
		for _, e := range eventsOf(p) {
			if own(p, e) {
				row(string(p), e, transitions[p][e].To, transitions[p][e].Effects)
			}
		}
	}
	for _, e := range Events {
		if t, common := anywhere[e]; common {
			row("any other but removed", e, Phase(orSame(t.To)), t.Effects)
		}
	}
	return b.String()
}

// own reports whether a row belongs to this phase only.
func own(p Phase, e Event) bool {
	common, ok := anywhere[e]
	return !ok || !slices.Equal(common.Effects, transitions[p][e].Effects)
}

func orSame(p Phase) string {
	if p == "" {
		return "the same"
	}
	return string(p)
}

// drawDiagram formats how the phases follow each other. Events that lead to the same phase share an arrow.
func drawDiagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	name := func(p Phase) string { return strings.ReplaceAll(string(p), "-", "_") }
	for _, p := range Phases {
		fmt.Fprintf(&b, "    %s: %s\n", name(p), p)
	}
	fmt.Fprintf(&b, "    [*] --> %s\n", name(AwaitingDNS))
	for _, p := range Phases {
		arrows := map[Phase][]string{}
		for _, e := range eventsOf(p) {
			if own(p, e) {
				arrows[transitions[p][e].To] = append(arrows[transitions[p][e].To], string(e))
			}
		}
		for _, to := range Phases {
			if len(arrows[to]) > 0 {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", name(p), name(to), strings.Join(slices.Sorted(slices.Values(arrows[to])), ", "))
			}
		}
	}
	fmt.Fprintf(&b, "    note right of %s: removal leads here from every phase\n    %s --> [*]\n```\n", name(Removed), name(Removed))
	return b.String()
}

// eventsOf are the events that may happen in a phase, sorted.
func eventsOf(p Phase) []Event {
	return slices.DeleteFunc(slices.Clone(Events), func(e Event) bool { _, ok := transitions[p][e]; return !ok })
}
