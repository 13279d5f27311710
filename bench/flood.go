package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// timings are how long answers took.
type timings []time.Duration

func (t timings) p99() time.Duration {
	if len(t) == 0 {
		return 0
	}
	slices.Sort(t)
	return t[len(t)*99/100]
}

// asking is one kind of question, and the address that is flooded meanwhile.
type asking struct {
	what    string
	flooded string
	ask     func() error
}

// floodResult is how long answers took without and with a flood.
type floodResult struct{ quiet, flooded timings }

// floods times each question without and with handshakes for unknown names, in turns, so that all meet the same load of the machine. It
// returns how many such handshakes were refused, too.
func floods(ctx context.Context, asks []asking) (results []floodResult, refused int) {
	const turns = 10
	results = make([]floodResult, len(asks))
	for range turns {
		for i, a := range asks {
			results[i].quiet = append(results[i].quiet, a.times(ctx, floodTime/turns)...)
			flooding, stop := context.WithCancel(ctx)
			done := make(chan int, 1)
			go func() { done <- unknownNames(flooding, a.flooded) }()
			results[i].flooded = append(results[i].flooded, a.times(ctx, floodTime/turns)...)
			stop()
			refused += <-done
		}
	}
	return results, refused
}

// times asks at a steady rate and takes the time of each answer. What fails counts as the longest.
func (a asking) times(ctx context.Context, length time.Duration) (took timings) {
	answers := make(chan time.Duration, int(length.Seconds()*knownPerS)+1)
	var group errgroup.Group
	group.SetLimit(16)
	tick := time.NewTicker(time.Second / knownPerS)
	defer tick.Stop()
	for end := time.Now().Add(length); time.Now().Before(end) && ctx.Err() == nil; {
		<-tick.C
		group.Go(func() error {
			begin := time.Now()
			if err := a.ask(); err != nil {
				fmt.Printf("%s: %v\n", a.what, err)
				answers <- time.Minute
				return nil
			}
			answers <- time.Since(begin)
			return nil
		})
	}
	group.Wait() //nolint:errcheck // none fails
	close(answers)
	for d := range answers {
		took = append(took, d)
	}
	return took
}

// unknownNames asks for names that are not connected, floodPerS a second, until ctx ends, and returns how many were refused. A client costs
// next to nothing: it sends one ClientHello that was made before, with the name changed, and reads the alert.
func unknownNames(ctx context.Context, address string) int {
	hello := newHello(ctx)
	var refused atomic.Int64
	var group errgroup.Group
	group.SetLimit(64)
	const ticks = 100
	tick := time.NewTicker(time.Second / ticks)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; {
		<-tick.C
		for range floodPerS / ticks {
			n++
			group.Go(func() error {
				if hello.isRefused(ctx, address, n) {
					refused.Add(1)
				}
				return nil
			})
		}
	}
	group.Wait() //nolint:errcheck // none fails
	return int(refused.Load())
}

func unknownName(n int) string { return fmt.Sprintf("zz%09d.unknown.test", n) }

// hello is a ClientHello with a name that can be changed, because it stands there in clear.
type hello struct {
	message []byte
	at      int
}

func newHello(ctx context.Context) hello {
	message := clientHello(ctx, unknownName(0))
	return hello{message, bytes.Index(message, []byte(unknownName(0)))}
}

// isRefused asks for the n-th unknown name, and reports whether the answer was the alert unrecognized_name. A request that ends with ctx is
// none.
func (h hello) isRefused(ctx context.Context, address string, n int) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()                                                    //nolint:errcheck // the answer counts
	conn.(*net.TCPConn).SetLinger(0)                                      //nolint:errcheck // a port more is used
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil { // longer than any answer takes
		return false
	}
	message := slices.Clone(h.message)
	copy(message[h.at:], unknownName(n))
	if _, err := conn.Write(message); err != nil {
		return false
	}
	const alertRecord, unrecognizedName = 21, 112
	answer := make([]byte, 7)
	_, err = io.ReadFull(conn, answer)
	return err == nil && answer[0] == alertRecord && answer[6] == unrecognizedName
}

// clientHello is what crypto/tls sends first.
func clientHello(ctx context.Context, name string) []byte {
	client, server := net.Pipe()
	go func() {
		//nolint:errcheck,gosec // there is no answer
		tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).HandshakeContext(ctx)
	}()
	defer client.Close() //nolint:errcheck // as is server
	header := make([]byte, 5)
	io.ReadFull(server, header)                            //nolint:errcheck // a pipe
	body := make([]byte, int(header[3])<<8|int(header[4])) // RFC 8446 §5.1
	io.ReadFull(server, body)                              //nolint:errcheck // likewise
	return append(header, body...)
}
