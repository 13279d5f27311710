package resolver_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

func TestConfig_NamesTheVariableThatIsWrong(t *testing.T) {
	t.Parallel()
	valid := resolver.Config{
		Resolvers: []string{"192.0.2.1:53", "[2001:db8::1]:53", "dns:53"}, QueryTimeout: time.Second, CheckTimeout: time.Second,
	}
	require.NoError(t, valid.Validate())
	for variable, spoil := range map[string]func(*resolver.Config){
		"DNS_RESOLVERS is empty":           func(c *resolver.Config) { c.Resolvers = nil },
		`DNS_RESOLVERS has "192.0.2.1"`:    func(c *resolver.Config) { c.Resolvers = []string{"192.0.2.1"} },
		`DNS_RESOLVERS has ":53"`:          func(c *resolver.Config) { c.Resolvers = []string{":53"} },
		`DNS_RESOLVERS has "192.0.2.1:0"`:  func(c *resolver.Config) { c.Resolvers = []string{"192.0.2.1:0"} },
		`DNS_RESOLVERS has "192.0.2.1:7x"`: func(c *resolver.Config) { c.Resolvers = []string{"192.0.2.1:7x"} },
		"DNS_TIMEOUT is 0s":                func(c *resolver.Config) { c.QueryTimeout = 0 },
		"DNS_CHECK_TIMEOUT is 1ms":         func(c *resolver.Config) { c.CheckTimeout = time.Millisecond },
	} {
		c := valid
		spoil(&c)
		require.ErrorContains(t, c.Validate(), variable)
		_, err := resolver.New(c, quiet())
		require.ErrorContains(t, err, variable)
	}
}

func TestDiagnose_AQuestionThatMeansNothingIsAnError(t *testing.T) {
	t.Parallel()
	r, err := resolver.New(
		resolver.Config{Resolvers: []string{"127.0.0.1:53"}, QueryTimeout: time.Second, CheckTimeout: time.Second, RequireOwnership: true},
		quiet(),
	)
	require.NoError(t, err)
	_, err = r.Diagnose(t.Context(), cert.Question{})
	require.ErrorContains(t, err, "no name")

	q := setup{names: []string{"shop.example.com", "shop.example.org"}}.question()
	q.Expected = q.Expected[:1] // the ownership record of example.com only
	_, err = r.Diagnose(t.Context(), q)
	require.ErrorContains(t, err, "no ownership record for shop.example.org")
}

func TestDiagnose_ACancelledContextIsAnError(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, silent.Close()) }()
	r, err := resolver.New(
		resolver.Config{
			Resolvers: []string{silent.LocalAddr().String()}, QueryTimeout: time.Minute, CheckTimeout: time.Minute, RequireOwnership: true,
		},
		quiet(),
	)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() { // cancels when the first question has come
		_, _, err := silent.ReadFrom(make([]byte, 2048))
		cancel()
		asked <- err
	}()
	_, err = r.Diagnose(ctx, setup{}.question())
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, <-asked)
}

// TestDiagnose_NobodyListens gets a refusal from the network itself, at once.
func TestDiagnose_NobodyListens(t *testing.T) {
	t.Parallel()
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	d := setup{config: func(c *resolver.Config) { c.Resolvers = []string{closed.LocalAddr().String()} }}.diagnose(t)
	require.Equal(t, cert.Unknown, d.Verdict)
	require.Equal(t, cert.DNSLookupFailed, d.Problems[0].Code)
	require.Contains(t, d.Problems[0].Found, "it refuses the connection")
}

func TestDiagnose_WithoutCAsLeavesCAAOut(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t, `add example.com. 60 CAA 0 issue ";"`)
	q := setup{}.question()
	q.CAs = nil
	d, err := ask(t, q, w)
	require.NoError(t, err)
	require.Equal(t, cert.OK, d.Verdict)
	for question := range w.questions() {
		require.NotContains(t, question, "CAA")
	}
}

// TestDiagnose_NoAddressIsAskedFor: an apex on a platform whose addresses aren't configured.
func TestDiagnose_NoAddressIsAskedFor(t *testing.T) {
	t.Parallel()
	s := setup{names: []string{"example.com", "www.example.com"}}
	q := s.question()
	q.Expected = slices.DeleteFunc(q.Expected, func(r cert.Record) bool { return r.Purpose == cert.ForAddress && r.Name == "example.com" })

	d, err := ask(t, q, s.start(t, ""))
	require.NoError(t, err)
	require.Equal(t, map[string]cert.Method{"example.com": cert.DNS01, "www.example.com": cert.DNS01}, d.Methods())
	require.Equal(t, cert.OK, d.Pointed, "of the names that can be judged")
	require.Empty(t, d.Problems)

	d, err = ask(t, q, s.start(t, "del _acme-challenge.example.com CNAME"))
	require.NoError(t, err)
	require.Equal(t, cert.Wrong, d.Verdict)
	require.Len(t, d.Problems, 1)
	require.Equal(t, cert.DelegationMissing, d.Problems[0].Code)

	q = cert.Question{Names: []string{"example.com"}, Expected: q.Expected[:2], CAs: q.CAs}
	d, err = ask(t, q, s.start(t, ""))
	require.NoError(t, err)
	require.Equal(t, []cert.Verdict{cert.OK, cert.Unknown}, []cert.Verdict{d.Verdict, d.Pointed})
}

