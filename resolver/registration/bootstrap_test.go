package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLongestSuffixIsAsked(t *testing.T) {
	t.Parallel()
	named := func(name string) string {
		return registry(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"objectClassName":"domain","entities":[{"roles":["registrar"],"vcardArray":["vcard",[["fn",{},"text",%q]]]}]}`, name)
		})
	}
	c := newClient(t, "uk="+named("uk"), ".CO.UK="+named("co.uk"), "*="+named("others"))
	for domain, asked := range map[string]string{
		"example.co.uk": "co.uk", "example.uk": "uk", "co.uk": "uk", "example.org.uk": "uk", "example.com": "others",
	} {
		r, err := c.Lookup(t.Context(), domain)
		require.NoError(t, err)
		require.Equal(t, asked, r.Registrar, domain)
	}
	_, err := newClient(t, "uk="+named("uk")).Lookup(t.Context(), "example.com")
	require.ErrorIs(t, err, ErrNoServer)
	_, err = newClient(t).Lookup(t.Context(), "example.com")
	require.ErrorIs(t, err, ErrNoServer)
}

func TestBootstrapFileIsReadOnceADay(t *testing.T) {
	t.Parallel()
	service := registry(t, says(t, "registered.json"))
	var read atomic.Int64
	var broken atomic.Bool
	file := registry(t, func(w http.ResponseWriter, _ *http.Request) {
		read.Add(1)
		if broken.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"version": "1.0", "services": [][2][]string{
			{{"com", "NET"}, {"ftp://rdap.example/", service, "https://rdap.example/com/"}}, {{"example"}, {}}, {{"org"}, {service}},
		}})
	})
	c := newClient(t, file+"/rdap/dns.json?a=b", "net="+service)
	c.http = newHTTP(guardOfLoopback, nil)
	clock := today
	c.now = func() time.Time { return clock }

	var looks sync.WaitGroup
	for range 20 {
		looks.Go(func() { _, _ = c.Lookup(t.Context(), "example.org") })
	}
	looks.Wait()
	require.EqualValues(t, 1, read.Load())
	base, err := c.serverFor(t.Context(), "example.com")
	require.NoError(t, err)
	require.Equal(t, "https://rdap.example/com/", base, "https is preferred")
	base, err = c.serverFor(t.Context(), "example.net")
	require.NoError(t, err)
	require.Equal(t, service+"/", base, "what is configured comes first")
	_, err = c.Lookup(t.Context(), "shop.example")
	require.ErrorIs(t, err, ErrNoServer)

	clock = clock.Add(25 * time.Hour)
	broken.Store(true)
	base, err = c.serverFor(t.Context(), "example.org")
	require.NoError(t, err, "an old file is better than none")
	require.Equal(t, service+"/", base)
	require.EqualValues(t, 2, read.Load())
	_, err = c.serverFor(t.Context(), "shop.example")
	require.ErrorContains(t, err, "answers with status 502")
	require.NotErrorIs(t, err, ErrNoServer)
	require.EqualValues(t, 2, read.Load(), "a broken file isn't asked for again at once")
	clock, _ = clock.Add(2*time.Minute), broken.Swap(false)
	_, err = c.serverFor(t.Context(), "shop.example")
	require.ErrorIs(t, err, ErrNoServer)
	require.EqualValues(t, 3, read.Load())
}

func TestBootstrapFileIsBroken(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html>", `{"services":[]}`, `{"services":"none"}`, `[]`} {
		file := registry(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		_, err := newClient(t, file+"/dns.json").Lookup(t.Context(), "example.com")
		require.ErrorContains(t, err, "no list of RDAP services", body)
	}
	_, err := newClient(t, registry(t, http.NotFound)+"/dns.json").Lookup(t.Context(), "example.com")
	require.ErrorContains(t, err, "status 404", "no file is not: no domain")

	hang, release := context.WithCancel(t.Context())
	t.Cleanup(release)
	c := newClient(t, registry(t, func(_ http.ResponseWriter, r *http.Request) { wait(hang, r.Context()) })+"/dns.json")
	c.timeout = 200 * time.Millisecond
	_, err = c.Lookup(t.Context(), "example.com")
	require.ErrorContains(t, err, "no answer came in time")

	r, err := newClient(
		t, registry(t, http.NotFound)+"/dns.json", "*="+registry(t, says(t, "registered.json")),
	).Lookup(t.Context(), "example.com")
	require.NoError(t, err, "the one for all others stands in")
	require.Equal(t, Registered, r.State)
}

func TestServersOfABootstrapFileMustBePublic(t *testing.T) {
	t.Parallel()
	inside := registry(t, says(t, "registered.json"))
	file := registry(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"services":[[["com"],[%q]]]}`, inside) })
	_, err := newClient(t, file+"/dns.json").Lookup(t.Context(), "example.com")
	require.ErrorContains(t, err, "the machine itself (loopback)")
}
