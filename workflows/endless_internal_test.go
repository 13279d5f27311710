package workflows

import (
	"math"

	"go.temporal.io/sdk/temporal"
)

// The SDK's test environment takes an unlimited number of attempts for ten. This says the same in a way that it believes.
func init() {
	for _, p := range []*temporal.RetryPolicy{patient, enduring} {
		if p.MaximumAttempts == 0 {
			p.MaximumAttempts = math.MaxInt32
		}
	}
}
