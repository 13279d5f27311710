package terminator_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/edge/terminator"
)

func TestTheUpstreamIsToldWhoAskedAndHow(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 1)
	b := setup(t, func(o *terminator.Options) {
		o.Upstream = upstream(t, func(w http.ResponseWriter, r *http.Request) { asked <- r })
		o.Upstream.Path = "/tenants"
	})
	b.source.Install(b.ca.Issue(t, "shop.test"))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.test/cart?a=1;b", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"} {
		request.Header.Set(header, "forged")
	}
	response, err := b.client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	read(t, response)
	if response.ProtoMajor != 2 {
		t.Errorf("the client was answered by %s, not HTTP/2", response.Proto)
	}
	got := <-asked
	for header, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "shop.test", "X-Forwarded-Proto": "https", "Forwarded": "",
	} {
		if got.Header.Get(header) != want {
			t.Errorf("%s: %q, want %q", header, got.Header.Get(header), want)
		}
	}
	if got.Host != "shop.test" || got.URL.Path != "/tenants/cart" || got.URL.RawQuery != "a=1;b" {
		t.Errorf("asked for %s, %s", got.Host, got.URL)
	}
}

func TestBodiesStreamBothWays(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := control.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		if err := control.Flush(); err != nil { // sends the header
			t.Error(err)
		}
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintln(w, "echo", lines.Text())
			if err := control.Flush(); err != nil {
				return
			}
		}
	}
	b := setup(t, func(o *terminator.Options) { o.Upstream = upstream(t, echo) })
	b.source.Install(b.ca.Issue(t, "shop.test"))
	body, sender := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://shop.test/", body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := b.client(t).Do(request) // is answered before the body has begun
	if err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(response.Body)
	for _, word := range []string{"one", "two", "three"} { // each is sent only after the one before came back
		if _, err := fmt.Fprintln(sender, word); err != nil {
			t.Fatal(err)
		}
		if line, err := answer.ReadString('\n'); err != nil || line != "echo "+word+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if err := sender.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(answer); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestAConnectionIsUpgradedThroughTheProxy(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *terminator.Options) {
		o.Upstream = upstream(t, func(w http.ResponseWriter, r *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close() //nolint:errcheck // the test's end
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\n\r\n")
			io.Copy(conn, buffered) //nolint:errcheck // until the client closes
		})
	})
	b.source.Install(b.ca.Issue(t, "shop.test"))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.test/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "websocket")
	response, err := b.client(t).Transport.RoundTrip(request) // a Client with a time limit would wrap the connection
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(response.Status)
	}
	socket := response.Body.(io.ReadWriteCloser)
	defer socket.Close() //nolint:errcheck // the test's end
	for _, frame := range []string{"ping", "pong"} {
		if _, err := io.WriteString(socket, frame); err != nil {
			t.Fatal(err)
		}
		echo := make([]byte, len(frame))
		if _, err := io.ReadFull(socket, echo); err != nil || string(echo) != frame {
			t.Fatalf("%q, %v", echo, err)
		}
	}
}

func TestADeadUpstreamIsToldPlainly(t *testing.T) {
	t.Parallel()
	gone := listen(t)
	address := gone.Addr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	b := setup(t, func(o *terminator.Options) { o.Upstream = &url.URL{Scheme: "http", Host: address} })
	b.source.Install(b.ca.Issue(t, "shop.test"))
	response, body := get(t, b.client(t), "https://shop.test/")
	if response.StatusCode != http.StatusBadGateway || !strings.Contains(body, "does not answer at the moment") ||
		strings.Contains(body, address) {
		t.Errorf("%s %q", response.Status, body)
	}
}

func TestTheBuiltinPageNamesTheSiteAndNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.Install(b.ca.Issue(t, "shop.test"))
	response, body := get(t, b.client(t), "https://shop.test/")
	if response.StatusCode != http.StatusOK || !strings.Contains(body, "<h1>shop.test</h1>") || !strings.Contains(body, "HTTPS works") {
		t.Errorf("%s %q", response.Status, body)
	}
	if line := b.raw(t, "GET / HTTP/1.1\r\nHost: <script>\r\nConnection: close\r\n\r\n"); strings.Contains(line, "<script>") {
		t.Errorf("the answer repeats markup: %s", line)
	}
	for _, method := range []string{"CONNECT", "TRACE"} {
		if line := b.raw(t, method+" / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); !strings.HasPrefix(line, "HTTP/1.1 405") {
			t.Errorf("%s: %s", method, line)
		}
	}
	if line := b.raw(t, "CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n"); !strings.HasPrefix(line, "HTTP/1.1 421") {
		t.Errorf("CONNECT to elsewhere: %s", line)
	}
}

func sayWhoWasAsked(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s %s%s", r.Method, r.Header.Get("X-Forwarded-Proto"), r.Host, r.URL)
}

// upstream runs a platform behind the edge.
func upstream(t testing.TB, handler http.HandlerFunc) *url.URL {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// raw sends a request unchanged over plain HTTP and returns the beginning of the answer.
func (b *bundle) raw(t testing.TB, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", b.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the answer is read
	if err := conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer[:n])
}
