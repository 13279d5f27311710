package resolver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// TestD4_OneAddressOfSeveralIsEnoughInMemoryToo: a server that showed one of the addresses and not the other, as the right servers do,
// showed nothing wrong.
func TestD4_OneAddressOfSeveralIsEnoughInMemoryToo(t *testing.T) {
	t.Parallel()
	v4 := cert.Record{Name: "example.com", Type: "A", Value: "192.0.2.10", Purpose: cert.ForAddress, Hostname: "example.com"}
	v6 := cert.Record{Name: "example.com", Type: "AAAA", Value: "2001:db8::10", Purpose: cert.ForAddress, Hostname: "example.com"}
	silent := []cert.Sighting{{Server: "ns2", Role: cert.Authoritative, Verdict: cert.Unknown}}
	pointed := func(before ...cert.LastAnswer) cert.Verdict {
		e := &evidence{
			question: cert.Question{Before: before}, config: Config{SilentWait: time.Hour},
			records: []*recordEvidence{{want: v4, seen: silent}, {want: v6, seen: silent}},
			names:   []*nameEvidence{{name: "example.com", pointed: right(nil)}},
		}
		e.remember(time.Now())
		return e.names[0].pointed.usable
	}
	showed := func(want cert.Record, v cert.Verdict) cert.LastAnswer {
		return cert.LastAnswer{Record: want, Sighting: cert.Sighting{Server: "ns2", Role: cert.Authoritative, Verdict: v}, At: time.Now()}
	}
	require.Equal(t, cert.OK, pointed(showed(v4, cert.OK), showed(v6, cert.Wrong)))
	require.Equal(t, cert.Unknown, pointed(showed(v4, cert.Wrong), showed(v6, cert.Wrong)))
	other := showed(v4, cert.Wrong)
	other.Sighting.Server = "ns1"
	require.Equal(t, cert.OK, pointed(other, showed(v6, cert.Wrong)), "another server's answer")
	other = showed(v4, cert.Wrong)
	other.Sighting.Role = cert.Recursive
	require.Equal(t, cert.OK, pointed(other, showed(v6, cert.Wrong)), "the answer of a resolver at the same address")
}
