package workflows

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// TestF2_TheVerbOfEachProblemIsAcceptedInEachState: what people are asked to do after a problem is never refused in the state in which they read it, and
// is never without effect. It covers every code, in every phase, with and without a case and a pause.
func TestF2_TheVerbOfEachProblemIsAcceptedInEachState(t *testing.T) {
	t.Parallel()
	offered := map[cert.Verb]int{}
	for _, e := range cert.Explanations {
		for name, s := range statesOfProblems() {
			verb := e.Code.Verb(s.status(), s.Pause != nil)
			d := &domain{state: s}
			require.NoError(t, d.accepts(verb), "%s, %s: %s", e.Code, name, verb)
			offered[verb]++
		}
	}
	require.Len(t, offered, len(cert.Verbs), "each verb is offered somewhere: %v", offered)
}

// statesOfProblems are the states in which people can read a problem.
func statesOfProblems() map[string]State {
	states := map[string]State{}
	kinds := []cert.CaseKind{"", cert.NoRecords, cert.CannotFinish, cert.RenewalLate, cert.CAStopped, cert.TooManyFailures}
	for _, phase := range Phases {
		for _, kind := range kinds {
			for _, paused := range []bool{false, true} {
				s := legal(phase)
				if kind != "" {
					s.Case = &cert.Case{ID: s.ID + "/1", Kind: kind, OpenedAt: tableTime}
				}
				if paused {
					s.Pause = &PauseState{By: "kim", Since: tableTime.Add(-time.Hour)}
				}
				states[fmt.Sprintf("%s, case %q, paused %v", phase, kind, paused)] = s
			}
		}
	}
	return states
}

// accepts returns the refusal of a verb by the domain, or what makes it useless.
func (d *domain) accepts(verb cert.Verb) error {
	switch verb {
	case cert.CheckNow:
		if d.state.Pause != nil {
			return fmt.Errorf("a check waits for the end of the pause")
		}
		return d.checkNotRemoved(Request{})
	case cert.RequestNow:
		return d.checkRequest(Request{})
	case cert.Resume:
		if d.state.Pause == nil {
			return fmt.Errorf("the domain is not paused")
		}
		return d.checkNotRemoved(Request{})
	case cert.HandBack:
		if d.state.Case == nil {
			return fmt.Errorf("people don't have the domain")
		}
		return d.checkNotRemoved(Request{})
	case cert.Connect, cert.ShowStatus, cert.Repeat: // they are not for the workflow
		return nil
	default:
		return fmt.Errorf("unknown verb %q", verb)
	}
}
