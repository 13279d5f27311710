package workflows

import "math"

// The SDK's test environment takes an unlimited number of attempts for ten. This says the same in a way that it believes.
func init() {
	if patient.MaximumAttempts == 0 {
		patient.MaximumAttempts = math.MaxInt32
	}
}
