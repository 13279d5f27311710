package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// TestF12_AbsencesHoldForTheirDomainAndTheirTime: for one domain, or for all; the later end of two counts; what has ended is not listed.
func TestF12_AbsencesHoldForTheirDomainAndTheirTime(t *testing.T) {
	t.Parallel()
	db := open(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	down := cert.Problem{Code: cert.CAUnavailable, Message: "down", WhoActs: cert.CAActs}
	leave := func(directory, domain string, until time.Duration) cert.Absence {
		a := cert.Absence{Directory: directory, DomainID: domain, Until: now.Add(until), Problem: down}
		require.NoError(t, db.Leave(t.Context(), a))
		return a
	}
	all := leave("https://one.example", "", time.Hour)
	leave("https://one.example", "", time.Minute)
	own := leave("https://two.example", "a", time.Hour)
	leave("https://two.example", "b", time.Hour)
	leave("https://three.example", "a", -time.Hour)

	got, err := db.Absences(t.Context(), "a")
	require.NoError(t, err)
	for i := range got {
		got[i].Until = got[i].Until.UTC()
	}
	require.Equal(t, []cert.Absence{all, own}, got)
	got, err = db.Absences(t.Context(), "c")
	require.NoError(t, err)
	require.Len(t, got, 1)
}

func TestF12_TheListOfCAsIsWhatTheNewestWorkerWasStartedWith(t *testing.T) {
	t.Parallel()
	db := open(t)
	got, err := db.ConfiguredCAs(t.Context())
	require.NoError(t, err)
	require.Empty(t, got)
	first := cert.ConfiguredCA{
		Position:      1,
		Name:          "one",
		Directory:     "https://one.example",
		Profile:       "classic",
		CAAIdentities: []string{"one.example"},
	}
	second := cert.ConfiguredCA{Position: 2, Name: "two", Directory: "https://two.example"}
	require.NoError(t, db.ConfigureCAs(t.Context(), []cert.ConfiguredCA{second, first}))
	require.NoError(t, db.ConfigureCAs(t.Context(), []cert.ConfiguredCA{first, second}))

	_, err = db.SaveAccount(
		t.Context(),
		cert.Account{Directory: second.Directory, URL: "https://two.example/account/1", KeyID: "1", SealedKey: []byte{1}},
	)
	require.NoError(t, err)
	refused := cert.Problem{Code: cert.AccountProblem, Message: "new terms", WhoActs: cert.PlatformActs}
	_, err = db.BlockAccount(
		t.Context(),
		cert.AccountBlock{Directory: second.Directory, AccountURL: "https://two.example/account/1", Kind: "userActionRequired", Problem: refused},
	)
	require.NoError(t, err)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	down := cert.Problem{Code: cert.CAUnavailable, Message: "down", WhoActs: cert.CAActs}
	require.NoError(t, db.Leave(t.Context(), cert.Absence{Directory: first.Directory, Until: until, Problem: down}))
	for _, domain := range []string{"a", "b"} {
		require.NoError(t, db.Leave(t.Context(), cert.Absence{Directory: first.Directory, DomainID: domain, Until: until, Problem: down}))
	}

	first.AbsentUntil, first.Absence, first.AbsentFor = until, &down, 2
	second.AccountURL, second.Blocked = "https://two.example/account/1", &refused
	got, err = db.ConfiguredCAs(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 2)
	for i := range got {
		got[i].AbsentUntil = got[i].AbsentUntil.UTC()
		if len(got[i].CAAIdentities) == 0 {
			got[i].CAAIdentities = nil
		}
	}
	require.Equal(t, []cert.ConfiguredCA{first, second}, got)
}
