package workflows

import (
	"encoding/json"
	"fmt"

	"github.com/evercert/evercert/cert"
)

// StateFrom returns the state for a domain's workflow that has to be started again: the one that was stored with its newest record, or a
// new one if there is none or it can't be parsed. cause is for the timeline.
func StateFrom(kept json.RawMessage, d cert.Domain, cause string) (State, error) {
	if d.ID == "" || d.Hostname == "" {
		return State{}, fmt.Errorf("resume a domain without id or hostname (%s)", cause)
	}
	var s State
	if len(kept) == 0 || json.Unmarshal(kept, &s) != nil || s.ID != d.ID || s.Phase == "" {
		s = NewState(d)
	}
	s.Repair = cert.Line(cause, cert.MaxDetail)
	return s, nil
}
