package main

import (
	"math"
	"testing"

	"go.temporal.io/server/common/config"
)

func TestStorageFaultsAreHalfCarriedOutForWritesAndBeginOnOrder(t *testing.T) {
	t.Parallel()
	if (&storageFaults{}).config() != nil {
		t.Error("without a share nothing may be injected")
	}
	f := &storageFaults{rate: 1}
	c := f.config()
	write := config.FaultInjectionTarget{Store: config.ExecutionStoreName, Method: "UpdateWorkflowExecution"}
	read := config.FaultInjectionTarget{Store: config.ExecutionStoreName, Method: "GetWorkflowExecution"}
	if err := c.Injector(read); err != nil {
		t.Errorf("before the server is ready: %v", err)
	}
	f.begin()
	if c.Injector(read) == nil {
		t.Error("with the share 1 each read must fail")
	}
	if err := c.Injector(config.FaultInjectionTarget{Store: config.MetadataStoreName, Method: "GetMetadata"}); err != nil {
		t.Errorf("a call that no workflow depends on: %v", err)
	}
	const calls = 1000
	failed := 0
	for range calls {
		if c.Injector(write) != nil {
			failed++
		}
	}
	if failed == 0 || failed == calls {
		t.Errorf("%d of %d writes failed without being carried out, want half", failed, calls)
	}
	methods := c.Targets.DataStores[config.ExecutionStoreName].Methods
	if share := methods[write.Method].Errors["ExecuteAndTimeout"]; share != 0.5 {
		t.Errorf("%g of the writes are carried out and reported as timed out, want 0.5", share)
	}
	if _, ok := methods[read.Method]; ok {
		t.Error("a read that is carried out and lost is the same as one that is not carried out")
	}
	for _, share := range []float64{-0.1, 1.1, math.NaN()} {
		if checkShare(share) == nil {
			t.Errorf("the share %g was taken", share)
		}
	}
}
