package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/worker"
)

// newTuner returns the worker's slots, and separately those for workflow tasks, which report whether there is room for new domains.
func newTuner(c Config) (worker.WorkerTuner, *workflowSlots, error) {
	workflowTasks, err := worker.NewFixedSizeSlotSupplier(c.WorkflowSlots)
	if err != nil {
		return nil, nil, fmt.Errorf("slots for workflow tasks: %w", err)
	}
	activityTasks, err := worker.NewFixedSizeSlotSupplier(c.ActivitySlots)
	if err != nil {
		return nil, nil, fmt.Errorf("slots for activities: %w", err)
	}
	local, err := worker.NewFixedSizeSlotSupplier(c.ActivitySlots)
	if err != nil {
		return nil, nil, fmt.Errorf("slots for local activities: %w", err)
	}
	slots := &workflowSlots{SlotSupplier: workflowTasks, forNew: int64(c.WorkflowSlots / 2), freed: make(chan struct{}, 1)}
	t, err := worker.NewCompositeTuner(worker.CompositeTunerOptions{
		WorkflowSlotSupplier: slots, ActivitySlotSupplier: activityTasks, LocalActivitySlotSupplier: local,
		NexusSlotSupplier: local, SessionActivitySlotSupplier: local, // neither is used
	})
	return t, slots, err
}

// workflowSlots are the slots for workflow tasks. New domains start while fewer than half of the slots are in use. The other half is kept
// for domains that exist: a task without a slot waits in Temporal's tables, and many waiting tasks make Temporal so slow that it loses some
// of them until their time-out.
type workflowSlots struct {
	worker.SlotSupplier

	forNew int64
	busy   atomic.Int64
	freed  chan struct{}
}

// used marks the permit of a slot that runs a task. Other slots are held by pollers.
type used struct{}

// MarkSlotUsed implements worker.SlotSupplier.
func (s *workflowSlots) MarkSlotUsed(info worker.SlotMarkUsedInfo) {
	info.Permit().UserData = used{}
	s.busy.Add(1)
	s.SlotSupplier.MarkSlotUsed(info)
}

// ReleaseSlot implements worker.SlotSupplier.
func (s *workflowSlots) ReleaseSlot(info worker.SlotReleaseInfo) {
	s.SlotSupplier.ReleaseSlot(info)
	if _, worked := info.Permit().UserData.(used); worked && s.busy.Add(-1) < s.forNew {
		select {
		case s.freed <- struct{}{}:
		default:
		}
	}
}

// longestForRoom limits how long a new domain waits for a slot. When all slots are busy for longer, its workflow is started and waits in
// Temporal, so that it is never delayed without limit.
const longestForRoom = time.Second

// Room blocks until a new workflow finds a slot here, or for longestForRoom. It returns the error of ctx.
func (s *workflowSlots) Room(ctx context.Context) error {
	patience := time.NewTimer(longestForRoom)
	defer patience.Stop()
	for s.busy.Load() >= s.forNew {
		select {
		case <-s.freed:
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
