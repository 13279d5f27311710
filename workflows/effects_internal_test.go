package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// endsSoon is a state whose served certificate has four hours left.
func endsSoon(p Phase) State {
	s := legal(p)
	s.Serving.Live = tableCertificate("01", tableTime.Add(4*time.Hour-90*24*time.Hour))
	s.Serving.Endangered = true
	return s
}

// TestB3_ARenewalIsTriedSeveralTimesBeforeItsCertificateEnds: no wait takes more than a quarter of what is left.
func TestB3_ARenewalIsTriedSeveralTimesBeforeItsCertificateEnds(t *testing.T) {
	t.Parallel()
	hour := tableTime.Add(time.Hour)
	for _, e := range []Event{Refused, MustWait, NamePaused} {
		d, h := tableDomain(t, endsSoon(Issuing)), happeningOf(e)
		h.wait = 24 * time.Hour
		d.happens(e, h)
		require.Equal(t, hour, d.state.Attempt.NextAt, e)
	}
	for _, e := range []Event{RecordsWrong, RecordsUnknown} {
		d := tableDomain(t, endsSoon(RenewalDue))
		d.happens(e, happeningOf(e))
		require.Equal(t, hour, d.state.Records.NextCheckAt, e)
	}
}

func TestB3_AHoldEndsWithItsReasonAndIsToldOnce(t *testing.T) {
	t.Parallel()
	s := legal(RenewalDue)
	s.Serving.Held = false
	d := tableDomain(t, s)
	d.happens(RecordsWrong, happeningOf(RecordsWrong))
	d.happens(RecordsWrong, happeningOf(RecordsWrong))
	require.Equal(t, cert.RenewalOnHold, d.state.status().Renewal)
	d.happens(RecordsRight, happeningOf(RecordsRight))
	require.False(t, d.state.Serving.Held)
	require.Equal(t, []cert.Event{
		{Type: cert.RenewalOnHoldEvent, Detail: "because"},
		{Type: cert.RenewalResumed, Detail: "what held the renewal back is gone"},
	}, d.events)
}

// TestB2_ACertificateThatSomeEdgesServeIsRenewedInTime: no wait for the others goes past its renewal.
func TestB2_ACertificateThatSomeEdgesServeIsRenewedInTime(t *testing.T) {
	t.Parallel()
	s := legal(Installing)
	s.Serving.Live = nil
	s.Serving.Issued.RenewAt = tableTime.Add(time.Hour)
	for _, e := range []Event{ServedInPart, RefusedInPart, MustWait, Refused} {
		d, h := tableDomain(t, s), happeningOf(e)
		h.wait = 2 * time.Hour
		d.happens(e, h)
		require.Equal(t, tableTime.Add(time.Hour), d.state.Attempt.NextAt, e)
	}
}
