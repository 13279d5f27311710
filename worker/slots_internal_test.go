package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
)

// supplier always has a free slot.
type supplier struct{ worker.SlotSupplier }

func (supplier) MarkSlotUsed(worker.SlotMarkUsedInfo) {}
func (supplier) ReleaseSlot(worker.SlotReleaseInfo)   {}

// marked and released are what the SDK reports about a permit.
type marked struct {
	worker.SlotMarkUsedInfo
	permit *worker.SlotPermit
}

func (m marked) Permit() *worker.SlotPermit { return m.permit }

type released struct {
	worker.SlotReleaseInfo
	permit *worker.SlotPermit
}

func (r released) Permit() *worker.SlotPermit { return r.permit }

func TestE4_HalfOfTheSlotsAreKeptForDomainsThatGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tuner, s, err := newTuner(Config{WorkflowSlots: 4, ActivitySlots: 1})
		require.NoError(t, err)
		require.Same(t, s, tuner.GetWorkflowTaskSlotSupplier())
		s.SlotSupplier = supplier{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		waits := func() (ended chan error) {
			ended = make(chan error, 1)
			go func() { ended <- s.Room(ctx) }()
			synctest.Wait()
			return ended
		}
		task := func() (end func()) {
			permit := &worker.SlotPermit{}
			s.MarkSlotUsed(marked{permit: permit})
			return func() {
				s.ReleaseSlot(released{permit: permit})
				synctest.Wait()
			}
		}

		first := task()
		require.NoError(t, <-waits(), "one of two is busy")
		second := task()
		_ = task() // a task of a domain that exists
		blocked := waits()
		require.Empty(t, blocked)

		s.ReleaseSlot(released{permit: &worker.SlotPermit{}}) // was held by a poller that got no task
		synctest.Wait()
		require.Empty(t, blocked, "no task has ended")
		first()
		require.Empty(t, blocked, "two are busy still")
		second()
		require.NoError(t, <-blocked)

		_ = task()
		blocked = waits()
		require.Empty(t, blocked)
		time.Sleep(longestForRoom) // the bubble's clock
		require.NoError(t, <-blocked, "a new domain must not starve while the slots stay busy")

		blocked = waits()
		cancel()
		require.ErrorIs(t, <-blocked, context.Canceled)
	})
}

func TestPollersLeaveSlotsForNewDomains(t *testing.T) {
	t.Parallel()
	for slots, want := range map[int]int{2: 2, 9: 3, 30: 10, 100: 32, 1000: 32} {
		require.Equal(t, want, workflowPollers(slots), "%d slots", slots)
	}
}
