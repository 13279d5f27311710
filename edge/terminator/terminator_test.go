package terminator_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/edge/terminator"
)

func TestAClientThatStopsSendingIsCutOff(t *testing.T) {
	t.Parallel()
	b := start(t, 50*time.Millisecond, func(o *terminator.Options) {
		o.Upstream = upstream(t, func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // ends when the edge closes it
		})
	})
	b.source.Install(b.ca.Issue(t, "shop.test"))
	if line := b.raw(t, "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000\r\n\r\nbegun"); !strings.HasPrefix(line, "HTTP/1.1 408") {
		t.Errorf("the edge answered %q", line)
	}
}

func TestAClientMayWaitLongForItsAnswer(t *testing.T) {
	t.Parallel()
	const stall = 50 * time.Millisecond
	b := start(t, stall, func(o *terminator.Options) {
		o.Upstream = upstream(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, r.Body) //nolint:errcheck // the client reports errors
			select {
			case <-r.Context().Done():
			case <-time.After(4 * stall):
			}
		})
	})
	b.source.Install(b.ca.Issue(t, "shop.test"))
	if line := b.raw(
		t,
		"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nwhole",
	); !strings.HasPrefix(line, "HTTP/1.1 200") ||
		!strings.HasSuffix(line, "whole") {
		t.Errorf("the edge answered %q", line)
	}
}

func TestAClientThatStopsReadingIsCutOff(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	b := start(t, 50*time.Millisecond, func(o *terminator.Options) {
		o.Upstream = upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			defer close(ended)
			for chunk := make([]byte, 1<<20); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
	})
	b.source.Install(b.ca.Issue(t, "shop.test"))
	conn, err := net.Dial("tcp", b.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the test's end
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(deadline):
		t.Error("the upstream still sends to a client that does not read")
	}
}

func TestStoppingLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	arrived, finish := make(chan struct{}), make(chan struct{})
	b := setup(t, func(o *terminator.Options) {
		o.Upstream = upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			close(arrived)
			<-finish
			io.WriteString(w, "done") //nolint:errcheck // the client reports errors
		})
	})
	b.source.Install(b.ca.Issue(t, "shop.test"))
	client := b.client(t)
	answer := make(chan string, 1)
	go func() {
		response, err := client.Get("https://shop.test/")
		if err != nil {
			answer <- err.Error()
			return
		}
		body, err := io.ReadAll(response.Body)
		answer <- fmt.Sprint(string(body), err)
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	eventually(t, "no new connection is taken", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.https)
		if err != nil {
			return true
		}
		conn.Close() //nolint:errcheck // it was accepted
		return false
	})
	close(finish)
	if got := <-answer; got != "done<nil>" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestTheEdgeStopsWhenItsNewsStop(t *testing.T) {
	t.Parallel()
	edge, err := terminator.New(terminator.Options{Source: deaf{}, CacheSize: 1, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := edge.Serve(t.Context(), listen(t), listen(t)); err == nil || !strings.Contains(err.Error(), errDown.Error()) {
		t.Errorf("it ended with %v", err)
	}
}

// deaf is a source that announces no changes.
type deaf struct{}

func (deaf) NotServed(string) bool { return false }
func (deaf) Load(context.Context, string) (terminator.Material, error) {
	return terminator.Material{}, terminator.ErrNotServed
}
func (deaf) Listen(context.Context, func(string)) error { return errDown }
