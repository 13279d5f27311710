package e2e

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/dcv"
	"github.com/evercert/evercert/e2e/edgefleet"
	"github.com/evercert/evercert/e2e/stack"
	"github.com/evercert/evercert/keyring"
	"github.com/evercert/evercert/store"
)

// TestF22_10000NamesWithoutPostgreSQLAndAnEdgeStartedAnew kills PostgreSQL and the edge with -9 and starts the edge alone (figure 3): each
// name that it served before is served. The CA is asked to try later, and no answer says that an unknown challenge does not exist.
func TestF22_10000NamesWithoutPostgreSQLAndAnEdgeStartedAnew(t *testing.T) {
	t.Parallel()
	const names = 10_000
	s := stack.New(t, stack.Options{Parts: []string{"postgres"}})
	url, dir, file := s.Info().Postgres, filepath.Join(t.TempDir(), "copy"), filepath.Join(t.TempDir(), "keyring.json")
	require.NoError(t, keyring.Generate(file))
	keys, err := keyring.Load(file)
	require.NoError(t, err)
	db, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	db.Close()
	ca, err := edgefleet.NewCA()
	require.NoError(t, err)
	require.NoError(t, ca.Fill(t.Context(), url, keys, names))

	settings := map[string]string{"DATABASE_URL": url, "KEYRING_FILE": file, "EDGE_COPY_DIR": dir}
	edge, err := edgefleet.StartEdge(t.Context(), settings)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, edge.Kill()) })
	require.NoError(t, edgefleet.AwaitCopied(t.Context(), dir, keys, names), edge.Log())
	_, err = s.Devstack("stop", "postgres")
	require.NoError(t, err)
	require.NoError(t, edge.Kill())
	edge, err = edgefleet.StartEdge(t.Context(), settings)
	require.NoError(t, err)

	var served atomic.Int64
	var group errgroup.Group
	group.SetLimit(8)
	for i := range names {
		group.Go(func() error {
			if err := edgefleet.Handshake(t.Context(), edge.HTTPS, edgefleet.Name(i), ca.Roots); err != nil {
				return err
			}
			served.Add(1)
			return nil
		})
	}
	require.NoError(t, group.Wait(), edge.Log())
	require.Equal(t, int64(names), served.Load())
	t.Logf("%d of %d names served", served.Load(), names)

	require.ErrorContains(
		t, edgefleet.Handshake(t.Context(), edge.HTTPS, "unknown.test", ca.Roots), "internal error", "it may have been installed meanwhile",
	)
	laterForTheCA(t, edge)

	_, err = s.Devstack("start", "postgres")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		err := edgefleet.Handshake(t.Context(), edge.HTTPS, "unknown.test", ca.Roots)
		return err != nil && strings.Contains(err.Error(), "unrecognized name")
	}, patience, 50*time.Millisecond, "the names are compared when PostgreSQL is back")
}

// laterForTheCA: no kind of challenge is answered as if there was none.
func laterForTheCA(t *testing.T, edge *edgefleet.Edge) {
	t.Helper()
	response, err := http.Get("http://" + edge.HTTP + dcv.HTTP01Path + "token")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("Retry-After"))

	name := cert.DelegationLabel("shop.test", []byte("a secret")) + ".dcv.test."
	answer, err := dns.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeTXT), edge.DNS)
	require.NoError(t, err)
	require.Equal(t, dns.RcodeServerFailure, answer.Rcode)

	//nolint:gosec // as RFC 8737 demands
	asCA := &tls.Config{ServerName: edgefleet.Name(1), NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}
	_, err = tls.Dial("tcp", edge.HTTPS, asCA)
	require.ErrorContains(t, err, "internal error")
}