// TestDiagnose_TheCommonCaseTakesSixQuestions: ownership, delegation, address, and CAA at each of three levels.
func TestDiagnose_TheCommonCaseTakesSixQuestions(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t, "")
	d, err := ask(t, setup{}.question(), w)
	require.NoError(t, err)
	require.Equal(t, cert.OK, d.Verdict)
	require.Equal(t, map[string]int{
		"_evercert.shop.example.com. TXT": 1, "_acme-challenge.shop.example.com. TXT": 1, "shop.example.com. A": 1,
		"shop.example.com. CAA": 1, "example.com. CAA": 1, "com. CAA": 1,
	}, w.questions())
}

func TestDiagnose_AsksNothingTwice(t *testing.T) {
	t.Parallel()
	s := setup{names: []string{"example.com", "www.example.com", "shop.example.com"}}
	w := s.start(t, "del www.example.com CNAME\nadd www.example.com. 60 A 203.0.113.7\nadd example.com. 60 A 203.0.113.7"+undelegate)
	_, err := ask(t, s.question(), w)
	require.NoError(t, err)
	for question, times := range w.questions() {
		require.Equal(t, 1, times, question)
	}
}

// TestDiagnose_ManyAtOnce lets the race detector look, and shows that domains on dead servers don't hold up the others'
// answers or change them.
func TestDiagnose_ManyAtOnce(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t, "")
	var names []string
	for i := range 60 {
		name := "shop" + strconv.Itoa(i) + ".example.com"
		names = append(names, name)
		fault := ""
		if i%10 == 0 {
			fault = strings.ReplaceAll("\nfault N silent\nfault _evercert.N silent\nfault _acme-challenge.N silent", "N", name)
		}
		for _, r := range (setup{names: []string{name}}).question().Expected {
			w.change(t, "add "+r.Name+". 60 "+r.Type+" "+r.Value+map[bool]string{true: "."}[r.Type == "CNAME"]+fault)
		}
	}
	r := newResolver(t, w)
	verdicts, errs := make([]cert.Verdict, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			d, err := r.Diagnose(t.Context(), setup{names: []string{name}}.question())
			verdicts[i], errs[i] = d.Verdict, err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	for i, v := range verdicts {
		require.Equal(t, map[bool]cert.Verdict{true: cert.Unknown, false: cert.OK}[i%10 == 0], v, names[i])
	}
}

// TestDiagnose_HostileAnswersStaySmall: what strangers write into their zones ends up in histories and on pages.
func TestDiagnose_HostileAnswersStaySmall(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(`"`+strings.Repeat(`\000`, 255)+`" `, 4)
	changes := "del _evercert.shop.example.com TXT\n" + undelegate + unpoint
	for i := range 50 {
		changes += "add _evercert.shop.example.com. 60 TXT " + strconv.Itoa(i) + " " + long + "\n" +
			"add shop.example.com. 60 A 203.0.113." + strconv.Itoa(i) +
			"\nadd example.com. 60 CAA 0 issue " + strconv.Itoa(i) + ".example\n"
	}
	d, err := ask(t, setup{}.question(), setup{}.start(t, changes))
	require.NoError(t, err)
	size := 0
	for _, r := range d.Records {
		for _, found := range r.Found {
			size += len(found)
		}
	}
	for _, p := range d.Problems {
		size += len(p.Message) + len(p.Remediation) + len(p.Found)
		require.NotContains(t, p.Found, "\x00")
	}
	require.Less(t, size, 16<<10)
}

func newResolver(t testing.TB, w *world) *resolver.Resolver {
	r, err := resolver.New(
		resolver.Config{Resolvers: []string{w.address}, QueryTimeout: 5 * time.Second, CheckTimeout: 5 * time.Second, RequireOwnership: true},
		quiet(),
	)
	require.NoError(t, err)
	return r
}

func ask(t testing.TB, q cert.Question, w *world) (cert.Diagnosis, error) {
	return newResolver(t, w).Diagnose(t.Context(), q)
}

// BenchmarkDiagnose is the common case against a resolver on loopback, whose own work is part of the figure.
func BenchmarkDiagnose(b *testing.B) {
	w := setup{}.start(b, "")
	r := newResolver(b, w)
	q := setup{}.question()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d, err := r.Diagnose(b.Context(), q); err != nil || d.Verdict != cert.OK {
				b.Errorf("%s: %v", d.Verdict, err)
			}
		}
	})
}
