package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence"
)

// liveShare is a share that may change while the stack runs.
type liveShare struct{ bits atomic.Uint64 }

func (s *liveShare) Load() float64   { return math.Float64frombits(s.bits.Load()) }
func (s *liveShare) Store(v float64) { s.bits.Store(math.Float64bits(v)) }

func checkShare(share float64) error {
	if !(share >= 0 && share <= 1) { // NaN is neither
		return fmt.Errorf("%g is not a share: want a number from 0 to 1", share)
	}
	return nil
}

// storageMethods are the calls of Temporal's main store on which a running workflow depends; true for those that write, half of whose
// faults are carried out all the same.
var storageMethods = map[config.DataStoreName]map[string]bool{
	config.ExecutionStoreName: {
		"CreateWorkflowExecution": true, "UpdateWorkflowExecution": true, "AppendHistoryNodes": true, "AddHistoryTasks": true,
		"GetWorkflowExecution": false, "GetCurrentExecution": false, "ReadHistoryBranch": false, "GetHistoryTasks": false,
		"RangeCompleteHistoryTasks": true,
	},
	config.TaskStoreName:  {"CreateTasks": true, "GetTasks": false, "UpdateTaskQueue": true, "CompleteTasksLessThan": true},
	config.ShardStoreName: {"UpdateShard": true},
}

// storageFaults makes a share of Temporal's own database calls fail.
type storageFaults struct {
	rate float64
	on   atomic.Bool
}

// begin switches on the faults that are not carried out. They are off while the server starts, so that it starts quickly.
func (f *storageFaults) begin() { f.on.Store(true) }

// config is nil without faults. A call that is carried out but reported as timed out can be had only by Targets, whose rate is fixed from
// the start; one for which the Injector returns an error is never carried out. Each method has one kind in Targets: with several,
// the order of a map decides which roll means which.
func (f *storageFaults) config() *config.FaultInjection {
	if f.rate == 0 {
		return nil
	}
	const seed = 42
	stores := map[config.DataStoreName]config.FaultInjectionDataStoreConfig{}
	for store, methods := range storageMethods {
		c := config.FaultInjectionDataStoreConfig{Methods: map[string]config.FaultInjectionMethodConfig{}}
		for method, writes := range methods {
			if writes {
				c.Methods[method] = config.FaultInjectionMethodConfig{Seed: seed, Errors: map[string]float64{"ExecuteAndTimeout": f.rate / 2}}
			}
		}
		stores[store] = c
	}
	return &config.FaultInjection{Targets: config.FaultInjectionTargets{DataStores: stores}, Injector: f.inject}
}

// inject is asked before Targets.
func (f *storageFaults) inject(t config.FaultInjectionTarget) error {
	writes, known := storageMethods[t.Store][t.Method]
	if !known || !f.on.Load() {
		return nil
	}
	share := f.rate
	if writes {
		share /= 2 // the other half comes from Targets
	}
	roll := rand.Float64()
	switch {
	case roll >= share:
		return nil
	case t.Store == config.ShardStoreName && roll < share/5:
		return &persistence.ShardOwnershipLostError{Msg: "ordered by --temporal-faults"}
	default:
		return &persistence.TimeoutError{Msg: "ordered by --temporal-faults: not carried out"}
	}
}
