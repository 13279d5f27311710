package caa

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// lookup answers as DNS does: a name that is not in the zone has no records.
func (z zone) lookup(_ context.Context, name string) Answer { return z[name] }

func TestFind_TheNearestRecordsGovern(t *testing.T) {
	t.Parallel()
	z := zone{}
	for _, owner := range []string{"com", "example.com", "shop.example.com"} {
		z.add(t, owner, `0 issue "ca.example"`)
	}
	for name, owner := range map[string]string{
		"a.b.shop.example.com": "shop.example.com", "shop.example.com": "shop.example.com", "*.shop.example.com": "shop.example.com",
		"other.example.com": "example.com", "example.com": "example.com", "*.example.com": "example.com",
		"another.com": "com", "com": "com", "example.org": "",
	} {
		require.Equal(t, owner, Find(t.Context(), z.lookup, name).Owner, name)
	}
}

// Every name on the way is asked at once, the top-level domain too, the root never.
func TestFind_AsksTheWholeWay(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	Find(t.Context(), func(_ context.Context, name string) Answer {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, name)
		return Answer{}
	}, "*.shop.example.com")
	require.ElementsMatch(t, []string{"shop.example.com", "example.com", "com"}, asked)
}

// RFC 8659 §3: an error may hide nearer records; those that are found are not hidden by an error above them.
func TestFind_AnErrorCountsBelowTheFirstRecords(t *testing.T) {
	t.Parallel()
	silent := errors.New("time-out")
	below := zone{"shop.example.com": {Err: silent}}.add(t, "example.com", `0 issue "ca.example"`)
	require.Equal(t, silent, Find(t.Context(), below.lookup, "shop.example.com").Err)
	above := zone{"com": {Err: silent}}.add(t, "example.com", `0 issue "ca.example"`)
	require.NoError(t, Find(t.Context(), above.lookup, "shop.example.com").Err)
	require.Equal(t, silent, Find(t.Context(), above.lookup, "another.com").Err)
}

func TestVerdict_OneServerThatRefusesIsEnough(t *testing.T) {
	t.Parallel()
	request := NewRequest(google, "example.com", cert.DNS01)
	permits, refuses := setAt(t, "example.com", `0 issue "pki.goog"`), setAt(t, "example.com", `0 issue "other.example"`)
	silent, bogus := Set{Answer: Answer{Err: errors.New("time-out")}}, Set{Answer: Answer{Err: expired{}}}
	for _, row := range []struct {
		name    string
		sets    []Set
		verdict cert.Verdict
		code    cert.Code
		acts    cert.Actor
	}{
		{"all permit", []Set{permits, permits}, cert.OK, "", ""},
		{"one refuses", []Set{permits, refuses, silent}, cert.Wrong, cert.CAAForbids, cert.TenantActs},
		{"one is silent", []Set{silent, permits}, cert.OK, "", ""},
		{"all are silent", []Set{silent, silent}, cert.Unknown, cert.CAALookupFailed, cert.PlatformActs},
		{"one is known to be broken", []Set{permits, bogus}, cert.Wrong, cert.DNSSECBogus, cert.TenantActs},
		{"one is silent, one is known to be broken", []Set{silent, bogus}, cert.Wrong, cert.DNSSECBogus, cert.TenantActs},
		{"none was asked", nil, cert.Unknown, cert.CAALookupFailed, cert.PlatformActs},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, row.verdict, Verdict(row.sets, request))
			if row.verdict == cert.OK {
				return
			}
			p := Problem("example.com", row.sets, request)
			require.Equal(t, row.code, p.Code)
			require.Equal(t, row.acts, p.WhoActs)
		})
	}
}

// expired is an error whose cause is known.
type expired struct{}

func (expired) Error() string { return "DNSSEC: expired" }

func (expired) Problem(string) cert.Problem {
	return cert.Problem{Code: cert.DNSSECBogus, WhoActs: cert.TenantActs}
}
