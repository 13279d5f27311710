package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/keyring"
)

const stormDomains = 50

// TestE1_FiftyDomainsSurviveAWorkerThatIsKilledAllTheTime is figure 3, and figure 5 on what it leaves behind.
func TestE1_FiftyDomainsSurviveAWorkerThatIsKilledAllTheTime(t *testing.T) {
	t.Parallel()
	p := newPlatform(
		t, stack.Options{Env: map[string]string{"WORKER_ACTIVITY_SLOTS": "10"}},
	) // few at once, so that kills fall into every step
	hostnames := p.connectFile(names(stormDomains, "storm%02d.ready.test"))
	kills := p.storm(hostnames, func(n int) string { return "worker" })
	require.GreaterOrEqual(t, kills, 3, "the worker must have been killed in the middle of the work")
	p.requireExactlyOneOrderEach(t, hostnames)
	t.Run("figure5_no_private_key_leaks", func(t *testing.T) { noPrivateKeyLeaks(t, p, hostnames) })
}

// TestE1_FiftyDomainsSurviveTemporalAndPostgresKilled is the other half of figure 3.
func TestE1_FiftyDomainsSurviveTemporalAndPostgresKilled(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, stack.Options{Env: map[string]string{"WORKER_ACTIVITY_SLOTS": "5"}})
	hostnames := p.connectFile(names(stormDomains, "flood%02d.ready.test"))
	victims := []string{"temporal", "postgres"}
	kills := p.storm(hostnames, func(n int) string {
		if n < len(victims) {
			return victims[n]
		}
		return ""
	})
	require.Equal(t, len(victims), kills)
	p.requireExactlyOneOrderEach(t, hostnames)
}

// connectFile enrolls hostnames as a platform does that moves in: by a file (row E4).
func (p *platform) connectFile(hostnames []string) []string {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "domains.csv")
	require.NoError(p.t, os.WriteFile(file, []byte("hostname\n"+strings.Join(hostnames, "\n")+"\n"), 0o600))
	out, stderr, code := p.cli("connect", "--file", file, "--tenant", "acme")
	require.Zero(p.t, code, "%s%s", out, stderr)
	return hostnames
}

// storm kills parts at random moments of up to a few seconds until every domain is complete; victim names the nth, or none.
func (p *platform) storm(hostnames []string, victim func(n int) string) (kills int) {
	p.t.Helper()
	deadline := time.Now().Add(2 * patience)
	for {
		complete := p.complete()
		if complete == len(hostnames) {
			return kills
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%d of %d complete after %d kills: %s", complete, len(hostnames), kills, p.incomplete())
		}
		pause := time.NewTimer(time.Second + rand.N(3*time.Second))
		<-pause.C
		v := victim(kills)
		if v == "" {
			continue
		}
		switch _, err := p.Devstack("kill", v); {
		case err == nil:
			kills++
			p.t.Logf("%d of %d complete; kill -9 %s", complete, len(hostnames), v)
		case !strings.Contains(err.Error(), "isn't running now"): // it is being started again; the next moment will do
			p.t.Fatal(err)
		}
	}
}

// complete asks the database, not the API: PostgreSQL may be down at the moment, which counts as none.
func (p *platform) complete() (n int) {
	conn, err := pgx.Connect(p.t.Context(), p.info.Postgres)
	if err != nil {
		return 0
	}
	defer conn.Close(p.t.Context()) //nolint:errcheck // read only
	if err := conn.QueryRow(p.t.Context(), `SELECT count(*) FROM domains WHERE headline = $1`, cert.InstallationComplete).
		Scan(&n); err != nil {
		return 0
	}
	return n
}

func (p *platform) incomplete() string {
	var list struct{ Domains []control.Domain }
	p.call("GET", "/v1/domains?limit=500", nil, &list)
	var b strings.Builder
	for _, d := range list.Domains {
		if d.Headline != cert.InstallationComplete {
			fmt.Fprintf(&b, "%s: %s %v; ", d.Hostname, d.Headline, d.Problems)
		}
	}
	return b.String()
}

