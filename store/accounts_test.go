package store_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/store"
)

const directory = "https://ca.example/directory"

func TestWorkersThatRegisterAtOnceGoOnWithOneAccount(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, err := db.Account(t.Context(), directory)
	require.ErrorIs(t, err, store.ErrNotFound)
	var wg sync.WaitGroup
	stored, errs := make([]store.Account, 10), make([]error, 10)
	for i := range stored {
		wg.Go(func() {
			stored[i], errs[i] = db.SaveAccount(t.Context(), store.Account{
				Directory: directory, URL: fmt.Sprintf("https://ca.example/account/%d", i),
				Contact: "mailto:ops@example.com", KeyID: fmt.Sprint(i), SealedKey: []byte{byte(i)},
			})
		})
	}
	wg.Wait()
	account, err := db.Account(t.Context(), directory)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("https://ca.example/account/%d", account.SealedKey[0]), account.URL)
	for i := range stored {
		require.NoError(t, errs[i])
		require.Equal(t, account, stored[i])
	}
}

func TestAccountThatTheCAForgotIsDeletedButNotItsSuccessor(t *testing.T) {
	t.Parallel()
	db := open(t)
	old := store.Account{Directory: directory, URL: "https://ca.example/account/1", KeyID: "1", SealedKey: []byte{1}}
	fresh := store.Account{Directory: directory, URL: "https://ca.example/account/2", KeyID: "2", SealedKey: []byte{2}}
	_, err := db.SaveAccount(t.Context(), old)
	require.NoError(t, err)
	require.NoError(t, db.DeleteAccount(t.Context(), directory, old.URL))
	_, err = db.SaveAccount(t.Context(), fresh)
	require.NoError(t, err)

	require.NoError(t, db.DeleteAccount(t.Context(), directory, old.URL)) // a worker that noticed late
	account, err := db.Account(t.Context(), directory)
	require.NoError(t, err)
	require.Equal(t, fresh, account)
}
