package terminator_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evercert/evercert/edge/edgetest"
	"github.com/evercert/evercert/edge/terminator"
)

const benchmarkNames = 10_000

// BenchmarkHandshake makes full TLS 1.3 handshakes for random names of 10,000, each with its own certificate, in turns with the edge and
// with plain crypto/tls and a map. So both run under the same load of the machine. It reports the processor time of the servers' threads.
// The ratio is the result.
func BenchmarkHandshake(b *testing.B) {
	ca, source := edgetest.NewCA(b), edgetest.NewSource()
	byName := map[string]*tls.Certificate{}
	for i := range benchmarkNames {
		c := ca.Issue(b, nameNumber(i))
		source.Install(c)
		loaded := c.TLS(b)
		byName[c.Names[0]] = &loaded
	}
	plain := serveHandshakes(b, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return byName[hello.ServerName], nil },
	})
	edge := serveHandshakes(b, warmEdge(b, source, benchmarkNames).TLSConfig())
	for b.Loop() {
		name := nameNumber(rand.IntN(benchmarkNames)) //nolint:gosec // any name will do
		plain.greet(b, name)
		edge.greet(b, name)
	}
	plainTime, edgeTime := plain.close(b), edge.close(b)
	b.ReportMetric(plainTime/float64(b.N), "plain-cpu-µs/op")
	b.ReportMetric(edgeTime/float64(b.N), "edge-cpu-µs/op")
	b.ReportMetric(edgeTime/plainTime, "edge/plain")
}

// BenchmarkLoad loads certificates into memory: the extra cost of the first handshake for a name, without the database and the unsealing of
// the key. It also reports the memory for one.
func BenchmarkLoad(b *testing.B) {
	ca, source := edgetest.NewCA(b), edgetest.NewSource()
	for i := range 1000 {
		source.Install(ca.Issue(b, nameNumber(i)))
	}
	before := liveHeap()
	kept := warmEdge(b, source, 1000)
	memory := float64(liveHeap()-before) / 1000
	runtime.KeepAlive(kept)
	edge, err := terminator.New(terminator.Options{Source: source, CacheSize: 1, Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ { // each replaces the one before in a cache of one
		if err := edge.Warm(b.Context(), nameNumber(i%1000)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(memory, "B/certificate")
}

func nameNumber(i int) string { return fmt.Sprintf("shop%d.test", i) }

// warmEdge returns an edge with every name in memory.
func warmEdge(b *testing.B, source terminator.Source, names int) *terminator.Terminator {
	edge, err := terminator.New(terminator.Options{Source: source, CacheSize: names, Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	for i := range names {
		if err := edge.Warm(b.Context(), nameNumber(i)); err != nil {
			b.Fatal(err)
		}
	}
	return edge
}

// handshakeServer serves clients one by one, on its own thread, whose processor time is measured.
type handshakeServer struct {
	listener net.Listener
	spent    chan float64 // microseconds
}

func serveHandshakes(b *testing.B, config *tls.Config) handshakeServer {
	s := handshakeServer{listener: listen(b), spent: make(chan float64, 1)}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		start := threadTime(b)
		for {
			raw, err := s.listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				s.spent <- threadTime(b) - start
				return
			}
			conn := tls.Server(raw, config)
			if err := errors.Join(conn.Handshake(), conn.Close()); err != nil {
				b.Error(err)
			}
		}
	}()
	return s
}

func (s handshakeServer) greet(b *testing.B, name string) {
	client := &tls.Config{ServerName: name, InsecureSkipVerify: true} //nolint:gosec // only the server is measured
	conn, err := tls.Dial("tcp", s.listener.Addr().String(), client)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil { // until the server is done
		b.Fatal(err)
	}
	if err := conn.Close(); err != nil && !errors.Is(err, unix.EPIPE) {
		b.Fatal(err)
	}
}

func (s handshakeServer) close(b *testing.B) float64 {
	if err := s.listener.Close(); err != nil {
		b.Fatal(err)
	}
	return <-s.spent
}

func threadTime(b *testing.B) float64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		b.Error(err)
	}
	return float64(ts.Nano()) / 1000
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
