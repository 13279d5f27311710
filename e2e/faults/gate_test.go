package faults

import (
	"fmt"
	"slices"
)

// order is what devstack's gate takes as a trigger; see `devstack help`, db trigger.
type order struct {
	Text   string   `json:"text"`
	Action string   `json:"action"`
	For    float64  `json:"seconds,omitempty"`
	Values []string `json:"values,omitempty"`
	And    string   `json:"and,omitempty"`
	Times  int      `json:"times"`
}

// trigger waits for a statement, and returns the number by which it is known.
func (w *world) trigger(o order) (int, error) {
	o.Times = 1
	var made struct{ ID int }
	err := w.send("POST", w.info.DBControl+"/triggers", o, &made)
	return made.ID, err
}

// fired returns nil when a trigger has acted.
func (w *world) fired(id int) error {
	var list []struct{ ID, Fired int }
	if err := w.send("GET", w.info.DBControl+"/triggers", nil, &list); err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(t struct{ ID, Fired int }) bool { return t.ID == id && t.Fired > 0 }) {
		return fmt.Errorf("trigger %d did not fire", id)
	}
	return nil
}

func (w *world) release(id int) error {
	return w.send("POST", w.info.DBControl+"/release", map[string]int{"id": id}, nil)
}

// dbFault orders a fault of the product's database; seconds 0 is until the next one.
func (w *world) dbFault(seconds float64, words ...string) error {
	return w.send("POST", w.info.DBControl+"/fault", map[string]any{"fault": words, "seconds": seconds}, nil)
}

// caFault orders a fault of the CA for the orders of one host.
func (w *world) caFault(path, action string, times int, name string) error {
	return w.send("POST", w.info.CAControl+"/faults", map[string]any{"path": path, "action": action, "times": times, "name": name}, nil)
}

// caMet returns nil when a fault of the CA that delays has been met by an order of the host.
func (w *world) caMet(path, action, name string) error {
	var list []struct {
		Path, Action, Name string
		Done               int
	}
	if err := w.send("GET", w.info.CAControl+"/faults", nil, &list); err != nil {
		return err
	}
	for _, f := range list {
		if f.Path == path && f.Action == action && f.Name == name && f.Done > 0 {
			return nil
		}
	}
	return fmt.Errorf("the CA has not met %s at %s for %s", action, path, name)
}
