package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

const directory = "https://ca.example/directory"

func TestWorkersThatRegisterAtOnceGoOnWithOneAccount(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, found, err := db.Account(t.Context(), directory)
	require.NoError(t, err)
	require.False(t, found)
	var wg sync.WaitGroup
	stored, errs := make([]cert.Account, 10), make([]error, 10)
	for i := range stored {
		wg.Go(func() {
			stored[i], errs[i] = db.SaveAccount(t.Context(), cert.Account{
				Directory: directory, URL: fmt.Sprintf("https://ca.example/account/%d", i),
				Contact: "mailto:ops@example.com", KeyID: fmt.Sprint(i), SealedKey: []byte{byte(i)},
			})
		})
	}
	wg.Wait()
	account, found, err := db.Account(t.Context(), directory)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, fmt.Sprintf("https://ca.example/account/%d", account.SealedKey[0]), account.URL)
	for i := range stored {
		require.NoError(t, errs[i])
		require.Equal(t, account, stored[i])
	}
}

func TestAnAccountThatTheCAForgotIsRetiredButNotItsSuccessor(t *testing.T) {
	t.Parallel()
	db := open(t)
	old := cert.Account{Directory: directory, URL: "https://ca.example/account/1", KeyID: "1", SealedKey: []byte{1}}
	fresh := cert.Account{Directory: directory, URL: "https://ca.example/account/2", KeyID: "2", SealedKey: []byte{2}}
	_, err := db.SaveAccount(t.Context(), old)
	require.NoError(t, err)
	require.NoError(t, db.RetireAccount(t.Context(), directory, old.URL, "forgotten"))
	_, found, err := db.Account(t.Context(), directory)
	require.NoError(t, err)
	require.False(t, found)
	_, err = db.SaveAccount(t.Context(), fresh)
	require.NoError(t, err)

	require.NoError(t, db.RetireAccount(t.Context(), directory, old.URL, "noticed late"))
	account, found, err := db.Account(t.Context(), directory)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, fresh, account)
	require.Equal(
		t, 1,
		db.count(
			`SELECT count(*) FROM acme_accounts WHERE url = $1 AND state = 'retired' AND retired_because = 'forgotten' AND sealed_key = '\x01'`,
			old.URL,
		),
	)
}

func block(kind, message string) cert.AccountBlock {
	return cert.AccountBlock{
		Directory: directory, AccountURL: accountURL, Kind: kind, Settings: "profile a",
		Problem: cert.Problem{Code: cert.AccountProblem, WhoActs: cert.PlatformActs, Message: message, Remediation: "accept the terms"},
	}
}

// probeIsDue sets the time of the next probe to now.
func (db *database) probeIsDue() { db.sql(`UPDATE acme_blocks SET probe_at = now()`) }

func TestABlockedAccountIsOneCaseThatClosesByItself(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, blocked, err := db.AccountBlock(t.Context(), directory)
	require.NoError(t, err)
	require.False(t, blocked)
	var wg sync.WaitGroup
	for range 20 { // many domains get it at once
		wg.Go(func() {
			if _, err := db.BlockAccount(t.Context(), block("userActionRequired", "new terms")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stored, blocked, err := db.AccountBlock(t.Context(), directory)
	require.NoError(t, err)
	require.True(t, blocked)
	require.InDelta(t, 5*time.Minute, stored.Wait, float64(time.Minute))
	want := block("userActionRequired", "new terms")
	want.Wait = stored.Wait
	require.Equal(t, want, stored)
	openCases := `SELECT count(*) FROM cases WHERE id = $1 AND closed_at IS NULL AND domain_id IS NULL AND problems -> 0 ->> 'message' = $2`
	require.Equal(t, 1, db.count(openCases, "account:"+accountURL, "new terms"))
	require.Equal(t, 1, db.count(`SELECT count(*) FROM cases`))

	for _, was := range []bool{true, false} {
		unblocked, err := db.UnblockAccount(t.Context(), directory, "accepted")
		require.NoError(t, err)
		require.Equal(t, was, unblocked)
	}
	require.Equal(t, 1, db.count(`SELECT count(*) FROM cases WHERE closed_at IS NOT NULL AND resolution = 'accepted'`))

	registration := block("externalAccountRequired", "wrong EAB")
	registration.AccountURL = ""
	_, err = db.BlockAccount(t.Context(), registration)
	require.NoError(t, err)
	require.Equal(t, 1, db.count(openCases, "account:"+directory, "wrong EAB"))
	_, err = db.UnblockAccount(t.Context(), directory, "registered")
	require.NoError(t, err)
	_, err = db.BlockAccount(t.Context(), block("unauthorized", "deactivated"))
	require.NoError(t, err)
	require.Equal(t, 1, db.count(openCases, "account:"+accountURL, "deactivated"), "a case that was closed opens again")
}

func TestOneCallerProbesABlockedAccountAtATime(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, err := db.BlockAccount(t.Context(), block("userActionRequired", "new terms"))
	require.NoError(t, err)
	lease := func(settings string) bool {
		leased, err := db.LeaseProbe(t.Context(), directory, settings)
		require.NoError(t, err)
		return leased
	}
	require.False(t, lease("profile a"), "not before the time of the first probe")
	for _, minutes := range []int{10, 20, 40, 60, 60} {
		db.probeIsDue()
		var leased atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if ok, err := db.LeaseProbe(t.Context(), directory, "profile a"); err != nil {
					t.Error(err)
				} else if ok {
					leased.Add(1)
				}
			})
		}
		wg.Wait()
		require.Equal(t, int32(1), leased.Load())
		again, err := db.BlockAccount(t.Context(), block("userActionRequired", "new terms")) // the probe failed
		require.NoError(t, err)
		require.InDelta(t, time.Duration(minutes)*time.Minute, again.Wait, float64(time.Minute))
	}
	require.False(t, lease("profile b"), "just probed")
	db.sql(`UPDATE acme_blocks SET probed_at = now() - interval '10 seconds'`)
	require.True(t, lease("profile b"), "other settings are tried at once")
	require.False(t, lease("profile b"))
}
