package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"
)

// Actions of a trigger that touch only the connection with the statement. The faults of the gate are actions as well.
const (
	cutAction  = "cut"  // the connection is cut, and the statement never reaches the server
	loseAction = "lose" // the server carries the statement out, and the connection is cut in place of its answer
	holdAction = "hold" // the statement waits, for a time at most or until it is released
)

// triggerOrder asks for an action when a statement passes: one whose text contains Text, in one line, and one of whose values
// contains one of Values, if there are any. A value that is a UUID is found in its binary form too.
type triggerOrder struct {
	Text   string   `json:"text"`
	Action string   `json:"action"`
	For    float64  `json:"seconds"` // how long the fault or the hold lasts; ignored by cut and lose
	Values []string `json:"values,omitempty"`
	And    string   `json:"and,omitempty"` // one more value, which must be there as well
	Times  int      `json:"times"`         // how often; 0 means once
}

// gateTrigger is an order and what became of it.
type gateTrigger struct {
	triggerOrder
	ID    int `json:"id"`
	Fired int `json:"fired"`

	fault    gateFault
	patterns [][]byte
	released chan struct{}
}

func (t *gateTrigger) length() time.Duration { return time.Duration(t.For * float64(time.Second)) }

// release lets go what the trigger holds, now and later. The caller holds the gate's lock.
func (t *gateTrigger) release() {
	select {
	case <-t.released:
	default:
		close(t.released)
	}
}

func newGateTrigger(o triggerOrder) (*gateTrigger, error) {
	t := &gateTrigger{triggerOrder: o, released: make(chan struct{})}
	t.Text, t.Times = oneLine(o.Text), max(1, o.Times)
	if t.Text == "" {
		return nil, errors.New("which statements? a piece of their text is missing")
	}
	switch o.Action {
	case cutAction, loseAction, holdAction:
	default:
		var err error
		if t.fault, err = parseGateFault(o.Action); err != nil || t.fault.kind == noFault {
			return nil, fmt.Errorf("action %q: want cut, lose, hold, refuse, hang, slow:MILLISECONDS or readonly", o.Action)
		}
	}
	if o.Action != cutAction && o.Action != loseAction && o.For <= 0 {
		return nil, fmt.Errorf("action %s: for how many seconds?", o.Action)
	}
	for _, value := range o.Values {
		t.patterns = append(t.patterns, []byte(value))
		if raw, err := hex.DecodeString(strings.ReplaceAll(value, "-", "")); err == nil && len(raw) == 16 {
			t.patterns = append(t.patterns, raw)
		}
	}
	return t, nil
}

func (t *gateTrigger) matches(m request) bool {
	return t.Fired < t.Times && strings.Contains(m.statement, t.Text) &&
		bytes.Contains(m.values, []byte(t.And)) &&
		(len(t.patterns) == 0 || slices.ContainsFunc(t.patterns, func(p []byte) bool { return bytes.Contains(m.values, p) }))
}

func (g *dbGate) addTrigger(o triggerOrder) (*gateTrigger, error) {
	t, err := newGateTrigger(o)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.numbered++
	t.ID = g.numbered
	g.triggers = append(g.triggers, t)
	return t, nil
}

func (g *dbGate) listTriggers() []gateTrigger {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]gateTrigger, 0, len(g.triggers))
	for _, t := range g.triggers {
		all = append(all, *t)
	}
	return all
}

// releaseTrigger lets go what a trigger holds.
func (g *dbGate) releaseTrigger(id int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.triggers {
		if t.ID == id {
			t.release()
			return nil
		}
	}
	return fmt.Errorf("there is no trigger %d", id)
}

// statement counts a statement and does what a trigger wants. With an error the statement is not sent on.
func (g *dbGate) statement(c *gateConn, m request) error {
	g.mu.Lock()
	g.counts.Statements++
	i := slices.IndexFunc(g.triggers, func(t *gateTrigger) bool { return t.matches(m) })
	if i < 0 {
		g.mu.Unlock()
		return nil
	}
	t := g.triggers[i]
	t.Fired++
	if t.Action == cutAction || t.Action == loseAction {
		g.counts.Cut++
	}
	g.mu.Unlock()
	slog.Info("trigger", "id", t.ID, "action", t.Action, "statement", m.statement)
	switch t.Action {
	case cutAction:
		return net.ErrClosed
	case loseAction:
		c.mu.Lock()
		c.lose = true
		c.mu.Unlock()
		return nil
	case holdAction:
		select {
		case <-time.After(t.length()):
		case <-t.released:
		case <-c.closed:
			return net.ErrClosed
		}
		return nil
	}
	if err := g.set(context.Background(), t.fault, t.length()); err != nil {
		slog.Error("set the fault of a trigger", "err", err)
	}
	return g.pass(c)
}
