package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// TestF19_ARefusedClaimSaysWhichRecordDecides, also while Temporal is away: then nothing is contested, and the name stays where it is.
func TestF19_ARefusedClaimSaysWhichRecordDecides(t *testing.T) {
	t.Parallel()
	for _, down := range []bool{false, true} {
		b := setup(t)
		b.connected(t, "shop.example.com")
		b.workflows.SetDown(down)
		_, err := b.Connect(t.Context(), control.Connection{Hostname: "shop.example.com", Tenant: "other"})
		require.Equal(t, cert.NameTaken, code(t, err), "down %t: %v", down, err)
		require.False(t, control.IsFault(err))
		p := cert.AsProblem(err)
		want := cert.OwnershipValue("shop.example.com", "other", []byte("secret of other"))
		require.Equal(t, &cert.Record{Name: "_evercert.shop.example.com", Type: "TXT", Value: want, Purpose: cert.ForOwnership, Hostname: "shop.example.com"}, p.Record)
		require.Contains(t, p.Remediation, "a TXT record named _evercert.shop (in full: _evercert.shop.example.com) with the value "+want)
		require.NotContains(t, p.Message+p.Remediation, "acme")
	}
}

func TestF19_AContestAsksTheWorkflowThatHasTheName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com", "blog.example.com")
	asked := 0
	b.workflows.Reply = func(hostname, verb string, argument any) (cert.Answer, error) {
		request, ok := argument.(workflows.ContestRequest)
		require.True(t, ok && verb == workflows.Contest && hostname == "shop.example.com")
		require.Equal(t, workflows.ContestRequest{Tenant: "other", Names: []string{"blog.example.com"}}, request)
		if asked++; asked == 1 {
			return cert.Answer{}, nil // it looks
		}
		if asked == 2 {
			return cert.Answer{}, cert.Problem{Code: cert.RequestRefused, Message: workflows.StillChecking}
		}
		return cert.Answer{MovesAt: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)}, nil
	}
	_, err := b.Connect(t.Context(), control.Connection{Hostname: "blog.example.com", Also: []string{"new.example.com"}, Tenant: "other"})
	require.Equal(t, cert.NameTaken, code(t, err))
	require.Contains(t, cert.AsProblem(err).Message, "the name is yours from 2026-03-05 12:00 UTC on")
	require.Equal(t, 3, asked)
}

// TestF19_AFileOfDomainsWaitsForNoContest: thousands of names that others have must not take hours.
func TestF19_AFileOfDomainsWaitsForNoContest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	asked := 0
	b.workflows.Reply = func(string, string, any) (cert.Answer, error) {
		asked++
		return cert.Answer{}, nil
	}
	var results []control.RowResult
	rows := slices.Values([]control.Row{{Line: 1, Connection: control.Connection{Hostname: "shop.example.com", Tenant: "other"}}})
	require.NoError(t, b.ConnectAll(t.Context(), rows, 1, func(r control.RowResult) { results = append(results, r) }))
	require.Len(t, results, 1)
	require.Equal(t, cert.NameTaken, results[0].Problem.Code)
	require.Equal(t, 1, asked, "and it is contested all the same")
}

func TestF19_LiftingAQuarantineTakesAReasonAndIsRefusedForOtherNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.Quarantined = []store.Quarantined{{Name: "xn--bcher-kva.example.com", Tenant: "acme", EndsAt: b.store.Now()}}
	for _, c := range []struct {
		request control.Request
		code    cert.Code
	}{
		{control.Request{Name: "bücher.example.com", By: "kim"}, cert.RequestMalformed},
		{control.Request{Name: "bücher.example.com", By: "kim", Reason: "a\nb"}, cert.RequestMalformed},
		{control.Request{Name: "shop.example.com", By: "kim", Reason: "sold"}, cert.RequestRefused},
		{control.Request{Name: "a b", By: "kim", Reason: "sold"}, cert.NameInvalid},
	} {
		_, err := b.LiftQuarantine(t.Context(), c.request)
		require.Equal(t, c.code, code(t, err), "%+v", c.request)
	}
	lifted, err := b.LiftQuarantine(t.Context(), control.Request{Name: "Bücher.example.com", By: "kim", Reason: "it was sold"})
	require.NoError(t, err)
	require.Equal(t, "acme", lifted.Tenant)
	last := b.store.Events[len(b.store.Events)-1]
	require.Equal(t, cert.QuarantineLifted, last.Type)
	require.True(t, strings.Contains(last.Detail, "lifted by kim: it was sold"), last.Detail)
	for _, limit := range []int{-1, control.MaxPage + 1} {
		_, err = b.Quarantine(t.Context(), "", limit)
		require.Equal(t, cert.RequestMalformed, code(t, err))
	}
}