func (p *platform) requireExactlyOneOrderEach(t *testing.T, hostnames []string) {
	t.Helper()
	stats := p.caStats()
	t.Logf("CA: %+v", stats)
	require.Equal(t, len(hostnames), stats.Orders, "exactly one order for each domain")
	require.Equal(t, len(hostnames), stats.Certificates)
	for _, name := range hostnames {
		d := p.status(name)
		require.Equal(t, cert.InstallationComplete, d.Headline, name)
		require.Zero(t, d.Failures, name)
		leaf, _, err := p.browse(name)
		require.NoError(t, err, name)
		require.Equal(t, []string{name}, leaf.DNSNames)
	}
}

// noPrivateKeyLeaks unseals every key and searches for it, in the forms that a key is written in, wherever it must not be.
func noPrivateKeyLeaks(t *testing.T, p *platform, hostnames []string) {
	keys, err := keyring.Load(filepath.Join(p.Dir, "keyring.json"))
	require.NoError(t, err)
	secrets := unsealAll(t, p, keys)
	require.Equal(
		t, len(hostnames)+1, len(secrets), "a leaf key for each domain and the account's",
	) // by number: a failing test must not print keys

	places := map[string]string{}
	for _, part := range []string{"worker", "api", "edge", "temporal", "ca", "dns"} {
		places[part+".log"] = p.Log(part)
	}
	for _, name := range hostnames {
		for _, path := range []string{"", "/records", "/timeline", "/certificate", "/csr"} {
			places["GET "+name+path] = p.raw("/v1/domains/" + name + path)
		}
	}
	for _, database := range []string{"temporal", "temporal_visibility"} {
		places[database] = dump(t, p, database)
	}
	require.Contains(t, places["temporal"], hex.EncodeToString([]byte(hostnames[0])), "the search must be able to find something")
	for place, text := range places {
		lower := strings.ToLower(text)
		require.False(t, strings.Contains(text, "PRIVATE KEY"), place)
		for _, der := range secrets {
			// The tail of a PKCS#8 P-256 key holds the scalar and the public point; the head is the same in every key.
			secret := der[36:68]
			for i := range 3 { // base64 of a part of a text depends on where the part begins
				encoded := base64.StdEncoding.EncodeToString(secret[i:])
				require.False(t, strings.Contains(text, encoded[:36]), "base64 of a key in %s", place)
			}
			require.False(t, strings.Contains(lower, hex.EncodeToString(secret)), "a key in hexadecimal in %s", place)
			require.False(
				t, strings.Contains(lower, hex.EncodeToString([]byte(base64.StdEncoding.EncodeToString(der)[48:80]))), "PEM of a key in %s", place,
			)
			require.False(t, strings.Contains(text, string(secret)), "raw bytes of a key in %s", place)
		}
	}
}

func unsealAll(t *testing.T, p *platform, keys *keyring.Keyring) (ders [][]byte) {
	conn, err := pgx.Connect(t.Context(), p.info.Postgres)
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // read only
	rows, err := conn.Query(t.Context(), `SELECT id, sealed FROM keys UNION ALL SELECT key_id, sealed_key FROM acme_accounts`)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		var sealed []byte
		require.NoError(t, rows.Scan(&id, &sealed))
		der, err := keys.Unseal(sealed, id)
		require.NoError(t, err)
		require.False(t, bytes.Contains(sealed, der[36:68]), "a key that is stored is sealed")
		ders = append(ders, der)
	}
	require.NoError(t, rows.Err())
	return ders
}

// dump is every row of every table of a database as text; byte strings in hexadecimal.
func dump(t *testing.T, p *platform, database string) string {
	u, err := url.Parse(p.info.Postgres)
	require.NoError(t, err)
	u.Path = "/" + database
	conn, err := pgx.Connect(t.Context(), u.String())
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // read only
	rows, err := conn.Query(t.Context(), `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	var b strings.Builder
	for _, table := range tables {
		rows, err := conn.Query(t.Context(), `SELECT t::text FROM `+pgx.Identifier{table}.Sanitize()+` t`)
		require.NoError(t, err)
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		b.WriteString(strings.Join(texts, "\n"))
	}
	return b.String()
}
