package dcv_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/dcv"
)

// asking returns a Solver over m that checks these servers.
func asking(m *memory, servers ...string) *dcv.Solver {
	return dcv.NewSolver(m, delegated{"shop.example.com": name}, dcv.SolverConfig{Instances: servers})
}

func TestSolver_AsksEveryInstanceOnce(t *testing.T) {
	t.Parallel()
	m := newMemory()
	first, second := start(t, m), start(t, m)
	require.NoError(t, asking(m, first.Addr(), second.Addr()).Present(t.Context(), dns01))
	require.Len(t, m.asked, 2, "one question each")
}

// lagging is a replica that shows the values of m from the n-th question on.
type lagging struct {
	*memory
	n    int32
	seen atomic.Int32
}

func (l *lagging) TXT(ctx context.Context, name string) ([]string, error) {
	if l.seen.Add(1) < l.n {
		return []string{"of another order"}, nil
	}
	return l.memory.TXT(ctx, name)
}

func TestSolver_WaitsForTheSlowestInstance(t *testing.T) {
	t.Parallel()
	m := newMemory()
	replica := &lagging{memory: m, n: 4}
	prompt, slow := start(t, m), startOver(t, replica)
	require.NoError(t, asking(m, prompt.Addr(), slow.Addr()).Present(t.Context(), dns01))
	require.EqualValues(t, 4, replica.seen.Load())
}

func TestSolver_AsksByTCPWhenThereAreManyValues(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for range 100 {
		m.txt[name] = append(m.txt[name], "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0")
	}
	require.NoError(t, asking(m, start(t, m).Addr()).Present(t.Context(), dns01))
}

// TestSolver_AnInstanceThatDoesNotShowTheValueIsAWait: the CA is not asked to validate, no failure is counted, and the next try succeeds.
func TestSolver_AnInstanceThatDoesNotShowTheValueIsAWait(t *testing.T) {
	t.Parallel()
	gone, err := net.ListenPacket("udp", "127.0.0.1:0") // answers no question
	require.NoError(t, err)
	defer func() { require.NoError(t, gone.Close()) }()
	broken := newMemory()
	broken.err = context.DeadlineExceeded // answered with SERVFAIL
	for what, address := range map[string]string{
		"reads another database":   start(t, newMemory()).Addr(),
		"has lost its database":    start(t, broken).Addr(),
		"serves another zone":      start(t, newMemory(), func(c *dcv.Config) { c.Zone = "dcv.example.org" }).Addr(),
		"is down":                  gone.LocalAddr().String(),
		"has a name without an IP": "edge1..internal:53",
	} {
		t.Run(what, func(t *testing.T) {
			m := newMemory()
			healthy := start(t, m)
			solver := asking(m, healthy.Addr(), address)
			solver.SetShownWithin(50 * time.Millisecond)
			err := solver.Present(t.Context(), dns01)
			var f *cert.Failure
			require.ErrorAs(t, err, &f)
			require.Equal(t, cert.Wait, f.Outcome)
			require.Positive(t, f.RetryAfter)
			require.Equal(t, cert.PlatformActs, f.Problem.WhoActs)
			require.Contains(t, f.Problem.Message, "1 of the platform's 2 DNS servers")
			require.NotEmpty(t, f.Problem.Remediation)
			for _, shown := range []string{f.Problem.Message, f.Problem.Remediation} {
				require.NotContains(t, shown, "127.0.0.1")
				require.NotContains(t, shown, "edge1")
			}
			require.ErrorContains(t, f.Err, address, "for the log")
			require.Len(t, m.txt[name], 1, "the value stays for the next try")
			require.NoError(t, asking(m, healthy.Addr()).Present(t.Context(), dns01))
		})
	}
}

func TestSolver_AStoppedProcessIsNoVerdict(t *testing.T) {
	t.Parallel()
	m := newMemory()
	other := newMemory()
	ctx, cancel := context.WithCancel(t.Context())
	server := start(t, other)
	go func() {
		<-other.asked
		cancel()
	}()
	err := asking(m, server.Addr()).Present(ctx, dns01)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorAs(t, err, new(*cert.Failure))
}

// TestSolver_ANameStandsForItsAddresses uses localhost, which has two addresses on most machines.
func TestSolver_ANameStandsForItsAddresses(t *testing.T) {
	t.Parallel()
	m := newMemory()
	server := start(t, m)
	_, port, err := net.SplitHostPort(server.Addr())
	require.NoError(t, err)
	addresses, err := net.DefaultResolver.LookupHost(t.Context(), "localhost")
	require.NoError(t, err)
	for _, address := range addresses {
		if address != "127.0.0.1" {
			start(t, m, func(c *dcv.Config) { c.Listen = net.JoinHostPort(address, port) })
		}
	}
	require.NoError(t, asking(m, "localhost:"+port).Present(t.Context(), dns01))
	require.Len(t, m.asked, len(addresses))
}

func TestSolverConfig_NamesTheVariableThatIsWrong(t *testing.T) {
	t.Parallel()
	require.NoError(t, dcv.SolverConfig{}.Validate())
	require.NoError(t, dcv.SolverConfig{Instances: []string{"edge1.internal:53", "[2001:db8::1]:53", "192.0.2.1:5353"}}.Validate())
	for _, wrong := range []string{"edge1", ":53", "edge1:0", "edge1:dns", "edge1:70000", ""} {
		require.ErrorContains(t, dcv.SolverConfig{Instances: []string{wrong}}.Validate(), "DCV_INSTANCES has", wrong)
	}
}
