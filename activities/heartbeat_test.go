package activities_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOnlyAnOrderThatTakesLongSaysThatItLives: only slow orders send heartbeats, because each is a billed action.
func TestOnlyAnOrderThatTakesLongSaysThatItLives(t *testing.T) {
	t.Parallel()
	beats := func(takes time.Duration) (n int) {
		synctest.Test(t, func(t *testing.T) {
			o := withCSR(t)
			o.takes = takes
			_, err := o.orderCertificate()
			require.NoError(t, err)
			n = o.beats
		})
		return n
	}
	require.Zero(t, beats(3*time.Second))
	require.Positive(t, beats(9*time.Second), "within HeartbeatTimeout")
	require.Greater(t, beats(2*time.Minute), 1)
}
