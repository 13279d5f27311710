package workflows

import (
	"encoding/json"
	"fmt"

	"github.com/evercert/evercert/cert"
)

// Wake is the signal by which the caretaker asks a domain or a case to look again and to record anew what people read. It takes a WakeRequest.
const Wake = "wake"

// WakeRequest says what was found wrong.
type WakeRequest struct {
	Cause     string `json:"cause"`               // for the timeline
	Reinstall bool   `json:"reinstall,omitempty"` // the live certificate is not what is served
}

// StateFrom returns the state with which a domain's workflow goes on that is not running any more: the one that was kept with its newest record,
// or a new one if there is none or it can't be read. cause is for the timeline.
func StateFrom(kept json.RawMessage, d cert.Domain, cause string) (State, error) {
	if d.ID == "" || d.Hostname == "" {
		return State{}, fmt.Errorf("resume a domain without id or hostname (%s)", cause)
	}
	var s State
	if len(kept) == 0 || json.Unmarshal(kept, &s) != nil || s.ID != d.ID || s.Phase == "" {
		return NewState(d), nil
	}
	return s, nil
}
