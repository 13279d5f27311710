package registration

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/resolver/guard"
)

var guardOfLoopback = guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})

// FuzzAnswer feeds what a registry might answer. What is kept must be little, printable and one of the states.
func FuzzAnswer(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(body)
	}
	for _, body := range []string{
		`{}`, `null`, `[]`, `{"objectClassName":"domain","status":[null,"a\u0000b"],"events":[1,` +
			`{"eventAction":"expiration","eventDate":"9999-99-99"}]}`,
		`{"objectClassName":"domain","entities":[{"roles":["registrar"],` +
			`"vcardArray":["vcard",[[],["fn"],["fn",{},"text",7],["fn",{},"text","\u001b[31m"]]]}]}`,
		strings.Repeat(`[`, 20000), `{"services":[[["com"],["https://a/","http://b/"]]]}`, `{"services":[[],[[]],[["x"],[""]]]}`,
	} {
		f.Add([]byte(body))
	}
	states := []State{Registered, Expired, Hold, Redemption, PendingDelete}
	f.Fuzz(func(t *testing.T, body []byte) {
		if known, err := parseServices(body); err == nil {
			for _, base := range known {
				again, err := baseURL(base)
				require.NoError(t, err)
				require.Equal(t, base, again)
			}
		}
		r, err := read(body, "example.com", today)
		if err != nil {
			require.Zero(t, r)
			require.Less(t, len(err.Error()), 1000)
			return
		}
		require.Contains(t, states, r.State)
		require.LessOrEqual(t, len(r.Status), maxStatus)
		for _, text := range append(slices.Clone(r.Status), r.Registrar) {
			require.LessOrEqual(t, len([]rune(text)), 2*maxText)
			require.NotContains(t, text, "\n")
			require.NotContains(t, text, "\x1b")
		}
		require.Equal(t, r.State == Registered, r.Problem("example.com") == nil)
	})
}
