package workflows

import "math"

// The SDK's test environment replaces an unlimited number of attempts by ten. This number has the same effect and is not replaced.
func init() {
	if patient.MaximumAttempts == 0 {
		patient.MaximumAttempts = math.MaxInt32
	}
}
