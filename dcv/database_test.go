package dcv_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/store"
)

func TestMain(m *testing.M) { stack.Main(m) }

// open connects to a database over its own connections, as a separate process does.
func open(t *testing.T, database string) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// TestD2_InstancesOverOneDatabase: after Present returns, every server shows what one process stored; after CleanUp, none does.
func TestD2_InstancesOverOneDatabase(t *testing.T) {
	t.Parallel()
	database := stack.Database(t)
	first, second := startOver(t, open(t, database)), startOver(t, open(t, database))
	solver := dcv.NewSolver(
		open(t, database),
		delegated{"shop.example.com": name},
		dcv.SolverConfig{Instances: []string{first.Addr(), second.Addr()}},
	)
	everywhere := func(want ...string) {
		t.Helper()
		for _, server := range []*dcv.Server{first, second} {
			for _, network := range []string{"+udp", "+tcp"} {
				require.Equal(t, want, texts(dig(t, server.Addr(), name, dns.TypeTXT, network)))
			}
		}
	}
	wildcard := cert.Challenge{Name: "shop.example.com", Method: cert.DNS01, KeyAuthorization: "wildcard.thumbprint"}
	const value, wildcardValue = "lCM7cZyQXcVHK2nnW3jjAhNT3Fvm18UN-kWZZknKoYM", "s4Qws40yK4HZFkXV46YsG65Q5ZI6eFRxYcRF_Flt91Y"

	require.NoError(t, solver.Present(t.Context(), dns01))
	everywhere(value)
	require.NoError(t, solver.Present(t.Context(), wildcard))
	everywhere(value, wildcardValue) // both values at once, as one name validates both orders
	require.NoError(t, solver.CleanUp(t.Context(), dns01))
	everywhere(wildcardValue)
	require.NoError(t, solver.CleanUp(t.Context(), wildcard))
	everywhere()
}

// TestServer_TwoHundredValuesOfOneLabel: one label can hold the values of 200 orders at once, from the database to the answer.
func TestServer_TwoHundredValuesOfOneLabel(t *testing.T) {
	t.Parallel()
	db := open(t, stack.Database(t))
	server := startOver(t, db)
	var want []string
	for i := range 200 {
		want = append(want, fmt.Sprintf("%043d", i)) // as long as a SHA-256 digest in base64url
		require.NoError(t, db.PutTXT(t.Context(), name, want[i], time.Hour))
	}
	reply := dig(t, server.Addr(), name, dns.TypeTXT)
	require.True(t, reply.Truncated)
	require.Empty(t, reply.Answer)
	reply = dig(t, server.Addr(), name, dns.TypeTXT, "+tcp")
	require.False(t, reply.Truncated)
	require.ElementsMatch(t, want, texts(reply))
}
