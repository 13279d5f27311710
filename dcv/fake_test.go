package dcv_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/dcv"
)

// memory is a store of values and tokens in memory. Its values do not expire.
type memory struct {
	mu     sync.Mutex
	txt    map[string][]string
	tokens map[string]string
	tls    map[string]string
	ttls   []time.Duration
	err    error         // of every call
	hang   bool          // TXT blocks until ctx ends
	hold   chan struct{} // TXT blocks until hold is closed, even if ctx ends
	asked  chan struct{} // receives once for each TXT call that has begun
}

func newMemory() *memory {
	return &memory{txt: map[string][]string{}, tokens: map[string]string{}, tls: map[string]string{}, asked: make(chan struct{}, 1000)}
}

func (m *memory) TXT(ctx context.Context, name string) ([]string, error) {
	m.asked <- struct{}{}
	if m.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if m.hold != nil {
		<-m.hold
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.txt[name]), m.err
}

func (m *memory) PutTXT(_ context.Context, name, value string, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ttls = append(m.ttls, ttl)
	if !slices.Contains(m.txt[name], value) {
		m.txt[name] = append(m.txt[name], value)
	}
	return m.err
}

func (m *memory) DeleteTXT(_ context.Context, name, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.txt[name] = slices.DeleteFunc(m.txt[name], func(v string) bool { return v == value })
	return m.err
}

func (m *memory) PutHTTPToken(_ context.Context, token, keyAuthorization string, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ttls = append(m.ttls, ttl)
	m.tokens[token] = keyAuthorization
	return m.err
}

func (m *memory) HTTPToken(_ context.Context, token string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return "", m.err
	}
	return m.tokens[token], nil
}

func (m *memory) DeleteHTTPToken(_ context.Context, token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tokens, token)
	return m.err
}

func (m *memory) PutTLSChallenge(_ context.Context, name, keyAuthorization string, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ttls = append(m.ttls, ttl)
	m.tls[name] = keyAuthorization
	return m.err
}

func (m *memory) TLSChallenge(_ context.Context, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tls[name], m.err
}

func (m *memory) DeleteTLSChallenge(_ context.Context, name, keyAuthorization string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tls[name] == keyAuthorization {
		delete(m.tls, name)
	}
	return m.err
}

func (m *memory) ShowsTXT(_ context.Context, name, value string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.txt[name], value), m.err
}

func (m *memory) ShowsHTTPToken(_ context.Context, token, keyAuthorization string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tokens[token] == keyAuthorization, m.err
}

func (m *memory) ShowsTLSChallenge(_ context.Context, name, keyAuthorization string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tls[name] == keyAuthorization, m.err
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

const (
	apex  = "dcv.example.net"
	label = "abcdefghijklmnopqrstuvwx23"
	name  = label + "." + apex
)

// start runs a server on a free port of loopback until the test ends.
func start(t testing.TB, m *memory, change ...func(*dcv.Config)) *dcv.Server {
	t.Helper()
	return startOver(t, m, change...)
}

// startOver is like start, with any store.
func startOver(t testing.TB, stored dcv.Values, change ...func(*dcv.Config)) *dcv.Server {
	t.Helper()
	config := dcv.Config{Zone: apex, Listen: "127.0.0.1:0", TTL: time.Second}
	for _, c := range change {
		c(&config)
	}
	s, err := dcv.Listen(t.Context(), config, stored, quiet())
	require.NoError(t, err)
	serve(t, s)
	return s
}

// serve runs a server until the test ends.
func serve(t testing.TB, s *dcv.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, time.Millisecond, what)
}
