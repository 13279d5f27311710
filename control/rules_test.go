package control_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/calendar"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/control/controltest"
)

func TestF14_EachRuleHasTheNumberOfDomainsThatItTouches(t *testing.T) {
	t.Parallel()
	store := controltest.NewStore()
	platform := cert.Platform{ValidationZone: "dcv.example.net", Target: "edge.example.net"}
	c := control.New(store, &controltest.Workflows{}, cert.NameRules{}, platform, slog.New(slog.DiscardHandler))
	for _, hostname := range []string{"long.example.com", "bogus.example.com"} {
		_, err := c.Connect(t.Context(), control.Connection{Hostname: hostname, Tenant: "acme"})
		require.NoError(t, err)
	}
	now := store.Now()
	long := cert.Certificate{NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour), Directory: calendar.LetsEncryptDirectory}
	store.Certificates = map[string]cert.Certificate{"0a": long}
	store.Record("long.example.com", func(s *cert.Snapshot) { s.Serial, s.Status.HasLive = "0a", true })
	store.Checked("bogus.example.com", cert.Diagnosis{CheckedAt: now, Problems: []cert.Problem{{Code: cert.DNSSECBogus}}})

	rules, err := c.Rules(t.Context())
	require.NoError(t, err)
	counts := map[string]*int{}
	for _, r := range rules {
		counts[r.ID] = r.Domains
	}
	number := func(n int) *int { return &n }
	require.Equal(t, map[string]*int{
		"cab-200-days": number(0), "cab-dnssec": number(1), "cab-five-perspectives": nil, "root-ksk-2017-revoked": nil, "le-64-days": number(1),
		"cab-100-days": number(0), "cab-rfc8657": number(0), "le-45-days": number(1), "cab-no-email": number(0), "cab-47-days": number(1),
	}, counts)

	store.Fail(errors.New("database away"))
	_, err = c.Rules(t.Context())
	require.ErrorContains(t, err, "database away", "a number that is not known is not left out silently")
}

func TestF14_TheCalendarSaysWhatIsInForce(t *testing.T) {
	t.Parallel()
	for _, r := range control.Calendar(time.Date(2027, 2, 10, 0, 0, 0, 0, time.UTC)) {
		require.Equal(t, !r.Date.After(time.Date(2027, 2, 10, 0, 0, 0, 0, time.UTC)), r.InForce, r.ID)
	}
}
