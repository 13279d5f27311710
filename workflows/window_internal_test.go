package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

func TestF3_ACertificateIsRenewedInsideTheWindowThatItsCASuggests(t *testing.T) {
	t.Parallel()
	issued := activities.Issued{Certificate: cert.Certificate{Serial: "0a", NotBefore: tableTime, NotAfter: tableTime.Add(90 * 24 * time.Hour)}}
	thirds := newCertificate(issued).RenewAt
	require.False(t, thirds.After(tableTime.Add(60*24*time.Hour)))

	issued.Window = cert.Window{Start: tableTime.Add(40 * 24 * time.Hour), End: tableTime.Add(41 * 24 * time.Hour)}
	at := newCertificate(issued).RenewAt
	require.True(t, !at.Before(issued.Window.Start) && !at.After(issued.Window.End), "%s", at)
	require.Equal(t, at, newCertificate(issued).RenewAt)

	issued.Window.End = issued.Window.Start
	require.Equal(t, thirds, newCertificate(issued).RenewAt, "a window that is none")
}
